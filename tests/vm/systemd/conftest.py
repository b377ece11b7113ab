"""Fixtures of the tests that run inside the guest: nsrelay installed there, as a service."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("harness", "service")

from harness.lab import Lab  # noqa: E402
from service import Service, install  # noqa: E402


def pytest_sessionstart(session: pytest.Session) -> None:
    """These tests install into /usr/local and /etc, and kill services: never outside of a guest."""
    if "uml" not in Path("/proc/cpuinfo").read_text().lower():
        pytest.exit("to be run by tests/vm/guest --systemd", returncode=1)
    install(Path(os.environ["NSRELAY_BUILD"]))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The test's own namespaces and peers."""
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service, stopped, without drop-ins. Stopped again at the end."""
    made = Service()
    try:
        yield made
    finally:
        made.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Iterator[None]:
    """Adds the service's journal to the report of a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and report.when == "call":
        report.sections.append(("journal of nsrelay", Service().journal_text()))
