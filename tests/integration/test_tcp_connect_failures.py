"""A target that refuses, or times out on every address, resets the client: never a silent FIN."""

import pytest

import scenarios
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, pattern, ping, same, say
from harness.waiting import wait_until

TARGETS = ["127.0.0.1:9001", "127.0.0.1:9000"]


def test_refused_upstream_resets_the_client(lab: Lab) -> None:
    link = lab.link()
    scenarios.refused_upstream_resets_the_client(link)
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "connect_refused"
    assert record["rule"] == "web"
    assert record["netns"] == link.client_netns.name
    assert record["upstream"] == "127.0.0.1:9000"


def test_refused_upstream_resets_a_client_that_has_sent(lab: Lab) -> None:
    scenarios.refused_upstream_resets_a_client_that_has_sent(lab.link())


def test_refused_upstream_resets_a_client_that_has_sent_its_fin(lab: Lab) -> None:
    link = lab.link()
    link.server.stop_listening()
    client = link.connect()
    client.send_unless_reset(b"request", fin=True)
    client.expect_reset()


def test_connect_timeout_resets_the_client(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "300ms"})
    link.upstream_netns.drop("tcp dport 9000")
    link.connect().expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "connect_timeout"
    assert 300_000 <= int(record["duration"]) < 3_000_000


def test_unreachable_upstream_resets_the_client(lab: Lab) -> None:
    link = lab.link(upstream="203.0.113.1:80")
    link.connect().expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"]


def test_absent_unix_target_resets_the_client(lab: Lab) -> None:
    link = lab.link(upstream=f"unix:{lab.folder}/absent.sock")
    link.connect().expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"]


def test_next_target_is_tried_after_a_refusal(lab: Lab) -> None:
    link = lab.link(upstream=TARGETS)
    for _ in range(4):
        client = link.connect()
        client.send(b"early")
        upstream = link.server.accept()
        assert upstream.recv_exact(5) == b"early"
        client.close()
        upstream.close()
    for record in link.log.wait_for_count(4, event="connection_closed"):
        assert record["upstream"] == "127.0.0.1:9000"
        assert record["received"] == "5"


def test_next_target_is_tried_after_a_timeout(lab: Lab) -> None:
    link = lab.link(upstream={"targets": TARGETS, "connect_timeout": "300ms"})
    link.upstream_netns.drop("tcp dport 9001")
    data = pattern(100_000)
    pairs = []
    for _ in range(2):  # One of the two begins with the target that is silent.
        client = link.connect()
        client.send(data)
        client.send_fin()
        pairs.append((client, link.server.accept()))
    for client, upstream in pairs:
        same(upstream.recv_until_eof(), data, "sent before the upstream was there")
        upstream.send(b"reply")
        upstream.close()
        assert client.recv_until_eof() == b"reply"


def test_all_targets_fail_and_the_client_is_reset_once(lab: Lab) -> None:
    link = lab.link(upstream=["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"])
    link.connect().expect_reset()
    link.log.wait_for(event="connection_failed")
    link.connect().expect_reset()
    assert len(link.log.wait_for_count(2, event="connection_failed")) == 2
    assert not link.log.records(event="connection_closed")


def test_targets_are_used_in_turn(lab: Lab) -> None:
    a = lab.netns("a")
    for number in range(3):
        lab.server(lab.host, ("127.0.0.1", 9000 + number), say(bytes([number])))
    targets = [f"127.0.0.1:{9000 + number}" for number in range(3)]
    lab.daemon(rule(netns=a.name, upstream=targets))
    reached = [lab.connect(a).recv_exact(1)[0] for _ in range(9)]
    assert sorted(reached[:3]) == [0, 1, 2]
    assert reached[:3] * 3 == reached


def test_client_that_sends_fin_during_the_connect_is_served(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "connect_timeout": "60s"})
    link.upstream_netns.drop("tcp dport 9000")
    client = link.connect()
    client.send(b"request")
    client.send_fin()
    connecting = "-Htn state syn-sent".split()
    wait_until(lambda: link.upstream_netns.run("ss", *connecting), "a connect in progress")
    link.upstream_netns.undrop()
    upstream = link.server.accept()
    assert upstream.recv_until_eof() == b"request"
    upstream.send(b"reply")
    upstream.close()
    assert client.recv_until_eof() == b"reply"


def test_refused_connections_leave_nothing_behind(lab: Lab) -> None:
    link = lab.link()
    link.server.stop_listening()
    link.connect().expect_reset()
    link.log.wait_for(event="connection_failed")
    before = len(link.daemon.descriptors())
    for _ in range(100):
        link.connect().expect_reset()
    link.log.wait_for_count(101, event="connection_failed")
    wait_until(lambda: len(link.daemon.descriptors()) <= before, "descriptors are given back")


def test_upstream_that_comes_back_is_used_again(lab: Lab) -> None:
    link = lab.link()
    link.server.stop_listening()
    link.connect().expect_reset()
    lab.server(lab.host, ("127.0.0.1", 9000), echo)
    ping(link.connect())


@pytest.mark.parametrize("count", [1, 2])
def test_unresolvable_name_resets_the_client(lab: Lab, count: int) -> None:
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    names = [f"absent{number}.invalid:80" for number in range(count)]
    link = lab.link(upstream={"targets": names, "connect_timeout": "1s"})
    link.connect().expect_reset()
    link.log.wait_for(event="connection_failed")
