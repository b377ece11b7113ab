"""What nsrelay is to reach. A change of a number here is a change of what is promised."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A limit, with a tolerance of nothing."""

    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"

    def met(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        return value >= self.limit if self.at_least else value <= self.limit


#: CPU of nsrelay per unit of work, divided by that of the peer.
_CPU = {
    # peer:           bulk-1, bulk-16, ping-64, connect, udp-64
    "haproxy-splice": (0.45, 0.65, 0.75, 0.80, None),
    "nginx": (0.15, 0.25, 0.94, 0.94, 0.52),
    "socket-proxyd": (0.95, 0.95, 0.35, 0.45, None),
    "rinetd": (0.15, 0.25, 0.97, 0.95, None),
    "docker-proxy": (0.45, 0.70, 0.80, 0.65, 0.58),
    "goway": (0.45, 0.70, 0.75, 0.55, 0.58),
}

#: Rate of nsrelay, divided by the rate without a proxy.
_RATE_TO_NONE = (0.70, 0.70, 0.85, 0.95, 0.95)

#: Rate of nsrelay, divided by that of the peer.
_RATE = {
    ("udp-gso", "nginx"): 15.0,
    ("udp-gso", "docker-proxy"): 14.0,
    ("udp-gso", "goway"): 14.0,
    ("udp-gso", "none"): 0.60,
}

_COLUMNS = ("bulk-1-", "bulk-16-", "ping-64", "connect", "udp-64-")

#: What nsrelay itself is to reach: (workload, figure).
_ABSOLUTE = {
    ("footprint", "ready"): 50,
    ("footprint", "rss"): 8,
    ("footprint", "threads"): 1,
    ("idle", "memory"): 400,
    ("idle", "descriptors"): 2,
    # "No slower", with room for noise.
    ("crowd", "growth"): 1.10,
}


def ratio_goal(workload: str, figure: str, peer: str) -> Goal | None:
    """What nsrelay divided by `peer` is to be."""
    if figure == "rate" and (workload, peer) in _RATE:
        return Goal(_RATE[workload, peer], at_least=True)
    column = next((i for i, prefix in enumerate(_COLUMNS) if workload.startswith(prefix)), None)
    if column is None:
        return None
    if figure == "cpu" and peer in _CPU:
        limit = _CPU[peer][column]
        return None if limit is None else Goal(limit)
    if figure == "rate" and peer == "none":
        return Goal(_RATE_TO_NONE[column], at_least=True)
    return None


def own_goal(workload: str, figure: str) -> Goal | None:
    """What the figure of nsrelay is to be, whatever the peers do."""
    limit = _ABSOLUTE.get((workload, figure))
    return None if limit is None else Goal(limit)
