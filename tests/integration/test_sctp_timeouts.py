"""A peer that does not answer SHUTDOWN holds nothing for longer than half_close_timeout."""

import contextlib

import pytest

from harness.daemon import Daemon
from harness.lab import Lab
from harness.netns import Netns
from harness.sctp import SctpPeer, SctpServer
from harness.waiting import let_pass, wait_until

pytestmark = pytest.mark.sctp

#: Longer than a lost SHUTDOWN takes to be sent again: 1 s (net.sctp.rto_min).
TIMEOUT_SECONDS = 4


class Between:
    """An association from namespace `a` to namespace `u`, either of which can go deaf."""

    def __init__(self, lab: Lab) -> None:
        self.near, self.far = lab.netns("a"), lab.netns("u")
        server: SctpServer = lab.sctp_server(self.far)
        # No key of an SCTP rule; but what `defaults` say holds for all.
        timeout = {"half_close_timeout": f"{TIMEOUT_SECONDS}s"}
        self.daemon = lab.sctp_daemon(
            netns=self.near.name, daemon={"defaults": timeout},
            upstream={"targets": ["127.0.0.1:9000"], "netns": self.far.name})
        self.client: SctpPeer = lab.sctp_connect(self.near)
        self.upstream: SctpPeer = server.accept()
        self.client.send(b"hello")
        self.upstream.expect(b"hello")
        self.upstream.send(b"welcome")
        self.client.expect(b"welcome")
        for peer in (self.client, self.upstream):
            peer.wait_acknowledged()

    def ends(self, first: str) -> tuple[SctpPeer, SctpPeer, Netns]:
        """Who speaks first, the other one, and where that one is."""
        if first == "client":
            return self.client, self.upstream, self.far
        return self.upstream, self.client, self.near


def _states_inside(daemon: Daemon, netns: Netns) -> list[str]:
    """Of the daemon's associations in `netns`."""
    states = []
    with daemon.sctp_sockets() as sockets:
        for sock in sockets:
            if sock.getsockopt(1, 71, 8) == netns.cookie() and not sock.getsockopt(1, 30):
                with contextlib.suppress(OSError):  # is over
                    states.append(SctpPeer(sock).state())
    return states


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_a_peer_that_does_not_answer_shutdown_is_given_up(lab: Lab, first: str) -> None:
    between = Between(lab)
    leaving, _, silent = between.ends(first)
    silent.go_deaf()
    leaving.shutdown()
    leaving.expect_shutdown()
    record = between.daemon.log.wait_for(event="connection_closed")
    assert record["reason"] == "half_close_timeout"
    assert TIMEOUT_SECONDS * 1_000_000 <= int(record["duration"])
    assert not _states_inside(between.daemon, silent)
    # Nor does the kernel go on trying: what nsrelay's end was is gone with its socket.
    port = 9000 if first == "client" else 8000
    left = [line for line in silent.run("ss", "-HnaS").splitlines() if "SHUTDOWN" in line.upper()]
    assert not left, f"port {port}: {left}"


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_a_quiet_association_has_the_whole_time_for_its_shutdown(lab: Lab, first: str) -> None:
    between = Between(lab)
    leaving, other, netns = between.ends(first)
    let_pass(TIMEOUT_SECONDS + 0.5)
    netns.go_deaf()
    leaving.shutdown()
    wait_until(lambda: "SHUTDOWN_SENT" in _states_inside(between.daemon, netns), "SHUTDOWN is sent")
    netns.hear_again()
    other.expect_shutdown()
    leaving.expect_shutdown()
    assert between.daemon.log.wait_for(event="connection_closed")["reason"] == f"{first}_closed"
