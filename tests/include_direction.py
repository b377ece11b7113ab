#!/usr/bin/python3
"""Holds the direction of includes between the rooms of src/ and include/nsrelay/.

    main -> cli -> daemon -> {control, relay} -> {upstream, netns} -> {event, net}
         -> telemetry -> base

A room may include itself and any room below it. Rooms in one pair of braces do not know each
other, except that upstream may use netns. The structs of config may be read by every room above
base; its loader only by daemon and cli. And two families of system calls have one home each.

Usage: include_direction.py [ROOT]; exit status 1 and a line per fault where something is wrong.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

#: From the bottom; the rooms of one row do not include each other.
ROWS: list[set[str]] = [
    {"base"},
    {"telemetry"},
    {"event", "net"},
    {"netns", "upstream"},
    {"control", "relay"},
    {"daemon"},
    {"cli"},
    {"main"},
]
#: Within a row: who may include whom all the same.
SIDEWAYS = {("upstream", "netns")}
#: Plain data that every room above base may read.
CONFIG_STRUCTS = {"config.hpp", "forward_rule.hpp"}
#: Who may parse a configuration, beside config itself.
CONFIG_LOADERS = {"daemon", "cli", "main"}
#: Calls that only one room may make.
CALLS = {"event": re.compile(r"\bepoll_\w+\s*\("), "netns": re.compile(r"\bsetns\s*\(")}

_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]nsrelay/(\w+)/([^">]+)[">]')
_HEIGHT = {room: height for height, row in enumerate(ROWS) for room in row}


def may_include(room: str, other: str, header: str) -> bool:
    """Whether a file of `room` may include `nsrelay/<other>/<header>`."""
    if room == other:
        return True
    if other == "config":
        if header in CONFIG_STRUCTS:
            return room != "base"
        return room in CONFIG_LOADERS
    if room == "config":
        return other == "base"
    if _HEIGHT[room] == _HEIGHT[other]:
        return (room, other) in SIDEWAYS
    return _HEIGHT[other] < _HEIGHT[room]


def files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every C++ file with the room that it is in."""
    for top in (root / "src", root / "include" / "nsrelay"):
        for path in sorted(top.rglob("*.[ch]pp")):
            parts = path.relative_to(top).parts
            yield (parts[0] if len(parts) > 1 else "main"), path


def faults_of(room: str, text: str) -> Iterator[tuple[int, str]]:
    """The faults of one file's text, each with its line."""
    if room not in _HEIGHT and room != "config":
        yield 1, f"{room} is not a room that this check knows"
        return
    for number, line in enumerate(text.splitlines(), 1):
        include = _INCLUDE.match(line)
        if include:
            other, header = include.groups()
            if other not in _HEIGHT and other != "config":
                yield number, f"{other} is not a room that this check knows"
            elif not may_include(room, other, header):
                yield number, f"{room} may not include nsrelay/{other}/{header}"
        code = line.partition("//")[0]
        for home, call in CALLS.items():
            if room != home and call.search(code):
                yield number, f"only {home} may call {call.search(code)[0].rstrip('( ')}"


def main() -> int:
    """Checks the tree; says what is wrong."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    count = 0
    wrong = 0
    for room, path in files(root):
        count += 1
        for line, what in faults_of(room, path.read_text()):
            wrong += 1
            print(f"{path.relative_to(root)}:{line}: {what}", file=sys.stderr)
    if count == 0:
        print(f"{root}: no C++ file", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
