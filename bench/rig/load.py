"""Drives the load generator: a backend, and clients whose start is held back until all is ready."""

import json
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.netns import Netns

from .stage import Stage

_PATIENCE = 30.0


class LoadFailed(Exception):
    """A client gave up; the text says why."""


@dataclass(frozen=True)
class LoadReport:
    """What a client measured."""

    units: int
    errors: int
    seconds: float
    p50_us: float
    p99_us: float


class Client:
    """One run of the load generator against an address."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program
        if self._line(_PATIENCE) != "ready":
            raise LoadFailed(self._complaint())

    def run(self, seconds: float = 0) -> LoadReport:
        """Lets it load for the seconds that it was told; returns its report."""
        assert self._program.stdin
        self._program.stdin.write("go\n")
        self._program.stdin.flush()
        line = self._line(_PATIENCE + seconds)
        if not line:
            raise LoadFailed(self._complaint())
        return LoadReport(**json.loads(line))

    def close(self) -> None:
        """Ends its connections."""
        self._program.kill()
        self._program.communicate()

    def _line(self, patience: float) -> str:
        assert self._program.stdout
        if not select.select([self._program.stdout], [], [], patience)[0]:
            return ""
        return self._program.stdout.readline().strip()

    def _complaint(self) -> str:
        self._program.kill()
        _, errors = self._program.communicate()
        return errors.strip().removeprefix("nsrelay_load: ") or "the load generator hangs"


class Generator:
    """The program nsrelay_load on a stage."""

    def __init__(self, binary: Path, stage: Stage) -> None:
        self._binary = str(binary)
        self._stage = stage

    def serve(self) -> None:
        """Starts the backend on the port that both the proxy and the direct way lead to."""
        port = self._stage.upstream.rpartition(":")[2]
        self._stage.start_load(self._stage.backend, [self._binary, "serve", f"0.0.0.0:{port}"])

    def client(self, workload: str, target: str, connections: int, seconds: float = 0,
               netns: Netns | None = None) -> Client:
        """A client that is ready to load `target`."""
        command = [self._binary, workload, target, str(connections), str(seconds)]
        return Client(self._stage.start_load(netns or self._stage.client, command))
