"""The measurements of a run, and what they say: paired ratios and their medians."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .goals import Goal, own_goal, ratio_goal
from .workloads import Figure, Workload

SUBJECT = "nsrelay"


@dataclass(frozen=True)
class Measurement:
    """One peer in one round: its figures, or why there are none."""

    workload: str
    peer: str
    round: int
    figures: dict[str, float]
    error: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table: nsrelay against a peer, or against its own goal (`against` empty)."""

    workload: str
    figure: Figure
    against: str
    own: float
    other: float | None
    ratio: float | None
    spread: tuple[float, float] | None
    goal: Goal | None

    @property
    def verdict(self) -> str:
        """`met` or `missed`; empty without a goal."""
        if self.goal is None:
            return ""
        return "met" if self.goal.met(self.own if self.ratio is None else self.ratio) else "missed"


class Results:
    """Collects measurements."""

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []

    def add(self, measurement: Measurement) -> None:
        """Takes in one more."""
        self.measurements.append(measurement)

    def errors(self) -> list[Measurement]:
        """Those that failed."""
        return [one for one in self.measurements if one.error]

    def rows(self, workloads: Sequence[Workload], peers: Sequence[str]) -> Iterator[Row]:
        """The table, in the order of workloads, figures and peers."""
        for workload in workloads:
            for figure in workload.figures:
                if not figure.shown:
                    continue
                yield from self._own_row(workload.name, figure)
                for peer in peers:
                    yield from self._pair_row(workload.name, figure, peer)

    def values(self, workload: str, figure: str, peer: str) -> dict[int, float]:
        """The figure in each round in which it was measured."""
        return {one.round: one.figures[figure] for one in self.measurements
                if (one.workload, one.peer) == (workload, peer) and figure in one.figures}

    def _own_row(self, workload: str, figure: Figure) -> Iterator[Row]:
        own = self.values(workload, figure.name, SUBJECT).values()
        goal = own_goal(workload, figure.name)
        if own and goal:
            yield Row(workload, figure, "", statistics.median(own), None, None, None, goal)

    def _pair_row(self, workload: str, figure: Figure, peer: str) -> Iterator[Row]:
        own = self.values(workload, figure.name, SUBJECT)
        other = self.values(workload, figure.name, peer)
        rounds = sorted(own.keys() & other.keys())
        ratios = [own[number] / other[number] for number in rounds if other[number]]
        if peer == SUBJECT or not ratios:
            return
        yield Row(workload, figure, peer, statistics.median(own[number] for number in rounds),
                  statistics.median(other[number] for number in rounds), statistics.median(ratios),
                  (min(ratios), max(ratios)), ratio_goal(workload, figure.name, peer))
