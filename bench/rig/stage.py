"""Where a measurement takes place: throw-away namespaces, a client, a proxy and a backend in them.

The proxy has the last CPU for itself; client and backend share the others.
"""

import contextlib
import ctypes
import os
import resource
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness import linux
from harness.netns import Netns

from .cgroup import Cgroup, Hierarchy

CONGESTION = "reno"
PATHS = ("veth", "loopback")

_SYSCTLS = {
    "net.ipv4.tcp_congestion_control": CONGESTION,
    "net.ipv4.ip_local_port_range": "1024\t65535",
    "net.ipv4.tcp_tw_reuse": "1",
}

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Cpus:
    """Who runs where."""

    proxy: frozenset[int]
    load: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> "Cpus":
        """The last CPU for the proxy, all others for the load; one CPU is shared."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(frozenset(allowed[-1:]), frozenset(allowed[:-1] or allowed))


class Stage:
    """Fresh namespaces for one measurement: no socket in TIME_WAIT, no route cache, no process.

    On the path `veth`, client and backend each have a veth pair to the proxy's namespace and one
    to each other, for the load without a proxy. On `loopback`, all are in one namespace.
    Leaving the context kills every process and removes everything.
    """

    def __init__(self, hierarchy: Hierarchy, cpus: Cpus, path: str) -> None:
        self._hierarchy = hierarchy
        self._cpus = cpus
        self._path = path
        self._cleanup = contextlib.ExitStack()
        #: time.monotonic() when the program that was started last replaced the rig's image.
        self.last_exec = 0.0

    def __enter__(self) -> "Stage":
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsrelay-")))
            stack.callback(Netns.delete_all)
            if self._path == "veth":
                self._build_veth()
            else:
                self._build_loopback()
            for netns in {self.client, self.proxy, self.backend}:
                _tune(netns)
            self.group = self._hierarchy.group()
            stack.callback(self.group.remove)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._cleanup.close()

    def _build_veth(self) -> None:
        self.client, self.proxy, self.backend = Netns.add_many(["client", "proxy", "backend"])
        self.client.connect_to(self.proxy, "10.77.1.1/24", "10.77.1.2/24")
        self.proxy.connect_to(self.backend, "10.77.2.1/24", "10.77.2.2/24")
        self.client.connect_to(self.backend, "10.77.3.1/24", "10.77.3.2/24")
        self.listen, self.upstream, self.direct = (
            "10.77.1.2:8000", "10.77.2.2:9000", "10.77.3.2:9000")

    def _build_loopback(self) -> None:
        self.client = self.proxy = self.backend = Netns.add("all")
        self.listen, self.upstream, self.direct = (
            "127.0.0.1:8000", "127.0.0.1:9000", "127.0.0.1:9000")

    def tenants(self, count: int) -> list[Netns]:
        """So many more namespaces with nothing but `lo`."""
        return Netns.add_many([f"t{number}" for number in range(count)])

    def start_proxy(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Starts a proxy in its namespace, on its CPU, in its cgroup; its output goes to a file."""
        with self.log.open("wb") as log:
            return self._start(command, self.proxy, self._cpus.proxy, self.group,
                               stdout=log, stderr=log)

    def start_load(self, netns: Netns, command: Sequence[str]) -> "subprocess.Popen[str]":
        """Starts a program of the load with pipes; the stage ends it."""
        return self._start(command, netns, self._cpus.load, None, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def log(self) -> Path:
        """What the proxy has written to stdout and stderr."""
        return self.folder / "proxy.log"

    def _start(self, command: Sequence[str], netns: Netns, cpus: frozenset[int],
               group: Cgroup | None, **options: object) -> "subprocess.Popen":
        place = os.open(netns.path, os.O_RDONLY | os.O_CLOEXEC)
        reader, writer = os.pipe2(os.O_CLOEXEC)

        def enter() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            linux.setns(place)
            os.sched_setaffinity(0, cpus)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if group:
                group.join()
            os.write(writer, struct.pack("d", time.monotonic()))

        try:
            made = subprocess.Popen(command, preexec_fn=enter,
                                    **{"stdin": subprocess.DEVNULL, **options})
            self.last_exec = struct.unpack("d", os.read(reader, 8))[0]
        finally:
            for fd in (place, reader, writer):
                os.close(fd)
        self._cleanup.callback(_end, made)
        return made


def _tune(netns: Netns) -> None:
    for key, value in _SYSCTLS.items():
        netns.sysctl(key, value)


def _end(program: "subprocess.Popen") -> None:
    program.kill()
    program.communicate()
