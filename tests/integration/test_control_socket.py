"""The socket itself: who may use it, whose it is, and what strangers do to it."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

from harness import process
from harness.control import Control
from harness.daemon import BINARY, rule
from harness.lab import Lab
from harness.peers import echo, ping
from harness.waiting import let_pass, wait_until


def _control(lab: Lab) -> Control:
    return Control(lab.folder / "control.sock")


def _run(file: Path, *wrapper: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*wrapper, BINARY, "run", "-c", str(file)],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def test_nobody_else_may_use_it_and_it_goes_with_the_daemon(lab: Lab) -> None:
    control = _control(lab)
    old = os.umask(0)
    try:
        daemon = lab.daemon(rule(), control=control.section())
    finally:
        os.umask(old)
    mode = control.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    daemon.stop()
    assert not control.path.exists()


def test_folder_is_made(lab: Lab) -> None:
    control = Control(lab.folder / "run" / "control.sock")
    lab.daemon(rule(), control=control.section())
    assert control.run("status").returncode == 0


def test_second_daemon_on_the_socket_is_refused(lab: Lab) -> None:
    control = _control(lab)
    first = lab.daemon(rule(), control=control.section())
    done = _run(first.file)
    assert done.returncode == 1
    assert done.stderr.startswith(f"nsrelay: control socket {control.path}: ")
    assert "another process serves it" in done.stderr and done.stderr.count("\n") == 1
    assert control.json("status")["pid"] == first.pid


def test_stale_file_is_replaced(lab: Lab) -> None:
    control = _control(lab)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(control.path))
    daemon = lab.daemon(rule(), control=control.section())
    assert control.json("status")["pid"] == daemon.pid


def test_file_of_somebody_else_stays(lab: Lab) -> None:
    control = _control(lab)
    control.path.write_text("precious")
    folder = lab.folder / "config"
    folder.mkdir()
    file = folder / "nsrelay.yaml"
    file.write_text(
        f"control: {{socket: {control.path}}}\n"
        "rules: [{name: a, listen: '127.0.0.1:8000', upstream: '127.0.0.1:9'}]\n"
    )
    done = _run(file)
    assert done.returncode == 1
    assert f"{control.path}: not a socket" in done.stderr
    assert control.path.read_text() == "precious"


def test_file_that_took_the_place_of_ours_stays(lab: Lab) -> None:
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    control.path.unlink()
    control.path.write_text("of somebody else")
    daemon.stop()
    assert control.path.read_text() == "of somebody else"


def test_daemon_that_was_killed_does_not_keep_the_next_from_starting(lab: Lab) -> None:
    control = _control(lab)
    first = lab.daemon(rule(), control=control.section())
    first.expect_status(-signal.SIGKILL)
    first.signal(signal.SIGKILL)
    first.wait()
    assert control.run("status").returncode == 1
    assert control.path.exists()
    second = lab.daemon(rule(), control=control.section())
    assert control.json("status")["pid"] == second.pid


def test_without_the_key_a_taken_default_is_a_warning_only(lab: Lab) -> None:
    """In a /run of its own, so that the default path is the test's."""
    lab.server(lab.host, script=echo)
    script = f"mount -t tmpfs none /run && : > /run/nsrelay && exec {BINARY} run -c $0"
    wrapper = ["unshare", "--mount", "sh", "-c", script]
    file = lab.folder / "nsrelay.yaml"
    file.write_text(
        "log: {target: stderr}\ndrain_timeout: 0s\n"
        "rules: [{name: a, listen: '127.0.0.1:8000', upstream: '127.0.0.1:9000'}]\n"
    )
    running = process.start(
        lab.host.command(*wrapper, str(file)), stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stderr
        warning = running.stderr.readline()
        assert "event=control_unavailable" in warning
        assert "/run/nsrelay/control.sock: bind: Not a directory" in warning
        wait_until(lambda: lab.host.listens(8000), "it forwards")
        ping(lab.connect(lab.host))
    finally:
        running.terminate()
        assert running.wait(10) == 0


def test_reload_moves_the_socket(lab: Lab) -> None:
    control, other = _control(lab), Control(lab.folder / "other.sock")
    daemon = lab.daemon(rule(), control=control.section())
    daemon.file.write_text(daemon.file.read_text().replace(str(control.path), str(other.path)))
    assert control.run("reload").stdout == "+0 -0 ~0 listeners\n"
    assert other.json("status")["pid"] == daemon.pid
    assert not control.path.exists()


def test_reload_to_a_socket_that_cannot_be_made_changes_nothing(lab: Lab) -> None:
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    bad = "/proc/nsrelay/control.sock"
    daemon.file.write_text(daemon.file.read_text().replace(str(control.path), bad))
    done = control.run("reload")
    assert done.returncode == 1
    assert f"control socket {bad}: bind: No such file or directory" in done.stderr
    assert control.json("status")["pid"] == daemon.pid


def test_commands_say_in_one_line_why_they_cannot_ask(lab: Lab) -> None:
    absent = Control(lab.folder / "absent.sock")
    for command in (["status"], ["connections"], ["reload"], ["drain", "a"]):
        done = absent.run(*command)
        assert done.returncode == 1 and not done.stdout
        assert "absent.sock: No such file or directory" in done.stderr
        assert done.stderr.count("\n") == 1
    stranger = _control(lab)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(stranger.path))
        server.listen()
        asking = process.start(stranger.command_line("status"), stderr=subprocess.PIPE, text=True)
        client, _ = server.accept()
        client.sendall(b"220 mail.example ESMTP\r\n")
        client.close()
        _, err = asking.communicate(timeout=10)
    assert asking.returncode == 1
    assert "not nsrelay" in err and err.count("\n") == 1


def test_user_without_the_right_is_told(lab: Lab) -> None:
    control = _control(lab)
    lab.daemon(rule(), control=control.section())
    for folder in (lab.folder, *lab.folder.parents[:3]):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
         f"/proc/{os.getpid()}/cwd/{BINARY}" if not BINARY.startswith("/") else BINARY,
         "status", "--control", str(control.path)],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Permission denied" in done.stderr and done.stderr.count("\n") == 1


def test_hostile_clients_harm_nothing(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    client = lab.connect(lab.host)
    ping(client)
    before = len(daemon.descriptors())
    garbage = [os.urandom(4096), b"\0" * 100, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
               b"GET /" + b"a" * 1_000_000, b"POST /drain HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\nx",
               b"POST /reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"]  # fmt: skip
    for text in garbage:
        with control.connect() as sock, contextlib.suppress(OSError):
            sock.sendall(text)
    with contextlib.ExitStack() as stack:
        # More connections than it takes, each with half a request.
        for number in range(60):
            sock = stack.enter_context(control.connect())
            sock.sendall(b"GET /status HTTP/1.1\r\nX: " + b"y" * number)
        ping(client)
        ping(lab.connect(lab.host))
        assert control.json("status")["pid"] == daemon.pid, "some places are left"
        used = daemon.cpu_seconds()
        let_pass(1.0)
        assert daemon.cpu_seconds() - used < 0.25
    wait_until(lambda: len(daemon.descriptors()) <= before + 2, "all places are given back")
    assert control.json("status")["pid"] == daemon.pid


def test_client_that_does_not_read_harms_nothing(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    daemon = lab.daemon(
        rule("many", "127.0.0.1:10000-11999", "127.0.0.1:9000"),
        rule(), listeners=2001, control=control.section(),
    )  # fmt: skip
    with control.connect() as sock:
        sock.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        ping(lab.connect(lab.host))
        used = daemon.cpu_seconds()
        let_pass(1.0)
        assert daemon.cpu_seconds() - used < 0.25
        assert len(control.listeners()) == 2001
