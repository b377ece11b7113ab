"""`nsrelay run` under test, inside a namespace that is its `default`."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import linux, process
from .log import Log
from .netns import Netns
from .sctp import IPPROTO_SCTP
from .waiting import DEADLINE, wait_until

#: The program under test.
BINARY = os.environ.get("NSRELAY_BINARY", "build/release/nsrelay")

Rule = dict[str, Any]


def rule(
    name: str = "web", listen: Any = "0.0.0.0:8000", upstream: Any = "127.0.0.1:9000", **keys: Any
) -> Rule:
    """One entry of `rules`."""
    return {"name": name, "listen": listen, "upstream": upstream, **keys}


class Daemon:
    """A daemon that was started; wait_ready() tells when its listeners are open."""

    def __init__(
        self,
        netns: Netns,
        folder: Path,
        rules: Sequence[Rule],
        *,
        wrapper: Sequence[str] = (),
        arguments: Sequence[str] = (),
        **top: Any,
    ) -> None:
        """Writes the configuration to `folder` and starts.

        `wrapper` goes before the program's name (e.g. prlimit). `top`: keys of the file beside
        `rules`.
        """
        self.file = folder / "nsrelay.yaml"
        self._top = {"log": {"target": "stderr"}, "control": {"socket": ""}, "drain_timeout": "1s"}
        self._top.update(top)
        self.write(rules)
        self.exit_status: int | None = None
        self._expected_status = 0
        self._process = process.start(
            netns.command(*wrapper, BINARY, "run", "-c", str(self.file), *arguments),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr
        self.pid = self._process.pid
        self.log = Log(self._process.stderr)

    def wait_ready(self, listeners: int) -> None:
        """Until so many listeners have said `listener_open`."""
        self.log.wait_for_count(listeners, event="listener_open")

    def write(self, rules: Sequence[Rule]) -> None:
        """Replaces the rules in the configuration file. JSON is YAML."""
        self.file.write_text(json.dumps({**self._top, "rules": list(rules)}, indent=1))

    def reload(self, rules: Sequence[Rule]) -> None:
        """Writes the rules, sends SIGHUP and waits for the record of the reload."""
        before = len(self.log.records(event="reload"))
        self.write(rules)
        self.signal(signal.SIGHUP)
        self.log.wait_for_count(before + 1, event="reload")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def is_running(self) -> bool:
        """Whether the process still exists."""
        return self._process.poll() is None

    def wait(self, timeout: float = DEADLINE) -> int:
        """Waits for the process to end by itself; its exit status, negative for a signal."""
        try:
            self.exit_status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s") from None
        self.log.wait_for_end()
        return self.exit_status

    def expect_status(self, status: int) -> None:
        """The test makes the daemon end with `status`; the teardown accepts it."""
        self._expected_status = status

    def stop(self) -> None:
        """SIGTERM; asserts a clean end. Harmless where the process has ended already."""
        try:
            if self.is_running():
                self.signal(signal.SIGTERM)
            self.wait()
        finally:
            self.kill()
        reports = self.log.sanitizer_lines()
        assert not reports, "\n".join(reports)
        assert self.exit_status == self._expected_status, f"exit status {self.exit_status}"

    def kill(self) -> None:
        """Makes sure that no process is left."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.log.wait_for_end()

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        return process.cpu_seconds(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory."""
        return process.rss_bytes(self.pid)

    def descriptors(self) -> list[int]:
        """Open descriptors."""
        return process.descriptors(self.pid)

    @contextlib.contextmanager
    def all_sockets(self) -> Iterator[list[socket.socket]]:
        """The daemon's sockets as duplicates, to ask them for their options.

        A duplicate keeps the connection open, so they live as short as the context.
        """
        copies: list[socket.socket] = []
        try:
            for number in self.descriptors():
                with contextlib.suppress(OSError):
                    copy = linux.pidfd_getfd(self.pid, number)
                    try:
                        sock = socket.socket(fileno=copy)
                    except OSError:
                        os.close(copy)
                        continue
                    copies.append(sock)
            yield copies
        finally:
            for sock in copies:
                sock.close()

    @contextlib.contextmanager
    def sockets(self) -> Iterator[list[socket.socket]]:
        """Like all_sockets(), only those of TCP."""
        with self.all_sockets() as copies:
            yield [sock for sock in copies if is_tcp(sock)]

    @contextlib.contextmanager
    def sctp_sockets(self) -> Iterator[list[socket.socket]]:
        """Like all_sockets(), only those of SCTP."""
        with self.all_sockets() as copies:
            yield [sock for sock in copies if sock.proto == IPPROTO_SCTP]

    @contextlib.contextmanager
    def connection_sockets(self) -> Iterator[list[socket.socket]]:
        """Like sockets(), only those with a peer: two for each connection."""
        with self.sockets() as all_of_them:
            yield [sock for sock in all_of_them if linux.tcp_state(sock) != "LISTEN"]

    @contextlib.contextmanager
    def listening_sockets(self) -> Iterator[list[socket.socket]]:
        """Like sockets(), only the listeners."""
        with self.sockets() as all_of_them:
            yield [sock for sock in all_of_them if linux.tcp_state(sock) == "LISTEN"]

    @contextlib.contextmanager
    def failing_calls(self, *injections: str) -> Iterator[None]:
        """System calls fail as strace's `--inject` expressions say, counted from now on."""
        calls = ",".join(sorted({injection.split(":")[0] for injection in injections}))
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(self.pid), "-e", calls]
        for injection in injections:
            command += ["-e", f"inject={injection}"]
        tracer = process.start(command, stderr=subprocess.PIPE)
        try:
            wait_until(
                lambda: process.traced(self.pid) or tracer.poll() is not None, "strace attached"
            )
            assert tracer.poll() is None, tracer.stderr and tracer.stderr.read()
            yield
        finally:
            tracer.terminate()
            tracer.communicate()


def is_tcp(sock: socket.socket) -> bool:
    """Whether the socket is a TCP or MPTCP one."""
    return sock.family in (socket.AF_INET, socket.AF_INET6) and sock.proto in (
        socket.IPPROTO_TCP,
        linux.IPPROTO_MPTCP,
    )


def count_listeners(rules: Sequence[Rule]) -> int:
    """How many listeners the rules want when every namespace exists."""
    total = 0
    for entry in rules:
        namespaces = entry.get("netns", "default")
        listens = entry["listen"]
        count = len(namespaces) if isinstance(namespaces, list) else 1
        for listen in listens if isinstance(listens, list) else [listens]:
            first, _, last = listen.rpartition(":")[2].partition("-")
            total += count * (int(last or first) - int(first) + 1)
    return total
