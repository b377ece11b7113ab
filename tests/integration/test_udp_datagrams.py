"""What a UDP relay must not do to a datagram: cut, join, invent, lose or mark it."""

import random
import socket

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.peers import pattern
from harness.udp import UDP_GRO, SOL_UDP, UdpPeer, UdpServer, echo

SIZES = [
    0, 1, 2, 100, 1199, 1200, 1472, 1473, 8191, 8192, 8193, 16383, 16384, 16385, 32768, 65000,
    65001, 65506, 65507,
]


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", SIZES)
def test_datagram_of_any_size_arrives_whole_both_ways(
    lab: Lab, udp: "Both", size: int, loopback: str
) -> None:
    client, server = udp.pair(loopback)
    data = pattern(size)
    client.send(data)
    got = server.recv()
    assert got.data == data
    server.send(data[::-1], got.sender)
    assert client.recv_bytes() == data[::-1]


class Both:
    """One daemon that serves IPv4 and IPv6 loopback."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.netns = lab.netns("a")
        self.servers = {
            "127.0.0.1": lab.udp_server(lab.host, ("127.0.0.1", 9000)),
            "::1": lab.udp_server(lab.host, ("::1", 9000)),
        }
        self.daemon = lab.daemon(
            rule("v4", protocol="udp", netns=self.netns.name, upstream="127.0.0.1:9000"),
            rule("v6", protocol="udp", netns=self.netns.name, listen="[::]:8000",
                 upstream="[::1]:9000"),
            drain_timeout="50ms",
        )

    def pair(self, loopback: str) -> tuple[UdpPeer, UdpServer]:
        """A client and the server behind its listener."""
        return self.lab.udp_client(self.netns, (loopback, 8000)), self.servers[loopback]


@pytest.fixture
def udp(lab: Lab) -> Both:
    """IPv4 and IPv6."""
    return Both(lab)


def test_datagrams_of_all_sizes_in_one_session_keep_their_order(lab: Lab) -> None:
    link = lab.udp_link()
    client, peer = link.session()
    for size in SIZES * 2:
        client.send(pattern(size))
    assert [len(link.server.recv_bytes()) for _ in SIZES * 2] == SIZES * 2
    for size in SIZES * 2:
        link.server.send(pattern(size), peer)
    assert [client.recv_bytes() for _ in SIZES * 2] == [pattern(size) for size in SIZES * 2]


def test_small_datagrams_of_mixed_sizes_are_neither_joined_nor_cut(lab: Lab) -> None:
    link = lab.udp_link()
    client, peer = link.session()
    choose = random.Random(1)
    sizes = [choose.choice([0, 1, 50, 50, 50, 50, 51, 1000]) for _ in range(2000)]
    for start in range(0, len(sizes), 100):
        part = sizes[start : start + 100]
        for size in part:
            client.send(pattern(size))
        assert [link.server.recv_bytes() for _ in part] == [pattern(size) for size in part]
        for size in part:
            link.server.send(pattern(size), peer)
        assert [client.recv_bytes() for _ in part] == [pattern(size) for size in part]


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("total", "segment"), [(64000, 1000), (65000, 1200), (1001, 1000), (64, 1), (50000, 25000)]
)
def test_burst_leaves_with_the_boundaries_that_it_came_with(
    udp: Both, loopback: str, total: int, segment: int
) -> None:
    client, server = udp.pair(loopback)
    data = pattern(total)
    wanted = [data[at : at + segment] for at in range(0, total, segment)]
    client.send_burst(data, segment)
    got = [server.recv() for _ in wanted]
    assert [one.data for one in got] == wanted
    server.send_burst(data, segment, got[0].sender)
    assert [client.recv_bytes() for _ in wanted] == wanted


def test_burst_arrives_as_a_burst_at_who_can_take_it(udp: Both) -> None:
    """So many datagrams at once came from one sendmsg: nothing was sent one by one."""
    client, server = udp.pair("127.0.0.1")
    server.sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    client.send_burst(pattern(60000), 1000)
    assert server.sock.recv(65536) == pattern(60000)


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("traffic_class", [0, 1, 2, 3, 0x10, 0xB8, 0xBB, 0xFC])
def test_traffic_class_and_ecn_go_along_both_ways(
    udp: Both, loopback: str, traffic_class: int
) -> None:
    client, server = udp.pair(loopback)
    client.send(b"there", traffic_class=traffic_class)
    got = server.recv()
    assert got.traffic_class == traffic_class
    server.send(b"back", got.sender, traffic_class ^ 3)
    assert client.recv().traffic_class == traffic_class ^ 3


def test_marks_of_one_datagram_do_not_stick_to_its_neighbours(lab: Lab) -> None:
    link = lab.udp_link()
    client, _ = link.session()
    marks = [0, 3, 0, 0, 2, 2, 1, 0xB8, 0] * 20
    for mark in marks:
        client.send(b"x" * 100, traffic_class=mark)
    assert [link.server.recv().traffic_class for _ in marks] == marks


@pytest.mark.parametrize("listen", ["0.0.0.0:8000", "*:8000"])
def test_reply_leaves_from_the_address_that_the_client_had_sent_to(lab: Lab, listen: str) -> None:
    link = lab.udp_link(answer=echo, listen=listen)
    for number in range(2, 12):
        link.client_netns.add_address(f"10.9.0.{number}/32")
    for number in range(2, 12):
        address = (f"10.9.0.{number}", 8000)
        client = link.client(to=address)
        assert client.ask().sender == address


@pytest.mark.parametrize("listen", ["[::]:8000", "*:8000"])
def test_ipv6_reply_leaves_from_the_address_that_the_client_had_sent_to(
    lab: Lab, listen: str
) -> None:
    link = lab.udp_link(answer=echo, listen=listen)
    for number in range(2, 6):
        link.client_netns.add_address(f"2001:db8::{number}/128")
    for number in range(2, 6):
        address = (f"2001:db8::{number}", 8000)
        assert link.client(to=address).ask().sender == address


def test_dual_stack_listener_keeps_marks_and_sizes_of_ipv4(lab: Lab) -> None:
    link = lab.udp_link(listen="*:8000")
    client, peer = link.session()
    client.send(pattern(65507), traffic_class=0xBB)
    got = link.server.recv()
    assert (got.data, got.traffic_class) == (pattern(65507), 0xBB)
    link.server.send(pattern(65507), peer, 0xB9)
    answer = client.recv()
    assert (answer.data, answer.traffic_class) == (pattern(65507), 0xB9)
    client.send_burst(pattern(5000), 1000)
    assert [len(link.server.recv_bytes()) for _ in range(5)] == [1000] * 5
    link.server.send_burst(pattern(5000), 1000, peer)
    assert [len(client.recv_bytes()) for _ in range(5)] == [1000] * 5


def test_link_local_client_is_answered_on_its_link(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.99.0.1/24", "10.99.0.2/24")
    a.add_address("fe80::1:1/64", "to-b")
    b.add_address("fe80::1:2/64", "to-a")
    lab.udp_server(lab.host, answer=echo)
    lab.daemon(rule(protocol="udp", netns=a.name, listen="[::]:8000"), drain_timeout="50ms")
    with b.entered():
        index = socket.if_nametoindex("to-a")
    client = lab.udp_client(b, ("::", 8000))
    client.sock.sendto(b"ping", ("fe80::1:1", 8000, 0, index))
    data, _, _, sender = client.sock.recvmsg(100)
    assert data == b"ping"
    assert sender[0].partition("%")[0] == "fe80::1:1" and sender[1] == 8000


def test_datagram_longer_than_the_path_passes_in_fragments(lab: Lab) -> None:
    """An MTU of 1500 on the client's side: DF would lose everything above it."""
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.99.0.1/24", "10.99.0.2/24")
    lab.udp_server(lab.host, answer=echo)
    lab.daemon(rule(protocol="udp", netns=a.name), drain_timeout="50ms")
    client = lab.udp_client(b, ("10.99.0.1", 8000))
    for size in (1472, 1473, 9000, 65507):
        client.ask(pattern(size))


def test_burst_of_segments_larger_than_the_mtu_passes_too(lab: Lab) -> None:
    """What cannot be cut by the kernel (segments beyond the MTU) goes one by one, in order."""
    a, b = lab.netns("a"), lab.netns("b")
    a.connect_to(b, "10.99.0.1/24", "10.99.0.2/24")
    server = lab.udp_server(lab.host)
    lab.daemon(rule(protocol="udp", netns=a.name), drain_timeout="50ms")
    client = lab.udp_client(b, ("10.99.0.1", 8000))
    client.send(b"hello")
    peer = server.recv().sender
    for _ in range(3):
        server.send_burst(pattern(30000), 3000, peer)
        data = pattern(30000)
        wanted = [data[at : at + 3000] for at in range(0, 30000, 3000)]
        assert [client.recv_bytes() for _ in wanted] == wanted
        server.send_burst(pattern(30000), 1000, peer)
        assert [len(client.recv_bytes()) for _ in range(30)] == [1000] * 30
