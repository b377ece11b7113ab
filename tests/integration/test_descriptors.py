"""Out of descriptors or memory: accepting pauses and resumes by itself, nobody else is harmed."""

import signal
import time

import pytest

from harness import process
from harness.control import Control
from harness.daemon import rule
from harness.lab import Lab, Link
from harness.peers import Peer, echo, pattern, ping, same, sending
from harness.waiting import let_pass, wait_until

LIMIT = 64
#: More than LIMIT descriptors can serve, at two or more a connection.
CLIENTS = 100


@pytest.fixture
def link(lab: Lab) -> Link:
    """An echo behind a daemon that may open few descriptors."""
    return lab.link(
        script=echo,
        daemon={"wrapper": ["prlimit", f"--nofile={LIMIT}:{LIMIT}"], "drain_timeout": "100ms"},
    )


def _exhaust(link: Link) -> tuple[Peer, list[Peer]]:
    """One running connection and so many more that the daemon is out of descriptors."""
    running = link.connect()
    ping(running)
    clients = [link.connect() for _ in range(CLIENTS)]
    link.log.wait_for(event="accept_paused")
    return running, clients


def test_running_connections_go_on(link: Link) -> None:
    running, clients = _exhaust(link)
    for _ in range(200):
        ping(running)
    assert link.server.accepted < CLIENTS
    for client in clients:
        client.close()


def test_no_busy_loop(link: Link) -> None:
    running, clients = _exhaust(link)
    before, begin = link.daemon.cpu_seconds(), time.monotonic()
    let_pass(2.0)
    used = (link.daemon.cpu_seconds() - before) / (time.monotonic() - begin)
    assert used < 0.25, f"{used:.2f} s of CPU per second"
    ping(running)
    assert process.threads(link.daemon.pid) == [link.daemon.pid]
    for client in clients:
        client.close()


def test_it_can_be_asked_and_told_all_the_while(lab: Lab) -> None:
    """The control socket and the file have descriptors of their own."""
    control = Control(lab.folder / "control.sock")
    link = lab.link(script=echo, daemon={
        "wrapper": ["prlimit", f"--nofile={LIMIT}:{LIMIT}"], "control": control.section(),
        "drain_timeout": "100ms"})
    running, clients = _exhaust(link)
    for _ in range(10):
        assert control.json("status")["totals"]["connections_active"] > 1
    netns = link.client_netns.name
    link.daemon.reload([rule(netns=netns, max_connections=5)])
    link.log.wait_for(event="reload", result="ok", changed="1")
    assert control.json("status")["state"] == "running"
    ping(running)
    for client in clients:
        client.close()


def test_it_is_logged_once_per_burst(link: Link) -> None:
    running, clients = _exhaust(link)
    let_pass(1.5)
    assert len(link.log.records(event="accept_paused")) == 1
    record = link.log.records(event="accept_paused")[0]
    assert record["reason"] == "out_of_descriptors"
    assert record.level in ("warn", "error")
    for client in clients:
        client.close()
    ping(running)


def test_accepting_resumes_by_itself(link: Link) -> None:
    running, clients = _exhaust(link)
    for client in clients:
        client.reset()
    again = link.connect()
    ping(again)
    ping(running)
    assert len(link.daemon.descriptors()) < LIMIT


def test_waiting_clients_are_served_or_reset_but_never_left_hanging(link: Link) -> None:
    _, clients = _exhaust(link)
    served = 0
    for client in clients:
        try:
            ping(client)
            served += 1
        except ConnectionError:
            pass
        client.close()
    assert served > 10


def _bulk(client: Peer) -> None:
    """So much through an echo that a relay would use whatever it has for bulk."""
    data = pattern(2_000_000)
    client.send(b"first")
    assert client.recv_exact(5) == b"first"
    with sending(client, data):
        same(client.recv_exact(len(data)), data, "echo")


@pytest.mark.parametrize(
    "error", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EINTR", "EPERM"]
)
def test_accept_that_fails_a_few_times_recovers(lab: Lab, error: str) -> None:
    link = lab.link(script=echo)
    running = link.connect()
    ping(running)
    with link.daemon.failing_calls(f"accept4:error={error}:when=1..3"):
        client = link.connect()
        ping(running)
        ping(client)
    ping(link.connect())


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
@pytest.mark.parametrize("call", ["socket", "pipe2"])
def test_call_of_a_new_connection_that_fails_harms_only_that_one(
    lab: Lab, call: str, error: str
) -> None:
    link = lab.link(script=echo)
    running = link.connect()
    ping(running)
    with link.daemon.failing_calls(f"{call}:error={error}:when=1"):
        client = link.connect()
        try:
            _bulk(client)
        except ConnectionError:
            assert call == "socket", "a relay without pipes can still copy"
        ping(running)
        _bulk(link.connect())
    ping(running)


def test_namespace_that_cannot_be_entered_resets_the_client(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "netns": "same"})
    lab.server(link.client_netns, script=echo)
    ping(link.connect())
    with link.daemon.failing_calls("setns:error=EPERM:when=1"):
        link.connect().expect_reset()
        ping(link.connect())
    assert process.thread_namespaces(link.daemon.pid) == {
        f"net:[{lab.host.path.stat().st_ino}]"
    }


def test_way_home_that_fails_aborts_the_process(lab: Lab) -> None:
    """Any other choice would serve the wrong namespace from then on."""
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "netns": "same"})
    lab.server(link.client_netns, script=echo)
    ping(link.connect())
    link.daemon.expect_status(-signal.SIGABRT)
    with link.daemon.failing_calls("setns:error=EPERM:when=2"):
        link.connect()
        assert link.daemon.wait() == -signal.SIGABRT


def test_connections_that_come_and_go_leave_no_descriptor(lab: Lab) -> None:
    link = lab.link(script=echo)
    ping(link.connect())
    link.connect().close()
    link.log.wait_for(event="connection_closed")
    before = len(link.daemon.descriptors())
    for number in range(300):
        client = link.connect()
        ping(client)
        if number % 2:
            client.reset()
        else:
            client.close()
    link.log.wait_for_count(301, event="connection_closed")
    # Pipes may be kept for the next connections, but a bounded number.
    wait_until(
        lambda: len(link.daemon.descriptors()) <= before + 16, "descriptors are given back"
    )
