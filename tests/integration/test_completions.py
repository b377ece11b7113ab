"""What bash and zsh offer behind Tab: the program's own commands and options, and names that it serves."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.daemon import BINARY, Daemon, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.shell import COMPLETIONS, Shell
from harness.usage import commands_of_help, options_of_help

SHELLS = ["bash", "zsh"]
#: What is offered for a line, by one of the shells.
Offered = Callable[[str], set[str]]

_ASK_BASH = """
source "$1/nsrelay.bash"
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_LINE=$2 COMP_POINT=${#2}
_nsrelay
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered_by_bash(line: str, folder: Path) -> set[str]:
    """What bash would offer, by a call of the function that it calls."""
    path = f"{Path(BINARY).resolve().parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-uc", _ASK_BASH, "bash", COMPLETIONS, line], capture_output=True, text=True,
        timeout=30, check=False, cwd=folder, env={**os.environ, "PATH": path},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split("\n")) - {""}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """A shell on a terminal."""
    made = Shell(request.param, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=SHELLS)
def offered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Offered]:
    """What a shell offers for a line."""
    if request.param == "bash":
        yield lambda line: offered_by_bash(line, tmp_path)
        return
    zsh = Shell("zsh", tmp_path)
    try:
        yield zsh.offered
    finally:
        zsh.close()


@pytest.fixture
def daemon(lab: Lab, tmp_path: Path) -> Daemon:
    """Rules `web` and `we.b-2`, in two namespaces; the socket is `control.sock` in the folder."""
    rules = [
        rule("web", netns=["default", lab.netns("blue").name]),
        rule("we.b-2", listen="127.0.0.1:8001"),
    ]
    return lab.daemon(*rules, control={"socket": str(tmp_path / "control.sock")})


def long_options(*command: str) -> set[str]:
    """The long options of a command by its own help."""
    return {name for name in options_of_help(*command) if name.startswith("--")}


@pytest.mark.parametrize("shell", SHELLS, indirect=True)
def test_tab_completes_on_a_terminal(shell: Shell) -> None:
    assert shell.completed("nsrelay stat") == ["status"]
    assert shell.completed("nsrelay status --js") == ["status", "--json"]
    assert shell.completed("nsrelay run --log-level wa") == ["run", "--log-level", "warn"]


def test_tab_completes_files(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "my rules.yaml").touch()
    assert shell.completed("nsrelay check -c my") == ["check", "-c", "my rules.yaml"]
    assert shell.completed("nsrelay status --control=my") == ["status", "--control=my rules.yaml"]


def test_tab_completes_a_name_of_the_running_daemon(shell: Shell, daemon: Daemon) -> None:
    assert shell.completed("nsrelay drain --control ./control.sock def") == [
        "drain", "--control", "./control.sock", "default",
    ]


def test_every_command(offered: Offered) -> None:
    assert offered("nsrelay ") == commands_of_help()
    assert offered("nsrelay re") == {"reload"}


def test_every_option_of_every_command(offered: Offered) -> None:
    for command in sorted(commands_of_help()):
        assert offered(f"nsrelay {command} --") == long_options(command), command
    assert offered("nsrelay --") == long_options()


def test_values_of_options(offered: Offered) -> None:
    assert offered("nsrelay run --log-level ") == {"trace", "debug", "info", "warn", "error"}
    assert offered("nsrelay run --log-target ") == {"auto", "journal", "stderr"}
    assert offered("nsrelay run --log-target=s") == {"stderr"}
    assert offered("nsrelay drain --timeout ") == set()


def test_names_of_rules_and_namespaces(
    offered: Offered, daemon: Daemon, tmp_path: Path
) -> None:
    control = f"--control {tmp_path}/control.sock"
    blue = Netns("blue").name
    assert offered(f"nsrelay connections {control} --rule ") == {"web", "we.b-2"}
    assert offered(f"nsrelay connections {control} --rule we.") == {"we.b-2"}
    assert offered(f"nsrelay drain {control} --rule=w") == {"web", "we.b-2"}
    assert offered(f"nsrelay connections {control} --netns ") == {blue, "default"}
    assert offered(f"nsrelay drain {control} ") == {blue, "default"}
    assert not offered(f"nsrelay drain {control} default ") & {blue, "default"}


def test_without_a_daemon_there_are_no_names_and_no_errors(
    offered: Offered, tmp_path: Path
) -> None:
    control = f"--control {tmp_path}/absent.sock"
    assert offered(f"nsrelay drain {control} ") == set()
    assert offered(f"nsrelay connections {control} --rule ") == set()


def test_shellcheck_finds_no_fault() -> None:
    subprocess.run(["shellcheck", "--shell=bash", COMPLETIONS / "nsrelay.bash"], check=True)
