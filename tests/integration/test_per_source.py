"""`per_source`: how many connections, and how many new ones per second, one client may have."""

from typing import Any

import pytest

from harness import proxy
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import Peer, echo, ping
from harness.waiting import wait_until


def _from(lab: Lab, netns: Any, address: str) -> Peer:
    return lab.connect(netns, source_address=(address, 0))


def test_connections_of_one_client_are_bounded(lab: Lab) -> None:
    link = lab.link(script=echo, per_source={"connections": 2})
    kept = [_from(lab, link.client_netns, "127.0.1.1") for _ in range(2)]
    for client in kept:
        ping(client)
    _from(lab, link.client_netns, "127.0.1.1").expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "per_source_connections"
    assert record["client"].startswith("127.0.1.1:")
    ping(_from(lab, link.client_netns, "127.0.1.2"))
    kept[0].close()
    link.log.wait_for(event="connection_closed")
    ping(_from(lab, link.client_netns, "127.0.1.1"))
    for client in kept[1:]:
        ping(client)


@pytest.mark.parametrize("rate", [3, "3/s"])
def test_new_connections_of_one_client_are_bounded(lab: Lab, rate: Any) -> None:
    link = lab.link(script=echo, per_source={"rate": rate})
    for _ in range(3):
        client = _from(lab, link.client_netns, "127.0.1.1")
        ping(client)
        client.close()
    _from(lab, link.client_netns, "127.0.1.1").expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"] == "per_source_rate"
    ping(_from(lab, link.client_netns, "127.0.1.2"))

    def is_served() -> bool:
        client = _from(lab, link.client_netns, "127.0.1.1")
        client.send_unless_reset(b"x")
        try:
            return client.sock.recv(1) == b"x"
        except ConnectionResetError:
            return False

    wait_until(is_served, "it is served again when a third of a second has passed")


def test_a_network_counts_as_one_client(lab: Lab) -> None:
    link = lab.link(script=echo, per_source={"connections": 1, "prefix4": 24})
    ping(_from(lab, link.client_netns, "127.0.1.1"))
    _from(lab, link.client_netns, "127.0.1.99").expect_reset()
    ping(_from(lab, link.client_netns, "127.0.2.1"))


def test_the_listeners_of_a_rule_count_together(lab: Lab) -> None:
    link = lab.link(script=echo, listen=["0.0.0.0:8000", "0.0.0.0:8001"],
                    per_source={"connections": 1})
    first = lab.connect(link.client_netns)
    ping(first)
    lab.connect(link.client_netns, ("127.0.0.1", 8001)).expect_reset()


def test_the_client_is_who_the_proxy_header_says(lab: Lab) -> None:
    link = lab.link(script=echo, accept_proxy=True, per_source={"connections": 1})

    def connect(address: str) -> Peer:
        client = link.connect()
        client.send_unless_reset(proxy.v1((address, 1), ("198.51.100.1", 1)))
        return client

    kept = connect("192.0.2.1")
    ping(kept)
    connect("192.0.2.1").expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"] == "per_source_connections"
    ping(connect("192.0.2.2"))
    kept.close()
    link.log.wait_for(event="connection_closed")
    ping(connect("192.0.2.1"))


def test_udp_sessions_of_one_client_are_bounded(lab: Lab) -> None:
    a = lab.netns("a")
    server = lab.udp_server(lab.host)
    daemon = lab.daemon(rule(protocol="udp", netns=a.name, per_source={"connections": 2}))
    clients = [lab.udp_client(a) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(bytes([number]))
    assert {server.recv_bytes() for _ in range(2)} == {b"\0", b"\1"}
    assert daemon.log.wait_for(event="datagrams_dropped")["reason"] == "per_source_connections"
    clients[0].send(b"goes on")
    assert server.recv_bytes() == b"goes on"


def test_udp_sessions_per_second_are_bounded(lab: Lab) -> None:
    a = lab.netns("a")
    server = lab.udp_server(lab.host)
    daemon = lab.daemon(rule(protocol="udp", netns=a.name, per_source={"rate": "1/s"}))
    for _ in range(3):
        lab.udp_client(a).send(b"x")
    server.recv()
    assert daemon.log.wait_for(event="datagrams_dropped")["reason"] == "per_source_rate"
