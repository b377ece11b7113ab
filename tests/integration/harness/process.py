"""What /proc says about a process, and processes that never outlive the test run."""

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Starts `command`; the kernel kills it should the test run die. The pid is the command's."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)


def cpu_seconds(pid: int) -> float:
    """User and system time that all threads of the process have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> list[int]:
    """The numbers of the open descriptors."""
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]


def open_files(pid: int) -> dict[int, str]:
    """What each descriptor is, e.g. `/dev/null` or `anon_inode:[eventpoll]`."""
    files = {}
    for number in descriptors(pid):
        with contextlib.suppress(FileNotFoundError):  # closed since
            files[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return files


def is_sanitized(pid: int) -> bool:
    """Whether the program runs under AddressSanitizer."""
    return "libasan" in Path(f"/proc/{pid}/maps").read_text()


def sleeps(pid: int) -> int:
    """How often the main thread has gone to sleep: as often as it has been woken."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def threads(pid: int) -> list[int]:
    """The ids of the threads."""
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def thread_namespaces(pid: int) -> set[str]:
    """The network namespaces (`net:[inode]`) that the threads are in."""
    return {os.readlink(f"/proc/{pid}/task/{thread}/ns/net") for thread in threads(pid)}


def traced(pid: int) -> bool:
    """Whether a tracer is attached."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return line.split()[1] != "0"
    return False
