"""The manual pages are well-formed, and nsrelay(1) has the commands and options of the program."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.usage import commands_of_help, options_of_help

MANUAL = Path(__file__).parents[2] / "docs/man"
PAGES = sorted(MANUAL.glob("*.[1-9]"))
#: What depends on the other pages of this machine.
OF_THIS_MACHINE = ("referenced manual not found", "outdated mandoc.db")


def sections() -> dict[str, str]:
    """The text of nsrelay(1) under each `.Ss nsrelay COMMAND`."""
    text = (MANUAL / "nsrelay.1").read_text()
    commands = text.partition(".Sh COMMANDS\n")[2].partition("\n.Sh ")[0]
    parts = re.split(r"^\.Ss nsrelay (\w+)$", commands, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(section: str) -> set[str]:
    """The options that a section has an item for: `.It Fl c , Fl -config Ar FILE`."""
    items = re.findall(r"^\.It (Fl .*)$", section, re.MULTILINE)
    return {f"-{name}" for item in items for name in re.findall(r"\bFl (\S+)", item)}


def test_both_pages_are_there() -> None:
    assert [page.name for page in PAGES] == ["nsrelay.1", "nsrelay.yaml.5"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_no_fault(page: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", page], capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    faults = [line for line in lines if not any(words in line for words in OF_THIS_MACHINE)]
    assert faults == []


def test_every_command_has_a_section() -> None:
    assert set(sections()) == commands_of_help()


@pytest.mark.parametrize("command", sorted(commands_of_help()))
def test_every_option_of_a_command(command: str) -> None:
    assert documented(sections()[command]) == options_of_help(command) - {"-h", "--help"}


@pytest.mark.parametrize("command", sorted(commands_of_help()))
def test_the_synopsis_has_the_command_with_its_options(command: str) -> None:
    text = (MANUAL / "nsrelay.1").read_text()
    synopsis = text.partition(".Sh SYNOPSIS\n")[2].partition(".Sh ")[0]
    (found,) = [
        part for part in synopsis.split(".Nm\n") if part.startswith(f".Cm {command}\n")
    ]
    short = {"--config": "-c"}
    wanted = {short.get(name, name) for name in options_of_help(command)} - {"-h", "--help"}
    assert {f"-{name}" for name in re.findall(r"\bFl (\S+)", found)} == wanted


def test_the_options_of_the_program() -> None:
    text = (MANUAL / "nsrelay.1").read_text()
    section = text.partition(".Sh OPTIONS\n")[2].partition(".Sh ")[0]
    assert documented(section) == options_of_help()
