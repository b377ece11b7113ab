"""Forwarding that goes in a circle where the file does not show it: caught at run time."""

from harness import udp
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping


def _circle(lab: Lab, **keys: object) -> list[dict[str, object]]:
    """Two rules that lead to each other, by names."""
    lab.host.write_etc("hosts", "127.0.0.1 one.example two.example\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    return [
        rule("one", listen="127.0.0.1:8001", upstream="two.example:8002", **keys),
        rule("two", listen="127.0.0.1:8002", upstream="one.example:8001", **keys),
    ]


def test_a_circle_is_reset_and_both_rules_are_named(lab: Lab) -> None:
    daemon = lab.daemon(*_circle(lab), rule("web", listen="127.0.0.1:8000"))
    lab.server(lab.host, script=echo)
    bystander = lab.connect(lab.host)
    ping(bystander)
    lab.connect(lab.host, ("127.0.0.1", 8001)).expect_reset()
    named = daemon.log.wait_for(see="a target of from_rule leads back to this listener")
    assert (named["event"], named["reason"]) == ("connection_failed", "forwarding_loop")
    assert {named["rule"], named["from_rule"]} == {"one", "two"}
    assert len(daemon.log.records(reason="forwarding_loop")) < 100
    ping(bystander)


def test_a_circle_of_datagrams_ends(lab: Lab) -> None:
    daemon = lab.daemon(*_circle(lab, protocol="udp"),
                        rule("web", protocol="udp", listen="127.0.0.1:8000"))
    lab.udp_server(lab.host, answer=udp.echo)
    lab.udp_client(lab.host, ("127.0.0.1", 8001)).send(b"x")
    record = daemon.log.wait_for(event="datagrams_dropped")
    assert record["reason"] == "forwarding_loop"
    named = daemon.log.wait_for(see="a target of from_rule leads back to this listener")
    assert {named["rule"], named["from_rule"]} == {"one", "two"}
    lab.udp_client(lab.host).ask()
