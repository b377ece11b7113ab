"""CPU time and memory of a proxy with all of its threads, children and finished forks."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.waiting import wait_until

_PREFIX = "nsrelay-bench-"
_OURS = re.compile(_PREFIX + r"(\d+)")


@dataclass(frozen=True)
class CpuTime:
    """Seconds of CPU time."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Both."""
        return self.user + self.system

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user - other.user, self.system - other.system)


class Hierarchy:
    """The cgroup2 file system that the proxies' groups are made in; mounted where there is none.

    `cpu.stat` counts in every group, whichever hierarchy has the cpu controller.
    """

    def __init__(self) -> None:
        self._mounted: Path | None = None
        self.root = _find_mount() or self._mount()
        self._sweep()

    def _mount(self) -> Path:
        self._mounted = Path(tempfile.mkdtemp(prefix=_PREFIX))
        subprocess.run(["mount", "-t", "cgroup2", "none", str(self._mounted)], check=True)
        return self._mounted

    def _sweep(self) -> None:
        """Removes the groups of a run that was killed."""
        for path in self.root.glob(f"{_PREFIX}*"):
            ours = _OURS.match(path.name)
            if ours and not Path("/proc", ours[1]).exists():
                Cgroup(path).remove()

    def group(self) -> "Cgroup":
        """A new, empty group. One exists at a time."""
        path = self.root / f"{_PREFIX}{os.getpid()}"
        path.mkdir()
        return Cgroup(path)

    def close(self) -> None:
        """Undoes the mount."""
        if self._mounted:
            subprocess.run(["umount", str(self._mounted)], check=True)
            self._mounted.rmdir()


class Cgroup:
    """A group of processes: what they use, and their end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def join(self) -> None:
        """Moves the calling process in; its children will be born there."""
        (self._path / "cgroup.procs").write_text("0")

    def pids(self) -> list[int]:
        """The processes inside."""
        return [int(line) for line in (self._path / "cgroup.procs").read_text().split()]

    def cpu_time(self) -> CpuTime:
        """What all processes have used that are or were inside."""
        fields = dict(line.split() for line in (self._path / "cpu.stat").read_text().splitlines())
        return CpuTime(int(fields["user_usec"]) / 1e6, int(fields["system_usec"]) / 1e6)

    def memory(self, field: str) -> int:
        """The sum of a field of /proc/PID/smaps_rollup (`Rss`, `Pss`) in bytes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
                total += int(found[1]) * 1024 if found else 0
        return total

    def threads(self) -> int:
        """Threads of all processes."""
        return sum(len(process.threads(pid)) for pid in self.pids())

    def descriptors(self) -> int:
        """Open descriptors of all processes."""
        return sum(len(process.descriptors(pid)) for pid in self.pids())

    def wait_quiet(self) -> None:
        """Until the processes have used no CPU to speak of for a while, or two seconds passed."""
        for _ in range(20):
            before = self.cpu_time().total
            time.sleep(0.1)
            if self.cpu_time().total - before < 0.002:
                return

    def remove(self) -> None:
        """Kills what is inside and removes the group."""
        (self._path / "cgroup.kill").write_text("1")
        wait_until(lambda: not self.pids(), "an empty cgroup")
        wait_until(self._rmdir, "removal of a cgroup")

    def _rmdir(self) -> bool:
        with contextlib.suppress(OSError):
            self._path.rmdir()
            return True
        return False


def _find_mount() -> Path | None:
    """Where a writable cgroup2 file system is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(",") and os.access(where, os.W_OK):
            return Path(where)
    return None
