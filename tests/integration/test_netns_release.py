"""After `ip netns del` nothing of nsrelay holds the namespace; what runs ends as the rule says."""

import signal
import time

import pytest

from harness import udp
from harness.daemon import Daemon, rule
from harness.inner import HOST_ADDRESS, INNER_ADDRESS, PROMISE, Inner
from harness.lab import Lab
from harness.peers import Peer, echo, pattern, ping, same, wait_connected
from harness.udp import UdpPeer
from harness.waiting import wait_until

BULK = 64 * 1024 * 1024
#: More than a reader with a small buffer takes, and not more than any send buffer does besides.
LAST_BYTES = 10_000


@pytest.fixture
def inner(lab: Lab) -> Inner:
    """The namespace that a test deletes."""
    return Inner(lab)


class Relay:
    """Client → listener in `inner` → upstream in the host's, or the other way round."""

    def __init__(self, inner: Inner, side: str, **keys: object) -> None:
        lab = inner.lab
        top = {"drain_timeout": keys.pop("drain_timeout", "1s")}
        if side == "listener":
            self.address = (INNER_ADDRESS, 8000)
            self.server = lab.server(lab.host)
            made = rule(netns=inner.netns.name, **keys)
        else:
            self.address = ("127.0.0.1", 8000)
            self.server = lab.server(lab.host, (HOST_ADDRESS, 9000), receive_buffer=4096)
            targets = [f"{HOST_ADDRESS}:9000"]
            made = rule(upstream={"targets": targets, "netns": inner.netns.name}, **keys)
        self.lab = lab
        self.daemon: Daemon = lab.daemon(made, **top)

    def open(self, **options: int) -> tuple[Peer, Peer]:
        """The client's end and the upstream's."""
        client = self.lab.connect(self.lab.host, self.address, **options)
        return client, self.server.accept()


@pytest.fixture(params=["listener", "upstream"])
def side(request: pytest.FixtureRequest) -> str:
    """Which side of the relay is in the namespace that is deleted."""
    return str(request.param)


def test_idle_listeners(inner: Inner) -> None:
    daemon = inner.lab.daemon(
        rule(netns=inner.netns.name, listen=["0.0.0.0:8000-8009", f"{INNER_ADDRESS}:80", "*:81"]),
        listeners=12,
    )
    inner.delete()
    daemon.log.wait_for_count(12, event="listener_closed", reason="netns_deleted")


def test_pending_listeners(inner: Inner) -> None:
    daemon = inner.lab.daemon(
        rule(netns=inner.netns.name, listen=["10.50.9.9:8000", "[fe80::9%none]:80"]), listeners=0
    )
    daemon.log.wait_for_count(2, event="listener_pending")
    inner.delete()


def test_process_descriptor_and_name(lab: Lab, inner: Inner) -> None:
    """A rule that names the namespace of a process holds it only as long as the process does."""
    inside = lab.process_inside(inner.netns)
    daemon = lab.daemon(rule(netns=[f"pid:{inside.pid}", inner.netns.name]), listeners=1)
    inside.kill()
    inside.wait()
    daemon.log.wait_for(event="listener_pending", netns=f"pid:{inside.pid}")
    inner.delete()


def test_unused_upstream_namespace(inner: Inner, lab: Lab) -> None:
    relay = Relay(inner, "upstream")
    client, upstream = relay.open()
    ping_through(client, upstream)
    client.close()
    upstream.close()
    relay.daemon.log.wait_for(event="connection_closed")
    inner.delete()


def ping_through(client: Peer, upstream: Peer) -> None:
    """One byte each way."""
    client.send(b"x")
    assert upstream.recv_exact(1) == b"x"
    upstream.send(b"y")
    assert client.recv_exact(1) == b"y"


def test_live_connections(inner: Inner, side: str) -> None:
    relay = Relay(inner, side)
    pairs = [relay.open() for _ in range(20)]
    for client, upstream in pairs:
        ping_through(client, upstream)
    inner.delete()
    records = relay.daemon.log.wait_for_count(20, event="connection_closed")
    assert {record["reason"] for record in records} == {"netns_deleted"}
    for client, upstream in pairs:
        near, _ = (client, upstream) if side == "upstream" else (upstream, client)
        near.expect_reset()  # the far one is at the other end of a wire that is gone


def test_clients_in_the_backlog(inner: Inner) -> None:
    """The rule is full: they are connected as far as the kernel is concerned."""
    relay = Relay(inner, "listener", max_connections=1)
    client, upstream = relay.open()
    ping_through(client, upstream)
    waiting = [inner.lab.connect(inner.lab.host, relay.address) for _ in range(10)]
    for one in waiting:
        one.send(b"patience")
    inner.delete()


@pytest.mark.parametrize("wire", ["stopped reader", "cut wire"])
def test_unacknowledged_data(inner: Inner, side: str, wire: str) -> None:
    """Towards the peer at the other end of the namespace's wire."""
    relay = Relay(inner, side)
    client, upstream = relay.open(receive_buffer=4096)
    sender = upstream if side == "listener" else client
    ping_through(client, upstream)
    if wire == "cut wire":
        inner.cut_wire()
    assert sender.send_until_blocked(BULK) > 0
    inner.delete()
    sender.recv_until_reset()
    record = relay.daemon.log.wait_for(event="connection_closed")
    assert record["reason"] == "netns_deleted"


def test_unread_data(inner: Inner, side: str) -> None:
    """The side at home stopped reading: what came from the namespace waits in it."""
    relay = Relay(inner, side)
    client, upstream = relay.open(receive_buffer=4096)
    sender, reader = (client, upstream) if side == "listener" else (upstream, client)
    assert sender.send_until_blocked(BULK) > 0
    inner.delete()
    reader.recv_until_reset()


def test_half_closed_connections(inner: Inner, side: str) -> None:
    relay = Relay(inner, side)
    client, upstream = relay.open()
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    late_client, late_upstream = relay.open()
    late_upstream.send_fin()
    assert late_client.recv_until_eof() == b""
    inner.delete()
    records = relay.daemon.log.wait_for_count(2, event="connection_closed")
    assert {record["reason"] for record in records} == {"netns_deleted"}


def test_reset_that_waits_for_acknowledgements(inner: Inner) -> None:
    """The upstream's reset is passed on behind the data, which the client does not take."""
    relay = Relay(inner, "listener")
    client, upstream = relay.open(receive_buffer=4096)
    ping_through(client, upstream)
    inner.cut_wire()
    upstream.send(b"x" * 100_000)
    upstream.wait_acknowledged()
    upstream.reset()
    inner.delete()
    assert relay.daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"


def test_connecting_to_an_upstream_that_does_not_answer(inner: Inner) -> None:
    relay = Relay(inner, "upstream")
    inner.cut_wire()
    client = inner.lab.connect(inner.lab.host, relay.address)
    wait_until(
        lambda: "SYN-SENT" in inner.netns.run("ss", "-Htan"), "the upstream is being connected to"
    )
    inner.delete()
    client.expect_reset()


def test_name_server_that_does_not_answer(inner: Inner, lab: Lab) -> None:
    """Names are asked for from inside the upstream's namespace."""
    lab.host.write_etc("resolv.conf", f"nameserver {HOST_ADDRESS}\n")
    upstream = {"targets": ["app.example:9000"], "netns": inner.netns.name}
    lab.daemon(rule(upstream=upstream))
    inner.cut_wire()
    client = lab.connect(lab.host)
    wait_until(
        lambda: ":53" in inner.netns.run("ss", "-Huan"), "the name server is being asked"
    )
    inner.delete()
    client.expect_reset()


def test_upstream_that_connects_after_its_namespace_is_gone(inner: Inner) -> None:
    """The name means a new namespace by the time at which the old one's socket is connected."""
    relay = Relay(inner, "upstream")
    inner.lab.host.drop("iifname to-a")
    client = inner.lab.connect(inner.lab.host, relay.address)
    wait_until(
        lambda: "SYN-SENT" in inner.netns.run("ss", "-Htan"), "the upstream is being connected to"
    )
    inner.netns.delete()
    inner.lab.netns("a")
    inner.lab.host.undrop()
    inner.wait_released()
    client.expect_reset()


def test_closed_connection_with_unacknowledged_data(inner: Inner, side: str) -> None:
    """Closed the normal way by both, before the deletion; the last bytes were never acknowledged."""
    relay = Relay(inner, side)
    client, upstream = relay.open(receive_buffer=4096)
    ping_through(client, upstream)
    far, near = (client, upstream) if side == "listener" else (upstream, client)
    far.send_fin()
    assert near.recv_until_eof() == b""
    inner.cut_wire()
    near.send(b"x" * 5_000)
    near.close()
    relay.daemon.log.wait_for(event="connection_closed")
    inner.delete()


def test_normally_closed_connections_hold_nothing(inner: Inner, side: str) -> None:
    """TIME_WAIT, on whichever side, is no hold."""
    relay = Relay(inner, side)
    for number in range(20):
        client, upstream = relay.open()
        ping_through(client, upstream)
        first, second = (client, upstream) if number % 2 else (upstream, client)
        first.close()
        assert second.recv_until_eof() == b""
        second.close()
    relay.daemon.log.wait_for_count(20, event="connection_closed")
    inner.delete()


@pytest.mark.parametrize("policy", ["close", "drain", "keep"])
def test_policy(inner: Inner, side: str, policy: str) -> None:
    relay = Relay(inner, side, on_netns_delete=policy, drain_timeout="1500ms")
    client, upstream = relay.open()
    ping_through(client, upstream)
    begin = time.monotonic()
    inner.netns.delete()
    if side == "listener":
        relay.daemon.log.wait_for(event="listener_closed")
    if policy == "close":
        assert relay.daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"
        inner.wait_released()
        return
    while time.monotonic() < begin + 1.0:
        ping_through(client, upstream)
    if policy == "drain":
        record = relay.daemon.log.wait_for(event="connection_closed")
        assert record["reason"] == "drained"
        assert 1.5 <= record.seen - begin < 1.5 + PROMISE
    else:
        while time.monotonic() < begin + 2.0:
            ping_through(client, upstream)
        client.close()
        assert upstream.recv_until_eof() == b""
        upstream.close()
        assert relay.daemon.log.wait_for(event="connection_closed")["reason"] == "client_closed"
    inner.wait_released()


def test_close_resets_both_sides(lab: Lab) -> None:
    """Seen from inside too: the test's sockets hold the namespace."""
    a = lab.netns("a")
    server = lab.server(lab.host)
    lab.daemon(rule(netns=a.name))
    client = lab.connect(a)
    upstream = server.accept()
    ping_through(client, upstream)
    a.delete()
    client.expect_reset()
    upstream.expect_reset()


def test_connection_that_drains_may_end_by_itself(inner: Inner) -> None:
    relay = Relay(inner, "listener", on_netns_delete="drain", drain_timeout="60s")
    client, upstream = relay.open()
    ping_through(client, upstream)
    inner.netns.delete()
    relay.daemon.log.wait_for(event="listener_closed")
    upstream.send(b"last words")
    upstream.close()
    assert client.recv_until_eof() == b"last words"
    client.close()
    inner.wait_released()


def test_namespace_made_again_while_a_connection_of_the_former_runs(lab: Lab) -> None:
    """It is connected from the new one, whoever still holds what the name meant before."""
    first = lab.netns("again")
    pattern = first.name.replace("again", "ag*")
    lab.server(first, script=echo)
    daemon = lab.daemon(rule(netns=pattern, on_netns_delete="keep",
                             upstream={"targets": ["127.0.0.1:9000"], "netns": "same"}))
    running = wait_connected(first, ("127.0.0.1", 8000))
    ping(running)
    first.delete()
    daemon.log.wait_for(event="listener_closed")
    second = lab.netns("again")
    lab.server(second, script=echo)
    ping(wait_connected(second, ("127.0.0.1", 8000)))
    ping(running)


def test_namespace_that_the_file_names_no_more(lab: Lab) -> None:
    """Its connections go on under the rule that they began with, and end as that says."""
    a, b = lab.netns_list(["a", "b"])
    upstream = {"targets": ["127.0.0.1:9000"], "netns": lab.host.name}
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=[a.name, b.name], upstream=upstream))
    client = lab.connect(b)
    ping(client)
    daemon.reload([rule(netns=[a.name], upstream=upstream)])
    daemon.log.wait_for(event="reload", result="ok", closed="1")
    ping(client)
    b.delete()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"
    client.expect_reset()


@pytest.mark.parametrize("policy", ["drain", "keep"])
@pytest.mark.parametrize("ends", ["before the deletion", "after the deletion"])
def test_last_bytes_arrive_where_connections_may_go_on(
    inner: Inner, policy: str, ends: str
) -> None:
    """Closed the normal way by both; the client reads the rest when all of that is over."""
    relay = Relay(inner, "listener", on_netns_delete=policy, drain_timeout="60s")
    client, upstream = relay.open(receive_buffer=4096)
    ping_through(client, upstream)

    def delete() -> None:
        inner.netns.delete()
        relay.daemon.log.wait_for(event="listener_closed")

    if ends == "after the deletion":
        delete()
    data = pattern(LAST_BYTES)
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    upstream.send(data)
    upstream.close()
    assert relay.daemon.log.wait_for(event="connection_closed")["reason"] == "client_closed"
    if ends == "before the deletion":
        delete()
    same(client.recv_until_eof(), data, "upstream to client")
    inner.wait_released()


def test_last_bytes_that_nobody_takes_hold_a_namespace_until_its_drain_is_over(
    inner: Inner,
) -> None:
    relay = Relay(inner, "listener", on_netns_delete="drain", drain_timeout="1500ms")
    client, upstream = relay.open(receive_buffer=4096)
    ping_through(client, upstream)
    client.send_fin()
    assert upstream.recv_until_eof() == b""
    upstream.send(pattern(LAST_BYTES))
    upstream.close()
    relay.daemon.log.wait_for(event="connection_closed")
    begin = time.monotonic()
    inner.netns.delete()
    wait_until(lambda: not inner.exists(), "the namespace is released", 1.5 + PROMISE)
    assert time.monotonic() >= begin + 1.5


def test_connections_of_other_namespaces_go_on(lab: Lab, inner: Inner) -> None:
    other = lab.netns("b")
    server = lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=[inner.netns.name, other.name]))
    stays = lab.connect(other)
    ends = lab.connect(lab.host, (INNER_ADDRESS, 8000))
    ping(stays)
    ping(ends)
    inner.delete()
    daemon.log.wait_for(event="connection_closed", reason="netns_deleted")
    ping(stays)
    ping(lab.connect(other))
    assert len(daemon.log.records(event="connection_closed")) == 1
    assert server.accepted == 3


def test_deletion_while_the_daemon_drains(inner: Inner) -> None:
    """SIGTERM came first: what goes on in the namespace must end all the same."""
    relay = Relay(inner, "listener", drain_timeout="60s")
    client, upstream = relay.open()
    ping_through(client, upstream)
    relay.daemon.signal(signal.SIGTERM)
    relay.daemon.log.wait_for(event="stopping")
    inner.delete()
    upstream.expect_reset()
    assert relay.daemon.wait() == 0


def _udp_client(inner: Inner, side: str, **keys: object) -> tuple[Daemon, UdpPeer]:
    """A client at home with a session through the namespace, and the daemon."""
    lab = inner.lab
    lab.udp_server(lab.host, ("0.0.0.0", 9000), udp.echo)
    if side == "listener":
        where: dict[str, object] = {"netns": inner.netns.name}
        to = (INNER_ADDRESS, 8000)
    else:
        where = {"upstream": {"targets": [f"{HOST_ADDRESS}:9000"], "netns": inner.netns.name}}
        to = ("127.0.0.1", 8000)
    daemon = lab.daemon(rule(protocol="udp", **where, **keys), drain_timeout="1s")
    client = lab.udp_client(lab.host, to)
    client.ask()
    return daemon, client


def test_udp_sessions(inner: Inner, side: str) -> None:
    daemon, _ = _udp_client(inner, side)
    inner.delete()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"


@pytest.mark.parametrize("policy", ["drain", "keep"])
def test_udp_sessions_that_may_go_on(inner: Inner, side: str, policy: str) -> None:
    """Until they are idle: for a second where their listener is gone, else for `session_timeout`."""
    daemon, client = _udp_client(
        inner, side, on_netns_delete=policy, session_timeout="1s" if policy == "keep" else "1m"
    )
    inner.netns.delete()
    if side == "listener":
        daemon.log.wait_for(event="listener_closed")
    client.ask(b"still there")
    reason = daemon.log.wait_for(event="connection_closed")["reason"]
    assert reason == ("drained" if policy == "drain" or side == "listener" else "session_timeout")
    inner.wait_released()
