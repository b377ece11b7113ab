"""SCTP forwarding that goes in a circle."""

import pytest
from test_sctp_multihoming import two_links

from harness import sctp
from harness.daemon import rule
from harness.lab import Lab

pytestmark = pytest.mark.sctp

SEE = "a target of from_rule leads back to this listener"


def test_a_circle_by_names_is_aborted_and_both_rules_are_named(lab: Lab) -> None:
    lab.host.write_etc("hosts", "127.0.0.1 one.example two.example\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    daemon = lab.daemon(
        rule("one", protocol="sctp", listen="127.0.0.1:8001", upstream="two.example:8002"),
        rule("two", protocol="sctp", listen="127.0.0.1:8002", upstream="one.example:8001"),
        rule("web", protocol="sctp"),
    )
    server = lab.sctp_server(lab.host)
    bystander = lab.sctp_connect(lab.host)
    upstream = server.accept()
    sctp.expect_aborted(lab.host, ("127.0.0.1", 8001))
    named = daemon.log.wait_for(see=SEE)
    assert {named["rule"], named["from_rule"]} == {"one", "two"}
    assert named["protocol"] == "sctp"
    bystander.send(b"still here")
    upstream.expect(b"still here")


def test_a_circle_over_several_addresses_and_namespaces(lab: Lab) -> None:
    near, far = two_links(lab, "near", "far")
    daemon = lab.daemon(
        rule("back", protocol="sctp", netns=near.name, listen="10.1.0.1+10.2.0.1:8001",
             upstream={"targets": ["10.2.0.1+10.1.0.1:8001"], "netns": far.name}))
    sctp.expect_aborted(near, ("10.1.0.1", 8001))
    named = daemon.log.wait_for(see=SEE)
    assert (named["rule"], named["from_rule"]) == ("back", "back")
