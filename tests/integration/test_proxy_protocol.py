"""The PROXY protocol: who the client is, told to the upstream and taken from another proxy."""

import subprocess
import time
from typing import Any

import pytest

from harness import proxy
from harness.daemon import rule
from harness.lab import Lab
from harness.log import Log
from harness.peers import Peer, Server, echo, exchange, pattern, ping, same, say

SOURCE = ("192.0.2.33", 4711)
DESTINATION = ("198.51.100.7", 443)
SOURCE6 = ("2001:db8::33", 4711)
DESTINATION6 = ("2001:db8::7", 443)


def _out(version: str, target: str = "127.0.0.1:9000", **keys: Any) -> dict[str, Any]:
    return {"targets": [target], "proxy_protocol": version, **keys}


def _name(peer: Peer) -> tuple[str, int]:
    address, port = peer.sock.getsockname()[:2]
    return address, port


# ---------------------------------------------------------------------------- to the upstream


def test_v1_tells_the_client_and_the_address_it_connected_to(lab: Lab) -> None:
    link = lab.link(upstream=_out("v1"))
    client = link.connect()
    upstream = link.server.accept()
    words = ["PROXY", "TCP4", "127.0.0.1", "127.0.0.1", str(_name(client)[1]), "8000"]
    assert proxy.read_v1(upstream) == words
    exchange(client, upstream, pattern(200_000), pattern(300_000))


def test_v2_tells_the_namespace_too(lab: Lab) -> None:
    link = lab.link(upstream=_out("v2"))
    client = link.connect()
    upstream = link.server.accept()
    source, destination, tlvs = proxy.read_v2(upstream)
    assert (source, destination) == (_name(client), ("127.0.0.1", 8000))
    assert tlvs == {proxy.TYPE_NETNS: link.client_netns.name.encode()}
    exchange(client, upstream, pattern(200_000), pattern(300_000))


def test_one_upstream_tells_tenants_with_equal_addresses_apart(lab: Lab) -> None:
    tenants = lab.netns_list(["a", "b"])
    server = lab.server(lab.host)
    lab.daemon(rule(netns=[one.name for one in tenants], upstream=_out("v2")))
    seen = set()
    for tenant in tenants:
        client = lab.connect(tenant, source_address=("127.0.0.1", 5000))
        source, _, tlvs = proxy.read_v2(server.accept())
        assert source == _name(client) == ("127.0.0.1", 5000)
        seen.add(tlvs[proxy.TYPE_NETNS].decode())
    assert seen == {tenant.name for tenant in tenants}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_clients_of_ipv6(lab: Lab, version: str) -> None:
    a = lab.netns("a")
    server = lab.server(lab.host)
    lab.daemon(rule(netns=a.name, listen="*:8000", upstream=_out(version)))
    client = lab.connect(a, ("::1", 8000))
    upstream = server.accept()
    port = _name(client)[1]
    if version == "v1":
        assert proxy.read_v1(upstream) == ["PROXY", "TCP6", "::1", "::1", str(port), "8000"]
    else:
        assert proxy.read_v2(upstream)[:2] == (("::1", port), ("::1", 8000))
    mapped = lab.connect(a)  # The same listener takes IPv4.
    upstream = server.accept()
    if version == "v1":
        assert proxy.read_v1(upstream)[1] == "TCP4"
    else:
        assert proxy.read_v2(upstream)[0] == _name(mapped)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_to_a_unix_socket(lab: Lab, version: str) -> None:
    a = lab.netns("a")
    path = f"{lab.folder}/up.sock"
    server = lab.server(lab.host, path)
    lab.daemon(rule(netns=a.name, upstream=_out(version, f"unix:{path}")))
    client = lab.connect(a)
    client.send(b"early")
    upstream = server.accept()
    if version == "v1":
        assert proxy.read_v1(upstream)[4] == str(_name(client)[1])
    else:
        assert proxy.read_v2(upstream)[0] == _name(client)
    assert upstream.recv_exact(5) == b"early"


def test_the_header_comes_at_once_where_the_server_speaks_first(lab: Lab) -> None:
    def greet(peer: Peer) -> None:
        proxy.read_v2(peer)
        say(b"220 ready\r\n")(peer)

    link = lab.link(script=greet, upstream=_out("v2"))
    client = link.connect()
    assert client.recv_exact(11) == b"220 ready\r\n"
    ping(client)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_and_the_first_bytes_are_one_segment(lab: Lab, version: str) -> None:
    """What the client had sent before the upstream was connected leaves with the header."""
    link = lab.link(upstream=_out(version, connect_timeout="60s"))
    link.upstream_netns.drop("tcp dport 9000")
    client = link.connect()
    client.send(b"hello")
    client.wait_acknowledged()
    link.upstream_netns.undrop()
    upstream = link.server.accept()
    upstream.wait_unread(1)
    first = upstream.sock.recv(4096)
    assert first.endswith(b"hello") and len(first) > 20
    client.send(b"more")
    assert upstream.recv_exact(4) == b"more"


def test_a_client_that_only_finishes_is_announced_all_the_same(lab: Lab) -> None:
    link = lab.link(upstream=_out("v1"))
    client = link.connect()
    client.send_fin()
    upstream = link.server.accept()
    assert proxy.read_v1(upstream)[0] == "PROXY"
    assert upstream.recv_until_eof() == b""


def test_bulk_behind_the_header(lab: Lab) -> None:
    link = lab.link(upstream=_out("v2"))
    client = link.connect()
    data = pattern(8_000_000)
    upstream = link.server.accept()
    proxy.read_v2(upstream)
    exchange(client, upstream, data, b"ok")


def _nginx(lab: Lab, listen: str) -> None:
    """nginx that answers with the client and the server that the header named."""
    config = lab.folder / "nginx.conf"
    config.write_text(
        f"user root; worker_processes 1; daemon off; pid {lab.folder}/nginx.pid;\n"
        "error_log stderr; events { worker_connections 64; }\n"
        f"http {{ access_log off; client_body_temp_path {lab.folder}/body;\n"
        f"  server {{ listen {listen} proxy_protocol; location / {{ return 200 "
        '"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\\n"; } } }\n'
    )
    lab.program(
        lab.host, "nginx", "-c", str(config), "-e", "stderr",
        ready=lambda: lab.host.listens(9000), stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_understands_it(lab: Lab, version: str) -> None:
    _nginx(lab, "127.0.0.1:9000")
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream=_out(version)))
    answer = a.run("curl", "-sS", "-f", "--local-port", "5555", "http://127.0.0.1:8000/")
    assert answer.split() == ["127.0.0.1", "5555", "8000"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_understands_it(lab: Lab, version: str) -> None:
    config = lab.folder / "haproxy.cfg"
    config.write_text(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        "frontend f\n bind 127.0.0.1:9000 accept-proxy\n"
        ' http-request return status 200 content-type text/plain lf-string "%[src] %[src_port]"\n'
    )
    lab.program(lab.host, "haproxy", "-db", "-f", str(config),
                ready=lambda: lab.host.listens(9000), stderr=subprocess.DEVNULL)
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name, upstream=_out(version)))
    answer = a.run("curl", "-sS", "-f", "--local-port", "5555", "http://127.0.0.1:8000/")
    assert answer.split() == ["127.0.0.1", "5555"]


# ---------------------------------------------------------------------------- from another proxy


HEADERS = {
    "v1": proxy.v1(SOURCE, DESTINATION),
    "v1-ipv6": proxy.v1(SOURCE6, DESTINATION6),
    "v2": proxy.v2(SOURCE, DESTINATION),
    "v2-ipv6": proxy.v2(SOURCE6, DESTINATION6),
    "v2-tlvs": proxy.v2(SOURCE, DESTINATION, proxy.tlv(4, b"x" * 1000) + proxy.tlv(0x30, b"n")),
    "v2-long": proxy.v2(SOURCE, DESTINATION, proxy.tlv(4, b"x" * 65_000)),
}
WITHOUT_ADDRESS = {
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v1-unknown-words": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "v2-local": proxy.v2_local(),
    "v2-unspecified": proxy.SIGNATURE + b"\x21\x00\x00\x00",
    "v2-unix": proxy.SIGNATURE + b"\x21\x31\x00\xd8" + b"/x".ljust(108, b"\0") * 2,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_header_names_the_client(lab: Lab, header: bytes) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    client = link.connect()
    data = pattern(100_000)
    client.send(header + data)
    client.send_fin()
    same(client.recv_until_eof(), data, "what follows the header")
    source = SOURCE6 if b"TCP6" in header[:12] or header[13] == 0x21 else SOURCE
    name = f"[{source[0]}]:{source[1]}" if ":" in source[0] else f"{source[0]}:{source[1]}"
    record = link.log.wait_for(event="connection_closed")
    assert (record["client"], record["received"]) == (name, "100000")


@pytest.mark.parametrize("header", WITHOUT_ADDRESS.values(), ids=WITHOUT_ADDRESS)
def test_a_header_without_an_address_leaves_the_peers(lab: Lab, header: bytes) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    client = link.connect()
    client.send(header)
    ping(client)
    port = _name(client)[1]
    client.close()
    assert link.log.wait_for(event="connection_closed")["client"] == f"127.0.0.1:{port}"


@pytest.mark.parametrize("header", [HEADERS["v1"], HEADERS["v2-tlvs"]], ids=["v1", "v2"])
def test_a_header_in_many_segments(lab: Lab, header: bytes) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    client = link.connect()
    for byte in header[:60]:
        client.send(bytes([byte]))
        client.wait_acknowledged()
    client.send(header[60:] + b"hello")
    assert client.recv_exact(5) == b"hello"


BAD = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "v1-bad-address": b"PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
    "v1-bad-port": b"PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
    "v1-too-long": b"PROXY UNKNOWN " + b"x" * 200,
    "v2-bad-version": proxy.SIGNATURE + b"\x31\x11\x00\x0c" + b"x" * 12,
    "v2-too-short": proxy.SIGNATURE + b"\x21\x11\x00\x02xx",
}


@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_a_bad_header_is_a_reset(lab: Lab, header: bytes) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    client = link.connect()
    client.send_unless_reset(header)
    client.expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "proxy_header_invalid"
    assert record["error"]
    assert link.server.accepted == 0


def test_a_stream_that_ends_within_the_header_is_a_reset(lab: Lab) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    client = link.connect()
    client.send_unless_reset(HEADERS["v2"][:20], fin=True)
    client.expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "proxy_header_invalid"


def test_a_late_header_is_a_reset(lab: Lab) -> None:
    upstream = {"targets": ["127.0.0.1:9000"], "connect_timeout": "300ms"}
    link = lab.link(script=echo, accept_proxy=True, upstream=upstream)
    begin = time.monotonic()
    client = link.connect()
    client.send(HEADERS["v1"][:10])
    client.expect_reset()
    assert 0.3 <= time.monotonic() - begin < 3
    assert link.log.wait_for(event="connection_failed")["reason"] == "proxy_header_timeout"


def test_who_waits_for_a_header_holds_up_nobody(lab: Lab) -> None:
    link = lab.link(script=echo, accept_proxy=True)
    waiting = [link.connect() for _ in range(20)]
    client = link.connect()
    client.send(HEADERS["v1"])
    ping(client)
    for one in waiting:
        one.send(HEADERS["v2"])
        ping(one)


def test_allow_and_deny_go_by_the_header(lab: Lab) -> None:
    link = lab.link(script=echo, accept_proxy=True, allow=["192.0.2.0/24"])
    client = link.connect()
    client.send(HEADERS["v1"])
    ping(client)
    denied = link.connect()
    denied.send_unless_reset(proxy.v1(("203.0.113.1", 1), DESTINATION))
    denied.expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert (record["reason"], record["client"]) == ("denied", "203.0.113.1:1")


def test_the_header_that_goes_out_says_what_the_one_that_came_said(lab: Lab) -> None:
    link = lab.link(accept_proxy=True, upstream=_out("v2"))
    client = link.connect()
    client.send(HEADERS["v1"] + b"hello")
    upstream = link.server.accept()
    source, destination, tlvs = proxy.read_v2(upstream)
    assert (source, destination) == (SOURCE, DESTINATION)
    assert tlvs[proxy.TYPE_NETNS].decode() == link.client_netns.name
    assert upstream.recv_exact(5) == b"hello"


def test_source_hash_goes_by_the_header(lab: Lab) -> None:
    a = lab.netns("a")
    servers: list[Server] = [
        lab.server(lab.host, ("127.0.0.1", 9000 + n), say(str(n).encode())) for n in range(2)
    ]
    assert len(servers) == 2
    lab.daemon(rule(netns=a.name, accept_proxy=True, upstream={
        "targets": ["127.0.0.1:9000", "127.0.0.1:9001"], "balance": "source_hash"}))

    def ask(last: int) -> bytes:
        client = lab.connect(a)
        client.send(proxy.v1((f"192.0.2.{last}", 1), DESTINATION))
        return client.recv_exact(1)

    first = [ask(last) for last in range(20)]
    assert set(first) == {b"0", b"1"}
    assert [ask(last) for last in range(20)] == first


def test_nginx_sends_it(lab: Lab) -> None:
    """nginx stream with proxy_protocol as the client's side."""
    link = lab.link(script=echo, accept_proxy=True)
    config = lab.folder / "front.conf"
    config.write_text(
        f"user root; worker_processes 1; daemon off; pid {lab.folder}/front.pid;\n"
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
        "error_log stderr; events { worker_connections 64; }\n"
        "stream { server { listen 127.0.0.1:7000; proxy_pass 127.0.0.1:8000; "
        "proxy_protocol on; } }\n"
    )
    lab.program(link.client_netns, "nginx", "-c", str(config), "-e", "stderr",
                ready=lambda: link.client_netns.listens(7000), stderr=subprocess.DEVNULL)
    client = lab.connect(link.client_netns, ("127.0.0.1", 7000))
    ping(client)
    port = _name(client)[1]
    client.close()
    log: Log = link.log
    assert log.wait_for(event="connection_closed")["client"] == f"127.0.0.1:{port}"
