"""What a listener waits for, and that it opens when that comes."""

import statistics
import subprocess
import time

import pytest

from harness import process, udp
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import echo, is_refused, ping, wait_connected
from harness.sctp import kernel_has_sctp
from harness.waiting import SLOWNESS, wait_until

#: From the return of `ip address add`, or the end of DAD, to a successful connect.
PROMISE = 0.1 * SLOWNESS


def _tries_again(lab: Lab, daemon: Daemon, times: int = 3) -> None:
    """Makes the daemon look at everything again; it has a rule for `again-*` at port 8009."""
    before = len(daemon.log.records(event="listener_open", rule="again"))
    for number in range(times):
        lab.netns(f"again-{before + number}")
        daemon.log.wait_for_count(before + number + 1, event="listener_open", rule="again")


def _again() -> dict[str, object]:
    return rule("again", netns=Netns("again-*").name, listen="0.0.0.0:8009")


def _seconds_until_open(daemon: Daemon, begin: float) -> float:
    """From `begin` to the record of the listener of rule `web`."""
    return daemon.log.wait_for(event="listener_open", rule="web").seen - begin


def _held_as(lab: Lab, netns: Netns, form: str) -> str:
    """The namespace as `netns` of a rule names it."""
    if form == "pid":
        return f"pid:{lab.process_inside(netns).pid}"
    return str(netns.path) if form == "path" else netns.name


@pytest.mark.parametrize("form", ["name", "path", "pid"])
@pytest.mark.parametrize("address", ["10.50.1.1", "fd50::1"])
def test_address_that_appears_opens_the_listener(lab: Lab, address: str, form: str) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    listen = f"[{address}]:8000" if ":" in address else f"{address}:8000"
    daemon = lab.daemon(rule(netns=_held_as(lab, a, form), listen=listen), _again(), listeners=0)
    pending = daemon.log.wait_for(event="listener_pending", rule="web")
    assert pending["reason"] == "bind: Cannot assign requested address"
    _tries_again(lab, daemon)
    a.add_address(f"{address}/64" if ":" in address else f"{address}/24")
    added = time.monotonic()
    client = wait_connected(a, (address, 8000))
    assert client.connected - added < PROMISE
    ping(client)
    assert len(daemon.log.records(event="listener_pending", rule="web")) == 1


def test_address_of_the_own_namespace(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(listen="10.50.1.1:8000"), listeners=0)
    daemon.log.wait_for(event="listener_pending")
    lab.host.add_address("10.50.1.1/24")
    added = time.monotonic()
    client = wait_connected(lab.host, ("10.50.1.1", 8000))
    assert client.connected - added < PROMISE


def test_ipv6_address_opens_when_its_duplicates_are_ruled_out(lab: Lab) -> None:
    """A tentative address cannot be bound; the kernel tells when it can."""
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, listen="[fd50::1]:8000"), listeners=0)
    daemon.log.wait_for(event="listener_pending")
    a.run(*"ip address add fd50::1/64 dev to-b".split())
    assert "tentative" in a.run(*"ip address show dev to-b to fd50::1".split())
    wait_until(
        lambda: "tentative" not in a.run(*"ip address show dev to-b to fd50::1".split()),
        "the address may be used",
    )
    ruled_out = time.monotonic()
    assert _seconds_until_open(daemon, ruled_out) < PROMISE
    ping(lab.connect(a, ("fd50::1", 8000)))
    assert len(daemon.log.records(event="listener_pending")) == 1


def test_bind_device_opens_when_the_link_appears(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, bind_device="to-b"), _again(), listeners=0)
    pending = daemon.log.wait_for(event="listener_pending", rule="web")
    assert "No such device" in pending["reason"]
    _tries_again(lab, daemon)
    a.run(*f"ip link add to-b type veth peer name to-a netns {b.name}".split())
    added = time.monotonic()
    assert _seconds_until_open(daemon, added) < PROMISE
    assert len(daemon.log.records(event="listener_pending", rule="web")) == 1


def test_bind_device_that_is_made_again_is_another_one(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, bind_device="to-b"))
    ping(lab.connect(b, ("10.50.1.1", 8000)))
    for times in (1, 2):
        a.run("ip", "link", "delete", "to-b")
        closed = daemon.log.wait_for_count(times, event="listener_closed", rule="web")
        assert closed[-1]["reason"] == "interface_changed"
        pending = daemon.log.wait_for_count(times, event="listener_pending", rule="web")
        assert "No such device" in pending[-1]["reason"]
        a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
        daemon.log.wait_for_count(times + 1, event="listener_open", rule="web")
        ping(lab.connect(b, ("10.50.1.1", 8000)))


def test_udp_socket_of_a_device_that_is_made_again_is_not_used_again(lab: Lab) -> None:
    """Though a session still answers through it."""
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    lab.udp_server(lab.host, answer=udp.echo)
    daemon = lab.daemon(rule(protocol="udp", netns=a.name, bind_device="to-b"))
    lab.udp_client(b, ("10.50.1.1", 8000)).ask()
    a.run("ip", "link", "delete", "to-b")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    daemon.log.wait_for_count(2, event="listener_open", rule="web")
    lab.udp_client(b, ("10.50.1.1", 8000)).ask()


def test_change_of_a_bind_device_that_stays_the_same_leaves_its_listener(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    lab.server(lab.host, script=echo)
    late = rule("late", netns=a.name, listen="10.50.1.9:8001", bind_device="to-b")
    daemon = lab.daemon(rule(netns=a.name, bind_device="to-b"), late, listeners=1)
    client = lab.connect(b, ("10.50.1.1", 8000))
    a.run("ip", "link", "set", "to-b", "mtu", "1400")
    a.add_address("10.50.1.9/24", "to-b")
    daemon.log.wait_for(event="listener_open", rule="late")  # hence the change was heard
    ping(client)
    assert not daemon.log.records(event="listener_closed")


def test_zone_opens_when_the_link_has_its_address(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, listen="[fe80::77%to-b]:8000"), listeners=0)
    daemon.log.wait_for(event="listener_pending")
    a.connect_to(b, "10.50.1.1/24", "10.50.1.2/24")
    a.add_address("fe80::77/64", "to-b")
    added = time.monotonic()
    assert _seconds_until_open(daemon, added) < PROMISE


@pytest.mark.heavy
def test_addresses_of_many_namespaces_at_once(lab: Lab) -> None:
    """One netlink socket hears all of them, each told apart from the others."""
    namespaces = lab.netns_list([f"n{number}" for number in range(20)])
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=[netns.name for netns in namespaces], listen="10.50.1.1:8000"), listeners=0
    )
    daemon.log.wait_for_count(len(namespaces), event="listener_pending")
    times = []
    for netns in namespaces:
        netns.add_address("10.50.1.1/24")
        added = time.monotonic()
        client = wait_connected(netns, ("10.50.1.1", 8000))
        times.append(client.connected - added)
        ping(client)
        client.close()
    assert statistics.median(times) < PROMISE, times
    assert len(daemon.log.records(event="listener_pending")) == len(namespaces)


def test_address_in_a_namespace_that_appears_later(lab: Lab) -> None:
    """First the namespace is absent, then the address: a reason each, said once each."""
    later = Netns("later")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=later.name, listen="10.50.1.1:8000"), _again(), listeners=0)
    _tries_again(lab, daemon)
    reason = daemon.log.wait_for(event="listener_pending", rule="web")["reason"]
    assert reason.startswith("namespace absent: ")
    assert len(daemon.log.records(event="listener_pending", rule="web")) == 1
    later = lab.netns("later")
    daemon.log.wait_for(event="listener_pending", reason="bind: Cannot assign requested address")
    _tries_again(lab, daemon)
    records = daemon.log.records(event="listener_pending", rule="web")
    assert len([r for r in records if r["reason"].startswith("bind")]) == 1
    later.add_address("10.50.1.1/24")
    ping(wait_connected(later, ("10.50.1.1", 8000)))


def test_namespace_without_any_address_waits_for_the_one_it_is_to_have(lab: Lab) -> None:
    """Before its first address the kernel binds to any, and UDP would reply from another one."""
    new = Netns("new")
    lab.server(lab.host, script=echo)
    lab.udp_server(lab.host, answer=udp.echo)
    daemon = lab.daemon(
        rule(netns=new.name, listen="10.50.1.1:8000"),
        rule("udp", protocol="udp", netns=new.name, listen="10.50.1.1:8000"),
        listeners=0, drain_timeout="50ms",
    )
    daemon.log.wait_for(event="started")
    subprocess.run(["ip", "netns", "add", new.name], check=True)
    lab.adopt(new)
    for name in ("web", "udp"):
        daemon.log.wait_for(
            event="listener_pending", rule=name, reason="bind: Cannot assign requested address")
    new.set_up()
    new.add_address("10.50.1.2/24")
    new.add_address("10.50.1.1/24")
    ping(wait_connected(new, ("10.50.1.1", 8000)))
    daemon.log.wait_for(event="listener_open", rule="udp")
    client = lab.udp_client(new, ("10.50.1.1", 8000), bind=("10.50.1.2", 0))
    assert client.ask().sender == ("10.50.1.1", 8000)


@pytest.mark.parametrize("early", [{"freebind": True}, {"bind_device": "lo"}], ids=" ".join)
def test_udp_that_was_open_before_any_address_replies_from_the_one_asked(
    lab: Lab, early: dict[str, object]
) -> None:
    new = Netns("new")
    lab.udp_server(lab.host, answer=udp.echo)
    daemon = lab.daemon(
        rule(protocol="udp", netns=new.name, listen="10.50.1.1:8000", **early),
        listeners=0, drain_timeout="50ms",
    )
    daemon.log.wait_for(event="started")
    subprocess.run(["ip", "netns", "add", new.name], check=True)
    lab.adopt(new)
    daemon.log.wait_for(event="listener_open")
    new.set_up()
    new.add_address("10.50.1.2/24")
    new.add_address("10.50.1.1/24")
    client = lab.udp_client(new, ("10.50.1.1", 8000), bind=("10.50.1.2", 0))
    assert client.ask().sender == ("10.50.1.1", 8000)


def test_port_that_is_taken_opens_when_it_is_free(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    owner = lab.server(a, ("0.0.0.0", 8000))
    daemon = lab.daemon(rule(netns=a.name), _again(), listeners=0)
    pending = daemon.log.wait_for(event="listener_pending", rule="web")
    assert pending["reason"] == "bind: Address already in use"
    _tries_again(lab, daemon)
    owner.close()
    freed = time.monotonic()
    assert _seconds_until_open(daemon, freed) < 2.5 * SLOWNESS  # it is tried every second
    ping(lab.connect(a))
    assert len(daemon.log.records(event="listener_pending", rule="web")) == 1


def test_privileged_port_opens_when_it_is_allowed(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=a.name, listen="0.0.0.0:80"), _again(), listeners=0,
        wrapper=["setpriv", "--bounding-set=-net_bind_service"],
    )
    pending = daemon.log.wait_for(event="listener_pending", rule="web")
    assert pending["reason"] == "bind: Permission denied"
    _tries_again(lab, daemon)
    a.sysctl("net.ipv4.ip_unprivileged_port_start", "80")
    ping(wait_connected(a, ("127.0.0.1", 80)))
    assert len(daemon.log.records(event="listener_pending", rule="web")) == 1


def test_namespace_that_may_not_be_entered_is_pending(lab: Lab) -> None:
    """Without CAP_SYS_ADMIN only the own one is served, and the rest says why not."""
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=["default", a.name]), listeners=1,
        wrapper=["setpriv", "--bounding-set=-sys_admin"],
    )
    pending = daemon.log.wait_for(event="listener_pending", netns=a.name)
    assert "Operation not permitted" in pending["reason"]
    ping(lab.connect(lab.host))
    assert is_refused(a, ("127.0.0.1", 8000))


def test_pending_listeners_leave_the_others_alone(lab: Lab) -> None:
    """Also three hundred of them that are tried again for ever."""
    namespaces = lab.thousands([f"n{number}" for number in range(300)])
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule("never", netns=[netns.name for netns in namespaces], listen="10.50.9.9:8000"),
        rule(),
        listeners=1,
    )
    daemon.log.wait_for_count(len(namespaces), event="listener_pending")
    client = lab.connect(lab.host)
    for _ in range(100):
        ping(client)
    assert process.threads(daemon.pid) == [daemon.pid]
    assert len(daemon.log.records(event="listener_pending")) == len(namespaces)


@pytest.mark.skipif(kernel_has_sctp(), reason="is about kernels without SCTP")
def test_sctp_is_pending_where_the_kernel_has_none_and_all_else_serves(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule("signalling", protocol="sctp", netns=a.name, listen="127.0.0.1+127.0.0.2:2905"),
        rule(netns=a.name),
        listeners=1,
    )
    record = daemon.log.wait_for(event="listener_pending")
    assert record["listener"] == "127.0.0.1+127.0.0.2:2905"
    assert record["reason"].startswith("this kernel has no SCTP (modprobe sctp): socket: ")
    ping(lab.connect(a))
