"""`bench/run`: which peers, which workloads, how often; then the rounds and the report."""

import argparse
import atexit
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from harness import netns

from . import chart, report
from .bench import Bench, PeerFailed, Scale
from .cgroup import Hierarchy
from .load import LoadFailed
from .peers import Peer, all_peers
from .results import SUBJECT, Measurement, Results, Row
from .stage import CONGESTION, PATHS
from .workloads import Workload, all_workloads

ROOT = Path(__file__).parents[2]
_SMOKE_WORKLOAD = "connect"


def main() -> int:
    """Runs the rig; 0, 1 where a figure is missing that should be there, 2 for wrong usage."""
    names = [workload.name for workload in all_workloads()]
    options = _parse(names)
    if os.geteuid() != 0:
        print("bench/run: run as root: it makes network namespaces", file=sys.stderr)
        return 1
    if options.install:
        subprocess.run([ROOT / "scripts" / "install-dependencies", "bench"], check=True)
    build = options.build or _build()
    signal.signal(signal.SIGTERM, _interrupt)
    atexit.register(netns.Netns.delete_all)
    netns.sweep()
    try:
        return _run(options, build)
    except KeyboardInterrupt:
        print("bench/run: interrupted; everything is removed", file=sys.stderr)
        return 1


def _parse(workloads: Sequence[str]) -> argparse.Namespace:
    peers = [peer.name for peer in all_peers(Path(), Path(), None)]
    parser = argparse.ArgumentParser(prog="bench/run", description=(
        "Compares nsrelay with other proxies, in turn, by the CPU they use for a unit of work."))
    parser.add_argument("--install", action="store_true", help="install the peers from Debian")
    parser.add_argument("--smoke", action="store_true",
                        help="everything once and tiny: shows that the rig works, measures nothing")
    parser.add_argument("--peers", type=_names_among(peers), default=peers, metavar="A,B,...",
                        help=f"of {', '.join(peers)}; nsrelay always takes part")
    parser.add_argument("--baseline", type=Path, metavar="FILE",
                        help="another build of nsrelay, to compare with too")
    parser.add_argument("--workloads", type=_names_among(workloads), default=workloads,
                        metavar="A,B,...", help=f"of {', '.join(workloads)}")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load, each time; default 2")
    parser.add_argument("--path", choices=PATHS, default=PATHS[0],
                        help="veth: three namespaces (default); loopback: all in one")
    parser.add_argument("--build", type=Path, metavar="FOLDER",
                        help="a build tree with NSRELAY_BENCH=ON; default: builds build/release")
    parser.add_argument("--output", type=Path, metavar="FOLDER",
                        help="for results.json and cpu.svg; default: bench/ of the build tree")
    return parser.parse_args()


def _names_among(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """A reader of comma-separated names, which come back in the order of `allowed`."""
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r}; allowed: {', '.join(allowed)}")
        return [name for name in allowed if name in chosen]

    return names


def _build() -> Path:
    subprocess.run(["cmake", "--preset", "release", "-DNSRELAY_BENCH=ON"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    folder = ROOT / "build" / "release"
    subprocess.run(["cmake", "--build", str(folder), "--target", "nsrelay_bench"], check=True)
    return folder


def _run(options: argparse.Namespace, build: Path) -> int:
    known = all_peers(build / "nsrelay", build / "bench" / "goway", options.baseline)
    wanted = [peer for peer in known if peer.name in {SUBJECT, "baseline", *options.peers}]
    peers = [peer for peer in wanted if peer.path() is not None]
    skipped = {peer.name: "not installed (bench/run --install)" for peer in wanted
               if peer not in peers}
    for name, reason in skipped.items():
        print(f"SKIPPED {name}: {reason}")
    if SUBJECT in skipped:
        return 1
    workloads = [each for each in all_workloads() if each.name in options.workloads]
    scale, rounds = Scale(seconds=options.seconds), options.rounds
    if options.smoke:
        scale, rounds = scale.tiny(), 1
    hierarchy = Hierarchy()
    try:
        bench = Bench(hierarchy, build / "bench" / "nsrelay_load", options.path, scale)
        os.sched_setaffinity(0, bench.cpus.load)
        results = _measure(bench, workloads, peers, rounds, smoke=options.smoke)
    finally:
        hierarchy.close()
    conditions = {**report.machine(), "congestion": CONGESTION, "path": options.path,
                  "rounds": rounds, **dataclasses.asdict(scale),
                  "proxy_cpus": sorted(bench.cpus.proxy), "load_cpus": sorted(bench.cpus.load)}
    rows = list(results.rows(workloads, [peer.name for peer in peers]))
    _report(options.output or build / "bench", results, rows, conditions, skipped)
    return 1 if any(one.peer == SUBJECT or options.smoke for one in results.errors()) else 0


def _report(folder: Path, results: Results, rows: Sequence[Row], conditions: dict[str, object],
            skipped: dict[str, str]) -> None:
    """Prints the table; writes the files."""
    print("\n" + ", ".join(f"{key} {value}" for key, value in conditions.items()) + "\n")
    print(report.table(rows))
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder / "results.json", results, rows, conditions, skipped)
    obstacle = chart.write_svg(folder / "cpu.svg", rows)
    print(f"\n{folder / 'results.json'}" + ("" if obstacle else f", {folder / 'cpu.svg'}"))
    if obstacle:
        print(f"SKIPPED chart: {obstacle}")


def _measure(bench: Bench, workloads: Sequence[Workload], peers: Sequence[Peer], rounds: int,
             smoke: bool) -> Results:
    """Round after round, every peer in turn. Who begins moves on with each round."""
    results = Results()
    for workload in workloads:
        able = []
        for peer in peers:
            obstacle = workload.obstacle(bench, peer)
            if obstacle:
                print(f"SKIPPED {workload.name} {peer.name}: {obstacle}")
            elif not smoke or workload.name == _SMOKE_WORKLOAD or peer.name in (SUBJECT, "none"):
                able.append(peer)
        for number in range(rounds):
            shift = number % len(able)
            for peer in [*able[shift:], *able[:shift]]:
                results.add(_measure_once(bench, workload, peer, number))
    return results


def _measure_once(bench: Bench, workload: Workload, peer: Peer, number: int) -> Measurement:
    try:
        figures, error = workload.measure(bench, peer), ""
    except (PeerFailed, LoadFailed, TimeoutError) as failure:
        figures, error = {}, str(failure)
    text = f"FAILED: {error}" if error else ", ".join(
        f"{figure.name} {figures[figure.name]:.4g} {figure.unit}".strip()
        for figure in workload.figures if figure.name in figures)
    print(f"{workload.name} round {number + 1} {peer.name}: {text}", flush=True)
    return Measurement(workload.name, peer.name, number, figures, error)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
