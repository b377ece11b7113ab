"""SIGTERM: stop accepting, drain up to drain_timeout, close. A second SIGTERM closes at once."""

import signal

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.peers import connect, is_refused
from harness.waiting import wait_until

STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_without_connections_it_ends_at_once(lab: Lab, number: signal.Signals) -> None:
    link = lab.link(daemon={"drain_timeout": "60s"})
    link.daemon.signal(number)
    assert link.daemon.wait() == 0


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_running_connection_goes_on_until_it_ends(lab: Lab, number: signal.Signals) -> None:
    link = lab.link(daemon={"drain_timeout": "60s"})
    client, upstream = link.open()
    name = client.name()
    link.daemon.signal(number)
    wait_until(lambda: is_refused(link.client_netns, ("127.0.0.1", 8000)), "no more accepting")
    for _ in range(20):
        client.send(b"still here")
        assert upstream.recv_exact(10) == b"still here"
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    upstream.send(b"goodbye")
    upstream.close()
    assert client.recv_until_eof() == b"goodbye"
    assert link.daemon.wait() == 0
    # By name: a client that only asked whether it is refused may have been accepted still.
    assert link.log.wait_for(event="connection_closed", client=name)["reason"] == "client_closed"


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_drain_timeout_resets_both_sides(lab: Lab, number: signal.Signals) -> None:
    link = lab.link(daemon={"drain_timeout": "500ms"})
    client, upstream = link.open()
    link.daemon.signal(number)
    client.expect_reset()
    upstream.expect_reset()
    assert link.daemon.wait() == 0
    assert link.log.records(event="connection_closed")[0]["reason"] == "drained"


@pytest.mark.parametrize("second", STOP_SIGNALS)
def test_second_signal_closes_at_once(lab: Lab, second: signal.Signals) -> None:
    link = lab.link(daemon={"drain_timeout": "60s"})
    client, upstream = link.open()
    name = client.name()
    link.daemon.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(link.client_netns, ("127.0.0.1", 8000)), "no more accepting")
    link.daemon.signal(second)
    client.expect_reset()
    upstream.expect_reset()
    assert link.daemon.wait() == 0
    assert link.log.wait_for(event="connection_closed", client=name)["reason"] == "drained"


def test_stop_during_a_connect_in_progress(lab: Lab) -> None:
    link = lab.link(
        upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "60s"},
        daemon={"drain_timeout": "300ms"},
    )
    link.upstream_netns.drop("tcp dport 9000")
    client = link.connect()
    wait_until(
        lambda: link.upstream_netns.run("ss", "-Htn", "state", "syn-sent"), "a connect in progress"
    )
    link.daemon.signal(signal.SIGTERM)
    client.expect_reset()
    assert link.daemon.wait() == 0


def test_every_listener_is_closed_at_once(lab: Lab) -> None:
    namespaces = lab.netns_list(["a", "b", "c"])
    server = lab.server(lab.host)
    daemon = lab.daemon(
        rule(netns=[n.name for n in namespaces], listen=["0.0.0.0:8000", "[::1]:8001"]),
        drain_timeout="60s",
    )
    client = lab.connect(namespaces[0])
    server.accept()
    daemon.signal(signal.SIGTERM)
    for netns in namespaces:
        for address in (("127.0.0.1", 8000), ("::1", 8001)):
            wait_until(lambda: is_refused(netns, address), "no more accepting")
    assert daemon.is_running()
    client.reset()
    assert daemon.wait() == 0


def test_bytes_under_way_at_the_end_of_a_connection_arrive_while_draining(lab: Lab) -> None:
    link = lab.link(daemon={"drain_timeout": "60s"})
    client, upstream = link.open()
    client.send(b"x" * 1_000_000)
    client.send_fin()
    client.wait_acknowledged()
    link.daemon.signal(signal.SIGTERM)
    assert len(upstream.recv_until_eof()) == 1_000_000
    upstream.close()
    assert client.recv_until_eof() == b""
    assert link.daemon.wait() == 0


def test_new_daemon_can_listen_right_after_the_old_one(lab: Lab) -> None:
    link = lab.link()
    client, upstream = link.open()
    upstream.close()
    assert client.recv_until_eof() == b""
    client.close()
    link.daemon.stop()
    again = lab.daemon(rule(netns=link.client_netns.name))
    assert again.log.records(event="listener_open")
    connect(link.client_netns, ("127.0.0.1", 8000)).close()
