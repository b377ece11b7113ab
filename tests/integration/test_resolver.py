"""Host names as targets: /etc/hosts, a name server, and one that never answers."""

import time

from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping, tell

RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def _name_server(lab: Lab, *arguments: str) -> None:
    """dnsmasq in the daemon's namespace, with nothing of this machine's configuration."""
    lab.host.write_etc("resolv.conf", RESOLVER)
    lab.program(
        lab.host,
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        f"--pid-file={lab.folder}/dnsmasq.pid",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--log-facility=/dev/null",
        *arguments,
        ready=lambda: lab.host.listens(53),
    )


def test_localhost_comes_from_etc_hosts(lab: Lab) -> None:
    lab.host.write_etc("hosts", "127.0.0.1 localhost\n")
    lab.host.write_etc("resolv.conf", RESOLVER)  # Nobody answers there.
    link = lab.link(script=echo, upstream="localhost:9000")
    ping(link.connect())


def test_name_comes_from_the_name_server(lab: Lab) -> None:
    _name_server(lab, "--address=/app.example/127.0.0.7")
    lab.server(lab.host, ("127.0.0.7", 9000), tell("seven"))
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    client = lab.connect(a)
    assert client.recv_until_eof() == b"seven"
    client.close()
    assert daemon.log.wait_for(event="connection_closed")["upstream"] == "127.0.0.7:9000"


def test_ipv6_name(lab: Lab) -> None:
    _name_server(lab, "--address=/app.example/::1")
    lab.server(lab.host, ("::1", 9000), tell("six"))
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    assert lab.connect(a).recv_until_eof() == b"six"


def test_every_address_of_a_name_is_tried(lab: Lab) -> None:
    records = [f"--host-record=app.example,127.0.0.{last}" for last in (11, 12, 13)]
    _name_server(lab, *records)
    lab.server(lab.host, ("127.0.0.13", 9000), tell("thirteen"))
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    for _ in range(3):
        assert lab.connect(a).recv_until_eof() == b"thirteen"


def test_namespace_name_in_a_host_name(lab: Lab) -> None:
    a = lab.netns("a")
    _name_server(lab, f"--address=/{a.name}.example/127.0.0.8")
    lab.server(lab.host, ("127.0.0.8", 9000), tell("eight"))
    lab.daemon(rule(netns=a.name, upstream="{netns}.example:9000"))
    assert lab.connect(a).recv_until_eof() == b"eight"


def test_dead_name_server_delays_nobody_else(lab: Lab) -> None:
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    lab.host.drop("udp dport 53")
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    lab.daemon(
        rule("web", netns=a.name),
        rule(
            "dead",
            netns=a.name,
            listen="0.0.0.0:8001",
            upstream={"targets": ["dead.example:9000"], "connect_timeout": "30s"},
        ),
        drain_timeout="100ms",
    )
    waiting = [lab.connect(a, ("127.0.0.1", 8001)) for _ in range(5)]
    begin = time.monotonic()
    for _ in range(20):
        client = lab.connect(a)
        ping(client)
        client.close()
    assert time.monotonic() - begin < 2.0
    for client in waiting:
        client.close()


def test_dead_name_server_resets_after_connect_timeout(lab: Lab) -> None:
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    lab.host.drop("udp dport 53")
    link = lab.link(upstream={"targets": ["dead.example:9000"], "connect_timeout": "500ms"})
    begin = time.monotonic()
    link.connect().expect_reset()
    assert time.monotonic() - begin < 4.0
    link.log.wait_for(event="connection_failed")
