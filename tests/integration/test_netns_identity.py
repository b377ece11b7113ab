"""A namespace is its cookie: names that are made again, several names of one, and processes."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness import linux
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import connect, echo, ping, tell, wait_connected
from harness.waiting import wait_until

PORT = ("127.0.0.1", 8000)


def _cookies_of_listeners(daemon: Daemon) -> list[bytes]:
    """The namespace of each listener, by the kernel's word."""
    with daemon.listening_sockets() as sockets:
        return [s.getsockopt(socket.SOL_SOCKET, linux.SO_NETNS_COOKIE, 8) for s in sockets]


def _socket_cookies(daemon: Daemon) -> list[bytes]:
    """The identity of each listening socket."""
    with daemon.listening_sockets() as sockets:
        return [s.getsockopt(socket.SOL_SOCKET, linux.SO_COOKIE, 8) for s in sockets]


@contextmanager
def _kept_open(netns: Netns) -> Iterator[None]:
    """The namespace goes on without its name: a socket of the test is in it."""
    with netns.socket():
        yield


SELECTORS = {"name": "tenant-a", "pattern": "tenant-*"}


@pytest.mark.parametrize("form", SELECTORS)
def test_name_that_is_made_again_is_another_namespace(lab: Lab, form: str) -> None:
    a = lab.netns("tenant-a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=Netns(SELECTORS[form]).name))
    inside = [a.socket() for _ in range(2)]
    inside[0].connect(PORT)
    inside[0].sendall(b"x")
    assert inside[0].recv(1) == b"x"  # accepted and forwarded, not only in the backlog
    a.delete()
    again = lab.netns("tenant-a")
    ping(wait_connected(again, PORT))
    wait_until(lambda: _cookies_of_listeners(daemon) == [again.cookie()], "only the new is served")
    with inside[0], inside[1]:
        with pytest.raises(ConnectionResetError):
            inside[0].recv(1)
        with pytest.raises(ConnectionRefusedError):
            inside[1].connect(PORT)
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"


@pytest.mark.parametrize("form", SELECTORS)
def test_ten_times_in_a_row_without_a_pause(lab: Lab, form: str) -> None:
    a = lab.netns("tenant-a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=Netns(SELECTORS[form]).name))
    for _ in range(10):
        a.delete()
        a = lab.netns("tenant-a")
    assert a.path.exists()
    ping(wait_connected(a, PORT))
    wait_until(lambda: _cookies_of_listeners(daemon) == [a.cookie()], "only the last is served")


def test_same_inode_number(lab: Lab) -> None:
    """The kernel gives the number of a namespace that is gone to the next one."""
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name))
    inode, cookie = a.path.stat().st_ino, a.cookie()
    a.delete()
    again = Netns.add_with_inode("a", inode)
    if not again:
        pytest.skip("NOT TESTED: this kernel did not give the inode number again")
    lab.adopt(again)
    assert (again.path.stat().st_ino, again.cookie() != cookie) == (inode, True)
    ping(wait_connected(again, PORT))
    assert _cookies_of_listeners(daemon) == [again.cookie()]


def test_mounted_over_without_a_gap(lab: Lab) -> None:
    """A mount upon the old one: the name means the other at once, and the first again after it."""
    a, b = lab.netns("a"), lab.netns("b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name))
    linux.bind_mount(b.path, a.path)
    wait_until(lambda: _cookies_of_listeners(daemon) == [b.cookie()], "the upper one is served")
    first = b.cookie()
    a.unmount()
    wait_until(lambda: _cookies_of_listeners(daemon) not in ([], [first]), "the lower one again")
    assert _cookies_of_listeners(daemon) == [a.cookie()]
    ping(lab.connect(a))


def test_upstream_namespace_that_is_made_again(lab: Lab) -> None:
    """Also where nobody connected while it was gone."""
    upstream_netns = lab.netns("up")
    lab.server(upstream_netns, script=tell("old"))
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "netns": upstream_netns.name})
    assert link.connect().recv_until_eof() == b"old"
    with _kept_open(upstream_netns):
        upstream_netns.delete()
        again = lab.netns("up")
        lab.server(again, script=tell("new"))

        def answer() -> bytes:
            client = link.connect()
            try:
                return client.recv_until_eof()
            except ConnectionResetError:
                return b""
            finally:
                client.close()

        wait_until(lambda: answer() == b"new", "the new namespace is connected from")
        assert {answer() for _ in range(10)} == {b"new"}


@contextmanager
def _connecting_all_the_time(netns: Netns) -> Iterator[list[BaseException]]:
    """A client that connects, asks and leaves, over and over; what went wrong is in the list."""
    errors: list[BaseException] = []
    over = threading.Event()
    rounds = 0

    def work() -> None:
        nonlocal rounds
        while not over.is_set():
            try:
                client = connect(netns, PORT)
                ping(client)
                client.close()
                rounds += 1
            except (OSError, AssertionError) as error:
                errors.append(error)
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_until(lambda: rounds > 5 or errors, "connections before")
    try:
        yield errors
        reached = rounds + 20
        wait_until(lambda: rounds > reached or errors, "connections after")
    finally:
        over.set()
        thread.join()


FORMS = {"list": ["tenant-a", "tenant-b"], "pattern": ["tenant-*"]}


@pytest.mark.parametrize("form", FORMS)
def test_listener_moves_to_the_other_name_without_a_gap(lab: Lab, form: str) -> None:
    a = lab.netns("tenant-a")
    b = lab.name_again(a, "tenant-b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=[Netns(label).name for label in FORMS[form]]), listeners=1)
    before = lab.connect(b)
    ping(before)
    sockets = _socket_cookies(daemon)
    with _connecting_all_the_time(b) as errors:
        a.delete()
        daemon.log.wait_for(event="connection_closed", netns=b.name)
    assert not errors
    assert _socket_cookies(daemon) == sockets
    ping(before)
    before.close()
    after = lab.connect(b)
    ping(after)
    after_name = after.name()
    after.close()
    assert daemon.log.wait_for(event="connection_closed", client=after_name)["netns"] == b.name
    assert not daemon.log.records(event="listener_closed")


def test_second_name_of_a_namespace_changes_nothing(lab: Lab) -> None:
    b = lab.netns("tenant-b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=Netns("tenant-*").name))
    sockets = _socket_cookies(daemon)
    with _connecting_all_the_time(b) as errors:
        a = lab.name_again(b, "tenant-a")  # comes first in order: it is called by this from now on
        daemon.log.wait_for(event="connection_closed", netns=a.name)
        a.delete()
        wait_until(
            lambda: daemon.log.records(event="connection_closed")[-1]["netns"] == b.name,
            "called by its other name again",
        )
    assert not errors
    assert _socket_cookies(daemon) == sockets


@pytest.mark.parametrize("what", ["target", "same"])
def test_listener_that_moved_forwards_by_its_new_name(lab: Lab, what: str) -> None:
    a = lab.netns("a")
    b = lab.name_again(a, "b")
    if what == "same":
        lab.server(a, script=tell("b"))
        upstream: object = {"targets": ["127.0.0.1:9000"], "netns": "same"}
    else:
        for netns in (a, b):
            lab.server(lab.host, str(lab.folder / f"{netns.name}.sock"), tell(netns.label))
        upstream = f"unix:{lab.folder}/{{netns}}.sock"
    daemon = lab.daemon(rule(netns=[a.name, b.name], upstream=upstream), listeners=1)
    a.delete()
    daemon.log.wait_for(event="listener_pending", netns=a.name)
    assert lab.connect(b).recv_until_eof() == b"b"


def test_other_name_of_another_rule_forwards_by_that_rule(lab: Lab) -> None:
    a = lab.netns("a")
    b = lab.name_again(a, "b")
    for port in (9001, 9002):
        lab.server(lab.host, ("127.0.0.1", port), tell(str(port)))
    daemon = lab.daemon(
        rule("first", netns=a.name, upstream="127.0.0.1:9001"),
        rule("second", netns=b.name, upstream="127.0.0.1:9002"),
        listeners=1,
    )
    assert "first" in daemon.log.wait_for(event="listener_pending", rule="second")["reason"]
    assert lab.connect(b).recv_until_eof() == b"9001"
    a.delete()
    daemon.log.wait_for(event="listener_pending", rule="first")
    assert lab.connect(b).recv_until_eof() == b"9002"


def test_process_that_ends_takes_its_listeners_and_connections_along(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    inside = lab.process_inside(a)
    daemon = lab.daemon(rule(netns=f"pid:{inside.pid}"))
    client = lab.connect(a)
    ping(client)
    inside.kill()
    daemon.log.wait_for(event="listener_closed", netns=f"pid:{inside.pid}")
    client.expect_reset()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"
    assert "has ended" in daemon.log.wait_for(event="listener_pending")["reason"]
    assert _cookies_of_listeners(daemon) == []


def test_namespace_with_a_name_outlives_the_process_that_named_it_too(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    inside = lab.process_inside(a)
    daemon = lab.daemon(rule(netns=[f"pid:{inside.pid}", a.name]), listeners=1)
    client = lab.connect(a)
    ping(client)
    inside.kill()
    daemon.log.wait_for(event="listener_pending", netns=f"pid:{inside.pid}")
    ping(client)
    ping(lab.connect(a))
    assert not daemon.log.records(event="listener_closed")


def test_recycled_process_number_is_not_served(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    lab.server(lab.host, script=echo)
    inside = lab.process_inside(a)
    daemon = lab.daemon(
        rule(netns=f"pid:{inside.pid}"),
        rule("other", netns=Netns("tenant-*").name, listen="0.0.0.0:8001"),
        listeners=1,
    )
    inside.kill()
    inside.wait()
    linux.start_with_pid(inside.pid, b.command("tail", "-f", "/dev/null"))
    try:
        daemon.log.wait_for(event="listener_closed", netns=f"pid:{inside.pid}")
        # Each name that comes makes the daemon look at everything again.
        for number in range(3):
            ping(wait_connected(lab.netns(f"tenant-{number}"), ("127.0.0.1", 8001)))
        assert len(daemon.log.records(event="listener_open", rule="web")) == 1
        assert b.cookie() not in _cookies_of_listeners(daemon)
    finally:
        subprocess.run(["kill", "-KILL", str(inside.pid)], check=True)
        linux.reap(inside.pid)
