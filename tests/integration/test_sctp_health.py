"""Active health over SCTP: a probe is an association that is aborted as soon as it stands."""

import pytest

from harness import sctp
from harness.lab import Lab
from harness.netns import Netns
from harness.waiting import wait_until

pytestmark = pytest.mark.sctp

HEALTH = {"interval": "100ms", "timeout": "500ms", "type": "connect"}
TARGETS = ("127.0.0.1:9000", "127.0.0.1:9001")


def test_a_dead_target_is_found_and_found_again_without_a_client(lab: Lab) -> None:
    lab.sctp_server(lab.host, ("127.0.0.1", 9001), sctp.echo)
    client_netns = lab.netns("a")
    daemon = lab.sctp_daemon(netns=client_netns.name,
                             upstream={"targets": list(TARGETS), "health": HEALTH})
    assert daemon.log.wait_for(event="upstream_down")["upstream"] == TARGETS[0]
    for number in range(6):  # none of them meets the dead one
        client = lab.sctp_connect(client_netns)
        client.send(b"%d" % number)
        client.expect(b"%d" % number)
        client.shutdown()
        client.expect_shutdown()
    lab.sctp_server(lab.host, ("127.0.0.1", 9000), sctp.echo)
    assert daemon.log.wait_for(event="upstream_up")["upstream"] == TARGETS[0]
    assert len(daemon.log.records(event="upstream_down")) == 1
    assert not daemon.log.records(event="upstream_failed"), "a probe is no client"


def _counters(netns: Netns) -> dict[str, int]:
    """What the kernel counts of a namespace's associations."""
    lines = netns.run("cat", "/proc/net/sctp/snmp").splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}


def test_a_probe_is_aborted_and_leaves_nothing(lab: Lab) -> None:
    server = lab.sctp_server(lab.host)
    daemon = lab.sctp_daemon(
        netns=lab.netns("a").name, upstream={"targets": [TARGETS[0]], "health": HEALTH})
    for _ in range(3):
        server.accept()  # aborted by now or soon: what the socket says of it depends on that
    wait_until(lambda: _counters(lab.host)["SctpAborteds"] >= 3, "three aborts")
    wait_until(lambda: _counters(lab.host)["SctpCurrEstab"] == 0, "no association")
    assert _counters(lab.host)["SctpShutdowns"] == 0
    assert not daemon.log.records(event="upstream_down")
    assert not daemon.log.records(event="connection_closed")


def test_a_silent_target_is_dead_after_the_timeout(lab: Lab) -> None:
    far = lab.netns("u")
    lab.sctp_server(far, script=sctp.echo)
    far.go_deaf()
    upstream = {"targets": [TARGETS[0]], "netns": far.name, "health": HEALTH}
    daemon = lab.sctp_daemon(upstream=upstream)
    assert daemon.log.wait_for(event="upstream_down")["upstream"] == TARGETS[0]
    far.hear_again()
    assert daemon.log.wait_for(event="upstream_up")["upstream"] == TARGETS[0]
