"""Which namespaces a rule listens in, and which it connects from."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import linux, process
from harness.daemon import rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import echo, ping, tell
from harness.waiting import wait_until


def _process_inside(lab: Lab, netns: Netns) -> "subprocess.Popen[bytes]":
    """A process that stays in `netns`; nothing else of it matters."""
    return lab.program(
        netns, "tail", "-f", "/dev/null", ready=lambda: True, stderr=subprocess.DEVNULL
    )


def _is_inside(pid: int, netns: Netns) -> bool:
    return os.stat(f"/proc/{pid}/ns/net").st_ino == netns.path.stat().st_ino


@pytest.mark.parametrize("form", ["absent", "default", "name", "path", "pid", "list"])
def test_each_form_of_netns_listens_there(lab: Lab, form: str) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    keys: dict[str, object] = {}
    where, name = a, a.name
    if form in ("absent", "default"):
        where, name = lab.host, "default"
    if form == "pid":
        inside = _process_inside(lab, a)
        wait_until(lambda: _is_inside(inside.pid, a), "the process is inside")
        name = f"pid:{inside.pid}"
    if form != "absent":
        keys["netns"] = {"path": str(a.path), "list": [a.name]}.get(form, name)
    daemon = lab.daemon(rule(**keys))
    record = daemon.log.records(event="listener_open")[0]
    assert record["netns"] == name
    assert record["listener"] == "0.0.0.0:8000"
    assert (record["rule"], record["protocol"]) == ("web", "tcp")
    client = lab.connect(where)
    ping(client)
    client.close()
    assert daemon.log.wait_for(event="connection_closed")["netns"] == name


@pytest.fixture
def second_name(tmp_path: Path) -> Iterator[Path]:
    """A file outside of /run/netns that a test may mount a namespace on."""
    file = tmp_path / "second"
    file.touch()
    yield file
    subprocess.run(["umount", file], capture_output=True, check=False)


def test_namespace_bound_outside_of_run_netns(lab: Lab, second_name: Path) -> None:
    a = lab.netns("a")
    subprocess.run(["mount", "--bind", a.path, second_name], check=True)
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=str(second_name)))
    assert daemon.log.records(event="listener_open")[0]["netns"] == "second"
    ping(lab.connect(a))


def test_same_port_in_three_namespaces(lab: Lab) -> None:
    namespaces = lab.netns_list(["a", "b", "c"])
    for number, netns in enumerate(namespaces):
        lab.server(lab.host, ("127.0.0.1", 9000 + number), tell(netns.label))
    lab.daemon(
        *(
            rule(netns.label, netns=netns.name, upstream=f"127.0.0.1:{9000 + number}")
            for number, netns in enumerate(namespaces)
        )
    )
    for netns in namespaces:
        assert lab.connect(netns).recv_until_eof() == netns.label.encode()


def test_one_rule_in_a_list_of_namespaces(lab: Lab) -> None:
    namespaces = lab.netns_list(["a", "b"])
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=["default", *(netns.name for netns in namespaces)]))
    for netns in (lab.host, *namespaces):
        client = lab.connect(netns)
        ping(client)
        client.close()
    records = daemon.log.wait_for_count(3, event="connection_closed")
    assert {record["netns"] for record in records} == {"default", *(str(n) for n in namespaces)}


@pytest.mark.parametrize("form", ["absent", "default", "same", "name", "path", "pid"])
def test_upstream_netns_decides_where_to_connect_from(lab: Lab, form: str) -> None:
    a, other = lab.netns("a"), lab.netns("other")
    for netns in (lab.host, a, other):
        lab.server(netns, ("127.0.0.1", 9000), tell(netns.label))
    upstream: dict[str, object] = {"targets": ["127.0.0.1:9000"]}
    if form == "pid":
        inside = _process_inside(lab, other)
        wait_until(lambda: _is_inside(inside.pid, other), "the process is inside")
        upstream["netns"] = f"pid:{inside.pid}"
    elif form != "absent":
        upstream["netns"] = {"name": other.name, "path": str(other.path)}.get(form, form)
    wanted = {"absent": lab.host, "default": lab.host, "same": a}.get(form, other)
    lab.daemon(rule(netns=a.name, upstream=upstream))
    for _ in range(3):
        assert lab.connect(a).recv_until_eof() == wanted.label.encode()


def test_absent_namespace_is_pending_and_everything_else_works(lab: Lab) -> None:
    a = lab.netns("a")
    later = Netns("later")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule("early", netns=a.name), rule("late", netns=later.name), listeners=1
    )
    record = daemon.log.wait_for(event="listener_pending")
    assert (record["rule"], record["netns"]) == ("late", later.name)
    assert record["reason"]
    ping(lab.connect(a))

    appeared = lab.netns("later")
    daemon.log.wait_for(event="listener_open", rule="late")
    ping(lab.connect(appeared))


def test_absent_upstream_namespace_resets_until_it_appears(lab: Lab) -> None:
    later = Netns("later")
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "netns": later.name})
    link.connect().expect_reset()
    assert link.log.wait_for(event="connection_failed")["reason"]

    lab.server(lab.netns("later"), script=echo)

    def served() -> bool:
        client = link.connect()
        try:
            ping(client)
        except ConnectionError:
            return False
        finally:
            client.close()
        return True

    wait_until(served, "the upstream's namespace is found")


def test_namespace_absent_by_path_is_pending(lab: Lab) -> None:
    daemon = lab.daemon(rule(netns=str(lab.folder / "absent")), listeners=0)
    record = daemon.log.wait_for(event="listener_pending")
    assert record["netns"] == "absent"


def test_plain_file_in_place_of_a_namespace_is_pending(lab: Lab) -> None:
    """`ip netns add` makes a plain file first and mounts the namespace on it a little later."""
    plain = lab.folder / "plain"
    plain.touch()
    daemon = lab.daemon(rule(netns=str(plain)), listeners=0)
    assert daemon.log.wait_for(event="listener_pending")["reason"]


def test_two_names_of_one_namespace_open_one_listener(lab: Lab, second_name: Path) -> None:
    a = lab.netns("a")
    subprocess.run(["mount", "--bind", a.path, second_name], check=True)
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=[a.name, str(second_name)]),
        rule("last", netns=a.name, listen="0.0.0.0:8002"),
        listeners=2,
    )
    ping(lab.connect(a))
    opened = daemon.log.records(event="listener_open", rule="web")
    assert [record["netns"] for record in opened] == [a.name]
    with daemon.listening_sockets() as sockets:
        assert sorted(sock.getsockname()[1] for sock in sockets) == [8000, 8002]


@pytest.mark.parametrize(
    ("listen", "connects", "logged"),
    [
        ("127.0.0.1:8000", ["127.0.0.1"], ["127.0.0.1"]),
        ("[::1]:8000", ["::1"], ["[::1]"]),
        ("[::]:8000", ["::1"], ["[::1]"]),
        ("*:8000", ["127.0.0.1", "::1"], ["127.0.0.1", "[::1]"]),
    ],
)
def test_address_families(
    lab: Lab, listen: str, connects: list[str], logged: list[str]
) -> None:
    link = lab.link(script=echo, listen=listen)
    for address, name in zip(connects, logged):
        client = lab.connect(link.client_netns, (address, 8000))
        ping(client)
        wanted = f"{name}:{client.sock.getsockname()[1]}"
        client.close()
        assert link.log.wait_for(event="connection_closed", client=wanted)["listener"]


def test_ipv6_wildcard_leaves_ipv4_to_another_rule(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, ("127.0.0.1", 9004), tell("four"))
    lab.server(lab.host, ("127.0.0.1", 9006), tell("six"))
    lab.daemon(
        rule("four", netns=a.name, listen="0.0.0.0:8000", upstream="127.0.0.1:9004"),
        rule("six", netns=a.name, listen="[::]:8000", upstream="127.0.0.1:9006"),
    )
    assert lab.connect(a, ("127.0.0.1", 8000)).recv_until_eof() == b"four"
    assert lab.connect(a, ("::1", 8000)).recv_until_eof() == b"six"


def test_ipv6_upstream(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, ("::1", 9000), echo)
    daemon = lab.daemon(rule(netns=a.name, upstream="[::1]:9000"))
    client = lab.connect(a)
    ping(client)
    client.close()
    assert daemon.log.wait_for(event="connection_closed")["upstream"] == "[::1]:9000"


def test_port_ranges_map_port_by_port(lab: Lab) -> None:
    a = lab.netns("a")
    for port in (9000, 9001, 9002):
        lab.server(lab.host, ("127.0.0.1", port), tell(str(port)))
    lab.daemon(rule(netns=a.name, listen="0.0.0.0:8000-8002", upstream="127.0.0.1:9000-9002"))
    for offset in range(3):
        reply = lab.connect(a, ("127.0.0.1", 8000 + offset)).recv_until_eof()
        assert reply == str(9000 + offset).encode()


def test_port_range_to_one_port(lab: Lab) -> None:
    link = lab.link(script=echo, listen="0.0.0.0:8000-8003")
    for port in range(8000, 8004):
        ping(lab.connect(link.client_netns, ("127.0.0.1", port)))


def test_several_listens(lab: Lab) -> None:
    link = lab.link(script=echo, listen=["127.0.0.1:8000", "127.0.0.2:8000", "[::1]:8001"])
    for address in (("127.0.0.1", 8000), ("127.0.0.2", 8000), ("::1", 8001)):
        client = lab.connect(link.client_netns, address)
        ping(client)
        client.close()
    records = link.log.wait_for_count(3, event="connection_closed")
    assert {record["listener"] for record in records} == {
        "127.0.0.1:8000", "127.0.0.2:8000", "[::1]:8001",
    }


def test_unix_target(lab: Lab) -> None:
    path = str(lab.folder / "app.sock")
    lab.server(lab.host, path, echo)
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name, upstream=f"unix:{path}"))
    client = lab.connect(a)
    ping(client)
    client.close()
    assert daemon.log.wait_for(event="connection_closed")["upstream"] == f"unix:{path}"


def test_unix_target_keeps_half_close_and_bytes(lab: Lab) -> None:
    path = str(lab.folder / "app.sock")
    server = lab.server(lab.host, path)
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream=f"unix:{path}"))
    client = lab.connect(a)
    upstream = server.accept()
    client.send(b"x" * 1_000_000)
    client.send_fin()
    assert len(upstream.recv_until_eof()) == 1_000_000
    upstream.send(b"late")
    upstream.close()
    assert client.recv_until_eof() == b"late"


def test_namespace_name_in_a_unix_path(lab: Lab) -> None:
    namespaces = lab.netns_list(["a", "b"])
    for netns in namespaces:
        lab.server(lab.host, str(lab.folder / f"{netns.name}.sock"), tell(netns.label))
    lab.daemon(
        rule(
            netns=[netns.name for netns in namespaces],
            upstream=f"unix:{lab.folder}/{{netns}}.sock",
        )
    )
    for netns in namespaces:
        assert lab.connect(netns).recv_until_eof() == netns.label.encode()


def test_thread_comes_home_each_time(lab: Lab) -> None:
    namespaces = lab.netns_list(["a", "b", "c"])
    for netns in namespaces:
        lab.server(netns, script=echo)
    upstream = {"targets": ["127.0.0.1:9000"], "netns": "same"}
    daemon = lab.daemon(rule(netns=[netns.name for netns in namespaces], upstream=upstream))
    home = {f"net:[{lab.host.path.stat().st_ino}]"}

    def is_home() -> bool:
        """Not while a socket is made elsewhere, or an older kernel asked for a cookie."""
        return process.thread_namespaces(daemon.pid) == home

    wait_until(is_home, "the thread at home")
    for _ in range(100):
        for netns in namespaces:
            client = lab.connect(netns)
            ping(client)
            client.close()
    assert process.threads(daemon.pid) == [daemon.pid]
    wait_until(is_home, "the thread at home again")


def test_connections_over_a_veth_pair(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    lab.host.connect_to(a, "10.50.1.1/24", "10.50.1.2/24")
    lab.host.connect_to(b, "10.50.2.1/24", "10.50.2.2/24")
    lab.server(b, ("10.50.2.2", 9000), echo)
    daemon = lab.daemon(rule(netns=a.name, upstream="10.50.2.2:9000"))
    client = lab.connect(a, ("10.50.1.2", 8000))
    ping(client)
    client.close()
    record = daemon.log.wait_for(event="connection_closed")
    assert record["upstream"] == "10.50.2.2:9000"
    assert record["client"].startswith("10.50.1.2:")


def test_daemon_without_run_netns_serves_its_own_namespace(lab: Lab) -> None:
    """/run/netns need not exist at the start."""
    lab.server(lab.host, script=echo)
    hide = "umount -R /run/netns; mount -t tmpfs none /run && exec \"$@\""
    lab.daemon(
        rule(), rule("late", netns="absent", listen="0.0.0.0:8001"), listeners=1,
        wrapper=["unshare", "--mount", "sh", "-c", hide, "sh"],
    )
    ping(lab.connect(lab.host))


def test_name_that_is_a_symbolic_link(lab: Lab) -> None:
    """containerd and others link /run/netns/NAME to a namespace file elsewhere."""
    a = lab.netns("a")
    link_path = Path(f"{a.path}-link")
    link_path.symlink_to(a.path)
    try:
        lab.server(lab.host, script=echo)
        daemon = lab.daemon(rule(netns=str(link_path)))
        assert daemon.log.records(event="listener_open")[0]["netns"] == link_path.name
        ping(lab.connect(a))
    finally:
        link_path.unlink()


def test_listener_is_a_socket_of_its_namespace(lab: Lab) -> None:
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name))
    with a.socket() as inside:
        cookie = inside.getsockopt(socket.SOL_SOCKET, linux.SO_NETNS_COOKIE, 8)
    with daemon.listening_sockets() as sockets:
        cookies = [s.getsockopt(socket.SOL_SOCKET, linux.SO_NETNS_COOKIE, 8) for s in sockets]
    assert cookies == [cookie]
