"""The journal's catalog explains every kind of event, and nothing else."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "systemd" / "nsrelay.catalog"
HEADER = ROOT / "include" / "nsrelay" / "telemetry" / "log_record.hpp"

_EVENT = re.compile(r'constexpr LogEvent k\w+\s*=\s*\{([^}]*)\}')


def _ids_of_events() -> dict[str, str]:
    """Identifier by name, for every event in the source."""
    ids = {}
    for body in _EVENT.findall(HEADER.read_text()):
        texts = re.findall(r'"([^"]*)"', body)
        assert len(texts) == 3, f"an event without a MESSAGE_ID: {texts}"
        ids[texts[0]] = texts[2]
    assert len(ids) > 10
    return ids


def test_every_event_has_an_identifier_of_its_own() -> None:
    ids = _ids_of_events()
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids.values())
    assert len(set(ids.values())) == len(ids)


def test_every_event_is_explained_and_nothing_else() -> None:
    explained = re.findall(r"^-- (\w+)$", CATALOG.read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(_ids_of_events().values())


def test_every_entry_says_what_happened_and_what_to_do() -> None:
    for entry in re.split(r"^-- \w+$", CATALOG.read_text(), flags=re.MULTILINE)[1:]:
        head, _, text = entry.strip().partition("\n\n")
        assert re.fullmatch(r"Subject: .+\nDefined-By: nsrelay", head)
        assert len(text.split("\n\n")) >= 2, head


def test_journalctl_takes_it(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (folder / "nsrelay.catalog").write_bytes(CATALOG.read_bytes())
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    updated = subprocess.run(
        ["journalctl", f"--root={tmp_path}", "--update-catalog"],
        capture_output=True, text=True, check=False,
    )
    assert (updated.returncode, updated.stderr) == (0, "")
    listed = subprocess.run(
        ["journalctl", f"--root={tmp_path}", "--list-catalog"],
        capture_output=True, text=True, check=True,
    ).stdout
    for one in _ids_of_events().values():
        assert re.search(rf"^{one} nsrelay: ", listed, re.MULTILINE), listed
