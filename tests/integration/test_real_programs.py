"""Programs that people use, through the relay."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from harness.daemon import rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import pattern

SIZE = 10_000_000


@pytest.fixture
def client_netns(lab: Lab) -> Netns:
    """Where the clients run; port 8000 there is forwarded to 127.0.0.1:9000 beside the daemon."""
    a = lab.netns("a")
    lab.daemon(rule(netns=a.name))
    return a


@pytest.fixture
def nginx(lab: Lab) -> str:
    """nginx as the upstream, with one file of SIZE bytes. Returns its MD5."""
    root = lab.folder / "www"
    root.mkdir()
    data = pattern(SIZE)
    (root / "file").write_bytes(data)
    (root / "small").write_text("small\n")
    for folder in (lab.folder, root):
        folder.chmod(0o755)
    config = lab.folder / "nginx.conf"
    config.write_text(
        f"user root; worker_processes 1; daemon off; pid {lab.folder}/nginx.pid;\n"
        "error_log stderr; events { worker_connections 256; }\n"
        f"http {{ access_log off; client_body_temp_path {lab.folder}/body;\n"
        f"  server {{ listen 127.0.0.1:9000; root {root}; }} }}\n"
    )
    lab.program(
        lab.host, "nginx", "-c", str(config), "-e", "stderr", ready=lambda: lab.host.listens(9000),
        stderr=subprocess.DEVNULL,
    )
    return hashlib.md5(data).hexdigest()


def test_curl_loads_a_file_from_nginx(client_netns: Netns, nginx: str, tmp_path: Path) -> None:
    got = tmp_path / "got"
    client_netns.run("curl", "-sS", "-f", "-o", str(got), "http://127.0.0.1:8000/file")
    assert hashlib.md5(got.read_bytes()).hexdigest() == nginx


def test_curl_loads_eight_files_in_parallel(
    client_netns: Netns, nginx: str, tmp_path: Path
) -> None:
    client_netns.run(
        "curl", "-sS", "-f", "--parallel", "--parallel-max", "8",
        "-o", f"{tmp_path}/got#1", "http://127.0.0.1:8000/file?[1-8]",
    )
    sums = [hashlib.md5((tmp_path / f"got{n}").read_bytes()).hexdigest() for n in range(1, 9)]
    assert sums == [nginx] * 8


def test_wrk_gets_only_good_answers(client_netns: Netns, nginx: str) -> None:
    output = client_netns.run(
        "wrk", "-t1", "-c20", "-d1s", "-H", "Connection: close", "http://127.0.0.1:8000/small"
    )
    assert "Requests/sec" in output
    assert "Socket errors" not in output and "Non-2xx" not in output, output


@pytest.mark.parametrize(
    "arguments", [[], ["-R"], ["-P", "8"], ["--bidir"]], ids=["up", "down", "parallel", "bidir"]
)
def test_iperf3(lab: Lab, client_netns: Netns, arguments: list[str]) -> None:
    lab.program(lab.host, "iperf3", "-s", "-B", "127.0.0.1", "-p", "9000",
                ready=lambda: lab.host.listens(9000))
    output = client_netns.run(
        "iperf3", "-c", "127.0.0.1", "-p", "8000", "-t", "1", "-J", *arguments
    )
    end = json.loads(output)["end"]
    # Only that the bytes went through; how fast is the benchmarks' business.
    assert end["sum_received"]["bytes"] > 10_000_000
    assert end["sum_sent"]["bytes"] >= end["sum_received"]["bytes"]


def test_socat_sends_a_file_and_gets_a_late_answer(
    lab: Lab, client_netns: Netns, tmp_path: Path
) -> None:
    """The answer is the checksum, so it can only come after the client's FIN."""
    data = os.urandom(1_000_000)
    (tmp_path / "sent").write_bytes(data)
    lab.program(
        lab.host, "socat", "TCP-LISTEN:9000,bind=127.0.0.1,fork", "EXEC:md5sum",
        ready=lambda: lab.host.listens(9000),
    )
    answer = client_netns.run(
        "sh", "-c", f"socat -t 10 - TCP:127.0.0.1:8000 < {tmp_path}/sent"
    )
    assert answer.split() == [hashlib.md5(data).hexdigest(), "-"]
