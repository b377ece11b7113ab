"""Programs that people use over UDP, through the relay."""

import json
import select
import subprocess

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.netns import Netns
from harness.waiting import DEADLINE


@pytest.fixture
def client_netns(lab: Lab) -> Netns:
    """Where the clients run; port 8000 there is forwarded to 127.0.0.1:9000 beside the daemon."""
    a = lab.netns("a")
    lab.daemon(
        rule("udp", protocol="udp", netns=a.name), rule("tcp", netns=a.name), drain_timeout="50ms"
    )
    return a


def _udp_port_open(netns: Netns, port: int) -> bool:
    return bool(netns.run("ss", "-Hlun", f"sport = :{port}").strip())


@pytest.mark.heavy
def test_dig_asks_dnsmasq_over_udp(lab: Lab, client_netns: Netns) -> None:
    lab.program(
        lab.host, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--port=9000",
        "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--pid-file=",
        "--address=/relay.test/192.0.2.7", "--txt-record=long.test," + ",".join(["x" * 250] * 4),
        ready=lambda: _udp_port_open(lab.host, 9000), stderr=subprocess.DEVNULL,
    )
    dig = ["dig", "+notcp", "+short", "+tries=1", "+bufsize=4096", "-p", "8000", "@127.0.0.1"]
    for number in range(20):
        assert client_netns.run(*dig, f"host{number}.relay.test").strip() == "192.0.2.7"
    assert len(client_netns.run(*dig, "TXT", "long.test")) > 1000


@pytest.mark.heavy
@pytest.mark.parametrize(
    "arguments",
    [
        ["-b", "50M"], ["-b", "50M", "-R"], ["-b", "20M", "-P", "4"], ["-b", "20M", "--bidir"],
        ["-b", "100M", "-l", "32768"], ["-b", "10M", "-l", "64"],
    ],
    ids=["up", "down", "parallel", "bidir", "long", "short"],
)
def test_iperf3_loses_nothing_at_a_modest_rate(
    lab: Lab, client_netns: Netns, arguments: list[str]
) -> None:
    lab.program(lab.host, "iperf3", "-s", "-B", "127.0.0.1", "-p", "9000",
                ready=lambda: lab.host.listens(9000))
    output = client_netns.run(
        "iperf3", "-u", "-c", "127.0.0.1", "-p", "8000", "-t", "1", "-J", *arguments
    )
    end = json.loads(output)["end"]
    assert end["sum"]["packets"] > 50
    # iperf3 itself may be too late for its socket's buffer: what nsrelay loses it says.
    assert end["sum"]["lost_percent"] < 50, end["sum"]
    assert not lab.daemons[0].log.records(event="datagrams_dropped")
    assert end["sum"].get("out_of_order", 0) == 0


def test_openssl_speaks_dtls(lab: Lab, client_netns: Netns) -> None:
    key, certificate = lab.folder / "key.pem", lab.folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=relay", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )
    server = lab.program(
        lab.host, "openssl", "s_server", "-dtls1_2", "-port", "9000", "-4", "-quiet",
        "-key", str(key), "-cert", str(certificate),
        ready=lambda: _udp_port_open(lab.host, 9000),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    client = subprocess.Popen(
        client_netns.command("openssl", "s_client", "-dtls1_2", "-quiet", "-connect",
                             "127.0.0.1:8000"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    try:
        _say(client, server, b"there\n")
        _say(server, client, b"and back\n")
    finally:
        client.kill()
        client.communicate()


def _say(
    speaker: "subprocess.Popen[bytes]", listener: "subprocess.Popen[bytes]", line: bytes
) -> None:
    """What one end reads from its stdin comes out of the other's stdout."""
    assert speaker.stdin and listener.stdout
    speaker.stdin.write(line)
    speaker.stdin.flush()
    assert select.select([listener.stdout], [], [], DEADLINE)[0], "nothing came through"
    assert listener.stdout.readline() == line
