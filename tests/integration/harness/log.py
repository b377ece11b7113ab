"""The daemon's log: lines of text on stderr, read by a thread, parsed to records."""

import re
import threading
import time
from dataclasses import dataclass, field
from typing import IO

from .waiting import DEADLINE

_FIELD = re.compile(r'(?:^|\s)([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')
_LEVEL = re.compile(r"\b(trace|debug|info|warn|warning|error|critical)\b", re.IGNORECASE)
_SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:")


@dataclass
class Record:
    """One line. `record["reason"]` is a field, `record.get("x")` one that may be absent."""

    line: str
    #: time.monotonic() when the line was read.
    seen: float
    level: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        assert key in self.fields, f"no {key}= in: {self.line}"
        return self.fields[key]

    def get(self, key: str, default: str = "") -> str:
        """The value of a field, or `default` where the record has none."""
        return self.fields.get(key, default)

    def matches(self, wanted: dict[str, object]) -> bool:
        """Whether every field of `wanted` has that value here."""
        return all(self.fields.get(key) == str(value) for key, value in wanted.items())


def parse(line: str) -> Record:
    """`TIMESTAMP level message key=value …`, leniently: only key=value counts."""
    record = Record(line=line, seen=time.monotonic())
    level = _LEVEL.search(line)
    record.level = level[1].lower() if level else ""
    for key, value in _FIELD.findall(line):
        if value.startswith('"') and value.endswith('"') and len(value) > 1:
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        record.fields[key] = value
    return record


class Log:
    """Everything that a process has written to stderr so far."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._records: list[Record] = []
        self._changed = threading.Condition()
        self._ended = False
        self._stream = stream
        self._thread = threading.Thread(target=self._read, name="log", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for raw in self._stream:
            record = parse(raw.decode(errors="replace").rstrip("\n"))
            with self._changed:
                self._records.append(record)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self) -> str:
        """All lines."""
        with self._changed:
            return "\n".join(record.line for record in self._records)

    def records(self, **wanted: object) -> list[Record]:
        """The records so far whose fields have these values."""
        with self._changed:
            return [record for record in self._records if record.matches(wanted)]

    def wait_for(self, timeout: float = DEADLINE, **wanted: object) -> Record:
        """The first record with these values, now or within `timeout` seconds."""
        return self.wait_for_count(1, timeout, **wanted)[0]

    def wait_for_count(
        self, count: int, timeout: float = DEADLINE, **wanted: object
    ) -> list[Record]:
        """The first `count` records with these values."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [record for record in self._records if record.matches(wanted)]
                if len(found) >= count:
                    return found[:count]
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    why = "the daemon ended" if self._ended else f"not within {timeout:g} s"
                    raise AssertionError(f"{len(found)} of {count} records {wanted}: {why}")
                self._changed.wait(left)

    def wait_for_end(self, timeout: float = DEADLINE) -> None:
        """Until the process has closed its stderr and everything is read."""
        self._thread.join(timeout)

    def sanitizer_lines(self) -> list[str]:
        """What AddressSanitizer and its kin had to say."""
        with self._changed:
            return [record.line for record in self._records if _SANITIZER.search(record.line)]
