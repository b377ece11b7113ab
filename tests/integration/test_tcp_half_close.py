"""A FIN is forwarded as a FIN once everything before it is delivered; the other direction goes on."""

import pytest

import scenarios
from harness.lab import Lab, Link
from harness.peers import pattern, same
from harness.waiting import let_pass

#: A small receive buffer, and what its reader and the relay's kernel take at once.
SMALL = 8192
HELD = 128 * 1024

#: Long enough that a busy machine does not let a drip miss it.
TIMEOUT = "1s"
DRIP_SECONDS = 0.2
#: 12 drips last 2.4 times the timeout.
DRIPS = 12


@pytest.fixture
def link(lab: Lab) -> Link:
    """A relay whose half-closed connections may be silent for TIMEOUT."""
    return lab.link(half_close_timeout=TIMEOUT)


def test_late_reply_after_the_clients_fin_arrives(lab: Lab) -> None:
    link = lab.link()
    scenarios.late_reply_after_client_fin(link)
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "client_closed"


def test_big_late_reply_after_the_clients_fin_arrives(link: Link) -> None:
    scenarios.big_late_reply_after_client_fin(link)


def test_client_goes_on_sending_after_the_upstreams_fin(link: Link) -> None:
    scenarios.client_goes_on_after_upstream_fin(link)
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "upstream_closed"


def test_fin_comes_after_all_data(link: Link) -> None:
    scenarios.fin_comes_after_all_data(link)


def test_fin_without_data_is_forwarded(link: Link) -> None:
    client, upstream = link.open()
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    upstream.close()
    assert client.recv_until_eof() == b""


def test_fin_of_both_at_once_ends_the_connection(link: Link) -> None:
    client, upstream = link.open()
    client.send(b"c")
    upstream.send(b"u")
    client.send_fin()
    upstream.send_fin()
    assert upstream.recv_until_eof() == b"c"
    assert client.recv_until_eof() == b"u"
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] in ("client_closed", "upstream_closed")


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_half_close_timeout_resets_both_sides(link: Link, first: str) -> None:
    client, upstream = link.open()
    closed, other = (client, upstream) if first == "client" else (upstream, client)
    closed.send(b"last words")
    closed.send_fin()
    assert other.recv_until_eof() == b"last words"
    closed.expect_reset()
    other.expect_reset_after_fin()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "half_close_timeout"
    assert 1_000_000 <= int(record["duration"]) < 10_000_000


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_half_close_timeout_starts_again_with_every_byte(link: Link, first: str) -> None:
    client, upstream = link.open()
    closed, other = (client, upstream) if first == "client" else (upstream, client)
    closed.send_fin()
    assert other.recv_until_eof() == b""
    for number in range(DRIPS):
        let_pass(DRIP_SECONDS)
        other.send(bytes([number]))
        assert closed.recv_exact(1) == bytes([number])
    other.close()
    assert closed.recv_until_eof() == b""
    assert link.log.wait_for(event="connection_closed")["reason"] == f"{first}_closed"


def test_half_close_timeout_leaves_whole_connections_alone(lab: Lab) -> None:
    link = lab.link(half_close_timeout="200ms")
    client, upstream = link.open()
    half_client, half_upstream = link.open()
    half_client.send_fin()
    assert half_upstream.recv_until_eof() == b""
    half_client.expect_reset()
    client.send(b"still here")
    assert upstream.recv_exact(10) == b"still here"


@pytest.mark.parametrize("keys", [{"half_close_timeout": TIMEOUT}, {"idle_timeout": TIMEOUT}],
                         ids=["half_close_timeout", "idle_timeout"])
def test_slow_reader_is_not_quiet(lab: Lab, keys: dict[str, str]) -> None:
    """What the relay's kernel still holds for it arrives, however long that takes."""
    link = lab.link(send_buffer="1MiB", **keys)
    client, upstream = link.open(receive_buffer=SMALL)
    data = pattern(HELD)
    upstream.send(data)
    if "half_close_timeout" in keys:
        upstream.send_fin()
    got = b""
    while len(got) < HELD:
        got += client.recv_exact(min(HELD // 25, HELD - len(got)))
        let_pass(DRIP_SECONDS / 2)  # 25 times: two and a half times the timeout
    same(got, data, "to a slow reader")
    ended = link.log.wait_for(event="connection_closed")
    assert ended["reason"] == next(iter(keys))


@pytest.mark.parametrize("keys", [{"half_close_timeout": TIMEOUT}, {"idle_timeout": TIMEOUT}],
                         ids=["half_close_timeout", "idle_timeout"])
def test_reader_that_stands_still_is_quiet(lab: Lab, keys: dict[str, str]) -> None:
    link = lab.link(send_buffer="1MiB", **keys)
    client, upstream = link.open(receive_buffer=SMALL)
    upstream.send(pattern(HELD))
    if "half_close_timeout" in keys:
        upstream.send_fin()
    assert link.log.wait_for(event="connection_closed")["reason"] == next(iter(keys))
    assert client.recv_until_reset() != b""
