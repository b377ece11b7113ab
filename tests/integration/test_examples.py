"""Each file of config/examples with the real daemon, as it stands but for the names and addresses
that a test must not take from the machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import linux, proxy
from harness.daemon import Rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import echo, ping, say, tell

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


def _rules(name: str, **replacements: str) -> list[Rule]:
    """The rules of an example, with its defaults, after the replacements in its text."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    for old, new in replacements.items():
        old = {"every_name": '"*"', "tenants": '"tenant-*"'}.get(old, old)
        assert old in text, f"{old} is not in {name}.yaml any more"
        text = text.replace(old, new)
    config: dict[str, Any] = yaml.safe_load(text)
    assert set(config) <= {"defaults", "rules"}
    rules: list[Rule] = [{**config.get("defaults", {}), **rule} for rule in config["rules"]]
    for rule in rules:  # `defaults` may have keys that only some protocols take.
        if rule.get("protocol") == "udp":
            rule.pop("keepalive", None)
    return rules


def test_every_example_has_a_test() -> None:
    needs_sctp = {"sctp-signalling"}  # This kernel may not have it.
    tested = {"metadata-service", "tenant-resolver", "published-container-ports", "vpn",
              "port-range", "service-per-namespace"}
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == tested | needs_sctp


def test_metadata_service(lab: Lab) -> None:
    tenants = lab.netns_list(["a", "b", "own"])
    for tenant in tenants:
        tenant.add_address("169.254.169.254/32")
    folder = lab.folder / "metadata"
    folder.mkdir()
    shared = lab.server(lab.host, f"{lab.folder}/metadata.sock")
    own = lab.server(lab.host, f"{folder}/{tenants[2].name}.sock")
    pattern = tenants[0].name.rsplit("-", 1)[0] + "-*"
    rules = _rules("metadata-service", every_name=f'"{pattern}"',
                   **{"/run/metadata": f"{lab.folder}/metadata"})
    lab.daemon(*rules, listeners=3)
    for tenant, server in zip(tenants, [shared, shared, own]):
        client = lab.connect(tenant, ("169.254.169.254", 80),
                             source_address=("169.254.169.254", 5555))
        client.send(b"GET")
        upstream = server.accept()
        source, destination, tlvs = proxy.read_v2(upstream)
        assert source == ("169.254.169.254", 5555)
        assert destination == ("169.254.169.254", 80)
        assert tlvs[proxy.TYPE_NETNS].decode() == tenant.name
        assert upstream.recv_exact(3) == b"GET"


def test_tenant_resolver(lab: Lab) -> None:
    tenants = lab.netns_list(["a", "b"])
    for address in ("127.0.1.53", "127.0.2.53"):
        lab.program(
            lab.host, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", "--user=root", f"--pid-file={lab.folder}/{address}.pid",
            f"--listen-address={address}", "--bind-interfaces", "--log-facility=/dev/null",
            "--address=/app.example/192.0.2.7",
            ready=lambda address=address: _answers(lab.host, address),
        )
    pattern = tenants[0].name.rsplit("-", 1)[0] + "-[ab]"
    rules = _rules("tenant-resolver", tenants=f'"{pattern}"',
                   **{"10.0.0.53": "127.0.1.53", "10.0.1.53": "127.0.2.53"})
    lab.daemon(*rules, listeners=4)
    for tenant in tenants:
        for transport in ("+notcp", "+tcp"):
            answer = tenant.run("dig", "+short", transport, "@127.0.0.53", "app.example")
            assert answer.split() == ["192.0.2.7"]


def _answers(netns: Netns, address: str) -> bool:
    with netns.socket() as sock:
        return sock.connect_ex((address, 53)) == 0


@pytest.fixture
def docker_folder(lab: Lab) -> Iterator[tuple[Path, list[Netns]]]:
    """A folder like /var/run/docker/netns with two containers."""
    containers = lab.netns_list(["c1", "c2"])
    folder = lab.folder / "docker-netns"
    folder.mkdir()
    files = [folder / "1f2e3d4c5b6a", folder / "0a1b2c3d4e5f"]
    for file, container in zip(files, containers):
        file.touch()
        linux.bind_mount(container.path, file)
    try:
        yield folder, containers
    finally:
        for file in files:
            linux.unmount(file)


def test_published_container_ports(
    lab: Lab, docker_folder: tuple[Path, list[Netns]]
) -> None:
    folder, containers = docker_folder
    rules = _rules("published-container-ports", **{"/var/run/docker/netns": str(folder)})
    lab.server(containers[0], ("127.0.0.1", 80), tell("the shop"))
    lab.server(lab.host, ("127.0.0.1", 3128), echo)
    lab.daemon(*rules, listeners=3)
    for address in ("127.0.0.1", "::1"):
        assert lab.connect(lab.host, (address, 8080)).recv_until_eof() == b"the shop"
    for container in containers:
        ping(lab.connect(container, ("127.0.0.1", 3128)))


def test_vpn(lab: Lab) -> None:
    vpn = lab.netns("vpn")
    vpn.add_address("10.8.0.7/32")
    vpn.write_etc("resolv.conf", "nameserver 10.8.0.7\n")
    lab.program(
        vpn, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
        "--no-hosts", "--user=root", f"--pid-file={lab.folder}/dnsmasq.pid",
        "--listen-address=10.8.0.7", "--bind-interfaces", "--log-facility=/dev/null",
        "--address=/intranet.example/10.8.0.7", ready=lambda: vpn.listens(53),
    )
    lab.server(vpn, ("10.8.0.7", 443), say(b"intranet"))
    lab.server(vpn, ("10.8.0.7", 22), say(b"SSH-2.0"))
    rules = _rules("vpn", **{"netns: vpn": f"netns: {vpn.name}"})
    lab.daemon(*rules)
    assert lab.connect(lab.host, ("127.0.0.1", 8443)).recv_exact(8) == b"intranet"
    assert lab.connect(lab.host, ("127.0.0.1", 2222)).recv_exact(7) == b"SSH-2.0"


def test_port_range(lab: Lab) -> None:
    a = lab.netns("a")
    a.add_address("192.168.77.1/32")
    for port in (50000, 50099):
        lab.server(lab.host, ("127.0.0.5", port), tell(str(port)))
    rules = _rules("port-range", **{"10.0.0.5": "127.0.0.5"})
    daemon = lab.daemon(*({**one, "netns": a.name} for one in rules))
    for port in (50000, 50099):
        client = lab.connect(a, ("127.0.0.1", port), source_address=("192.168.77.1", 0))
        assert client.recv_until_eof() == str(port).encode()
    lab.connect(a, ("127.0.0.1", 50000)).expect_reset()
    assert daemon.log.wait_for(event="connection_failed")["reason"] == "denied"


def test_service_per_namespace(lab: Lab, docker_folder: tuple[Path, list[Netns]]) -> None:
    folder, containers = docker_folder
    blue, green = lab.netns_list(["blue", "green"])
    agents = lab.folder / "agents"
    agents.mkdir()
    lab.host.write_etc("hosts", f"127.0.0.1 db-{blue.name}.example\n")
    lab.host.write_etc("resolv.conf", "nameserver 127.0.0.1\n")
    lab.server(lab.host, ("127.0.0.6", 3128), echo)  # The first of the two proxies is away.
    lab.server(lab.host, ("127.0.0.1", 5432), say(b"db"))
    lab.server(lab.host, f"{agents}/{green.name}.sock", say(b"agent"))
    lab.server(blue, ("127.0.0.1", 80), say(b"blue"))
    rules = _rules(
        "service-per-namespace",
        **{
            "[blue, green, /run/docker/netns/a1b2c3]":
                f"[{blue.name}, {green.name}, {folder}/1f2e3d4c5b6a]",
            "netns: blue": f"netns: {blue.name}", "10.0.0.5": "127.0.0.5",
            "10.0.0.6": "127.0.0.6", "/run/agents": str(agents),
        },
    )
    lab.daemon(*rules, listeners=10)
    for netns in (blue, green, containers[0]):
        ping(lab.connect(netns, ("127.0.0.1", 3128)))
    assert lab.connect(blue, ("127.0.0.1", 5432)).recv_exact(2) == b"db"
    assert lab.connect(green, ("127.0.0.1", 9999)).recv_exact(5) == b"agent"
    assert lab.connect(lab.host, ("127.0.0.1", 8080)).recv_exact(4) == b"blue"
