"""The checks of the source tree can fail: each is given a bad sample."""

import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


def _include_direction(root: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TESTS / "include_direction.py", root], capture_output=True, text=True, check=False
    )


def _sample(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("src/base/a.cpp", '#include "nsrelay/net/socket.hpp"'),
        ("src/base/a.cpp", '#include "nsrelay/config/config.hpp"'),
        ("src/event/a.cpp", '#include "nsrelay/net/socket.hpp"'),
        ("src/net/a.cpp", '#include "nsrelay/event/event_loop.hpp"'),
        ("src/netns/a.cpp", '#include "nsrelay/upstream/target.hpp"'),
        ("src/relay/a.cpp", '#include "nsrelay/control/control_server.hpp"'),
        ("src/relay/a.cpp", '#include "nsrelay/config/config_loader.hpp"'),
        ("src/relay/a.cpp", '#  include "nsrelay/daemon/daemon.hpp"'),
        ("src/config/a.cpp", '#include "nsrelay/net/socket.hpp"'),
        ("src/daemon/a.cpp", '#include "nsrelay/cli/run.hpp"'),
        ("src/attic/a.cpp", "int unknown_room;"),
        ("include/nsrelay/net/a.hpp", '#include "nsrelay/relay/listener.hpp"'),
        ("src/relay/a.cpp", "  ::epoll_ctl(fd, EPOLL_CTL_ADD, other, &event);"),
        ("src/relay/a.cpp", "  if (setns(fd, CLONE_NEWNET) != 0)"),
        ("src/main.cpp", "  epoll_create1(0);"),
    ],
)
def test_bad_line_is_found(tmp_path: Path, file: str, line: str) -> None:
    _sample(tmp_path, file, f"\n{line}\n")
    done = _include_direction(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{file}:")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("src/relay/a.cpp", '#include "nsrelay/net/socket.hpp"'),
        ("src/relay/a.cpp", '#include "nsrelay/config/forward_rule.hpp"'),
        ("src/upstream/a.cpp", '#include "nsrelay/netns/netns.hpp"'),
        ("src/daemon/a.cpp", '#include "nsrelay/config/config_loader.hpp"'),
        ("src/main.cpp", '#include "nsrelay/cli/run.hpp"'),
        ("src/event/a.cpp", "epoll_wait(1, nullptr, 0, 0);"),
        ("src/netns/a.cpp", "setns(fd, 0);"),
        ("src/relay/a.cpp", "// as epoll_wait(2) says, and setns(2)"),
        ("src/relay/a.cpp", "EpollMask epoll_mask;"),
    ],
)
def test_good_line_passes(tmp_path: Path, file: str, line: str) -> None:
    _sample(tmp_path, file, f"{line}\n")
    done = _include_direction(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_empty_tree_is_a_fault(tmp_path: Path) -> None:
    assert _include_direction(tmp_path).returncode == 1


@pytest.mark.parametrize(("text", "status"), [("int a = 1;\n", 0), ("int  a=1 ;\n", 1)])
def test_format(tmp_path: Path, text: str, status: int) -> None:
    style = (TESTS.parent / ".clang-format").read_text()
    (tmp_path / ".clang-format").write_text(style)
    (tmp_path / "a.cpp").write_text(text)
    done = subprocess.run(
        [TESTS / "check_format", tmp_path / "a.cpp"], capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) == bool(status), done.stderr
