"""Forwarding that goes in a circle where the file does not show it: caught at run time."""

import contextlib

import pytest

from harness import udp
from harness.daemon import Daemon, Rule, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import Peer, echo, ping
from harness.waiting import let_pass, wait_until

WEB = rule(listen="127.0.0.1:8000")
NEAR, FAR = "10.9.0.1", "10.9.0.2"


def _by_names(lab: Lab, **keys: object) -> list[Rule]:
    """Two rules that lead to each other, by names."""
    lab.host.write_etc("hosts", "127.0.0.1 one.example two.example\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    return [
        rule("one", listen="127.0.0.1:8001", upstream="two.example:8002", **keys),
        rule("two", listen="127.0.0.1:8002", upstream="one.example:8001", **keys),
    ]


def _linked(lab: Lab) -> tuple[Netns, Netns]:
    near, far = lab.netns_list(["near", "far"])
    near.connect_to(far, f"{NEAR}/24", f"{FAR}/24")
    return near, far


def _expect_named(daemon: Daemon, *rules: str) -> None:
    named = daemon.log.wait_for(see="a target of from_rule leads back to this listener")
    assert (named["event"], named["reason"]) == ("connection_failed", "forwarding_loop")
    assert {named["rule"], named["from_rule"]} == set(rules)
    assert len(daemon.log.records(reason="forwarding_loop")) < 100


def test_a_circle_is_reset_and_both_rules_are_named(lab: Lab) -> None:
    daemon = lab.daemon(*_by_names(lab), WEB)
    lab.server(lab.host, script=echo)
    bystander = lab.connect(lab.host)
    ping(bystander)
    lab.connect(lab.host, ("127.0.0.1", 8001)).expect_reset()
    _expect_named(daemon, "one", "two")
    ping(bystander)


def test_a_circle_of_datagrams_ends(lab: Lab) -> None:
    daemon = lab.daemon(*_by_names(lab, protocol="udp"),
                        rule(protocol="udp", listen="127.0.0.1:8000"))
    lab.udp_server(lab.host, answer=udp.echo)
    lab.udp_client(lab.host, ("127.0.0.1", 8001)).send(b"x")
    assert daemon.log.wait_for(event="datagrams_dropped")["reason"] == "forwarding_loop"
    _expect_named(daemon, "one", "two")
    lab.udp_client(lab.host).ask()


def test_a_rule_whose_upstream_leads_back_from_another_namespace(lab: Lab) -> None:
    near, far = _linked(lab)
    upstream = {"targets": [f"{NEAR}:8001"], "netns": far.name}
    daemon = lab.daemon(rule("back", netns=near.name, listen="0.0.0.0:8001", upstream=upstream), WEB)
    lab.server(lab.host, script=echo)
    bystander = lab.connect(lab.host)
    ping(bystander)
    lab.connect(near, ("127.0.0.1", 8001)).expect_reset()
    _expect_named(daemon, "back")
    ping(bystander)


def test_datagrams_that_lead_back_from_another_namespace(lab: Lab) -> None:
    near, far = _linked(lab)
    upstream = {"targets": [f"{NEAR}:8001"], "netns": far.name}
    daemon = lab.daemon(rule("back", protocol="udp", netns=near.name, listen="0.0.0.0:8001",
                             upstream=upstream))
    lab.udp_client(near, ("127.0.0.1", 8001)).send(b"x")
    _expect_named(daemon, "back")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_two_namespaces_that_lead_to_each_other(lab: Lab, protocol: str) -> None:
    near, far = _linked(lab)
    keys = {"protocol": protocol, "listen": "0.0.0.0:8001"}
    daemon = lab.daemon(
        rule("there", netns=near.name, upstream={"targets": [f"{FAR}:8001"], "netns": "same"}, **keys),
        rule("back", netns=far.name, upstream={"targets": [f"{NEAR}:8001"], "netns": "same"}, **keys),
    )
    if protocol == "tcp":
        lab.connect(near, ("127.0.0.1", 8001)).expect_reset()
    else:
        lab.udp_client(near, ("127.0.0.1", 8001)).send(b"x")
    _expect_named(daemon, "there", "back")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_firewall_that_leads_back(lab: Lab, protocol: str) -> None:
    lab.host.add_address("192.0.2.1/32")
    lab.host.run(*f"iptables-legacy -t nat -A OUTPUT -p {protocol} -d 192.0.2.53 --dport 53 "
                 "-j REDIRECT --to-ports 8001".split())
    lab.host.run(*"ip route add 192.0.2.0/24 dev lo".split())
    daemon = lab.daemon(
        rule("web", protocol=protocol, listen="0.0.0.0:8001", upstream="192.0.2.53:53"))
    if protocol == "tcp":
        lab.connect(lab.host, ("127.0.0.1", 8001)).expect_reset()
    else:
        lab.udp_client(lab.host, ("127.0.0.1", 8001)).send(b"x")
    _expect_named(daemon, "web")


def test_a_circle_that_a_rules_limit_stops_is_seen(lab: Lab) -> None:
    one, two = _by_names(lab)
    daemon = lab.daemon(one | {"max_connections": 100}, two)
    lab.connect(lab.host, ("127.0.0.1", 8001)).expect_reset()
    _expect_named(daemon, "one", "two")


def _rewrite_source(lab: Lab) -> None:
    """Of one half of the circle of _by_names()."""
    lab.host.add_address("192.0.2.1/32")
    lab.host.run(*"iptables-legacy -t nat -A POSTROUTING -p tcp --dport 8001 -j SNAT "
                 "--to-source 192.0.2.1".split())


def _is_quiet(daemon: Daemon, seconds: float = 0.2) -> bool:
    """Whether it takes less than a quarter of a processor."""
    before = daemon.cpu_seconds()
    let_pass(seconds)
    return daemon.cpu_seconds() - before < 0.25 * seconds


def _say_something(client: Peer) -> None:
    """Unless the circle has been ended by now, and the client with it."""
    with contextlib.suppress(ConnectionError):
        client.send(b"x")


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_client_that_leaves_at_once_leaves_no_circle_behind(lab: Lab, end: str) -> None:
    """Its reset would run after the newest turn for ever."""
    daemon = lab.daemon(*_by_names(lab), log={"target": "stderr", "connections": False})
    client = lab.connect(lab.host, ("127.0.0.1", 8001))
    _say_something(client)
    getattr(client, end)()
    _expect_named(daemon, "one", "two")
    wait_until(lambda: _is_quiet(daemon), "nothing goes round any more")
    assert len(daemon.descriptors()) < 20


def test_nor_does_one_that_said_nothing_where_the_circle_cannot_be_seen(lab: Lab) -> None:
    _rewrite_source(lab)
    daemon = lab.daemon(*_by_names(lab), log={"target": "stderr", "connections": False})
    for _ in range(10):
        lab.connect(lab.host, ("127.0.0.1", 8001)).reset()
    wait_until(lambda: _is_quiet(daemon), "nothing goes round any more")
    assert len(daemon.descriptors()) < 20


def test_per_source_ends_a_circle_that_cannot_be_seen(lab: Lab) -> None:
    """One whose first client has said something, and a reset that comes behind it."""
    _rewrite_source(lab)
    one, two = _by_names(lab)
    daemon = lab.daemon(one | {"per_source": {"rate": "20/s"}}, two)
    client = lab.connect(lab.host, ("127.0.0.1", 8001))
    _say_something(client)
    client.reset()
    assert daemon.log.wait_for(event="connection_failed")["reason"] == "per_source_rate"
    wait_until(lambda: _is_quiet(daemon), "nothing goes round any more")
    assert len(daemon.descriptors()) < 20


def test_a_circle_that_cannot_be_seen_is_survived(lab: Lab) -> None:
    """Where the source is rewritten descriptors are the bound; nothing spins, others go on."""
    _rewrite_source(lab)
    daemon = lab.daemon(*_by_names(lab), WEB, wrapper=["prlimit", "--nofile=256"])
    lab.server(lab.host, script=echo)
    running = lab.connect(lab.host)
    ping(running)
    circle = lab.connect(lab.host, ("127.0.0.1", 8001))
    # It stands still when accepting pauses; or a turn finds no descriptor for its upstream, and is
    # reset with all the others.
    daemon.log.wait_for(reason="out_of_descriptors")
    wait_until(lambda: _is_quiet(daemon, 1.0), "it stands still")
    ping(running)
    assert not daemon.log.records(reason="forwarding_loop")
    circle.reset()
    wait_until(lambda: len(daemon.descriptors()) < 50, "the circle is gone")
    ping(lab.connect(lab.host))
