"""One thread for all of it, whatever the number of namespaces."""

import time

import pytest

from harness import process
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping
from harness.waiting import SLOWNESS, wait_until

NAMESPACES = 400


@pytest.fixture
def labels() -> list[str]:
    """The names of many namespaces."""
    return [f"n{number}" for number in range(NAMESPACES)]


def test_four_hundred_namespaces_are_open_within_a_second(lab: Lab, labels: list[str]) -> None:
    namespaces = lab.netns_list(labels)
    lab.server(lab.host, script=echo)
    begin = time.monotonic()
    daemon = lab.daemon(rule(netns=[netns.name for netns in namespaces]))
    opened = daemon.log.records(event="listener_open")
    assert {record["netns"] for record in opened} == {netns.name for netns in namespaces}
    if SLOWNESS == 1:
        assert opened[-1].seen - begin < 1.0
    assert process.threads(daemon.pid) == [daemon.pid]

    for netns in namespaces:
        client = lab.connect(netns)
        ping(client, netns.name.encode())
        client.close()
    closed = daemon.log.wait_for_count(NAMESPACES, event="connection_closed")
    assert {record["netns"] for record in closed} == {netns.name for netns in namespaces}
    assert process.threads(daemon.pid) == [daemon.pid]
    home = f"net:[{lab.host.path.stat().st_ino}]"
    assert process.thread_namespaces(daemon.pid) == {home}


def test_memory_of_four_hundred_namespaces_with_tcp_and_udp(lab: Lab, labels: list[str]) -> None:
    names = [netns.name for netns in lab.netns_list(labels)]
    daemon = lab.daemon(rule(netns=names), rule(name="udp", protocol="udp", netns=names),
                        listeners=2 * NAMESPACES)
    if not process.is_sanitized(daemon.pid):
        wait_until(lambda: daemon.rss_bytes() < 8_000_000, "what only starting needed is given back")
    assert process.threads(daemon.pid) == [daemon.pid]


@pytest.mark.heavy
def test_thousand_connections_at_once(lab: Lab) -> None:
    namespaces = lab.netns_list([f"n{number}" for number in range(10)])
    server = lab.server(lab.host, backlog=4096)
    daemon = lab.daemon(rule(netns=[netns.name for netns in namespaces]), drain_timeout="100ms")
    pairs = []
    for number in range(1000):
        client = lab.connect(namespaces[number % 10])
        pairs.append((client, server.accept()))
    for number, (client, _) in enumerate(pairs):
        client.send(number.to_bytes(4, "big"))
    for number, (_, upstream) in enumerate(pairs):
        assert upstream.recv_exact(4) == number.to_bytes(4, "big")
        upstream.send(number.to_bytes(4, "little"))
    for number, (client, upstream) in enumerate(pairs):
        assert client.recv_exact(4) == number.to_bytes(4, "little")
        client.close()
        assert upstream.recv_until_eof() == b""
        upstream.close()
    daemon.log.wait_for_count(1000, event="connection_closed", reason="client_closed")


def test_idle_connections_cost_no_cpu(lab: Lab) -> None:
    link = lab.link()
    pairs = [link.open() for _ in range(200)]
    before = link.daemon.cpu_seconds()
    client, upstream = pairs[0]
    for _ in range(100):
        client.send(b"x")
        assert upstream.recv_exact(1) == b"x"
    assert link.daemon.cpu_seconds() - before < 0.25 * SLOWNESS


def test_ten_listeners_in_each_of_forty_namespaces(lab: Lab) -> None:
    namespaces = lab.netns_list([f"n{number}" for number in range(40)])
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=[netns.name for netns in namespaces], listen="0.0.0.0:8000-8009")
    )
    with daemon.listening_sockets() as sockets:
        assert len(sockets) == 400
    for netns in namespaces:
        for port in (8000, 8009):
            client = lab.connect(netns, ("127.0.0.1", port))
            ping(client)
            client.close()
