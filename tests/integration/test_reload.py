"""SIGHUP: all or nothing, no refused connection, connections go on."""

import os
import signal

import pytest

from harness import udp
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.peers import echo, is_refused, ping, tell
from harness.waiting import wait_until


def _listening_inodes(daemon: Daemon) -> set[int]:
    with daemon.listening_sockets() as sockets:
        return {os.fstat(sock.fileno()).st_ino for sock in sockets}


def test_unchanged_listener_keeps_its_socket_and_its_connections(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    client = lab.connect(lab.host)
    ping(client)
    before = _listening_inodes(daemon)
    daemon.reload([rule()])
    daemon.log.wait_for(event="reload", result="ok", opened="0", closed="0", changed="0")
    assert _listening_inodes(daemon) == before
    ping(client)
    ping(lab.connect(lab.host))


def test_new_rule_opens_and_gone_rule_closes_and_drains(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(), rule(name="old", listen="0.0.0.0:8001"), drain_timeout="300ms")
    client = lab.connect(lab.host, ("127.0.0.1", 8001))
    ping(client)
    daemon.reload([rule(), rule(name="new", listen="0.0.0.0:8002")])
    daemon.log.wait_for(event="reload", result="ok", opened="1", closed="1", changed="0")
    ping(lab.connect(lab.host, ("127.0.0.1", 8002)))
    assert is_refused(lab.host, ("127.0.0.1", 8001))
    client.expect_reset()
    daemon.log.wait_for(event="connection_closed", rule="old", reason="drained")


def test_changed_rule_keeps_the_socket_and_holds_for_new_connections_only(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    lab.server(lab.host, ("127.0.0.1", 9001), script=tell("other"))
    daemon = lab.daemon(rule())
    client = lab.connect(lab.host)
    ping(client)
    before = _listening_inodes(daemon)
    daemon.reload([rule(upstream="127.0.0.1:9001", keepalive="off", nodelay=False, backlog=7)])
    daemon.log.wait_for(event="reload", result="ok", opened="0", closed="0", changed="1")
    assert _listening_inodes(daemon) == before
    assert lab.connect(lab.host).recv_until_eof() == b"other"
    ping(client)


@pytest.mark.parametrize("reuse_port", [True, False])
def test_udp_rule_that_comes_back_serves_everybody_at_once(lab: Lab, reuse_port: bool) -> None:
    """While sessions of its former time still answer through the socket."""
    lab.udp_server(lab.host, answer=udp.echo)
    dns = rule("dns", protocol="udp", listen="0.0.0.0:8001", reuse_port=reuse_port)
    daemon = lab.daemon(rule(), dns, drain_timeout="60s")
    late = lab.udp_client(lab.host, ("127.0.0.1", 8001))
    with udp.talking(lab.udp_client(lab.host, ("127.0.0.1", 8001))):
        daemon.reload([rule()])
        late.send(b"too late")
        assert daemon.log.wait_for(event="datagrams_dropped")["reason"] == "draining"
        daemon.reload([rule(), dns])
        daemon.log.wait_for_count(2, event="listener_open", rule="dns")
        late.ask()
        for _ in range(20):
            lab.udp_client(lab.host, ("127.0.0.1", 8001)).ask()
    assert not daemon.log.records(event="listener_pending")
    assert [one["dropped"] for one in daemon.log.records(event="datagrams_dropped")] == ["1"]
    assert not daemon.log.records(event="connection_closed")


def test_invalid_file_changes_nothing_and_says_why(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    daemon.file.write_text("rules:\n  - {name: web, listn: 1, upstream: 'a:1', keepalive: 5}\n")
    daemon.signal(signal.SIGHUP)
    faults = daemon.log.wait_for_count(2, event="reload", result="failed")
    assert ":2:17: error: unknown key 'listn'; did you mean 'listen'?" in faults[0]["reason"]
    assert ":2:55: error: keepalive: " in faults[1]["reason"]
    ping(lab.connect(lab.host))


def test_missing_file_changes_nothing_and_says_why(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    daemon.file.unlink()
    daemon.signal(signal.SIGHUP)
    fault = daemon.log.wait_for(event="reload", result="failed")
    assert fault["reason"].endswith(": error: No such file or directory")
    ping(lab.connect(lab.host))


@pytest.mark.heavy
def test_twenty_reloads_refuse_none_of_two_thousand_connections(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    for number in range(1, 21):
        daemon.write([rule(idle_timeout=f"{number}m"), rule("b", f"0.0.0.0:{8000 + number}")])
        daemon.signal(signal.SIGHUP)
        for _ in range(100):
            client = lab.connect(lab.host)
            ping(client)
            client.close()
        daemon.log.wait_for_count(number, event="reload", result="ok")
    assert not daemon.log.records(event="connection_failed")


def test_option_that_needs_a_new_socket_gets_one(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    client = lab.connect(lab.host)
    ping(client)
    before = _listening_inodes(daemon)
    daemon.reload([rule(freebind=True)])
    assert _listening_inodes(daemon).isdisjoint(before)
    ping(lab.connect(lab.host))
    ping(client)


def test_rule_with_room_again_accepts_who_waits(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(max_connections=1))
    ping(lab.connect(lab.host))
    waiting = lab.connect(lab.host)
    daemon.reload([rule(max_connections=2)])
    ping(waiting)


def test_log_section_follows_the_file(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    quiet = {"log": {"connections": False}, "control": {"socket": ""}, "rules": [rule()]}
    daemon.file.write_text(str(quiet).replace("False", "false"))
    daemon.signal(signal.SIGHUP)
    daemon.log.wait_for(event="reload", result="ok")
    client = lab.connect(lab.host)
    ping(client)
    client.close()
    wait_until(lambda: _idle(daemon), "connection closed")
    daemon.reload([rule()])
    assert not daemon.log.records(event="connection_closed")


def _idle(daemon: Daemon) -> bool:
    with daemon.connection_sockets() as sockets:
        return not sockets


def test_signals_in_quick_succession_end_with_the_last_file(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule())
    for number in range(10):
        daemon.write([rule(listen=f"0.0.0.0:{8100 + number}")])
        daemon.signal(signal.SIGHUP)
    daemon.log.wait_for(event="listener_open", listener="0.0.0.0:8109")
    ping(lab.connect(lab.host, ("127.0.0.1", 8109)))


def test_namespaces_of_a_new_rule_are_followed(lab: Lab) -> None:
    netns = lab.netns("a")
    lab.server(netns, script=echo)
    daemon = lab.daemon(rule())
    upstream = {"targets": "127.0.0.1:9000", "netns": "same"}
    daemon.reload([rule(), rule("more", netns=f"{netns.name[:-1]}*", upstream=upstream)])
    ping(lab.connect(netns))
    daemon.reload([rule()])
    assert is_refused(netns, ("127.0.0.1", 8000))
