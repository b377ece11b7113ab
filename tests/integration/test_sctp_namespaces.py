"""400 namespaces with TCP, UDP and SCTP each: start, memory, service, one more, some fewer.

Prints its figures (pytest -s).
"""

import time

import pytest

from harness import peers, sctp, udp
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import wait_connected
from harness.waiting import DEADLINE, SLOWNESS, wait_until

pytestmark = pytest.mark.sctp

COUNT = 400
PROTOCOLS = ("tcp", "udp", "sctp")
PORT = ("127.0.0.1", 8000)
#: From the return of `ip netns add` to an answer over every protocol.
PROMISE = 0.1 * SLOWNESS


def _daemon(lab: Lab, listeners: int) -> Daemon:
    """One rule for each protocol in every `tenant-*`, and one at home."""
    daemon = lab.daemon(
        rule("home"), *(rule(protocol, protocol=protocol, netns=Netns("tenant-*").name)
                        for protocol in PROTOCOLS),
        listeners=listeners + 1,
    )
    daemon.log.wait_for(event="started", timeout=DEADLINE)
    return daemon


def _use(lab: Lab, netns: Netns) -> None:
    """A question and its answer over each protocol."""
    tcp = wait_connected(netns, PORT)
    peers.ping(tcp)
    tcp.close()
    asking = lab.udp_client(netns)
    asking.ask()
    asking.close()
    association = sctp.connect(netns, PORT)
    association.send(b"question")
    association.expect(b"question")
    association.close()


def test_four_hundred_namespaces_with_each_protocol(lab: Lab) -> None:
    lab.server(lab.host, script=peers.echo)
    lab.udp_server(lab.host, answer=udp.echo)
    lab.sctp_server(lab.host, script=sctp.echo)
    bare = _daemon(lab, 0)
    bare_rss = bare.rss_bytes()
    bare.stop()
    some = lab.thousands([f"tenant-{number}" for number in range(COUNT)])
    begin = time.monotonic()
    daemon = _daemon(lab, COUNT * len(PROTOCOLS))
    start = daemon.log.wait_for(event="started").seen - begin
    per_listener = (daemon.rss_bytes() - bare_rss) / (COUNT * len(PROTOCOLS))
    for netns in some[:: COUNT // 8]:
        _use(lab, netns)
    more = lab.netns("tenant-more")
    _use(lab, more)
    one_more = time.monotonic() - more.added
    descriptors = len(daemon.descriptors())
    fewer = some[::4]
    Netns.delete_thousands(fewer)
    daemon.log.wait_for_count(
        len(fewer) * len(PROTOCOLS), event="listener_closed", reason="netns_deleted")
    wait_until(lambda: len(daemon.descriptors()) <= descriptors - len(fewer) * len(PROTOCOLS),
               "their sockets are closed")
    _use(lab, some[1])
    print(f"namespaces={COUNT} start_seconds={start:.3f} rss={daemon.rss_bytes()} "
          f"rss_per_listener={per_listener:.0f} one_more_ms={one_more * 1000:.1f}")
    assert start < 1.0 * SLOWNESS
    assert one_more < PROMISE
    assert per_listener < 8192
