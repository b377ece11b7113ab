"""One measurement from start to end: a stage, a proxy that forwards on it, a load generator."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.waiting import wait_until

from .cgroup import Hierarchy
from .load import Generator
from .peers import MOST_CONNECTIONS, NoProxy, Peer
from .stage import Cpus, Stage

_LAST_LINES = 5


class PeerFailed(Exception):
    """A proxy did not start, or does not forward."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    seconds: float = 2.0
    idle: int = 5000
    crowd: int = min(10000, MOST_CONNECTIONS - 100)
    tenants: int = 400
    most_connections: int = 1000

    def tiny(self) -> "Scale":
        """As little as shows that everything works."""
        return replace(self, seconds=0.1, idle=50, crowd=50, tenants=5, most_connections=50)


@dataclass
class Scene:
    """A stage with a backend, and a proxy, if any, that has forwarded its first bytes."""

    stage: Stage
    generator: Generator
    target: str
    has_proxy: bool = True


class Bench:
    """What all measurements have in common."""

    def __init__(self, hierarchy: Hierarchy, load_binary: Path, path: str, scale: Scale) -> None:
        self._hierarchy = hierarchy
        self._load_binary = load_binary
        self._path = path
        self.cpus = Cpus.of_this_machine()
        self.scale = scale

    @contextlib.contextmanager
    def stage(self) -> Iterator[Stage]:
        """An empty stage."""
        with Stage(self._hierarchy, self.cpus, self._path) as stage:
            yield stage

    @contextlib.contextmanager
    def scene(self, peer: Peer, protocol: str = "tcp") -> Iterator[Scene]:
        """A stage on which `peer` forwards a port of `protocol` to a backend."""
        with self.stage() as stage:
            generator = Generator(self._load_binary, stage)
            generator.serve()
            if isinstance(peer, NoProxy):
                _wait_echo(stage, stage.direct, protocol, None)
                yield Scene(stage, generator, stage.direct, has_proxy=False)
                return
            proxy = stage.start_proxy(peer.command(stage, protocol))
            _wait_echo(stage, stage.listen, protocol, proxy)
            stage.group.wait_quiet()
            yield Scene(stage, generator, stage.listen)


def _wait_echo(stage: Stage, address: str, protocol: str,
               proxy: "subprocess.Popen[bytes] | None") -> None:
    """Until a byte has gone through and come back."""
    def echoes() -> bool:
        if proxy and proxy.poll() is not None:
            raise PeerFailed(f"ended with status {proxy.returncode}: {_last_lines(stage)}")
        host, port = address.split(":")
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with stage.client.socket(kind=kind) as sock, contextlib.suppress(OSError):
            sock.settimeout(1)
            sock.connect((host, int(port)))
            sock.sendall(b"e")
            return sock.recv(1) == b"e"
        return False

    try:
        wait_until(echoes, f"an echo through {address}")
    except AssertionError as error:
        raise PeerFailed(f"{error}: {_last_lines(stage)}") from None


def _last_lines(stage: Stage) -> str:
    text = stage.log.read_text(errors="replace") if stage.log.exists() else ""
    return " / ".join(text.splitlines()[-_LAST_LINES:])
