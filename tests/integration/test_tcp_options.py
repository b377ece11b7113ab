"""Every option of a rule is set on the sockets that it is for, read back from the daemon's own."""

import re
import socket
import time

import pytest

from harness import kernel, linux
from harness.daemon import rule
from harness.lab import Lab, Link
from harness.peers import connect, echo, is_refused, ping, tell
from harness.waiting import let_pass, wait_until

TCP = socket.IPPROTO_TCP
TCP_USER_TIMEOUT = 18


def _values(link: Link, level: int, option: int, length: int = 0) -> list[int | bytes]:
    """An option of both sockets of the one open connection."""
    with link.daemon.connection_sockets() as sockets:
        assert len(sockets) == 2, [sock.getpeername() for sock in sockets]
        return [
            sock.getsockopt(level, option, length) if length else sock.getsockopt(level, option)
            for sock in sockets
        ]


def _link_with(lab: Lab, **keys: object) -> Link:
    link = lab.link(script=echo, **keys)
    ping(link.connect())
    return link


def test_keepalive_is_on_by_default(lab: Lab) -> None:
    link = _link_with(lab)
    assert _values(link, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == [1, 1]
    assert _values(link, TCP, socket.TCP_KEEPIDLE) == [60, 60]


def test_keepalive_time_is_set_on_both_sides(lab: Lab) -> None:
    link = _link_with(lab, keepalive="7s")
    assert _values(link, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == [1, 1]
    assert _values(link, TCP, socket.TCP_KEEPIDLE) == [7, 7]


def test_keepalive_timer_runs_in_the_kernel(lab: Lab) -> None:
    link = _link_with(lab, keepalive="70s")
    for netns, filter_ in (
        (link.client_netns, "sport = :8000"),
        (link.upstream_netns, "dport = :9000"),
    ):
        listing = netns.run("ss", "-Htno", "state", "established", filter_)
        assert re.search(r"timer:\(keepalive,(1min|6\d)", listing), listing


def test_keepalive_off(lab: Lab) -> None:
    link = _link_with(lab, keepalive="off")
    assert _values(link, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == [0, 0]


def test_user_timeout_is_set_on_both_sides(lab: Lab) -> None:
    link = _link_with(lab, user_timeout="3s")
    assert _values(link, TCP, TCP_USER_TIMEOUT) == [3000, 3000]


def test_user_timeout_is_off_by_default(lab: Lab) -> None:
    assert _values(_link_with(lab), TCP, TCP_USER_TIMEOUT) == [0, 0]


@pytest.mark.parametrize("nodelay", [True, False])
def test_nodelay_is_set_on_both_sides(lab: Lab, nodelay: bool) -> None:
    link = _link_with(lab, nodelay=nodelay)
    assert [bool(value) for value in _values(link, TCP, socket.TCP_NODELAY)] == [nodelay] * 2


def test_nodelay_is_on_by_default(lab: Lab) -> None:
    assert all(_values(_link_with(lab), TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_congestion_control_is_set_on_both_sides(lab: Lab, name: str) -> None:
    link = _link_with(lab, congestion=name)
    for value in _values(link, TCP, socket.TCP_CONGESTION, 16):
        assert isinstance(value, bytes) and value.rstrip(b"\0") == name.encode()


@pytest.mark.parametrize(
    ("key", "option"), [("receive_buffer", socket.SO_RCVBUF), ("send_buffer", socket.SO_SNDBUF)]
)
def test_buffer_sizes_are_set_on_both_sides(lab: Lab, key: str, option: int) -> None:
    link = _link_with(lab, **{key: "96KiB"})
    # The kernel reports twice what was asked for (socket(7)).
    assert _values(link, socket.SOL_SOCKET, option) == [2 * 96 * 1024] * 2


@pytest.mark.parametrize("mptcp", [pytest.param(True, marks=kernel.needs_mptcp), False])
def test_mptcp_listener(lab: Lab, mptcp: bool) -> None:
    link = _link_with(lab, mptcp=mptcp)
    with link.daemon.listening_sockets() as sockets:
        wanted = linux.IPPROTO_MPTCP if mptcp else socket.IPPROTO_TCP
        assert [sock.proto for sock in sockets] == [wanted]


@kernel.needs_mptcp
def test_mptcp_client_is_served(lab: Lab) -> None:
    link = lab.link(script=echo, mptcp=True)
    sock = link.client_netns.socket(protocol=linux.IPPROTO_MPTCP)
    with sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", 8000))
        sock.sendall(b"over mptcp")
        assert sock.recv(100) == b"over mptcp"


def test_backlog_is_as_configured(lab: Lab) -> None:
    link = lab.link(backlog=17)
    listing = link.client_netns.run("ss", "-Hltn", "sport = :8000")
    assert listing.split()[2] == "17", listing


def test_backlog_default_is_4096(lab: Lab) -> None:
    listing = lab.link().client_netns.run("ss", "-Hltn", "sport = :8000")
    assert listing.split()[2] == "4096", listing


def test_listener_bound_to_a_device_serves_that_device_only(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.99.0.1/24", "10.99.0.2/24")
    lab.server(lab.host, script=echo)
    lab.daemon(rule(netns=a.name, bind_device="to-b"))
    ping(lab.connect(b, ("10.99.0.1", 8000)))
    assert is_refused(a, ("127.0.0.1", 8000))


def test_freebind_listens_on_an_address_that_is_not_there_yet(lab: Lab) -> None:
    link = lab.link(script=echo, listen="192.0.2.77:8000", freebind=True)
    link.client_netns.add_address("192.0.2.77/32")
    ping(lab.connect(link.client_netns, ("192.0.2.77", 8000)))


def test_without_freebind_such_a_listener_is_pending(lab: Lab) -> None:
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name, listen="192.0.2.77:8000"), listeners=0)
    record = daemon.log.wait_for(event="listener_pending")
    assert record["listener"] == "192.0.2.77:8000"
    assert record["reason"]


def test_pending_listener_opens_when_its_address_appears(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, listen="192.0.2.77:8000"), listeners=0)
    daemon.log.wait_for(event="listener_pending")
    a.add_address("192.0.2.77/32")
    daemon.log.wait_for(event="listener_open", listener="192.0.2.77:8000")
    ping(lab.connect(a, ("192.0.2.77", 8000)))


def test_listener_on_a_taken_port_is_pending_and_opens_when_it_is_free(lab: Lab) -> None:
    a = lab.netns("a")
    taken = lab.server(a, ("0.0.0.0", 8000))
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name), listeners=0)
    assert "use" in daemon.log.wait_for(event="listener_pending")["reason"]
    taken.stop_listening()
    daemon.log.wait_for(event="listener_open")
    ping(lab.connect(a))


def test_upstream_bind_device_is_set(lab: Lab) -> None:
    link = _link_with(lab, upstream={"targets": ["127.0.0.1:9000"], "bind_device": "lo"})
    values = _values(link, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
    devices = [value.rstrip(b"\0") for value in values if isinstance(value, bytes)]
    assert sorted(devices) == [b"", b"lo"]


def test_upstream_bind_device_decides_the_way(lab: Lab) -> None:
    """Two ways to one address: the device picks the second one."""
    first, second = lab.netns("first"), lab.netns("second")
    for number, netns in enumerate((first, second)):
        lab.host.connect_to(netns, f"10.{number}.0.1/24", "10.77.0.1/32")
        netns.run("ip", "route", "add", f"10.{number}.0.0/24", "dev", "to-host", "src", "10.77.0.1")
        lab.server(netns, ("10.77.0.1", 9000), tell(netns.label))
    lab.host.run("ip", "route", "add", "10.77.0.1/32", "dev", "to-first", "metric", "1")
    lab.host.run("ip", "route", "add", "10.77.0.1/32", "dev", "to-second", "metric", "2")
    a = lab.netns("a")
    targets = ["10.77.0.1:9000"]
    lab.daemon(
        rule("plain", netns=a.name, upstream=targets),
        rule(
            "bound",
            netns=a.name,
            listen="0.0.0.0:8001",
            upstream={"targets": targets, "bind_device": "to-second"},
        ),
    )
    assert lab.connect(a, ("127.0.0.1", 8000)).recv_until_eof() == b"first"
    assert lab.connect(a, ("127.0.0.1", 8001)).recv_until_eof() == b"second"


def test_source_addresses_are_used_in_turn(lab: Lab) -> None:
    link = lab.link(
        upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.0.2", "127.0.0.3"]}
    )
    used = [link.open()[1].sock.getpeername()[0] for _ in range(6)]
    assert sorted(used[:2]) == ["127.0.0.2", "127.0.0.3"]
    assert used[:2] * 3 == used


def test_source_network_gives_each_of_its_addresses(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.1.4/30"]})
    used = {link.open()[1].sock.getpeername()[0] for _ in range(12)}
    assert used == {f"127.0.1.{last}" for last in (4, 5, 6, 7)}


def test_next_source_address_is_used_when_one_has_no_port_left(lab: Lab) -> None:
    lab.host.sysctl("net.ipv4.ip_local_port_range", "40000 40001")
    link = lab.link(
        upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.0.2", "127.0.0.3"]}
    )
    pairs = [link.open() for _ in range(4)]
    used = sorted(upstream.sock.getpeername() for _, upstream in pairs)
    assert used == [(f"127.0.0.{n}", port) for n in (2, 3) for port in (40000, 40001)]


def test_out_of_source_ports_resets_the_client_and_recovers(lab: Lab) -> None:
    lab.host.sysctl("net.ipv4.ip_local_port_range", "40000 40001")
    link = lab.link()
    pairs = [link.open() for _ in range(2)]
    for _ in range(3):
        link.connect().expect_reset()
    for record in link.log.wait_for_count(3, event="connection_failed"):
        assert record["reason"] not in ("connect_refused", "connect_timeout", "client_closed")
    for client, upstream in pairs:
        client.send(b"unharmed")
        assert upstream.recv_exact(8) == b"unharmed"
    pairs[0][0].reset()
    pairs[0][1].expect_reset()
    link.log.wait_for(event="connection_closed")
    client, upstream = link.open()
    client.send(b"again")
    assert upstream.recv_exact(5) == b"again"


def test_out_of_source_ports_goes_on_to_the_next_target(lab: Lab) -> None:
    """A port may be used once per target address, so another target still has room."""
    lab.host.sysctl("net.ipv4.ip_local_port_range", "40000 40000")
    lab.server(lab.host, ("127.0.0.1", 9001), echo)
    lab.server(lab.host, ("127.0.0.2", 9000), echo)
    link = lab.link(script=echo, upstream=["127.0.0.1:9000", "127.0.0.2:9000"])
    clients = [link.connect() for _ in range(2)]
    for client in clients:
        ping(client)
    link.connect().expect_reset()


def test_reuse_port_is_set_on_the_listener(lab: Lab) -> None:
    for number, wanted in enumerate((True, False)):
        netns = lab.netns(f"a{number}")
        daemon = lab.daemon(rule(netns=netns.name, reuse_port=wanted))
        with daemon.listening_sockets() as sockets:
            values = [s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for s in sockets]
        assert values == [int(wanted)]


def test_sockets_are_not_inherited(lab: Lab) -> None:
    link = _link_with(lab)
    for number in link.daemon.descriptors():
        if number <= 2:
            continue
        with open(f"/proc/{link.daemon.pid}/fdinfo/{number}") as info:
            flags = next(line.split()[1] for line in info if line.startswith("flags:"))
        assert int(flags, 8) & 0o2000000, f"descriptor {number} has no CLOEXEC"


def test_unknown_device_keeps_the_listener_pending(lab: Lab) -> None:
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name, bind_device="absent0"), listeners=0)
    assert daemon.log.wait_for(event="listener_pending")["reason"]
    with pytest.raises(ConnectionRefusedError):
        connect(a, ("127.0.0.1", 8000))
    assert wait_until(daemon.is_running, "the daemon runs on")


def test_busy_poll_ends_with_the_traffic(lab: Lab) -> None:
    link = lab.link(script=echo, daemon={"busy_poll": True})
    client = link.connect()
    for _ in range(200):
        ping(client)
    before, begin = link.daemon.cpu_seconds(), time.monotonic()
    let_pass(0.5)
    assert (link.daemon.cpu_seconds() - before) / (time.monotonic() - begin) < 0.1
    ping(client)
