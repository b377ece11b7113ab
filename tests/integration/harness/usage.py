"""What the program's own help says about its commands and options."""

import functools
import re
import subprocess

from .daemon import BINARY


@functools.cache
def _help(*command: str) -> str:
    done = subprocess.run(
        [BINARY, *command, "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def commands_of_help() -> set[str]:
    """The names of the commands."""
    listing = _help().partition("Subcommands:\n")[2]
    return set(re.findall(r"^  ([a-z]+) ", listing, re.MULTILINE))


def options_of_help(*command: str) -> set[str]:
    """The options of a command, or of the program, short and long: {"-c", "--config", ...}."""
    options = _help(*command).partition("Options:\n")[2].partition("\nSubcommands:")[0]
    heads = re.findall(r"^  (-\S+)", options, re.MULTILINE)
    return {name for head in heads for name in head.split(",")}
