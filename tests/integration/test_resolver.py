"""Host names as targets: /etc/hosts, a name server, and one that never answers."""

import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from harness import udp
from harness.daemon import rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import Peer, echo, ping, tell
from harness.waiting import wait_until

RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def _name_server(
    lab: Lab, *arguments: str, netns: Netns | None = None
) -> "subprocess.Popen[bytes]":
    """dnsmasq, by default in the daemon's namespace, with nothing of this machine's configuration.

    Its namespace gets a resolv.conf that names it.
    """
    inside = netns or lab.host
    inside.write_etc("resolv.conf", RESOLVER)
    return lab.program(
        inside,
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        f"--pid-file={lab.folder}/dnsmasq-{inside.name}.pid",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--log-facility=/dev/null",
        *arguments,
        ready=lambda: inside.listens(53),
    )


class _Records:
    """dnsmasq with records of one second that can be changed."""

    def __init__(self, lab: Lab, **hosts: str) -> None:
        self._file = Path(lab.folder, "records")
        self._write(hosts)
        self.process = _name_server(
            lab, f"--addn-hosts={self._file}", "--local-ttl=1", "--local=/example/"
        )

    def _write(self, hosts: dict[str, str]) -> None:
        self._file.write_text("".join(
            f"{address} {name}.example\n" for name, list in hosts.items()
            for address in list.split()
        ))

    def change(self, **hosts: str) -> None:
        """From now on these are the records."""
        self._write(hosts)
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Nobody answers any more."""
        self.process.terminate()
        self.process.wait()


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


def test_the_addresses_of_a_name_take_turns(lab: Lab) -> None:
    addresses = ["127.0.0.21", "127.0.0.22", "::1"]
    _name_server(lab, f"--host-record=app.example,{','.join(addresses[::2])}",
                 f"--host-record=app.example,{addresses[1]}")
    for address in addresses:
        lab.server(lab.host, (address, 9000), tell(address))
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    counts = Counter(lab.connect(a).recv_until_eof().decode() for _ in range(9))
    assert counts == {address: 3 for address in addresses}


def test_a_record_that_changes_is_followed_and_connections_are_left_alone(lab: Lab) -> None:
    def answer_new(peer: Peer) -> None:
        peer.recv_until_eof()
        peer.send(b"new")

    records = _Records(lab, app="127.0.0.31")
    lab.server(lab.host, ("127.0.0.31", 9000), echo)
    lab.server(lab.host, ("127.0.0.32", 9000), answer_new)
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    before = lab.connect(a)
    ping(before)
    records.change(app="127.0.0.32")

    def is_new() -> bool:
        client = lab.connect(a)
        client.send(b"old")
        client.send_fin()
        answer = client.recv_until_eof()
        client.close()
        return answer == b"new"

    wait_until(is_new, "the new address is used")
    ping(before)


def test_the_last_good_answer_is_kept_when_the_resolver_dies(lab: Lab) -> None:
    records = _Records(lab, app="127.0.0.31")
    lab.server(lab.host, ("127.0.0.31", 9000), echo)
    link_netns = lab.netns("a")
    lab.daemon(rule(netns=link_netns.name, upstream="app.example:9000"))
    ping(lab.connect(link_netns))
    records.stop()
    begin = time.monotonic()
    while time.monotonic() - begin < 3:  # Longer than the TTL and than a failure is kept.
        client = lab.connect(link_netns)
        ping(client)
        client.close()


def test_the_last_good_answer_is_kept_when_the_resolver_is_silent(lab: Lab) -> None:
    """Only who asks first waits, and not longer than the patience with an old answer."""
    _Records(lab, app="127.0.0.31")
    lab.server(lab.host, ("127.0.0.31", 9000), echo)
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream="app.example:9000"))
    ping(lab.connect(a))
    lab.host.drop("udp dport 53")
    delays = []
    begin = time.monotonic()
    while time.monotonic() - begin < 4:
        asked = time.monotonic()
        client = lab.connect(a)
        ping(client)
        client.close()
        delays.append(time.monotonic() - asked)
    assert max(delays) < 2
    assert len([delay for delay in delays if delay > 0.3]) <= 1


def test_a_udp_session_to_an_address_that_vanished_ends(lab: Lab) -> None:
    records = _Records(lab, app="127.0.0.31", other="127.0.0.41")
    lab.udp_server(lab.host, ("127.0.0.31", 9000), udp.tell("old"))
    lab.udp_server(lab.host, ("127.0.0.32", 9000), udp.tell("new"))
    lab.udp_server(lab.host, ("127.0.0.41", 9000), udp.tell("other"))
    a = lab.netns("a")
    daemon = lab.daemon(
        rule(protocol="udp", netns=a.name, upstream="app.example:9000"),
        rule("other", protocol="udp", netns=a.name, listen="0.0.0.0:8001",
             upstream="other.example:9000"),
    )
    client = lab.udp_client(a)
    stays = lab.udp_client(a, ("127.0.0.1", 8001))
    for one, text in ((client, b"old"), (stays, b"other")):
        one.send(b"x")
        assert one.recv_bytes() == text
    records.change(app="127.0.0.32", other="127.0.0.41")
    record = daemon.log.wait_for(event="connection_closed")
    assert (record["rule"], record["reason"]) == ("web", "upstream_moved")
    client.send(b"x")
    assert client.recv_bytes() == b"new"
    stays.send(b"x")
    assert stays.recv_bytes() == b"other"
    assert len(daemon.log.records(event="connection_closed")) == 1


def test_a_namespace_has_servers_of_its_own(lab: Lab) -> None:
    """Asked from inside upstream.netns, of the server that /etc/netns/NAME/resolv.conf names."""
    b = lab.netns("b")
    _name_server(lab, "--address=/app.example/127.0.0.41")
    _name_server(lab, "--address=/app.example/127.0.0.42", netns=b)
    b.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    lab.server(lab.host, ("127.0.0.41", 9000), tell("host"))
    lab.server(b, ("127.0.0.42", 9000), tell("inside"))
    a = lab.netns("a")
    lab.daemon(
        rule(netns=a.name, upstream="app.example:9000"),
        rule("inside", netns=a.name, listen="0.0.0.0:8001",
             upstream={"targets": ["app.example:9000"], "netns": b.name}),
    )
    assert lab.connect(a).recv_until_eof() == b"host"
    assert lab.connect(a, ("127.0.0.1", 8001)).recv_until_eof() == b"inside"


def test_resolv_conf_of_a_namespace_is_the_one_that_counts(lab: Lab) -> None:
    """The server stands at another address than the system's resolv.conf says."""
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.99\n")
    b = lab.netns("b")
    _name_server(lab, "--address=/app.example/127.0.0.42", netns=b)
    lab.server(b, ("127.0.0.42", 9000), tell("inside"))
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream={"targets": ["app.example:9000"], "netns": b.name}))
    assert lab.connect(a).recv_until_eof() == b"inside"


def test_resolv_conf_that_changes_is_read_again(lab: Lab) -> None:
    b = lab.netns("b")
    _name_server(lab, "--address=/app.example/127.0.0.42", netns=b)
    b.write_etc("resolv.conf", "nameserver 127.0.0.99\n")  # Nobody is there.
    lab.server(b, ("127.0.0.42", 9000), tell("inside"))
    a = lab.netns("a")
    daemon = lab.daemon(
        rule(netns=a.name, upstream={"targets": ["app.example:9000"], "netns": b.name})
    )
    lab.connect(a).expect_reset()
    daemon.log.wait_for(event="connection_failed")
    b.write_etc("resolv.conf", RESOLVER)

    def is_answered() -> bool:
        client = lab.connect(a)
        try:
            return client.recv_until_eof() == b"inside"
        except ConnectionResetError:
            return False

    wait_until(is_answered, "the new server is asked")


def test_a_server_that_drops_questions_for_aaaa_is_good_enough(lab: Lab) -> None:
    answer = bytes.fromhex("c00c 0001 0001 0000 003c 0004 7f00 0001")

    def serve(question: bytes) -> bytes | None:
        kind = question.index(b"\0", 12) + 1
        if question[kind : kind + 2] != b"\0\1":
            return None
        header = question[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
        return header + question[12 : kind + 4] + answer

    lab.udp_server(lab.host, ("127.0.0.1", 53), answer=serve)
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    link = lab.link(script=echo, upstream="app.example:9000")
    ping(link.connect())
    assert not link.log.records(event="upstream_failed")


def test_names_as_container_runtimes_make_them(lab: Lab) -> None:
    """With underscores, which c-ares takes too, and without a dot, by the search list."""
    _name_server(lab, "--host-record=my_app_1.example,127.0.0.1")
    lab.host.write_etc("resolv.conf", RESOLVER + "search example\n")
    link = lab.link(script=echo, upstream="my_app_1:9000")
    ping(link.connect())
