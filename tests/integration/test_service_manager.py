"""What the daemon tells its service manager, and the listening sockets that outlive it there."""

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from harness import linux, process, udp
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.peers import echo, is_refused, ping
from harness.service_manager import ServiceManager
from harness.waiting import wait_until


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    """A service manager."""
    made = ServiceManager()
    yield made
    made.close()


def _inodes(daemon: Daemon) -> set[int]:
    """The sockets that clients come to."""
    inodes = set()
    for number, file in process.open_files(daemon.pid).items():
        if not file.startswith("socket:"):
            continue
        with socket.socket(fileno=linux.pidfd_getfd(daemon.pid, number)) as sock:
            is_ip = sock.family in (socket.AF_INET, socket.AF_INET6)
            if is_ip and sock.getsockname()[1] in (8000, 8001, 8002):
                inodes.add(os.fstat(sock.fileno()).st_ino)
    return inodes


def test_states_and_counts(lab: Lab, manager: ServiceManager) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(), wrapper=manager.wrapper(), drain_timeout="10s")
    manager.wait_for_states("READY")
    manager.wait_for_status("1 listeners, 0 pending, 0 connections")
    client = lab.connect(lab.host)
    ping(client)
    manager.wait_for_status("1 listeners, 0 pending, 1 connections")
    daemon.reload([rule(), rule(name="late", netns="nsr-absent", listen="0.0.0.0:8001")])
    manager.wait_for_states("READY", "RELOADING", "READY")
    manager.wait_for_status("1 listeners, 1 pending, 1 connections")
    daemon.signal(signal.SIGTERM)
    manager.wait_for_states("READY", "RELOADING", "READY", "STOPPING")
    assert manager.status() == "Stopping: waiting for 1 connections"
    client.send_fin()
    client.recv_until_eof()
    assert daemon.wait() == 0


def test_reload_that_fails_is_over_too(lab: Lab, manager: ServiceManager) -> None:
    daemon = lab.daemon(rule(), wrapper=manager.wrapper())
    daemon.reload([])
    manager.wait_for_states("READY", "RELOADING", "READY")
    assert manager.messages[-1]["STATUS"] == "1 listeners, 0 pending, 0 connections"


def test_ready_is_said_when_listeners_are_open(lab: Lab, manager: ServiceManager) -> None:
    lab.server(lab.host, script=echo)
    daemon = Daemon(lab.host, lab.folder, [rule()], wrapper=manager.wrapper())
    lab.daemons.append(daemon)
    try:
        manager.wait_for_states("READY")
        ping(lab.connect(lab.host))
    finally:
        daemon.stop()


def test_watchdog_is_fed_while_nothing_happens(lab: Lab, manager: ServiceManager) -> None:
    lab.daemon(rule(), wrapper=manager.wrapper(watchdog_usec=100_000))
    wait_until(lambda: manager.count("WATCHDOG") >= 5, "the watchdog is fed")


def test_watchdog_is_not_fed_unasked(lab: Lab, manager: ServiceManager) -> None:
    lab.daemon(rule(), wrapper=manager.wrapper())
    manager.wait_for_status("1 listeners, 0 pending, 0 connections")
    assert manager.count("WATCHDOG") == 0


def test_every_open_listener_is_in_the_store(lab: Lab, manager: ServiceManager) -> None:
    rules = [
        rule(listen=["0.0.0.0:8000", "[::1]:8000", "*:8002"]),
        rule(name="dns", protocol="udp", listen="127.0.0.1:8000"),
    ]
    daemon = lab.daemon(*rules, wrapper=manager.wrapper())
    manager.wait_for_stored(4)
    assert manager.inodes() == _inodes(daemon)
    assert all(message.get("FDPOLL") == "0" for message in manager.messages if "FDSTORE" in message)
    for name in manager.store:
        assert name.isascii() and name.isprintable() and ":" not in name and len(name) < 256


def test_listener_that_closes_leaves_the_store(lab: Lab, manager: ServiceManager) -> None:
    a = lab.netns("a")
    daemon = lab.daemon(
        rule(netns=["default", a.name]), rule(name="old", listen="0.0.0.0:8001"),
        wrapper=manager.wrapper(),
    )
    manager.wait_for_stored(3)
    daemon.reload([rule(netns=["default", a.name])])
    manager.wait_for_stored(2)
    a.delete()
    manager.wait_for_stored(1)
    assert manager.inodes() == _inodes(daemon)


def test_listener_that_is_made_anew_replaces_its_socket(
    lab: Lab, manager: ServiceManager
) -> None:
    daemon = lab.daemon(rule(), wrapper=manager.wrapper())
    manager.wait_for_stored(1)
    before = manager.inodes()
    daemon.reload([rule(freebind=True)])
    wait_until(lambda: manager.inodes() not in (before, set()), "another socket is stored")
    assert manager.inodes() == _inodes(daemon)


def test_successor_adopts_the_sockets(lab: Lab, manager: ServiceManager) -> None:
    a = lab.netns("a")
    rules = [
        rule(netns=["default", a.name], listen=["0.0.0.0:8000", "*:8001"], upstream={
            "targets": ["127.0.0.1:9000"], "netns": "default"}),
        rule(name="dns", protocol="udp", listen="0.0.0.0:8000"),
    ]
    lab.server(lab.host, script=echo)
    lab.udp_server(lab.host, answer=udp.echo)
    first = lab.daemon(*rules, wrapper=manager.wrapper())
    manager.wait_for_stored(5)
    before = _inodes(first)
    first.stop()
    assert len(manager.store) == 5
    second = lab.daemon(*rules, wrapper=manager.wrapper())
    assert _inodes(second) == before
    assert manager.inodes() == before
    for netns in (lab.host, a):
        for port in (8000, 8001):
            ping(lab.connect(netns, ("127.0.0.1", port)))
    assert lab.udp_client(lab.host).ask().data == b"ping"
    second.reload(rules[:1])
    manager.wait_for_stored(4)


def test_socket_that_cannot_be_made_to_fit_leaves_the_store(
    lab: Lab, manager: ServiceManager
) -> None:
    """There it would go on taking clients beside the one that opens later."""
    lab.server(lab.host, script=echo)
    first = lab.daemon(rule(), wrapper=manager.wrapper())
    manager.wait_for_stored(1)
    first.stop()
    second = lab.daemon(rule(congestion="nonesuch"), listeners=0, wrapper=manager.wrapper())
    second.log.wait_for(event="listener_pending")
    manager.wait_for_stored(0)
    second.reload([rule()])
    second.log.wait_for(event="listener_open")
    manager.wait_for_stored(1)
    assert manager.inodes() == _inodes(second)
    for _ in range(10):
        ping(lab.connect(lab.host))


def test_who_comes_between_two_daemons_is_served(lab: Lab, manager: ServiceManager) -> None:
    lab.server(lab.host, script=echo)
    lab.udp_server(lab.host, answer=udp.echo)
    rules = [rule(), rule(name="dns", protocol="udp")]
    lab.daemon(*rules, wrapper=manager.wrapper()).stop()
    client = lab.connect(lab.host)
    asking = lab.udp_client(lab.host)
    asking.send(b"between")
    lab.daemon(*rules, wrapper=manager.wrapper())
    ping(client)
    assert asking.recv_bytes() == b"between"


def test_sessions_do_not_take_what_comes_for_the_successor(
    lab: Lab, manager: ServiceManager
) -> None:
    server = lab.udp_server(lab.host)
    daemon = lab.daemon(rule(protocol="udp"), wrapper=manager.wrapper(), drain_timeout="30s")
    client = lab.udp_client(lab.host)
    client.send(b"first")
    before = server.recv()
    daemon.signal(signal.SIGTERM)
    daemon.log.wait_for(event="stopping")
    client.send(b"second")
    server.send(b"answer", before.sender)
    assert client.recv_bytes() == b"answer"
    assert daemon.wait() == 0  # long before drain_timeout
    lab.daemon(rule(protocol="udp"), wrapper=manager.wrapper())
    assert server.recv().data == b"second"


def test_running_connections_drain_before_the_successor_starts(
    lab: Lab, manager: ServiceManager
) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(), wrapper=manager.wrapper(), drain_timeout="30s")
    running = lab.connect(lab.host)
    ping(running)
    daemon.signal(signal.SIGTERM)
    daemon.log.wait_for(event="stopping")
    waiting = lab.connect(lab.host)
    ping(running)
    running.close()
    assert daemon.wait() == 0
    lab.daemon(rule(), wrapper=manager.wrapper())
    ping(waiting)


def test_socket_of_a_rule_that_is_gone_is_closed(lab: Lab, manager: ServiceManager) -> None:
    first = lab.daemon(rule(), rule(name="old", listen="0.0.0.0:8001"), wrapper=manager.wrapper())
    manager.wait_for_stored(2)
    first.stop()
    second = lab.daemon(rule(), wrapper=manager.wrapper())
    second.log.wait_for(event="descriptor_closed")
    manager.wait_for_stored(1)
    assert is_refused(lab.host, ("127.0.0.1", 8001))


def test_namespace_deleted_between_two_daemons_is_let_go(lab: Lab, manager: ServiceManager) -> None:
    a = lab.netns("a")
    both = rule(netns=["default", a.name])
    first = lab.daemon(both, wrapper=manager.wrapper())
    manager.wait_for_stored(2)
    first.stop()
    a.delete()
    lab.daemon(both, listeners=1, wrapper=manager.wrapper())
    manager.wait_for_stored(1)


_WRONG: dict[str, dict[str, Any]] = {
    "port": {"port": 8001},
    "protocol": {"kind": socket.SOCK_DGRAM},
    "not listening": {"listening": False},
    "address": {"address": "127.0.0.1"},
    "namespace": {"elsewhere": True},
    "option": {"freebind": True},
    "a pipe": {"pipe": True},
}


def _wrong_descriptor(
    lab: Lab, *, port: int = 8000, kind: int = socket.SOCK_STREAM, listening: bool = True,
    address: str = "0.0.0.0", elsewhere: bool = False, freebind: bool = False, pipe: bool = False,
) -> int:
    if pipe:
        reader, writer = os.pipe()
        os.close(writer)
        return reader
    netns = lab.netns("elsewhere") if elsewhere else lab.host
    sock = netns.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if freebind:
        sock.setsockopt(socket.IPPROTO_IP, 15, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM and listening:
        sock.listen()
    return sock.detach()


@pytest.mark.parametrize("what", _WRONG)
def test_descriptor_that_is_not_the_listener_is_closed(
    lab: Lab, manager: ServiceManager, what: str
) -> None:
    """The name that it comes under says that it is the listener's: it is not believed."""
    lab.server(lab.host, script=echo)
    probe = lab.daemon(rule(), wrapper=manager.wrapper())
    manager.wait_for_stored(1)
    probe.stop()
    (name,) = manager.store
    os.close(manager.store[name])
    manager.store[name] = _wrong_descriptor(lab, **_WRONG[what])
    wrong = manager.inodes()
    daemon = lab.daemon(rule(), wrapper=manager.wrapper())
    daemon.log.wait_for(event="descriptor_closed", name=name)
    assert _inodes(daemon).isdisjoint(wrong)
    wait_until(lambda: manager.inodes() == _inodes(daemon), "the right one is stored")
    if what not in ("not listening", "option"):
        ping(lab.connect(lab.host))


def test_without_a_store_the_backlog_is_served_at_the_end(lab: Lab, manager: ServiceManager) -> None:
    daemon = lab.daemon(rule(), wrapper=manager.wrapper(store=0))
    manager.wait_for_states("READY")
    assert not manager.store
    daemon.stop()
    assert is_refused(lab.host, ("127.0.0.1", 8000))


def test_service_manager_that_is_gone_harms_nothing(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    gone = ServiceManager()
    wrapper = gone.wrapper(watchdog_usec=10_000)
    gone.close()
    daemon = lab.daemon(rule(), wrapper=wrapper)
    ping(lab.connect(lab.host))
    daemon.reload([rule(listen="0.0.0.0:8001")])
    ping(lab.connect(lab.host, ("127.0.0.1", 8001)))
