"""Programs that others have written: sctp_darn and sctp_test of lksctp-tools, socat."""

import re
import shutil
import subprocess

import pytest

from harness.lab import Lab
from harness.sctp import Message
from harness.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.sctp


def _listens(lab: Lab, port: int) -> bool:
    sockets = lab.host.run("ss", "-HlnS")
    return bool(re.search(rf":{port}\b", sockets))


def test_sctp_darn_to_sctp_darn(lab: Lab) -> None:
    client_netns = lab.netns("a")
    lab.sctp_daemon(netns=client_netns.name)
    heard = lab.folder / "heard"
    with heard.open("wb") as output:
        lab.program(lab.host, "stdbuf", "-oL", "sctp_darn", "-H", "127.0.0.1", "-P", "9000",
                    "-l",
                    ready=lambda: _listens(lab, 9000), stdout=output)
        done = subprocess.run(
            client_netns.command("sctp_darn", "-H", "127.0.0.1", "-P", "5000", "-h", "127.0.0.1",
                                 "-p", "8000", "-s"),
            input=b"snd=5\n", capture_output=True, timeout=DEADLINE, check=False)
        assert b"SCTP_COMM_UP" in done.stdout, done.stdout
        wait_until(lambda: b"DATA" in heard.read_bytes(), "sctp_darn tells of the message")


def test_sctp_test_sends_its_series(lab: Lab) -> None:
    link = lab.sctp_link(script=None)
    client = subprocess.Popen(
        link.client_netns.command("sctp_test", "-H", "127.0.0.1", "-P", "5000", "-h", "127.0.0.1",
                                  "-p", "8000", "-s", "-x", "5", "-c", "2", "-T"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        upstream = link.server.accept()
        got: list[Message] = []
        while (message := upstream.recv()) is not None:
            got.append(message)
        output = client.communicate(timeout=DEADLINE)[0].decode()
    finally:
        client.kill()
        client.communicate()
    sent = [int(size) for size in re.findall(r"sendmsg\(sk=\d+, assoc=\d+\)\s+(\d+) bytes", output)]
    assert got and [len(message.data) for message in got] == sent, output


def test_socat_at_both_ends(lab: Lab) -> None:
    client_netns = lab.netns("a")
    lab.sctp_daemon(netns=client_netns.name)
    lab.program(lab.host, "socat", "SCTP4-LISTEN:9000,fork", "EXEC:tr a-z A-Z",
                ready=lambda: _listens(lab, 9000))
    done = subprocess.run(
        client_netns.command("socat", "-t5", "-", "SCTP4:127.0.0.1:8000"), input=b"quiet words\n",
        capture_output=True, timeout=DEADLINE, check=False)
    assert done.stderr == b""


def test_socat_in_the_relays_place_loses_what_belongs_to_a_message(lab: Lab) -> None:
    """The peer that fails: to it an association is a stream of bytes."""
    client_netns = lab.netns("a")
    server = lab.sctp_server(lab.host)
    client_netns.connect_to(lab.host, "10.5.0.1/24", "10.5.0.2/24")
    lab.program(lab.host, "socat", "SCTP4-LISTEN:8000,fork", "SCTP4:127.0.0.1:9000",
                ready=lambda: _listens(lab, 8000))
    client = lab.sctp_connect(client_netns, ("10.5.0.2", 8000))
    client.send(Message(b"question", stream=3, ppid=42))
    upstream = server.accept()
    got = upstream.recv()
    assert got is not None and (got.stream, got.ppid) == (0, 0)


@pytest.mark.skipif(not shutil.which("docker-proxy"), reason="docker.io is not installed")
def test_docker_proxy_in_the_relays_place_splits_messages(lab: Lab) -> None:
    """The peer that fails: its buffer has 32 KiB."""
    client_netns = lab.netns("a")
    server = lab.sctp_server(lab.host, receive_buffer=1 << 20)
    client_netns.connect_to(lab.host, "10.5.0.1/24", "10.5.0.2/24")
    lab.program(  # it tells descriptor 3 that it is ready, whatever that is
        lab.host, "sh", "-c",
        "exec docker-proxy -proto sctp -host-ip 0.0.0.0 -host-port 8000 "
        "-container-ip 127.0.0.1 -container-port 9000 3>/dev/null",
        ready=lambda: _listens(lab, 8000))
    client = lab.sctp_connect(client_netns, ("10.5.0.2", 8000), send_buffer=1 << 20)
    client.send(Message(b"x" * 40_000, stream=3, ppid=42))
    got = server.accept().recv()
    assert got is not None and (got.stream, got.ppid) == (3, 42)
    assert len(got.data) < 40_000


@pytest.mark.skipif(not shutil.which("docker-proxy"), reason="docker.io is not installed")
def test_docker_proxy_in_the_relays_place_has_its_own_number_of_streams(lab: Lab) -> None:
    """The peer that fails: the upstream is not asked for as many as the client has."""
    client_netns = lab.netns("a")
    server = lab.sctp_server(lab.host)
    client_netns.connect_to(lab.host, "10.5.0.1/24", "10.5.0.2/24")
    lab.program(
        lab.host, "sh", "-c",
        "exec docker-proxy -proto sctp -host-ip 0.0.0.0 -host-port 8000 "
        "-container-ip 127.0.0.1 -container-port 9000 3>/dev/null",
        ready=lambda: _listens(lab, 8000))
    lab.sctp_connect(client_netns, ("10.5.0.2", 8000), outbound=64)
    assert server.accept().streams()[1] != 64

