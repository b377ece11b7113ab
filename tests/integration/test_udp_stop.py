"""How UDP listeners and sessions end: SIGTERM, a deleted namespace, an address in use."""

import signal
import time

from harness.daemon import rule
from harness.lab import Lab
from harness.udp import echo
from harness.waiting import wait_until


def test_running_session_goes_on_during_the_drain_and_no_new_one_starts(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, daemon={"drain_timeout": "30s"})
    client = link.client()
    client.ask()
    link.daemon.signal(signal.SIGTERM)
    link.log.wait_for(event="stopping")
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        client.ask()
    late = link.client()
    late.send(b"too late")
    assert link.log.wait_for(event="datagrams_dropped")["reason"] == "draining"
    assert not late.has_waiting()
    assert link.daemon.is_running()
    assert link.log.wait_for(event="connection_closed")["reason"] == "drained"
    assert link.daemon.wait() == 0


def test_idle_sessions_do_not_hold_up_the_stop(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, daemon={"drain_timeout": "30s"})
    link.client().ask()
    begin = time.monotonic()
    link.daemon.signal(signal.SIGTERM)
    assert link.daemon.wait() == 0
    assert time.monotonic() - begin < 5


def test_drain_timeout_ends_a_busy_session(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, daemon={"drain_timeout": "1500ms"})
    client = link.client()
    client.ask()
    link.daemon.signal(signal.SIGTERM)

    def ended() -> bool:
        client.send(b"x")
        return not link.daemon.is_running()

    wait_until(ended, "the daemon ends")
    assert link.daemon.wait() == 0
    assert link.log.records(event="connection_closed")[0]["reason"] == "drained"


def test_second_signal_ends_sessions_at_once(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, daemon={"drain_timeout": "30s"}, session_timeout="60s")
    link.client().ask()
    link.daemon.signal(signal.SIGTERM)
    link.log.wait_for(event="stopping")
    link.daemon.signal(signal.SIGTERM)
    assert link.daemon.wait(timeout=5) == 0


def test_deleted_namespace_ends_its_sessions_and_is_released(lab: Lab) -> None:
    link = lab.udp_link(answer=echo)
    client = link.client()
    client.ask()
    client.close()
    before = len(link.daemon.descriptors())
    link.client_netns.delete()
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "netns_deleted"
    wait_until(lambda: len(link.daemon.descriptors()) <= before - 2, "its sockets are closed")


def test_deleted_upstream_namespace_ends_its_sessions(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    server = lab.udp_server(b, answer=echo)
    daemon = lab.daemon(rule(protocol="udp", netns=a.name,
                             upstream={"targets": ["127.0.0.1:9000"], "netns": b.name}),
                        drain_timeout="50ms")
    lab.udp_client(a).ask()
    server.close()
    b.delete()
    assert daemon.log.wait_for(event="connection_closed")["reason"] == "netns_deleted"


def test_port_in_use_is_pending_until_it_is_free(lab: Lab) -> None:
    a = lab.netns("a")
    other = lab.udp_server(a, ("0.0.0.0", 8000))
    lab.udp_server(lab.host, answer=echo)
    daemon = lab.daemon(rule(protocol="udp", netns=a.name), listeners=0, drain_timeout="50ms")
    record = daemon.log.wait_for(event="listener_pending")
    assert record["reason"] == "bind: Address already in use"
    other.close()
    daemon.log.wait_for(event="listener_open")
    lab.udp_client(a).ask()


def test_new_clients_of_a_rule_that_changed_before_it_went(lab: Lab) -> None:
    """The session began under a rule that another one has followed since, which is gone too."""
    lab.udp_server(lab.host, answer=echo)
    dns = rule("dns", protocol="udp")
    other = rule("other", protocol="udp", listen="0.0.0.0:8001")
    daemon = lab.daemon(dns, other)
    client = lab.udp_client(lab.host)
    client.ask()
    daemon.reload([dns | {"max_sessions": 10}, other])
    daemon.log.wait_for(event="reload", result="ok", changed="1")
    daemon.reload([other])
    daemon.log.wait_for(event="reload", result="ok", closed="1")
    client.ask()
    lab.udp_client(lab.host).send(b"anybody?")
    dropped = daemon.log.wait_for(event="datagrams_dropped")
    assert (dropped["rule"], dropped["reason"]) == ("dns", "draining")
