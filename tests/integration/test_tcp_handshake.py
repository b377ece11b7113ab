"""The ACK that ends the handshake with the upstream goes with the first bytes, where there are any."""

import signal

from harness import linux
from harness.daemon import Daemon
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import ping, say


def _segments_to_upstream(daemon: Daemon) -> int:
    with daemon.connection_sockets() as sockets:
        upstream = next(sock for sock in sockets if sock.getpeername()[1] == 9000)
        return linux.segments_sent(upstream)


def _delayed_acks(netns: Netns) -> int:
    """ACKs that the kernel sent because nobody else did (`DelayedACKs` of netstat(8))."""
    names, values = (line.split() for line in netns.run("cat", "/proc/net/netstat").splitlines()
                     if line.startswith("TcpExt:"))
    return int(dict(zip(names, values))["DelayedACKs"])


def test_what_the_client_has_said_ends_the_handshake(lab: Lab) -> None:
    link = lab.link()
    link.daemon.signal(signal.SIGSTOP)
    client = link.connect()
    client.send(b"early")
    client.wait_acknowledged()
    link.daemon.signal(signal.SIGCONT)
    upstream = link.server.accept()
    upstream.wait_unread(5)
    assert _segments_to_upstream(link.daemon) == 2  # SYN, and ACK with the bytes


def test_a_client_that_waits_does_not_make_the_upstream_wait(lab: Lab) -> None:
    link = lab.link(script=say(b"220 welcome\r\n"))
    before = _delayed_acks(link.upstream_netns)
    client = link.connect()
    assert client.recv_exact(13) == b"220 welcome\r\n"
    assert _delayed_acks(link.upstream_netns) == before
    ping(client)


def test_a_fin_without_a_byte_ends_the_handshake(lab: Lab) -> None:
    link = lab.link()
    link.daemon.signal(signal.SIGSTOP)
    client = link.connect()
    client.send_fin()
    link.daemon.signal(signal.SIGCONT)
    upstream = link.server.accept()
    assert upstream.recv_until_eof() == b""
    upstream.send(b"late")
    assert client.recv_exact(4) == b"late"
