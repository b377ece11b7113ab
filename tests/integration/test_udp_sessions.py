"""Sessions: whose datagrams they are, when they end, what ends them, and how many there may be."""

import signal
import socket
import time
from collections import Counter

import pytest

from harness import peers, process
from harness.daemon import rule
from harness.lab import Lab
from harness.udp import UdpPeer, echo, eventually_answered, quiet, tell
from harness.waiting import let_pass, wait_until

QUICK = {"drain_timeout": "50ms"}


def test_two_clients_get_their_own_answers(lab: Lab) -> None:
    link = lab.udp_link(answer=echo)
    clients = [link.client() for _ in range(2)]
    for number in range(50):
        for client in clients:
            client.send(b"%d of %d" % (number, id(client)))
        for client in clients:
            assert client.recv_bytes() == b"%d of %d" % (number, id(client))


def test_each_client_and_each_hit_address_has_an_upstream_socket_of_its_own(lab: Lab) -> None:
    link = lab.udp_link()
    link.client_netns.add_address("10.9.0.2/32")
    one, first = link.session()
    _, second = link.session()
    one.send(b"elsewhere", ("10.9.0.2", 8000))
    third = link.server.recv().sender
    assert len({first, second, third}) == 3
    one.send(b"again")
    assert link.server.recv().sender == first


def test_client_on_the_same_address_and_port_in_another_namespace_is_another_session(
    lab: Lab,
) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    lab.udp_server(lab.host, answer=echo)
    lab.daemon(rule(protocol="udp", netns=[a.name, b.name]), **QUICK)
    clients = [lab.udp_client(netns, bind=("127.0.0.1", 5555)) for netns in (a, b)]
    for client in clients:
        with quiet(client):
            client.ask(b"from %d" % id(client))


def test_session_ends_after_session_timeout_with_one_record(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, session_timeout="300ms")
    client = link.client()
    client.ask(b"x" * 10)
    client.ask(b"y" * 20)
    record = link.log.wait_for(event="connection_closed")
    assert record["reason"] == "session_timeout"
    assert record["protocol"] == "udp"
    assert record["client"] == client.name()
    assert record["listener"] == "0.0.0.0:8000"
    assert record["upstream"] == "127.0.0.1:9000"
    assert (record["received"], record["sent"]) == ("30", "30")
    assert (record["datagrams_received"], record["datagrams_sent"]) == ("2", "2")
    assert 300_000 <= int(record["duration"]) < 4_000_000
    client.ask()
    link.log.wait_for_count(2, event="connection_closed")


@pytest.mark.parametrize("sender", ["client", "upstream"])
def test_any_datagram_either_way_keeps_the_session(lab: Lab, sender: str) -> None:
    link = lab.udp_link(session_timeout="1s")
    client, peer = link.session()
    for _ in range(10):
        let_pass(0.2)
        if sender == "client":
            client.send(b"still here")
            assert link.server.recv().sender == peer
        else:
            link.server.send(b"still here", peer)
            assert client.recv_bytes() == b"still here"
    assert not link.log.records(event="connection_closed")
    link.log.wait_for(event="connection_closed", reason="session_timeout")


def test_port_unreachable_ends_the_session_and_nothing_is_invented(lab: Lab) -> None:
    link = lab.udp_link()
    client, peer = link.session()
    link.server.close()
    with quiet(client):
        client.send(b"into the void")
        record = link.log.wait_for(event="connection_failed")
        assert record["reason"] == "connect_refused"
        assert record["client"] == client.name()
        assert link.log.wait_for(event="upstream_failed")["upstream"] == "127.0.0.1:9000"


def test_upstream_that_comes_back_is_reached_by_the_very_next_datagram(lab: Lab) -> None:
    link = lab.udp_link()
    client, _ = link.session()
    for number in range(10):
        link.server.close()
        client.send(b"lost, nobody is there")
        link.log.wait_for_count(number + 1, event="connection_failed")
        link.server = lab.udp_server(lab.host)
        client.send(b"first after it")
        got = link.server.recv()
        assert got.data == b"first after it"
        link.server.send(b"answer", got.sender)
        assert client.recv_bytes() == b"answer"


def test_datagram_that_meets_the_stale_error_of_another_is_not_lost(lab: Lab) -> None:
    """The relay is stopped while the error arrives, so that its send is the first to see it."""
    link = lab.udp_link()
    client, peer = link.session()
    second = lab.udp_client(link.client_netns)
    link.server.close()
    for _ in range(5):
        client.send(b"brings an error")
        link.daemon.signal(signal.SIGSTOP)
        server = lab.udp_server(lab.host)
        client.send(b"must arrive")
        second.send(b"this one too")
        link.daemon.signal(signal.SIGCONT)
        got = {server.recv_bytes()}
        while not {b"must arrive", b"this one too"} <= got:
            got.add(server.recv_bytes())
        server.close()


def test_dead_target_is_followed_by_the_next_one_in_turn(lab: Lab) -> None:
    link = lab.udp_link(answer=tell("alive"), upstream=["127.0.0.1:9001", "127.0.0.1:9000"])
    assert eventually_answered(link.client()) == b"alive"
    link.log.wait_for(event="connection_failed", reason="connect_refused")


def test_target_without_a_route_is_passed_over_when_a_session_starts(lab: Lab) -> None:
    link = lab.udp_link(answer=tell("alive"), upstream=["192.0.2.1:9000", "127.0.0.1:9000"])
    client = link.client()
    client.send(b"first datagram")
    assert client.recv_bytes() == b"alive"
    record = link.log.wait_for(event="upstream_failed")
    assert (record["upstream"], record["reason"]) == ("192.0.2.1:9000", "connect_unreachable")


def test_targets_take_turns(lab: Lab) -> None:
    link = lab.udp_link(answer=tell("one"), upstream=["127.0.0.1:9000", "127.0.0.1:9001"])
    lab.udp_server(lab.host, ("127.0.0.1", 9001), tell("two"))
    answers = []
    for _ in range(10):
        client = link.client()
        client.send(b"who?")
        answers.append(client.recv_bytes())
    assert Counter(answers) == {b"one": 5, b"two": 5}


def test_host_name_is_resolved_and_what_came_meanwhile_arrives_in_order(lab: Lab) -> None:
    link = lab.udp_link(upstream="localhost:9000")
    client = link.client()
    for number in range(20):
        client.send(b"%d" % number)
    assert [link.server.recv_bytes() for _ in range(20)] == [b"%d" % n for n in range(20)]


def test_port_range_maps_port_by_port(lab: Lab) -> None:
    a = lab.netns("a")
    for port in (9000, 9001, 9002):
        lab.udp_server(lab.host, ("127.0.0.1", port), tell(str(port)))
    lab.daemon(rule(protocol="udp", netns=a.name, listen="0.0.0.0:8000-8002",
                    upstream="127.0.0.1:9000-9002"), **QUICK)
    for offset in range(3):
        client = lab.udp_client(a, ("127.0.0.1", 8000 + offset))
        client.send(b"?")
        assert client.recv_bytes() == str(9000 + offset).encode()


def test_source_addresses_take_turns(lab: Lab) -> None:
    link = lab.udp_link(
        upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.0.5", "127.0.0.6"]}
    )
    assert [link.session()[1][0] for _ in range(4)] == ["127.0.0.5", "127.0.0.6"] * 2


def test_next_source_address_is_taken_when_ports_run_out(lab: Lab) -> None:
    lab.host.sysctl("net.ipv4.ip_local_port_range", "50000 50003")
    link = lab.udp_link(
        upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.0.5", "127.0.0.6"]}
    )
    used = Counter(link.session()[1][0] for _ in range(8))
    assert used == {"127.0.0.5": 4, "127.0.0.6": 4}
    link.client().send(b"one too many")
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "no_source_port"


def test_upstream_in_the_same_namespace(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    for netns in (a, b):
        lab.udp_server(netns, answer=tell(netns.label))
    lab.daemon(rule(protocol="udp", netns=[a.name, b.name],
                    upstream={"targets": ["127.0.0.1:9000"], "netns": "same"}), **QUICK)
    for netns in (a, b):
        client = lab.udp_client(netns)
        client.send(b"?")
        assert client.recv_bytes() == netns.label.encode()


def test_tcp_and_udp_share_a_port(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=peers.echo)
    lab.udp_server(lab.host, answer=echo)
    lab.daemon(rule("t", netns=a.name), rule("u", protocol="udp", netns=a.name), **QUICK)
    peers.ping(lab.connect(a))
    lab.udp_client(a).ask()


def test_denied_client_is_dropped_and_counted_and_gets_nothing(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, deny=["127.0.0.7"])
    denied = link.client(bind=("127.0.0.7", 0))
    for _ in range(20):
        denied.send(b"let me in")
    with quiet(denied):
        record = link.log.wait_for(event="datagrams_dropped")
        assert record["reason"] == "denied"
        link.client().ask()
    assert len(link.log.records(event="datagrams_dropped")) == 1
    assert not link.log.records(event="connection_failed")


def test_max_sessions_holds_under_a_flood_and_established_sessions_go_on(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, max_sessions=10)
    running = link.client()
    running.ask()
    with link.client_netns.entered():
        flood = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]
    for sock in flood:
        sock.sendto(b"flood", ("127.0.0.1", 8000))
        sock.close()
    running.ask()
    record = link.log.wait_for(event="datagrams_dropped")
    assert record["reason"] == "max_sessions"
    assert len(link.log.records(event="datagrams_dropped")) == 1
    # Eleven sockets, and what a daemon has anyway.
    assert len(link.daemon.descriptors()) < 30


def test_room_that_a_session_leaves_is_taken_by_the_next_client(lab: Lab) -> None:
    link = lab.udp_link(answer=echo, max_sessions=1, session_timeout="300ms")
    link.client().ask()
    assert eventually_answered(link.client()) == b"ping"


def test_out_of_descriptors_harms_no_established_session(lab: Lab) -> None:
    link = lab.udp_link(
        answer=echo, daemon={"wrapper": ["prlimit", "--nofile=64:64"]}, session_timeout="3s"
    )
    running = link.client()
    running.ask()
    others = [link.client() for _ in range(100)]
    for client in others:
        client.send(b"more than there is")
    record = link.log.wait_for(event="datagrams_dropped")
    assert record["reason"] == "out_of_descriptors"
    before, begin = link.daemon.cpu_seconds(), time.monotonic()
    let_pass(1.0)
    used = (link.daemon.cpu_seconds() - before) / (time.monotonic() - begin)
    assert used < 0.25, f"{used:.2f} s of CPU per second"
    running.ask()
    assert len(link.log.records(event="datagrams_dropped")) == 1
    assert eventually_answered(link.client(), b"later") == b"later"


def test_socket_call_that_fails_costs_only_its_own_datagram(lab: Lab) -> None:
    link = lab.udp_link(answer=echo)
    running = link.client()
    running.ask()
    with link.daemon.failing_calls("socket:error=ENOBUFS:when=1"):
        client = link.client()
        client.send(b"unlucky")
        link.log.wait_for(event="connection_failed", reason="out_of_memory")
        running.ask()
        client.ask(b"lucky")


@pytest.mark.heavy
def test_ten_thousand_sessions_are_served_and_expire(lab: Lab) -> None:
    """A session more costs what the first ones did; then all end, and their descriptors too."""
    link = lab.udp_link(answer=echo, session_timeout="4s")
    link.client().ask()
    descriptors = len(link.daemon.descriptors())
    count = 10_000
    client = UdpPeer(link.client_netns, None, ("127.0.0.1", 8000))
    costs = []
    for part in range(10):
        before = link.daemon.cpu_seconds()
        for number in range(count // 10):
            host = part * (count // 10) + number
            address = f"127.1.{host // 250}.{host % 250 + 1}"
            client.send(b"%d" % host, (address, 8000))
            assert client.recv().sender == (address, 8000)
        costs.append(link.daemon.cpu_seconds() - before)
    assert costs[-1] < 2 * costs[0] + 0.1, costs
    rss = link.daemon.rss_bytes()
    assert rss < 32 * 1024 * 1024 or process.is_sanitized(link.daemon.pid)
    wait_until(
        lambda: len(link.daemon.descriptors()) <= descriptors, "all sessions end", timeout=30
    )
    link.log.wait_for_count(count, event="connection_closed", reason="session_timeout")
    assert process.threads(link.daemon.pid) == [link.daemon.pid]
    client.close()


def test_overflow_of_the_receive_queue_is_counted_and_logged_once(lab: Lab) -> None:
    link = lab.udp_link(receive_buffer="16KiB")
    client, _ = link.session()
    link.daemon.signal(signal.SIGSTOP)
    for _ in range(200):
        client.send(b"x" * 1000)
    link.daemon.signal(signal.SIGCONT)
    got = [link.server.recv_bytes()]
    client.send(b"the next one tells of it")
    while got[-1] != b"the next one tells of it":
        got.append(link.server.recv_bytes())
    record = link.log.wait_for(event="datagrams_dropped", reason="receive_overflow")
    assert int(record["dropped"]) == 200 - (len(got) - 1)
    assert "receive_buffer" in record["see"] and "rmem_max" in record["see"]
    assert len(link.log.records(event="datagrams_dropped")) == 1
