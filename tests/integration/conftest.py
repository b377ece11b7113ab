"""Fixtures of the integration tests, and the daemon's log in the report of a failed one."""

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("harness", "scenarios")

from harness import daemon, netns  # noqa: E402
from harness.lab import Lab  # noqa: E402


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """Cleans up on every way out: SIGTERM becomes an interrupt, and atexit catches the rest."""
    signal.signal(signal.SIGTERM, _interrupt)
    atexit.register(netns.Netns.delete_all)
    netns.sweep()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Says plainly what is missing, in place of a hundred failures."""
    if os.geteuid() != 0:
        pytest.exit("the integration tests need root: they make network namespaces", returncode=1)
    if not os.access(daemon.BINARY, os.X_OK):
        pytest.exit(f"no program at NSRELAY_BINARY={daemon.BINARY}", returncode=1)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """The test's own namespaces, daemons and peers."""
    made = Lab(tmp_path)
    request.node.lab = made
    try:
        yield made
    finally:
        made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Adds the daemons' logs to the report of a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    made = getattr(item, "lab", None)
    if report.failed and made:
        for number, text in enumerate(made.logs()):
            report.sections.append((f"log of nsrelay {number}", text))
