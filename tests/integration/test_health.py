"""Active health: targets are probed from the upstream's namespace, whether clients come or not."""

from collections import Counter
from typing import Any

from harness import linux
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import Peer, echo, ping, tell
from harness.waiting import wait_until

HEALTH = {"interval": "50ms", "timeout": "200ms", "type": "connect"}


def _upstream(*targets: Any, **keys: Any) -> dict[str, Any]:
    return {"targets": list(targets), "health": HEALTH, **keys}


def _sink(peer: Peer) -> None:
    peer.sock.recv(1)


def test_a_dead_target_is_found_and_found_again_without_a_client(lab: Lab) -> None:
    a = lab.netns("a")
    first = lab.server(lab.host, ("127.0.0.1", 9000), _sink)
    lab.server(lab.host, ("127.0.0.1", 9001), _sink)
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000", "127.0.0.1:9001")))
    first.stop_listening()
    down = daemon.log.wait_for(event="upstream_down")
    assert (down["upstream"], down["rule"]) == ("127.0.0.1:9000", "web")
    lab.server(lab.host, ("127.0.0.1", 9000), _sink)
    assert daemon.log.wait_for(event="upstream_up")["upstream"] == "127.0.0.1:9000"
    assert len(daemon.log.records(event="upstream_down")) == 1
    assert not daemon.log.records(event="upstream_failed"), "a probe is no client"


def test_no_client_meets_a_target_that_a_probe_found_dead(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, ("127.0.0.1", 9001), tell("1"))
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000", "127.0.0.1:9001")))
    daemon.log.wait_for(event="upstream_down")
    answers = []
    for _ in range(30):
        client = lab.connect(a)
        answers.append(client.recv_until_eof())
        client.close()
    assert Counter(answers) == {b"1": 30}
    assert not daemon.log.records(event="upstream_failed")


def test_a_silent_target_is_dead_after_the_timeout(lab: Lab) -> None:
    a = lab.netns("a")
    lab.host.drop("tcp dport 9000")
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000", "127.0.0.1:9001")))
    downs = daemon.log.wait_for_count(2, event="upstream_down")
    assert {down["upstream"] for down in downs} == {"127.0.0.1:9000", "127.0.0.1:9001"}


def test_probes_come_from_the_namespace_of_the_upstream(lab: Lab) -> None:
    a, b = lab.netns_list(["a", "b"])
    server = lab.server(b)
    lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000", netns=b.name)))
    server.accept()
    server.accept()


def test_a_probe_is_no_connection_and_leaves_nothing_behind(lab: Lab) -> None:
    a = lab.netns("a")
    server = lab.server(lab.host)
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000")))
    probes = [server.accept() for _ in range(5)]
    for probe in probes:
        wait_until(lambda peer=probe: linux.tcp_state(peer.sock) == "CLOSE", "the probe is reset")
    assert not lab.host.run("ss", "-Htn", "state", "time-wait")
    assert not daemon.log.records(event="connection_closed")


def test_a_name_is_probed_too(lab: Lab) -> None:
    lab.host.write_etc("hosts", "127.0.0.1 localhost\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    a = lab.netns("a")
    server = lab.server(lab.host, ("127.0.0.1", 9000), _sink)
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("localhost:9000")))
    wait_until(lambda: server.accepted, "a probe")
    server.stop_listening()
    assert daemon.log.wait_for(event="upstream_down")["upstream"] == "localhost:9000"


def test_targets_of_a_rule_that_changed_are_not_probed_any_more(lab: Lab) -> None:
    """Though a connection under the former rule goes on."""
    a = lab.netns("a")
    former = lab.server(lab.host, ("127.0.0.1", 9000), echo)
    later = lab.server(lab.host, ("127.0.0.1", 9001), echo)
    daemon = lab.daemon(rule(netns=a.name, upstream=_upstream("127.0.0.1:9000")))
    client = lab.connect(a)
    ping(client)
    daemon.reload([rule(netns=a.name, upstream=_upstream("127.0.0.1:9001"))])
    probed, begin = former.accepted, later.accepted
    wait_until(lambda: later.accepted > begin + 5, "the new target is probed")
    assert former.accepted <= probed + 1, "one may have been under way"
    ping(client)
