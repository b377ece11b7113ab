"""The commands from outside: exit status, stdout, stderr."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import process
from harness.daemon import BINARY
from harness.lab import Lab
from harness.waiting import SLOWNESS, wait_until

COMMANDS = ["run", "check", "demo", "doctor"]
RULE = {"name": "web", "listen": "0.0.0.0:8000", "upstream": "127.0.0.1:9000"}


def _nsrelay(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=60 * SLOWNESS, check=False,
        **options,  # type: ignore[call-overload]
    )


def _write(folder: Path, text: str) -> str:
    file = folder / "nsrelay.yaml"
    file.write_text(text)
    return str(file)


def test_version() -> None:
    done = _nsrelay("--version")
    assert re.fullmatch(r"nsrelay \d+\.\d+\.\d+\n", done.stdout)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["--version", "--help", "check", "doctor"])
def test_output_that_cannot_be_written_is_a_failure(command: str, tmp_path: Path) -> None:
    file = _write(tmp_path, json.dumps({"rules": [RULE]}))
    arguments = [command, "-c", file] if command == "check" else [command]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60 * SLOWNESS, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("nsrelay: stdout: the output could not be written\n")


def test_help_lists_the_commands() -> None:
    done = _nsrelay("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", done.stdout, re.MULTILINE), command


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str) -> None:
    done = _nsrelay(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert command in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--unknown"],
        ["unknown"],
        ["run", "--unknown"],
        ["check", "--unknown"],
        ["demo", "unwanted"],
        ["doctor", "--unknown"],
        ["check", "-c"],
        ["run", "--log-level", "loud"],
        ["run", "--log-target", "nowhere"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = _nsrelay(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()


def test_no_command_prints_the_usage() -> None:
    assert "usage" in _nsrelay().stderr.lower()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_check_of_a_valid_file(tmp_path: Path, count: int) -> None:
    rules = [{**RULE, "name": f"r{n}", "listen": f"0.0.0.0:{8000 + n}"} for n in range(count)]
    file = _write(tmp_path, json.dumps({"rules": rules}))
    done = _nsrelay("check", "-c", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: ok: {count} rules\n"


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_fault_of_an_invalid_file(tmp_path: Path, command: str) -> None:
    file = _write(
        tmp_path,
        "rules:\n"
        "  - name: web\n"
        "    listne: 0.0.0.0:8000\n"
        "    listen: 0.0.0.0:8000\n"
        "    upstream: 127.0.0.1:9000\n"
        "    idle_timeout: 5\n",
    )
    done = _nsrelay(command, "-c", file)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith(f"{file}:3:5: error: ")
    assert "listen" in lines[0].partition("error: ")[2]
    assert lines[1].startswith(f"{file}:6:19: error: ")


@pytest.mark.parametrize("command", ["check", "run"])
def test_file_that_is_absent(tmp_path: Path, command: str) -> None:
    file = str(tmp_path / "absent.yaml")
    done = _nsrelay(command, "-c", file)
    assert done.returncode == 2
    assert (done.stdout, done.stderr) == ("", f"{file}: error: No such file or directory\n")


def test_check_opens_no_socket_and_needs_no_namespace(lab: Lab, tmp_path: Path) -> None:
    file = _write(
        tmp_path, json.dumps({"rules": [{**RULE, "netns": ["absent", "pid:1", "/absent/ns"]}]})
    )
    trace = tmp_path / "trace"
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=socket,bind,setns", "-o", str(trace), BINARY, "check",
         "-c", file],
        capture_output=True, text=True, check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r"socket\(|bind\(|setns\(", trace.read_text())


def test_doctor(lab: Lab) -> None:
    done = subprocess.run(
        lab.host.command(BINARY, "doctor"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("SCTP", "splice"):
        assert word.lower() in done.stdout.lower()
    assert "\x1b" not in done.stdout


class Stage:
    """A mount and a network namespace of its own, in which /run/netns is empty."""

    def __init__(self, lab: Lab) -> None:
        self.netns = lab.host
        script = "mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec tail -f /dev/null"
        self._holder = process.start(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL
        )
        wait_until(self._is_set, "the stage is set")

    def _is_set(self) -> bool:
        command = Path(f"/proc/{self._holder.pid}/comm").read_text().strip()
        return command == "tail"

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs `arguments` on the stage."""
        return [
            "nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--net={self.netns.path}",
            *arguments,
        ]

    def namespaces(self) -> list[str]:
        """The names in /run/netns of the stage."""
        return os.listdir(f"/proc/{self._holder.pid}/root/run/netns")

    def processes(self) -> list[int]:
        """Everybody else who is on the stage."""
        here = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == here:
                    found.append(int(name))
            except OSError:
                continue  # It has ended in between.
        return [pid for pid in found if pid != self._holder.pid]

    def clear(self) -> None:
        """Ends the holder; the mount namespace goes with it."""
        self._holder.kill()
        self._holder.wait()


@pytest.fixture
def stage(lab: Lab) -> Iterator[Stage]:
    """Where `demo` can show that it leaves nothing behind."""
    made = Stage(lab)
    try:
        yield made
    finally:
        made.clear()


def test_demo_forwards_and_leaves_nothing_behind(stage: Stage) -> None:
    done = subprocess.run(
        stage.command(BINARY, "demo"), capture_output=True, text=True, check=False,
        timeout=60 * SLOWNESS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tcp" in done.stdout.lower()
    assert "\x1b" not in done.stdout + done.stderr
    assert stage.namespaces() == []
    assert stage.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_interrupted_leaves_nothing_behind(
    stage: Stage, number: signal.Signals
) -> None:
    demo = process.start(
        stage.command(BINARY, "demo"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    wait_until(lambda: stage.namespaces() or demo.poll() is not None, "the demo has begun")
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=30 * SLOWNESS)
    assert b"Sanitizer" not in errors
    assert stage.namespaces() == []
    wait_until(lambda: not stage.processes(), "no process is left")


def test_demo_twice_at_once(stage: Stage) -> None:
    both = [
        process.start(stage.command(BINARY, "demo"), stdout=subprocess.PIPE) for _ in range(2)
    ]
    for demo in both:
        output, _ = demo.communicate(timeout=60 * SLOWNESS)
        assert demo.returncode == 0, output.decode()
    assert stage.namespaces() == []


def test_run_without_privileges_says_so(lab: Lab, tmp_path: Path) -> None:
    """Without CAP_SYS_ADMIN no namespace can be entered: pending with its reason, or exit 1."""
    tmp_path.chmod(0o755)
    a = lab.netns("a")
    file = _write(
        tmp_path,
        json.dumps({"log": {"target": "stderr"}, "control": {"socket": ""},
                    "rules": [{**RULE, "netns": a.name}]}),
    )
    daemon = process.start(
        lab.host.command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                         "--bounding-set=-all", BINARY, "run", "-c", file),
        stderr=subprocess.PIPE,
    )
    assert daemon.stderr
    try:
        line = daemon.stderr.readline().decode()
        while line and not re.search(r"permitted|denied|CAP_SYS_ADMIN", line):
            line = daemon.stderr.readline().decode()
        assert line, "no word about privileges"
    finally:
        daemon.kill()
        daemon.communicate()


def test_run_without_a_stderr_does_not_log_into_a_socket(tmp_path: Path) -> None:
    file = _write(tmp_path, json.dumps({"rules": [RULE | {"netns": f"nsr{os.getpid()}-absent"}]}))
    daemon = subprocess.Popen(["sh", "-c", 'exec "$0" run -c "$1" 2>&-', BINARY, file])
    try:
        wait_until(
            lambda: "anon_inode:[signalfd]" in process.open_files(daemon.pid).values(), "ready"
        )
        assert process.open_files(daemon.pid)[2] == "/dev/null"
    finally:
        daemon.terminate()
        assert daemon.wait(10 * SLOWNESS) == 0
