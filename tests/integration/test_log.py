"""Each record of the log against known traffic."""

import os
import re
import socket
import subprocess
import time
from datetime import datetime, timezone

import pytest

from harness import process
from harness.daemon import BINARY, rule
from harness.lab import Lab, Link
from harness.peers import connect, echo, ping
from harness.waiting import wait_until

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z (trace|debug|info|warn|error) \S.*")


def _end_by(link: Link, cause: str) -> None:
    """Opens a connection, sends 12 bytes there and 34 back, and ends it by `cause`."""
    client, upstream = link.open()
    client.send(b"c" * 12)
    upstream.send(b"u" * 34)
    assert upstream.recv_exact(12) and client.recv_exact(34)
    first, second = (client, upstream) if cause.startswith("client") else (upstream, client)
    if cause.endswith("closed"):
        first.send_fin()
        assert second.recv_until_eof() == b""
        second.close()
        assert first.recv_until_eof() == b""
    else:
        first.reset()
        second.expect_reset()


@pytest.mark.parametrize(
    "cause", ["client_closed", "upstream_closed", "client_reset", "upstream_reset"]
)
def test_record_of_a_finished_connection(lab: Lab, cause: str) -> None:
    link = lab.link()
    begin = time.monotonic()
    _end_by(link, cause)
    record = link.log.wait_for(event="connection_closed")
    elapsed = (time.monotonic() - begin) * 1e6
    assert record.level == "info"
    assert " connection closed " in record.line
    assert record["rule"] == "web"
    assert record["netns"] == link.client_netns.name
    assert record["protocol"] == "tcp"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", record["client"])
    assert record["listener"] == "0.0.0.0:8000"
    assert record["upstream"] == "127.0.0.1:9000"
    assert (record["received"], record["sent"]) == ("12", "34")
    assert 0 < int(record["duration"]) <= elapsed
    assert record["reason"] == cause
    assert len(link.log.records(event="connection_closed")) == 1


def test_record_names_the_clients_own_address(lab: Lab) -> None:
    link = lab.link(script=echo)
    client = link.connect()
    ping(client)
    name = client.name()
    client.close()
    assert link.log.wait_for(event="connection_closed")["client"] == name


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_bytes_are_counted_exactly(lab: Lab, size: int) -> None:
    link = lab.link(script=echo)
    client = link.connect()
    data = os.urandom(size)
    for start in range(0, size, 100_000):
        client.send(data[start : start + 100_000])
        client.recv_exact(len(data[start : start + 100_000]))
    client.send_fin()
    assert client.recv_until_eof() == b""
    record = link.log.wait_for(event="connection_closed")
    assert (record["received"], record["sent"]) == (str(size), str(size))


def test_record_of_a_refused_connection(lab: Lab) -> None:
    link = lab.link()
    link.server.stop_listening()
    client = link.connect()
    name = client.name()
    client.expect_reset()
    record = link.log.wait_for(event="connection_failed")
    assert record["client"] == name
    assert record["rule"] == "web"
    assert record["netns"] == link.client_netns.name
    assert record["protocol"] == "tcp"
    assert record["listener"] == "0.0.0.0:8000"
    assert record["upstream"] == "127.0.0.1:9000"
    assert record["reason"] == "connect_refused"


def test_record_of_a_listener_that_opens_and_closes(lab: Lab) -> None:
    link = lab.link()
    opened = link.log.records(event="listener_open")[0]
    link.daemon.stop()
    closed = link.log.wait_for(event="listener_closed")
    for record in (opened, closed):
        assert record["rule"] == "web"
        assert record["netns"] == link.client_netns.name
        assert record["protocol"] == "tcp"
        assert record["listener"] == "0.0.0.0:8000"


def test_every_line_has_a_time_in_utc_and_a_level(lab: Lab) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    link = lab.link()
    _end_by(link, "client_closed")
    link.log.wait_for(event="connection_closed")
    link.daemon.stop()
    after = datetime.now(timezone.utc)
    lines = link.log.text().splitlines()
    assert len(lines) >= 3
    for line in lines:
        assert LINE.fullmatch(line), line
        stamp = datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))
        assert before <= stamp <= after, line


def test_no_escape_sequences(lab: Lab) -> None:
    link = lab.link()
    _end_by(link, "client_reset")
    link.log.wait_for(event="connection_closed")
    assert "\x1b" not in link.log.text()


def test_connection_records_can_be_switched_off(lab: Lab) -> None:
    link = lab.link(daemon={"log": {"target": "stderr", "connections": False}})
    for cause in ("client_closed", "client_reset"):
        _end_by(link, cause)
    link.daemon.stop()
    assert link.log.records(event="listener_closed")
    assert not link.log.records(event="connection_closed")


@pytest.mark.parametrize("how", ["file", "option"])
def test_level_warn_hides_what_is_normal(lab: Lab, how: str) -> None:
    a = lab.netns("a")
    server = lab.server(lab.host)
    level = {"log": {"target": "stderr", "level": "warn" if how == "file" else "debug"}}
    arguments = [] if how == "file" else ["--log-level", "warn"]
    daemon = lab.daemon(rule(netns=a.name), listeners=0, arguments=arguments, **level)
    wait_until(lambda: a.listens(8000), "the listener")
    client = lab.connect(a)
    upstream = server.accept()
    client.close()
    assert upstream.recv_until_eof() == b""
    upstream.close()
    daemon.stop()
    assert {record.level for record in daemon.log.records()} <= {"warn", "error"}


def test_level_option_wins_over_the_file(lab: Lab) -> None:
    link = lab.link(
        daemon={
            "log": {"target": "stderr", "level": "error"},
            "arguments": ["--log-level", "info"],
        }
    )
    _end_by(link, "client_closed")
    link.log.wait_for(event="connection_closed")


@pytest.mark.parametrize("target", ["stderr", "auto"])
def test_target_can_be_given_as_an_option(lab: Lab, target: str) -> None:
    link = lab.link(daemon={"log": {}, "arguments": ["--log-target", target]})
    _end_by(link, "client_closed")
    link.log.wait_for(event="connection_closed")


def test_auto_target_is_stderr_outside_of_systemd(lab: Lab) -> None:
    link = lab.link(daemon={"log": {"target": "auto"}})
    _end_by(link, "client_closed")
    link.log.wait_for(event="connection_closed")


@pytest.mark.parametrize("ending", ["stopped", "closed"])
def test_reader_of_the_log_does_not_stop_forwarding(lab: Lab, ending: str) -> None:
    """A full pipe, or one whose reader is gone, costs records and nothing else."""
    a = lab.netns("a")
    server = lab.server(lab.host, script=echo)
    file = lab.folder / "nsrelay.yaml"
    file.write_text(
        '{"log": {"target": "stderr"}, "control": {"socket": ""}, "rules": [{"name": "web", '
        f'"netns": "{a.name}", "listen": "0.0.0.0:8000", "upstream": "127.0.0.1:9000"}}]}}'
    )
    reader, writer = os.pipe()
    daemon = process.start(
        lab.host.command(BINARY, "run", "-c", str(file)), stderr=writer, stdin=subprocess.DEVNULL
    )
    os.close(writer)
    try:
        if ending == "closed":
            os.close(reader)
            reader = -1
        wait_until(lambda: a.listens(8000), "the listener")
        # Some 250 bytes a record: 64 KiB of pipe are full after 300.
        for _ in range(600):
            client = connect(a, ("127.0.0.1", 8000))
            client.send(b"ping")
            assert client.recv_exact(4) == b"ping"
            client.close()
        assert server.accepted == 600
        daemon.terminate()
        assert daemon.wait(10) == 0
    finally:
        if reader >= 0:
            os.close(reader)
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def test_value_with_a_space_is_quoted(lab: Lab) -> None:
    path = str(lab.folder / "an app.sock")
    lab.server(lab.host, path, echo)
    a = lab.netns("a")
    daemon = lab.daemon(rule(netns=a.name, upstream=f"unix:{path}"))
    client = lab.connect(a)
    ping(client)
    client.close()
    record = daemon.log.wait_for(event="connection_closed")
    assert record["upstream"] == f"unix:{path}"
    assert f'upstream="unix:{path}"' in record.line


def test_failed_target_that_another_one_replaced_is_recorded(lab: Lab) -> None:
    link = lab.link(upstream=["127.0.0.1:9001", "127.0.0.1:9000"])
    for _ in range(2):
        _end_by(link, "client_closed")
    link.log.wait_for_count(2, event="connection_closed")
    failed = link.log.wait_for(event="upstream_failed")
    assert (failed["upstream"], failed["reason"]) == ("127.0.0.1:9001", "connect_refused")
    assert not link.log.records(event="connection_failed")


def test_address_of_an_ipv6_client(lab: Lab) -> None:
    link = lab.link(script=echo, listen="[::]:8000")
    client = lab.connect(link.client_netns, ("::1", 8000))
    assert client.sock.family == socket.AF_INET6
    ping(client)
    name = client.name()
    client.close()
    assert link.log.wait_for(event="connection_closed")["client"] == name
