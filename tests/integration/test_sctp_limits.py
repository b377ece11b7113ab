"""What SCTP has in common with TCP: limits, admission, drain, reload, namespaces, descriptors."""

import os
import signal
import socket
import struct

import pytest

from harness import sctp
from harness.daemon import rule
from harness.lab import Lab
from harness.sctp import Message
from harness.waiting import wait_until

pytestmark = pytest.mark.sctp


def test_idle_timeout_aborts_both_sides(lab: Lab) -> None:
    link = lab.sctp_link(idle_timeout="2s")
    client, upstream = link.open()
    client.send(b"once")
    upstream.expect(b"once")
    client.expect_abort()
    upstream.expect_abort()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "idle_timeout"
    assert int(record["duration"]) >= 2_000_000


def test_max_connections_keeps_clients_waiting_in_the_backlog(lab: Lab) -> None:
    link = lab.sctp_link(script=sctp.echo, max_connections=1)
    first = link.connect()
    first.send(b"a")
    first.expect(b"a")
    second = link.connect()
    second.send(b"patience")
    for _ in range(20):
        first.send(b"a")
        first.expect(b"a")
    assert link.server.accepted == 1
    first.shutdown()
    second.expect(b"patience")


def test_who_is_denied_is_aborted(lab: Lab) -> None:
    link = lab.sctp_link(deny=["127.0.0.2/32"])
    link.expect_aborted(source=("127.0.0.2", 0))
    assert link.log.wait_for(event="connection_failed")["reason"] == "denied"
    client = link.connect(source=("127.0.0.3", 0))
    upstream = link.server.accept()
    client.send(b"admitted")
    upstream.expect(b"admitted")


def test_who_is_not_among_the_allowed_is_aborted(lab: Lab) -> None:
    link = lab.sctp_link(allow=["127.0.0.2/32"])
    link.expect_aborted(source=("127.0.0.1", 0))
    client = link.connect(source=("127.0.0.2", 0))
    upstream = link.server.accept()
    client.send(b"admitted")
    upstream.expect(b"admitted")


def test_source_is_what_the_upstream_sees(lab: Lab) -> None:
    link = lab.sctp_link(upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.7.0/31"]})
    seen = set()
    for _ in range(2):
        _, upstream = link.open()
        seen.add(upstream.sock.getpeername()[0])
    assert seen == {"127.0.7.0", "127.0.7.1"}


@pytest.mark.parametrize("wanted", [True, False])
def test_nodelay(lab: Lab, wanted: bool) -> None:
    link = lab.sctp_link(nodelay=wanted)
    link.open()
    with link.daemon.sctp_sockets() as sockets:
        assert len(sockets) == 3
        for sock in sockets:
            assert bool(sock.getsockopt(sctp.IPPROTO_SCTP, 3)) == wanted


def test_drain_lets_associations_go_on_and_ends_them_at_its_end(lab: Lab) -> None:
    link = lab.sctp_link(daemon={"drain_timeout": "4s"})
    client, upstream = link.open()
    client.send(b"before")
    upstream.expect(b"before")
    link.daemon.signal(signal.SIGTERM)
    link.log.wait_for(event="listener_closed")
    client.send(b"during")
    upstream.expect(b"during")
    assert sctp.is_refused(link.client_netns, ("127.0.0.1", 8000))
    client.expect_abort()
    upstream.expect_abort()
    assert link.log.wait_for(event="connection_closed")["reason"] == "drained"
    assert link.daemon.wait() == 0


def test_reload_keeps_the_socket_and_the_associations(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    client.send(b"before")
    upstream.expect(b"before")
    changed = rule(protocol="sctp", netns=link.client_netns.name, max_message="1KiB",
                   nodelay=False)
    link.daemon.reload([changed])
    assert not link.log.records(event="listener_closed")
    client.send(b"x" * 2000)
    upstream.expect(b"x" * 2000)
    new_client, new_upstream = link.open()
    new_client.send(b"x" * 2000)
    new_client.expect_abort()
    new_upstream.expect_abort()


def test_a_rule_that_is_gone_drains(lab: Lab) -> None:
    link = lab.sctp_link(daemon={"drain_timeout": "1s"})
    client, upstream = link.open()
    other = rule("other", listen="127.0.0.1:8001")
    link.daemon.reload([other])
    client.expect_abort()
    upstream.expect_abort()
    assert link.log.wait_for(event="connection_closed")["reason"] == "drained"


def test_a_namespace_that_is_deleted_is_let_go_of(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    upstream.send_until_blocked(b"unread" * 500, limit=1000)
    client.sock.close()
    other = lab.sctp_connect(link.client_netns)
    other.sock.close()
    link.client_netns.delete()
    upstream.recv_until_abort()
    wait_until(lambda: not _sockets_outside(link.daemon, lab), "no socket in the namespace")


def test_associations_of_a_namespace_that_is_deleted_are_aborted(lab: Lab) -> None:
    upstream_netns = lab.netns("u")
    server = lab.sctp_server(upstream_netns)
    daemon = lab.sctp_daemon(
        upstream={"targets": ["127.0.0.1:9000"], "netns": upstream_netns.name})
    client = lab.sctp_connect(lab.host)
    upstream = server.accept()
    client.send(b"hello")
    upstream.expect(b"hello")
    upstream_netns.delete()
    client.expect_abort()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"
    wait_until(lambda: not _sockets_outside(daemon, lab), "no socket in the namespace")


def test_a_namespace_that_appears_is_served(lab: Lab) -> None:
    server = lab.sctp_server(lab.host)
    daemon = lab.sctp_daemon(netns=f"nsr{os.getpid()}-late*", daemon={"listeners": 0})
    late = lab.netns("late")
    daemon.wait_ready(1)
    client = lab.sctp_connect(late)
    client.send(b"late")
    server.accept().expect(b"late")


def test_out_of_descriptors_pauses_and_goes_on(lab: Lab) -> None:
    link = lab.sctp_link(script=sctp.echo, daemon={"wrapper": ["prlimit", "--nofile=40"]})
    clients = [link.connect() for _ in range(25)]
    link.log.wait_for(event="accept_paused")
    for client in clients:
        client.send(Message(b"hello"))
    served = [client for client in clients if is_answered(client)]
    assert 0 < len(served) < len(clients)
    for client in clients:
        client.abort()
    late = link.connect()
    late.send(b"again")
    late.expect(b"again")


def is_answered(client: sctp.SctpPeer) -> bool:
    """Whether an answer comes soon; those in the backlog have none."""
    try:
        client.sock.settimeout(0.2)
        return client.recv() is not None
    except TimeoutError:
        return False
    finally:
        client.sock.settimeout(sctp.DEADLINE)


def test_bind_device_and_netns_of_the_upstream(lab: Lab) -> None:
    relay, far = lab.netns("relay"), lab.netns("far")
    relay.connect_to(far, "10.4.0.1/24", "10.4.0.2/24")
    server = lab.sctp_server(far, ("10.4.0.2", 9000))
    lab.sctp_daemon(upstream={"targets": ["10.4.0.2:9000"], "netns": relay.name,
                              "bind_device": "to-far"})
    client = lab.sctp_connect(lab.host)
    upstream = server.accept()
    client.send(b"by the device")
    upstream.expect(b"by the device")
    assert upstream.sock.getpeername()[0] == "10.4.0.1"


def _sockets_outside(daemon, lab) -> list[bytes]:  # type: ignore[no-untyped-def]
    home = lab.host.cookie()
    with daemon.sctp_sockets() as sockets:
        cookies = [sock.getsockopt(socket.SOL_SOCKET, 71, 8) for sock in sockets]
    return [cookie for cookie in cookies if struct.unpack("=Q", cookie) != struct.unpack("=Q", home)]
