"""The chart: CPU of nsrelay per unit of work as a share of each peer's, drawn by gnuplot."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .results import Row

_SCRIPT = """
set terminal svg size {width},480 background rgb 'white' font 'sans-serif,13'
set output '{file}'
set title 'CPU of nsrelay per unit of work, divided by the peer''s (below 1: nsrelay uses less)'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 noborder
set datafile missing '-'
set logscale y 2
set yrange [{low}:{high}]
set grid y
set key outside right top
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 front
plot {series}
"""


def write_svg(file: Path, rows: Sequence[Row]) -> str:
    """Draws the chart; why not, or ""."""
    gnuplot = shutil.which("gnuplot")
    if not gnuplot:
        return "gnuplot is not installed"
    ratios = {(row.workload, row.against): row.ratio for row in rows
              if row.figure.name == "cpu" and row.ratio}
    if not ratios:
        return "no CPU was compared"
    workloads = list(dict.fromkeys(workload for workload, _ in ratios))
    peers = list(dict.fromkeys(peer for _, peer in ratios))
    data = file.with_suffix(".dat")
    lines = []
    for workload in workloads:
        cells = [ratios.get((workload, peer)) for peer in peers]
        lines.append(" ".join([workload, *(f"{cell:.4f}" if cell else "-" for cell in cells)]))
    data.write_text("\n".join(lines) + "\n")
    series = ", ".join(f"'{data}' using {column}:xtic(1) title '{peer}'"
                       for column, peer in enumerate(peers, start=2))
    script = _SCRIPT.format(
        file=file, series=series, width=300 + 30 * len(workloads) * (len(peers) + 1),
        low=min(0.125, *ratios.values()) * 0.9, high=max(1.5, *ratios.values()) * 1.1)
    try:
        done = subprocess.run([gnuplot], input=script, text=True, capture_output=True, check=False)
    finally:
        data.unlink()
    return done.stderr.strip() if done.returncode else ""
