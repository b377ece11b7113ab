"""How an SCTP association ends: SHUTDOWN, ABORT, restart, silence, and upstreams that cannot be had."""

import struct

import pytest

from harness import sctp
from harness.lab import Lab
from harness.sctp import Message

pytestmark = pytest.mark.sctp


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_shutdown_becomes_shutdown(lab: Lab, first: str) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    sender, receiver = (client, upstream) if first == "client" else (upstream, client)
    sender.send(b"last")
    sender.shutdown()
    receiver.expect(b"last")
    receiver.expect_shutdown()
    sender.expect_shutdown()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == f"{first}_closed"
    assert record["undelivered"] == "0"


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_shutdown_follows_every_message(lab: Lab, first: str) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    sender, receiver = (client, upstream) if first == "client" else (upstream, client)
    # The receiver does not read: what is sent fills the relay and both kernels.
    count = sender.send_until_blocked(b"x" * 4000, limit=10_000)
    assert count < 10_000
    sender.shutdown()
    for number in range(count):
        receiver.expect(struct.pack("=I", number) + b"x" * 4000)
    receiver.expect_shutdown()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == f"{first}_closed"


def test_what_a_peer_that_shut_down_does_not_take_is_counted(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    # The client does not read: what the upstream says fills the relay.
    client.send(b"hello")
    upstream.expect(b"hello")
    sent = upstream.send_until_blocked(b"y" * 4000, limit=10_000)
    client.shutdown()
    upstream.expect_shutdown()
    received = 0
    while client.recv() is not None:
        received += 1
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "client_closed"
    assert int(record["messages_sent"]) == received
    assert int(record["undelivered"]) == sent - received > 0


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_abort_becomes_abort(lab: Lab, first: str) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    aborting, other = (client, upstream) if first == "client" else (upstream, client)
    aborting.abort()
    other.expect_abort()
    assert link.log.wait_for(event="connection_closed")["reason"] == f"{first}_reset"


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_abort_follows_what_had_arrived(lab: Lab, first: str) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    aborting, other = (client, upstream) if first == "client" else (upstream, client)
    sent = [Message(b"%d" % n, stream=n % 10, ppid=n) for n in range(50)]
    for message in sent:
        aborting.send(message)
    aborting.wait_acknowledged()
    aborting.abort()
    assert sorted(other.recv_until_abort(), key=lambda one: one.ppid) == sent


def test_a_restart_aborts_both_sides(lab: Lab) -> None:
    link = lab.sctp_link()
    source = ("127.0.0.1", 5000)
    client = link.connect(source=source)
    upstream = link.server.accept()
    client.send(b"before")
    upstream.expect(b"before")
    link.client_netns.go_deaf()
    client.abort()
    link.client_netns.hear_again()
    link.expect_aborted(source=source)
    upstream.expect_abort()
    assert link.log.wait_for(event="connection_closed")["reason"] == "client_restarted"


def test_a_client_that_is_lost_aborts_the_upstream(lab: Lab) -> None:
    client_netns = lab.netns("a")
    for key, value in (("rto_initial", "100"), ("rto_min", "100"), ("rto_max", "100"),
                       ("association_max_retrans", "2"), ("path_max_retrans", "2")):
        client_netns.sysctl(f"net.sctp.{key}", value)
    server = lab.sctp_server(lab.host)
    daemon = lab.sctp_daemon(netns=client_netns.name)
    client = lab.sctp_connect(client_netns)
    upstream = server.accept()
    client.send(b"hello")
    upstream.expect(b"hello")
    client_netns.go_deaf()
    upstream.send(b"are you there?")
    upstream.expect_abort()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "client_timeout"


def test_a_refused_upstream_aborts_the_client(lab: Lab) -> None:
    client_netns = lab.netns("a")
    daemon = lab.sctp_daemon(netns=client_netns.name)
    sctp.expect_aborted(client_netns, ("127.0.0.1", 8000))
    assert daemon.log.wait_for(event="upstream_failed")["reason"] == "connect_refused"
    assert daemon.log.wait_for(event="connection_failed")["reason"] == "connect_refused"


def test_a_silent_upstream_aborts_the_client(lab: Lab) -> None:
    client_netns = lab.netns("a")
    lab.host.go_deaf()
    daemon = lab.sctp_daemon(netns=client_netns.name,
                             upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "300ms"})
    sctp.expect_aborted(client_netns, ("127.0.0.1", 8000))
    assert daemon.log.wait_for(event="connection_failed")["reason"] == "connect_timeout"


def test_the_next_target_is_tried_and_no_message_is_lost(lab: Lab) -> None:
    client_netns = lab.netns("a")
    server = lab.sctp_server(lab.host, ("127.0.0.1", 9001))
    daemon = lab.sctp_daemon(
        netns=client_netns.name, upstream=["127.0.0.1:9000", "127.0.0.1:9001"])
    for _ in range(2):
        client = lab.sctp_connect(client_netns)
        sent = [Message(b"%d" % n, ppid=n) for n in range(5)]
        for message in sent:
            client.send(message)
        server.accept().expect(*sent)
    assert daemon.log.records(event="upstream_failed", upstream="127.0.0.1:9000")


def test_a_client_that_was_gone_before_it_was_accepted_loses_nothing(lab: Lab) -> None:
    link = lab.sctp_link(max_connections=1)
    first, _ = link.open()
    for _ in range(3):
        hasty = link.connect(outbound=40)
        hasty.send(Message(b"in a hurry", stream=39, ppid=5))
        hasty.shutdown()
        hasty.expect_shutdown()
    first.shutdown()
    for _ in range(3):
        upstream = link.server.accept()
        upstream.expect(Message(b"in a hurry", stream=39, ppid=5))
        upstream.expect_shutdown()


def test_a_client_that_leaves_while_connecting_is_let_go(lab: Lab) -> None:
    client_netns = lab.netns("a")
    lab.host.go_deaf()
    daemon = lab.sctp_daemon(netns=client_netns.name,
                             upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "1h"})
    lab.sctp_connect(client_netns).abort()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "client_reset"
    sctp.connect(client_netns, ("127.0.0.1", 8000)).close()
    assert daemon.log.wait_for_count(2, event="connection_closed")[1]["reason"] == "client_closed"
