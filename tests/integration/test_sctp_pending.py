"""SCTP that the kernel has and cannot use: its listeners wait, everything else serves."""

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping

pytestmark = pytest.mark.sctp


def test_a_digest_that_cannot_be_had_is_named_and_others_go_on(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    server = lab.sctp_server(lab.host)
    namespaces = lab.netns_list(["a", "b"])
    tcp = rule("tcp", "0.0.0.0:8001")
    several = rule("sctp", protocol="sctp", netns=[one.name for one in namespaces])
    daemon = lab.daemon(tcp)
    # What listen(2) says where hmac(md5) or hmac(sha1) is absent: that is a namespace's sysctl.
    with daemon.failing_calls("listen:error=ENOSYS:when=1"):
        daemon.reload([tcp, several])
        pending = daemon.log.wait_for(event="listener_pending")
        opened = daemon.log.wait_for(event="listener_open", rule="sctp")
    assert pending["reason"] == (
        "SCTP lacks the digest that net.sctp.cookie_hmac_alg names (modprobe md5 sha1_generic "
        "hmac): listen: Function not implemented")
    assert {pending["netns"], opened["netns"]} == {one.name for one in namespaces}
    ping(lab.connect(lab.host, ("127.0.0.1", 8001)))
    daemon.reload([tcp, several])
    daemon.log.wait_for(event="listener_open", netns=pending["netns"])
    for netns in namespaces:
        lab.sctp_connect(netns).send(b"at last")
        server.accept().expect(b"at last")
