"""The table for people and the JSON file for programs."""

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from .results import Results, Row

_HEAD = ("workload", "figure", "against", "nsrelay", "peer", "ratio", "min–max", "goal", "")


def table(rows: Sequence[Row]) -> str:
    """A table that is Markdown and stands in columns as it is."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    texts = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
             for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def write_json(file: Path, results: Results, rows: Sequence[Row], conditions: dict[str, object],
               skipped: dict[str, str]) -> None:
    """Everything that was measured, and the table."""
    document = {
        "conditions": conditions,
        "skipped": skipped,
        "measurements": [dataclasses.asdict(one) for one in results.measurements],
        "table": [{"workload": row.workload, "figure": row.figure.name, "unit": row.figure.unit,
                   "against": row.against, "nsrelay": row.own, "peer": row.other,
                   "ratio": row.ratio, "spread": row.spread,
                   "goal": str(row.goal) if row.goal else None, "verdict": row.verdict}
                  for row in rows],
    }
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    model = next((line.partition(":")[2].strip()
                  for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count()}


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.workload,
        f"{row.figure.name} {row.figure.unit}".strip(),
        row.against or "goal",
        _number(row.own),
        "" if row.other is None else _number(row.other),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.spread is None else f"{row.spread[0]:.2f}–{row.spread[1]:.2f}",
        str(row.goal) if row.goal else "",
        row.verdict,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
