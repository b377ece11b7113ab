"""`source`: the addresses to connect from, in turn, past the ports that one of them has."""

from collections import Counter

from harness.daemon import rule
from harness.lab import Lab
from harness.metrics import scrape
from harness.peers import Peer, echo, ping
from harness.udp import UdpPeer
from harness.waiting import wait_until

PORTS = 20


def _few_ports(lab: Lab) -> None:
    """The daemon's namespace has PORTS ports for what connects from one of its addresses."""
    lab.host.sysctl("net.ipv4.ip_local_port_range", f"40000 {40000 + PORTS - 1}")


def _sources(peers: list[Peer]) -> dict[str, int]:
    return dict(Counter(peer.sock.getpeername()[0] for peer in peers))


def test_connections_come_from_each_address_in_turn(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"],
                              "source": ["127.0.9.0/30", "127.0.7.7"]})
    clients = [link.connect() for _ in range(10)]
    upstreams = [link.server.accept() for _ in clients]
    assert _sources(upstreams) == {
        **{f"127.0.9.{last}": 2 for last in range(4)}, "127.0.7.7": 2
    }


def test_more_connections_than_one_address_has_ports(lab: Lab) -> None:
    _few_ports(lab)
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"],
                              "source": ["127.0.9.1", "127.0.9.2", "127.0.9.3"]})
    clients = [link.connect() for _ in range(3 * PORTS)]
    upstreams = [link.server.accept() for _ in clients]
    assert _sources(upstreams) == {f"127.0.9.{last}": PORTS for last in (1, 2, 3)}
    link.connect().expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"] == "no_source_port"
    clients.pop().reset()  # A reset leaves no TIME_WAIT.
    link.log.wait_for(event="connection_closed")
    client = link.connect()
    upstream = link.server.accept()
    client.send(b"x")
    assert upstream.recv_exact(1) == b"x"


def test_the_next_target_is_taken_when_no_source_has_a_port_left(lab: Lab) -> None:
    _few_ports(lab)
    a = lab.netns("a")
    first = lab.server(lab.host, ("127.0.0.1", 9000))
    lab.server(lab.host, ("127.0.0.1", 9001), echo)
    daemon = lab.daemon(rule(netns=a.name, upstream={
        "targets": ["127.0.0.1:9000", {"address": "127.0.0.1:9001", "backup": True}],
        "source": ["127.0.9.1", "127.0.9.2"]}))
    clients = [lab.connect(a) for _ in range(2 * PORTS)]
    assert len([first.accept() for _ in clients]) == 2 * PORTS
    ping(lab.connect(a))  # Ports are counted for each target.
    assert daemon.log.wait_for(event="upstream_failed")["reason"] == "no_source_port"
    assert not daemon.log.records(event="upstream_down")


def test_without_source_the_kernels_ports_run_out_with_a_reset(lab: Lab) -> None:
    _few_ports(lab)
    link = lab.link()
    clients = [link.connect() for _ in range(PORTS)]
    assert len([link.server.accept() for _ in clients]) == PORTS
    link.connect().expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"] == "no_source_port"


def test_a_source_address_that_is_not_configured_says_so_and_costs_nobody(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"],
                              "source": ["203.0.113.0/30", "127.0.9.1"]}, script=echo)
    for _ in range(10):
        client = link.connect()
        ping(client)
        client.close()
    records = link.log.records(event="upstream_failed")
    assert [record["reason"] for record in records] == ["source_absent"] * 4
    assert records[0]["error"] == "bind source 203.0.113.0: Cannot assign requested address"


def test_only_absent_source_addresses_reset_the_client(lab: Lab) -> None:
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "source": ["203.0.113.1"]})
    for count in (1, 2):
        link.connect().expect_reset()
        record = link.log.wait_for_count(count, event="connection_failed")[-1]
        assert record["reason"] == "source_absent"
    link.upstream_netns.run("ip", "address", "add", "203.0.113.1/32", "dev", "lo")
    client = link.connect()  # It is there now, and used at once.
    assert link.server.accept().sock.getpeername()[0] == "203.0.113.1"
    client.close()


def test_udp_sessions_come_from_each_address_in_turn(lab: Lab) -> None:
    a = lab.netns("a")
    server = lab.udp_server(lab.host)
    lab.daemon(rule(protocol="udp", netns=a.name, upstream={
        "targets": ["127.0.0.1:9000"], "source": ["127.0.9.1", "127.0.9.2"]}))
    clients: list[UdpPeer] = []
    senders = []
    for _ in range(4):
        clients.append(lab.udp_client(a))
        clients[-1].send(b"x")
        senders.append(server.recv().sender[0])
    assert senders == ["127.0.9.1", "127.0.9.2"] * 2


def test_ports_are_given_back(lab: Lab) -> None:
    _few_ports(lab)
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.9.1"]})
    for turn in range(1, 4):
        clients = [link.connect() for _ in range(PORTS)]
        assert len([link.server.accept() for _ in clients]) == PORTS
        for client in clients:
            client.reset()
        link.log.wait_for_count(turn * PORTS, event="connection_closed")
    wait_until(lambda: not link.log.records(event="connection_failed"), "nobody was refused")


def test_metrics_tell_how_near_to_the_end_each_source_is(lab: Lab) -> None:
    _few_ports(lab)
    link = lab.link(
        upstream={"targets": ["127.0.0.1:9000"], "source": ["127.0.9.1"]},
        daemon={"metrics": {"listen": "127.0.0.1:9180"}},
    )
    clients = [link.connect() for _ in range(PORTS)]
    assert len([link.server.accept() for _ in clients]) == PORTS
    link.connect().expect_reset()
    link.log.wait_for(event="connection_failed")
    page = scrape(lab.host)
    rule_labels = {"rule": "web", "upstream_netns": "default"}
    labels = {**rule_labels, "target": "127.0.0.1:9000"}
    in_use = page.get("nsrelay_source_ports_in_use", source="127.0.9.1", **labels)
    assert in_use == page.get("nsrelay_source_ports_available", **rule_labels) == PORTS
    assert page.get("nsrelay_source_ports_exhausted_total", **rule_labels) == 1
    assert page.get("nsrelay_upstream_up", **labels) == 1
    assert page.get("nsrelay_upstream_connections", **labels) == PORTS
    assert page.get("nsrelay_upstream_failures_total", **labels) == 0


def test_of_a_name_the_addresses_of_the_sources_family_are_used(lab: Lab) -> None:
    lab.host.write_etc("hosts", "127.0.0.1 app.example\n::1 app.example\n::1 six.example\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    a = lab.netns("a")
    lab.server(lab.host, ("127.0.0.1", 9000), echo)
    upstream = {"targets": ["app.example:9000"], "source": "127.0.0.7"}
    six = {"targets": ["six.example:9000"], "source": "127.0.0.7"}
    daemon = lab.daemon(rule(netns=a.name, upstream=upstream),
                        rule("six", netns=a.name, listen="0.0.0.0:8001", upstream=six))
    for _ in range(4):
        ping(lab.connect(a))
    assert not daemon.log.records(event="upstream_failed")
    lab.connect(a, ("127.0.0.1", 8001)).expect_reset()
    assert daemon.log.wait_for(event="connection_failed")["reason"] == "source_absent"
