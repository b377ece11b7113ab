"""Endpoints of several addresses, and the loss of one path."""

import pytest

from harness import sctp
from harness.lab import Lab
from harness.netns import Netns
from harness.sctp import Message

pytestmark = pytest.mark.sctp

QUICK_PATHS = (("rto_initial", "200"), ("rto_min", "200"), ("rto_max", "400"),
               ("path_max_retrans", "1"), ("hb_interval", "500"))


def two_links(lab: Lab, here: str, there: str) -> tuple[Netns, Netns]:
    """Two namespaces with two veth pairs between them: 10.1.0.0/24 and 10.2.0.0/24."""
    near, far = lab.netns(here), lab.netns(there)
    for number in (1, 2):
        names = f"ip link add p{number} type veth peer name p{number} netns {far.name}"
        near.run(*names.split())
        for netns, host in ((near, 1), (far, 2)):
            netns.add_address(f"10.{number}.0.{host}/24", f"p{number}")
            netns.run("ip", "link", "set", f"p{number}", "up")
    for netns in (near, far):
        for key, value in QUICK_PATHS:
            netns.sysctl(f"net.sctp.{key}", value)
    return near, far


NEAR = [("10.1.0.1", 8000), ("10.2.0.1", 8000)]


def test_a_listener_of_two_addresses_survives_the_loss_of_a_path(lab: Lab) -> None:
    relay, outside = two_links(lab, "relay", "outside")
    server = lab.sctp_server(lab.host)
    daemon = lab.sctp_daemon(netns=relay.name, listen="10.1.0.1+10.2.0.1:8000")
    assert daemon.log.wait_for(event="listener_open")["listener"] == "10.1.0.1+10.2.0.1:8000"
    client = lab.sctp_connect(outside, NEAR)
    upstream = server.accept()
    client.send(b"both paths")
    upstream.expect(b"both paths")
    outside.run("ip", "link", "set", "p1", "down")
    for number in range(10):
        message = Message(b"one path %d" % number, stream=number, ppid=number)
        client.send(message)
        upstream.expect(message)
        upstream.send(message)
        client.expect(message)
    assert not daemon.log.records(event="connection_closed")


def test_a_target_of_two_addresses_survives_the_loss_of_a_path(lab: Lab) -> None:
    relay, outside = two_links(lab, "relay", "outside")
    server = lab.sctp_server(outside, [("10.1.0.2", 9000), ("10.2.0.2", 9000)])
    daemon = lab.sctp_daemon(
        upstream={"targets": ["10.1.0.2+10.2.0.2:9000"], "netns": relay.name})
    client = lab.sctp_connect(lab.host)
    upstream = server.accept()
    client.send(b"both paths")
    upstream.expect(b"both paths")
    relay.run("ip", "link", "set", "p1", "down")
    for number in range(10):
        client.send(b"%d" % number)
        upstream.expect(b"%d" % number)
        upstream.send(b"%d" % number)
        client.expect(b"%d" % number)
    client.shutdown()
    upstream.expect_shutdown()
    record = daemon.log.wait_for(event="connection_closed")
    assert record["upstream"] == "10.1.0.2+10.2.0.2:9000"
    assert record["reason"] == "client_closed"


def test_a_target_is_reached_by_its_other_address(lab: Lab) -> None:
    relay, outside = two_links(lab, "relay", "outside")
    server = lab.sctp_server(outside, [("10.1.0.2", 9000), ("10.2.0.2", 9000)])
    outside.run("ip", "link", "set", "p1", "down")
    lab.sctp_daemon(upstream={"targets": ["10.1.0.2+10.2.0.2:9000"], "netns": relay.name})
    client = lab.sctp_connect(lab.host)
    upstream = server.accept()
    client.send(b"by the other")
    upstream.expect(b"by the other")


def test_a_probe_reaches_a_target_by_its_other_address(lab: Lab) -> None:
    relay, outside = two_links(lab, "relay", "outside")
    lab.sctp_server(outside, [("10.1.0.2", 9000), ("10.2.0.2", 9000)], sctp.echo)
    outside.run("ip", "link", "set", "p1", "down")
    several, absent = "10.1.0.2+10.2.0.2:9000", "10.2.0.2:9001"
    health = {"interval": "100ms", "timeout": "3s", "type": "connect"}
    daemon = lab.sctp_daemon(
        upstream={"targets": [several, absent], "netns": relay.name, "health": health})
    # By the time that the one is down, the other was probed as often.
    down = daemon.log.wait_for(event="upstream_down")
    assert down["upstream"] == absent
    lab.sctp_connect(lab.host).send(b"by the other")
    assert len(daemon.log.records(event="upstream_down")) == 1


def test_both_families_of_ipv6_endpoints(lab: Lab) -> None:
    for address in ("2001:db8::1/128", "2001:db8::2/128"):
        lab.host.add_address(address)
    server = lab.sctp_server(lab.host, [("2001:db8::1", 9000), ("2001:db8::2", 9000)])
    daemon = lab.sctp_daemon(listen="[2001:db8::1]+[2001:db8::2]:8000",
                             upstream="[2001:db8::1]+[2001:db8::2]:9000")
    client = lab.sctp_connect(lab.host, ("2001:db8::2", 8000))
    client.send(b"six")
    server.accept().expect(b"six")
    assert daemon.log.wait_for(event="listener_open")["listener"] == (
        "[2001:db8::1]+[2001:db8::2]:8000")


def test_one_missing_address_keeps_the_endpoint_pending_until_it_appears(lab: Lab) -> None:
    lab.host.add_address("10.9.0.1/32")
    lab.sctp_server(lab.host)
    daemon = lab.sctp_daemon(listen="10.9.0.1+10.9.0.2:8000", daemon={"listeners": 0})
    record = daemon.log.wait_for(event="listener_pending")
    assert record["reason"] == "bind: Cannot assign requested address"
    lab.host.add_address("10.9.0.2/32")
    daemon.wait_ready(1)
    lab.sctp_connect(lab.host, ("10.9.0.2", 8000))
