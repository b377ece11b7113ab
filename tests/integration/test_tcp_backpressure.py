"""A stopped reader costs under 16 MiB of the daemon's memory and nothing else."""

import socket

import pytest

from harness import linux, process
from harness.daemon import Daemon
from harness.lab import Lab, Link
from harness.peers import Peer, pattern, ping, same, say
from harness.waiting import wait_until

MIB = 1024 * 1024
#: The readers' kernel buffers, so that nearly all that was sent is held by the daemon.
SMALL = 65536


@pytest.fixture
def link(lab: Lab) -> Link:
    """A relay whose readers have small kernel buffers."""
    return lab.link(server={"receive_buffer": SMALL})


def _open(link: Link) -> tuple[Peer, Peer]:
    return link.open(receive_buffer=SMALL)


@pytest.mark.parametrize("sender_name", ["client", "upstream"])
def test_sender_is_stopped_within_16_mib(link: Link, sender_name: str) -> None:
    client, upstream = _open(link)
    sender, reader = (client, upstream) if sender_name == "client" else (upstream, client)
    before = link.daemon.rss_bytes()
    sent = sender.send_until_blocked(64 * MIB)
    inside = sent - linux.unacknowledged(sender.sock) - linux.unread(reader.sock)
    assert 0 < inside < 16 * MIB
    assert link.daemon.rss_bytes() - before < 16 * MIB

    sender.send_fin()
    same(reader.recv_until_eof(), pattern(sent), "after the reader went on")


def test_both_directions_stopped_at_once(link: Link) -> None:
    client, upstream = _open(link)
    before = link.daemon.rss_bytes()
    up = client.send_until_blocked(64 * MIB)
    down = upstream.send_until_blocked(64 * MIB)
    assert up < 64 * MIB and down < 64 * MIB
    assert link.daemon.rss_bytes() - before < 16 * MIB
    same(upstream.recv_exact(up), pattern(up), "client to upstream")
    same(client.recv_exact(down), pattern(down), "upstream to client")


def test_stopped_reader_stops_nobody_else(lab: Lab) -> None:
    link = lab.link()
    client, upstream = link.open()
    client.send_until_blocked(64 * MIB)
    for _ in range(20):
        other, other_upstream = link.open()
        other.send(b"ping")
        assert other_upstream.recv_exact(4) == b"ping"
        other_upstream.send(b"pong")
        assert other.recv_exact(4) == b"pong"
        other.close()
    upstream.reset()


def test_stopped_reader_costs_no_cpu_and_other_direction_goes_on(link: Link) -> None:
    client, upstream = _open(link)
    client.send_until_blocked(64 * MIB)
    before = link.daemon.cpu_seconds()
    for _ in range(100):
        upstream.send(b"x" * 100)
        assert client.recv_exact(100) == b"x" * 100
    assert link.daemon.cpu_seconds() - before < 0.25


def test_sender_that_is_stopped_again_and_again_loses_nothing(link: Link) -> None:
    client, upstream = _open(link)
    for _ in range(3):
        sent = client.send_until_blocked(32 * MIB)
        same(upstream.recv_exact(sent), pattern(sent), "one round")


def test_hundred_stopped_readers_cost_little_memory_each(lab: Lab) -> None:
    link = lab.link(script=say(pattern(MIB)), daemon={"drain_timeout": "100ms"})
    before = link.daemon.rss_bytes()
    clients = [link.connect(receive_buffer=SMALL) for _ in range(100)]
    for client in clients:
        client.wait_unread(1)
    assert link.daemon.rss_bytes() - before < 64 * MIB
    for client in clients:
        same(client.recv_exact(MIB), pattern(MIB), "after the pause")
        ping(client)


def _unread_by(daemon: Daemon) -> int:
    with daemon.connection_sockets() as sockets:
        return sum(linux.unread(sock) for sock in sockets)


@pytest.mark.parametrize("sender_name", ["client", "upstream"])
def test_what_arrives_for_a_stopped_reader_wakes_nobody(lab: Lab, sender_name: str) -> None:
    link = lab.link(server={"receive_buffer": SMALL}, send_buffer="64KiB")
    client, upstream = _open(link)
    sender, reader = (client, upstream) if sender_name == "client" else (upstream, client)
    sender.send(pattern(MIB))  # more than the relay and the reader's kernel hold together
    wait_until(lambda: _unread_by(link.daemon) > 0, "the relay to stop reading")

    def trickle() -> int:
        """How often 50 small segments wake the relay."""
        before = process.sleeps(link.daemon.pid)
        for _ in range(50):
            sender.send(b"more")
            sender.wait_acknowledged()
        return process.sleeps(link.daemon.pid) - before

    trickle()  # by its end the relay has come to rest
    woken = trickle()
    assert woken < 25, f"woken {woken} times"
    assert reader.recv_exact(MIB + 400) == pattern(MIB) + 100 * b"more"
    client.send(b"back")
    assert upstream.recv_exact(4) == b"back"
    upstream.send(b"forth")
    assert client.recv_exact(5) == b"forth"


@pytest.mark.parametrize("sender_name", ["client", "upstream"])
def test_urgent_byte_and_end_that_come_while_nobody_reads(lab: Lab, sender_name: str) -> None:
    link = lab.link(server={"receive_buffer": SMALL}, send_buffer="64KiB")
    client, upstream = _open(link)
    sender, reader = (client, upstream) if sender_name == "client" else (upstream, client)
    reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sender.send(pattern(MIB))  # more than the relay and the reader's kernel hold together
    wait_until(lambda: _unread_by(link.daemon) > 0, "the relay to stop reading")
    for _ in range(20):  # by now it is not told any more what arrives
        sender.send(b"more")
        sender.wait_acknowledged()
    sender.send(b"before")
    sender.sock.send(b"!", socket.MSG_OOB)
    sender.send(b"after")
    sender.send_fin()
    sender.wait_acknowledged()
    data = pattern(MIB) + 20 * b"more" + b"before!after"
    same(reader.recv_until_eof(), data, "around the urgent byte")
