"""Limits of a rule: idle_timeout, max_connections, allow and deny."""

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping
from harness.waiting import let_pass


def test_idle_timeout_resets_both_sides(lab: Lab) -> None:
    link = lab.link(idle_timeout="400ms")
    client, upstream = link.open()
    client.expect_reset()
    upstream.expect_reset()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "idle_timeout"
    assert 400_000 <= int(record["duration"]) < 4_000_000


@pytest.mark.parametrize("writer", ["client", "upstream"])
def test_any_byte_starts_the_idle_timeout_again(lab: Lab, writer: str) -> None:
    link = lab.link(idle_timeout="1s")
    client, upstream = link.open()
    sender, reader = (client, upstream) if writer == "client" else (upstream, client)
    for number in range(12):
        let_pass(0.2)
        sender.send(bytes([number]))
        assert reader.recv_exact(1) == bytes([number])
    client.expect_reset()
    upstream.expect_reset()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "idle_timeout"
    assert int(record["duration"]) >= 3_400_000


def test_stopped_reader_is_idle_too(lab: Lab) -> None:
    link = lab.link(idle_timeout="4s")
    client, _ = link.open()
    client.send_until_blocked(64 * 1024 * 1024)
    assert link.log.wait_for(event="connection_closed")["reason"] == "idle_timeout"


def test_max_connections_keeps_clients_waiting_in_the_backlog(lab: Lab) -> None:
    link = lab.link(script=echo, max_connections=2)
    running = [link.connect() for _ in range(2)]
    for client in running:
        ping(client)
    waiting = link.connect()
    waiting.send(b"patience")
    for _ in range(50):
        ping(running[0])
        ping(running[1])
    assert link.server.accepted == 2
    running[0].close()
    assert waiting.recv_exact(8) == b"patience"
    ping(running[1])


def test_max_connections_counts_for_the_rule_in_all_its_namespaces(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    server = lab.server(lab.host, script=echo)
    lab.daemon(rule(netns=[a.name, b.name], max_connections=1))
    first = lab.connect(a)
    ping(first)
    second = lab.connect(b)
    second.send(b"patience")
    for _ in range(50):
        ping(first)
    assert server.accepted == 1
    first.close()
    assert second.recv_exact(8) == b"patience"


def test_max_connections_of_one_rule_does_not_stop_another(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    lab.daemon(
        rule("full", netns=a.name, max_connections=1),
        rule("free", netns=a.name, listen="0.0.0.0:8001"),
    )
    ping(lab.connect(a))
    lab.connect(a)
    for _ in range(5):
        ping(lab.connect(a, ("127.0.0.1", 8001)))


def test_failed_connections_count_only_while_they_last(lab: Lab) -> None:
    link = lab.link(max_connections=1)
    link.server.stop_listening()
    for _ in range(5):
        link.connect().expect_reset()


def test_many_waiting_clients_are_all_served(lab: Lab) -> None:
    link = lab.link(script=echo, max_connections=3)
    clients = [link.connect() for _ in range(30)]
    for client in clients:
        client.send(b"turn")
    for client in clients:
        assert client.recv_exact(4) == b"turn"
        client.close()


@pytest.mark.parametrize(
    ("keys", "admitted"),
    [
        ({"allow": ["127.0.0.0/8"]}, True),
        ({"allow": ["10.0.0.0/8", "127.0.0.1"]}, True),
        ({"allow": ["10.0.0.0/8"]}, False),
        ({"deny": ["127.0.0.1"]}, False),
        ({"deny": ["10.0.0.0/8"]}, True),
        ({"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1/32"]}, False),
        ({"allow": ["::/0"]}, False),
    ],
)
def test_allow_and_deny(lab: Lab, keys: dict[str, list[str]], admitted: bool) -> None:
    link = lab.link(script=echo, **keys)
    if admitted:
        ping(link.connect())
    else:
        link.connect().expect_reset()
        assert link.server.accepted == 0


def test_denied_ipv6_network_and_admitted_neighbour(lab: Lab) -> None:
    a = lab.netns("a")
    a.add_address("2001:db8:1::7/128")
    a.add_address("2001:db8:2::7/128")
    lab.server(lab.host, script=echo)
    lab.daemon(rule(netns=a.name, listen="[::]:8000", deny=["2001:db8:1::/48"]))
    denied = lab.connect(a, ("::1", 8000), source_address=("2001:db8:1::7", 0))
    denied.expect_reset()
    ping(lab.connect(a, ("::1", 8000), source_address=("2001:db8:2::7", 0)))


def test_ipv4_client_of_a_dual_stack_listener_is_judged_as_ipv4(lab: Lab) -> None:
    link = lab.link(script=echo, listen="*:8000", deny=["127.0.0.0/8"])
    link.connect().expect_reset()
    ping(lab.connect(link.client_netns, ("::1", 8000)))
