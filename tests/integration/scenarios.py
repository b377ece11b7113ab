"""The promises of a TCP relay that any relay can be held to, as functions of a link.

The tests run them against nsrelay; peers_fail.py runs them against other programs, which shows
that they can fail and what they are for. A link gives `open()`, `connect()` and `server`.
"""

from collections.abc import Callable
from typing import Protocol

from harness import linux
from harness.peers import Peer, Server, exchange, pattern, same, sending
from harness.waiting import let_pass

MIB = 1024 * 1024


class Link(Protocol):
    """A relay between a client and an upstream server."""

    server: Server

    def connect(self) -> Peer:
        """A client that is connected to the relay."""

    def open(self) -> tuple[Peer, Peer]:
        """Both ends of a new connection through the relay."""


def late_reply_after_client_fin(link: Link) -> None:
    """The reply begins a second after the upstream has seen the client's FIN."""
    client, upstream = link.open()
    client.send(b"request")
    client.send_fin()
    assert upstream.recv_until_eof() == b"request"
    let_pass(1.0)  # Some relays give the other direction half a second.
    upstream.send(b"a late reply")
    upstream.close()
    assert client.recv_until_eof() == b"a late reply"


def big_late_reply_after_client_fin(link: Link) -> None:
    """The same with a reply that fills every buffer on the way."""
    client, upstream = link.open()
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    exchange_one_way(upstream, client, pattern(8 * MIB))


def client_goes_on_after_upstream_fin(link: Link) -> None:
    """The upstream's FIN comes first, and the client still sends 1 MiB."""
    client, upstream = link.open()
    upstream.send(b"that was all from me")
    upstream.send_fin()
    assert client.recv_until_eof() == b"that was all from me"
    exchange_one_way(client, upstream, pattern(MIB))


def fin_comes_after_all_data(link: Link) -> None:
    """The upstream begins to read only when the client has sent everything and FIN."""
    client, upstream = link.open()
    data = pattern(MIB)
    client.send(data)
    client.send_fin()
    client.wait_acknowledged()
    same(upstream.recv_until_eof(), data, "client to upstream")
    upstream.close()
    assert client.recv_until_eof() == b""


def client_reset_reaches_upstream(link: Link) -> None:
    """A reset of the client, with nothing sent."""
    client, upstream = link.open()
    client.reset()
    upstream.expect_reset()


def upstream_reset_reaches_client(link: Link) -> None:
    """A reset of the upstream, with nothing sent."""
    client, upstream = link.open()
    upstream.reset()
    client.expect_reset()


def client_reset_comes_after_its_data(link: Link) -> None:
    """1 MiB that the relay has acknowledged, then RST; the upstream reads only afterwards."""
    client, upstream = link.open()
    _reset_after_data(client, upstream)


def upstream_reset_comes_after_its_data(link: Link) -> None:
    """1 MiB that the relay has acknowledged, then RST; the client reads only afterwards."""
    client, upstream = link.open()
    _reset_after_data(upstream, client)


def client_reset_after_its_fin(link: Link) -> None:
    """The client's FIN was forwarded; then it gives up with RST."""
    client, upstream = link.open()
    client.send(b"request")
    client.send_fin()
    assert upstream.recv_until_eof() == b"request"
    client.reset()
    upstream.expect_reset_after_fin()


def upstream_reset_after_its_fin(link: Link) -> None:
    """The upstream's FIN was forwarded; then it gives up with RST."""
    client, upstream = link.open()
    upstream.send(b"reply")
    upstream.send_fin()
    assert client.recv_until_eof() == b"reply"
    upstream.reset()
    client.expect_reset_after_fin()


def refused_upstream_resets_the_client(link: Link) -> None:
    """Nobody listens at the target."""
    link.server.stop_listening()
    link.connect().expect_reset()


def refused_upstream_resets_a_client_that_has_sent(link: Link) -> None:
    """Nobody listens at the target, and the client has sent its request already."""
    link.server.stop_listening()
    client = link.connect()
    client.send_unless_reset(b"request")
    client.expect_reset()


def both_directions_at_once(link: Link) -> None:
    """4 MiB each way at the same time."""
    client, upstream = link.open()
    exchange(client, upstream, pattern(4 * MIB), pattern(4 * MIB + 1)[1:])


def stopped_reader_stops_the_sender(link: Link) -> None:
    """An upstream that does not read costs the relay less than 16 MiB."""
    client, upstream = link.open()
    sent = client.send_until_blocked(64 * MIB)
    in_kernel = linux.unacknowledged(client.sock) + linux.unread(upstream.sock)
    taken = sent - in_kernel
    assert taken < 16 * MIB, f"{taken} bytes are inside the relay"
    client.send_fin()
    same(upstream.recv_until_eof(), pattern(sent), "what was sent before it blocked")


def exchange_one_way(sender: Peer, receiver: Peer, data: bytes) -> None:
    """`sender`, whose other direction has ended, sends all and closes; `receiver` gets all."""
    with sending(sender, data, fin=True):
        same(receiver.recv_until_eof(), data, "after the half-close")
    sender.close()


def _reset_after_data(sender: Peer, reader: Peer) -> None:
    data = pattern(MIB)
    sender.send(data)
    sender.wait_acknowledged()
    sender.reset()
    reader.wait_unread(1)
    same(reader.recv_until_reset(), data, "before the reset")


#: Every scenario by what it promises.
ALL: tuple[Callable[[Link], None], ...] = (
    late_reply_after_client_fin,
    big_late_reply_after_client_fin,
    client_goes_on_after_upstream_fin,
    fin_comes_after_all_data,
    client_reset_reaches_upstream,
    upstream_reset_reaches_client,
    client_reset_comes_after_its_data,
    upstream_reset_comes_after_its_data,
    client_reset_after_its_fin,
    upstream_reset_after_its_fin,
    refused_upstream_resets_the_client,
    refused_upstream_resets_a_client_that_has_sent,
    both_directions_at_once,
    stopped_reader_stops_the_sender,
)
