"""Thousands of namespaces: start, memory, a new one among them, many at once, churn, idleness.

NSRELAY_TEST_SCALE=4000 for the real thing; every test prints its figures (pytest -s).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import process
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import echo, ping, wait_connected
from harness.waiting import SLOWNESS, let_pass, wait_until

pytestmark = pytest.mark.heavy

SCALE = int(os.environ.get("NSRELAY_TEST_SCALE", "300"))
#: How many come at once.
BURST = max(200, SCALE // 4)
#: The daemon must not hold up a connection for longer, whatever else it does. In microseconds.
LONGEST_STALL = 100_000 * SLOWNESS

PORT = ("127.0.0.1", 8000)
PINGER = Path(__file__).parent / "harness" / "pinger.py"


def _labels(count: int, kind: str = "tenant") -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


def _show(**figures: object) -> None:
    print(" ".join(f"{key}={value}" for key, value in figures.items()))


def _daemon(lab: Lab, listeners: int = 0, kind: str = "tenant") -> Daemon:
    daemon = lab.daemon(
        rule("home"), rule(netns=Netns(f"{kind}-*").name), listeners=listeners + 1
    )
    daemon.log.wait_for(event="started")
    return daemon


def _all_served(daemon: Daemon, count: int) -> bool:
    return len(daemon.log.records(event="listener_open", rule="web")) == count


class Pings:
    """Two ping-pongs side by side: through the daemon, and without it as a measure of the machine."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.through = self._start(9000, 8000)
        self.direct = self._start(9001, 9001)
        #: Round trips in microseconds, of either: count, p50, p99, max.
        self.figures: dict[str, dict[str, int]] = {}

    def _start(self, served: int, port: int) -> "subprocess.Popen[bytes]":
        host = self._lab.host
        self._lab.program(
            host, sys.executable, str(PINGER), "serve", "127.0.0.1", str(served),
            ready=lambda: host.listens(served), stderr=subprocess.DEVNULL,
        )
        return process.start(
            host.command(sys.executable, str(PINGER), "ping", "127.0.0.1", str(port)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def stop(self) -> None:
        """Ends both."""
        for name, pinger in (("through", self.through), ("direct", self.direct)):
            out = pinger.communicate(timeout=60)[0]
            assert pinger.returncode == 0, f"the ping-pong {name} failed"
            self.figures[name] = json.loads(out)

    def stall(self) -> int:
        """By how much the longest one through the daemon is longer than the machine's own."""
        return self.figures["through"]["max"] - self.figures["direct"]["max"]


@contextmanager
def _pings(lab: Lab) -> Iterator[Pings]:
    """Ping-pongs while the context lasts."""
    pings = Pings(lab)
    try:
        yield pings
    finally:
        pings.stop()


def _cpu_share(daemon: Daemon, seconds: float) -> float:
    """The part of one processor that it uses."""
    clock = (~daemon.pid << 3) | 2  # its CPU-time clock: clock_getcpuclockid(3)
    before = time.clock_gettime(clock)
    let_pass(seconds)
    return (time.clock_gettime(clock) - before) / seconds


def test_start_memory_and_one_more(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    bare = _daemon(lab)
    bare_rss = bare.rss_bytes()
    bare.stop()
    lab.thousands(_labels(SCALE))
    begin = time.monotonic()
    daemon = _daemon(lab, SCALE)
    start = daemon.log.wait_for(event="started").seen - begin
    per_listener = (daemon.rss_bytes() - bare_rss) / SCALE
    times = []
    for number in range(11):
        netns = lab.netns(f"tenant-more{number}")
        client = wait_connected(netns, PORT)
        ping(client)
        times.append(time.monotonic() - netns.added)
        client.close()
    times.sort()
    _show(namespaces=SCALE, start_seconds=round(start, 3), rss_per_listener=round(per_listener),
          one_more_median_ms=round(times[5] * 1000, 1), one_more_max_ms=round(times[-1] * 1000, 1))
    assert start < SCALE / 400 * SLOWNESS
    if SLOWNESS == 1:
        assert per_listener < 8192
    assert times[5] < 0.1 * SLOWNESS
    assert process.threads(daemon.pid) == [daemon.pid]


def test_idle_costs_nothing(lab: Lab) -> None:
    """The quietest of three windows: somebody else may make a namespace in one of them."""
    lab.thousands(_labels(max(400, SCALE)))
    daemon = _daemon(lab, max(400, SCALE))
    share = min(_cpu_share(daemon, 2.0) for _ in range(3))
    _show(namespaces=max(400, SCALE), idle_cpu_percent=round(share * 100, 3))
    assert share < 0.01 * SLOWNESS


def test_many_at_once_do_not_stall_a_connection(lab: Lab) -> None:
    lab.thousands(_labels(SCALE, "before"))
    daemon = lab.daemon(
        rule("home"), rule("old", netns=Netns("before-*").name),
        rule(netns=Netns("tenant-*").name, listen="0.0.0.0:8001"), listeners=SCALE + 1,
    )
    with _pings(lab) as pings:
        begin = time.monotonic()
        lab.thousands(_labels(BURST))
        made = time.monotonic() - begin
        wait_until(lambda: _all_served(daemon, BURST), "all of them are served")
        served = time.monotonic() - begin
    _show(present=SCALE, created=BURST, creation_seconds=round(made, 2),
          all_served_seconds=round(served, 2), round_trips_us=pings.figures)
    assert served - made < 1.0 * SLOWNESS
    assert pings.stall() < LONGEST_STALL


def test_churn_leaves_nothing_behind(lab: Lab) -> None:
    lab.thousands(_labels(SCALE, "before"))
    daemon = lab.daemon(
        rule("home"), rule("old", netns=Netns("before-*").name),
        rule(netns=Netns("tenant-*").name, listen="0.0.0.0:8001"),
        rule("pending", netns=Netns("tenant-*").name, listen="10.50.9.9:8002"),
        listeners=SCALE + 1,
    )
    labels = _labels(BURST)
    size = 50

    def churn() -> None:
        for first in range(0, BURST, size):
            some = lab.thousands(labels[first : first + size])
            Netns.delete_thousands(some)

    def is_quiet() -> bool:
        opened = daemon.log.records(event="listener_open", rule="web")
        return len(opened) == len(daemon.log.records(event="listener_closed", rule="web"))

    with _pings(lab) as pings:
        churn()  # what is allocated once is allocated now
        wait_until(is_quiet, "all of them are let go of")
        descriptors, rss = len(daemon.descriptors()), daemon.rss_bytes()
        begin = time.monotonic()
        churn()
        seconds = time.monotonic() - begin
        wait_until(is_quiet, "all of them are let go of")
        wait_until(lambda: len(daemon.descriptors()) <= descriptors, "descriptors are as before")
        grown = daemon.rss_bytes() - rss
        opened = len(daemon.log.records(event="listener_open", rule="web"))
    _show(present=SCALE, churned=2 * BURST, of_which_opened=opened, seconds=round(seconds, 2),
          descriptors=descriptors, rss_grown=grown, round_trips_us=pings.figures)
    assert pings.stall() < LONGEST_STALL
    # AddressSanitizer holds back what is freed, to find uses of it.
    assert grown < 1024 * 1024 or process.is_sanitized(daemon.pid)
    assert process.threads(daemon.pid) == [daemon.pid]
