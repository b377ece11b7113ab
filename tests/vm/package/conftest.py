"""The package in a guest: these tests install and remove it for good."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

VM = Path(__file__).parents[1]
sys.path[:0] = [str(VM.parent / "integration"), str(VM / "systemd")]
pytest.register_assert_rewrite("harness", "machine")

from harness.lab import Lab  # noqa: E402


def pytest_sessionstart(session: pytest.Session) -> None:
    """Never outside of a guest."""
    if "uml" not in Path("/proc/cpuinfo").read_text().lower():
        pytest.exit("to be run by tests/vm/guest --systemd", returncode=1)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The test's own namespaces and peers."""
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()
