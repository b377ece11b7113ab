"""A reset is forwarded as a reset, after what was received before it."""

import pytest

import scenarios
from harness.lab import Lab, Link
from harness.peers import pattern, same
from harness.waiting import wait_until


@pytest.fixture
def link(lab: Lab) -> Link:
    """A relay with its defaults."""
    return lab.link()


def test_reset_of_the_client_reaches_the_upstream(link: Link) -> None:
    scenarios.client_reset_reaches_upstream(link)
    assert link.log.wait_for(event="connection_closed")["reason"] == "client_reset"


def test_reset_of_the_upstream_reaches_the_client(link: Link) -> None:
    scenarios.upstream_reset_reaches_client(link)
    assert link.log.wait_for(event="connection_closed")["reason"] == "upstream_reset"


def test_reset_of_the_client_comes_after_all_its_data(link: Link) -> None:
    scenarios.client_reset_comes_after_its_data(link)
    record = link.log.wait_for(event="connection_closed")
    assert (record["reason"], record["received"]) == ("client_reset", str(scenarios.MIB))


def test_reset_of_the_upstream_comes_after_all_its_data(link: Link) -> None:
    scenarios.upstream_reset_comes_after_its_data(link)
    record = link.log.wait_for(event="connection_closed")
    assert (record["reason"], record["sent"]) == ("upstream_reset", str(scenarios.MIB))


@pytest.mark.parametrize("size", [1, 1460, 65536, 65537, 300_000])
def test_reset_comes_after_data_of_any_size(link: Link, size: int) -> None:
    client, upstream = link.open()
    data = pattern(size)
    client.send(data)
    client.wait_acknowledged()
    client.reset()
    same(upstream.recv_until_reset(), data, "before the reset")


def test_reset_comes_after_data_that_a_small_window_holds_back(lab: Lab) -> None:
    link = lab.link(server={"receive_buffer": 4096})
    client, upstream = link.open(send_buffer=65536)
    data = pattern(1024 * 1024)
    client.send(data)
    client.wait_acknowledged()
    client.reset()
    same(upstream.recv_until_reset(), data, "before the reset")


def test_reset_of_the_client_after_its_fin(link: Link) -> None:
    scenarios.client_reset_after_its_fin(link)
    assert link.log.wait_for(event="connection_closed")["reason"] == "client_reset"


def test_reset_of_the_upstream_after_its_fin(link: Link) -> None:
    scenarios.upstream_reset_after_its_fin(link)
    assert link.log.wait_for(event="connection_closed")["reason"] == "upstream_reset"


def test_close_with_unread_data_is_a_reset_and_forwarded_as_one(link: Link) -> None:
    client, upstream = link.open()
    client.send(b"never read")
    upstream.wait_unread(10)
    upstream.close()
    client.expect_reset()


def test_reset_in_one_direction_ends_a_bulk_transfer_in_the_other(link: Link) -> None:
    client, upstream = link.open()
    sent = upstream.send_until_blocked(64 * scenarios.MIB)
    assert sent < 64 * scenarios.MIB
    client.reset()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        upstream.send(pattern(64 * scenarios.MIB))


@pytest.fixture
def connecting(lab: Lab) -> Link:
    """A relay whose upstream does not answer the handshake for now: see Netns.undrop()."""
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "60s"})
    link.upstream_netns.drop("tcp dport 9000")
    return link


def _handshakes(link: Link) -> str:
    return link.upstream_netns.run("ss", "-Htn", "state", "syn-sent")


def test_reset_of_the_client_ends_a_connect_in_progress(connecting: Link) -> None:
    client = connecting.connect()
    wait_until(lambda: _handshakes(connecting), "a connect in progress")
    client.reset()
    wait_until(lambda: not _handshakes(connecting), "the connect is given up")
    record = connecting.log.wait_for(rule="web", reason="client_reset")
    assert record["event"] in ("connection_closed", "connection_failed")


def test_reset_during_the_connect_comes_after_the_data(connecting: Link) -> None:
    client = connecting.connect()
    client.send(b"early")
    client.wait_acknowledged()
    wait_until(lambda: _handshakes(connecting), "a connect in progress")
    client.reset()
    connecting.upstream_netns.undrop()
    assert connecting.server.accept().recv_until_reset() == b"early"


def test_reset_of_one_connection_leaves_the_others_alone(link: Link) -> None:
    pairs = [link.open() for _ in range(10)]
    for client, _ in pairs[::2]:
        client.reset()
    for _, upstream in pairs[::2]:
        upstream.expect_reset()
    for client, upstream in pairs[1::2]:
        client.send(b"here")
        assert upstream.recv_exact(4) == b"here"
