"""What is measured. A new workload is a subclass of Workload and a line in all_workloads()."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .bench import Bench, Scene
from .listening import ListenerProbe, wait_for_listeners
from .peers import NoProxy, Peer

#: More processes than this measure the scheduler.
_MOST_FORKS = 100

_CALLERS = 16


@dataclass(frozen=True)
class Figure:
    """One number of a measurement. `shown`: in the table; every figure is in the JSON file."""

    name: str
    unit: str
    higher_is_better: bool = False
    shown: bool = True


class Workload:
    """One kind of work that every proxy is given."""

    name = ""
    protocol = "tcp"
    figures: Sequence[Figure] = ()

    def obstacle(self, bench: Bench, peer: Peer) -> str:
        """Why this peer cannot be measured; "" where it can."""
        return "" if self.protocol in peer.protocols else f"no {self.protocol.upper()}"

    def measure(self, bench: Bench, peer: Peer) -> dict[str, float]:
        """One run; the value of each figure. May raise PeerFailed, LoadFailed."""
        raise NotImplementedError


class LoadWorkload(Workload):
    """A client of the load generator for some seconds. `scale` units make one of `unit`."""

    def __init__(self, name: str, kind: str, connections: int, unit: str, scale: float = 1) -> None:
        self.name = name
        self.kind = kind
        self.connections = connections
        self._scale = scale
        cpu_unit = "s/GB" if unit == "GB" else f"µs/{unit}"
        self._cpu_scale = scale if unit == "GB" else 1e6
        self.figures = (
            Figure("cpu", cpu_unit),
            Figure("rate", f"{unit}/s", higher_is_better=True),
            Figure("p50", "µs", shown=False),
            Figure("p99", "µs", shown=False),
            Figure("user_share", "of CPU", shown=False),
            Figure("errors", "", shown=False),
        )

    def obstacle(self, bench: Bench, peer: Peer) -> str:
        if peer.forks and self.connections > _MOST_FORKS:
            return "a process per connection"
        return super().obstacle(bench, peer)

    def measure(self, bench: Bench, peer: Peer) -> dict[str, float]:
        with bench.scene(peer, self.protocol) as scene:
            return self.load(bench, scene)

    def load(self, bench: Bench, scene: Scene) -> dict[str, float]:
        """Loads a scene once."""
        connections = min(self.connections, bench.scale.most_connections)
        seconds = bench.scale.seconds
        client = scene.generator.client(self.kind, scene.target, connections, seconds)
        before = scene.stage.group.cpu_time()
        report = client.run(seconds)
        used = scene.stage.group.cpu_time() - before
        client.close()
        figures = {"rate": report.units / self._scale / report.seconds,
                   "errors": float(report.errors)}
        if report.p99_us:
            figures.update(p50=report.p50_us, p99=report.p99_us)
        if scene.has_proxy:
            figures["cpu"] = used.total * self._cpu_scale / max(report.units, 1)
            figures["user_share"] = used.user / used.total if used.total else 0.0
        return figures


class UdpWorkload(LoadWorkload):
    """The same over UDP: `connections` are flows."""

    protocol = "udp"


class Crowd(Workload):
    """What a connection costs among 10 that are open and among thousands."""

    name = "crowd"
    figures = (
        Figure("cpu_few", "µs/conn"),
        Figure("cpu_many", "µs/conn"),
        Figure("growth", "many/few"),
    )

    def obstacle(self, bench: Bench, peer: Peer) -> str:
        if isinstance(peer, NoProxy):
            return "nothing to measure"
        return "a process per connection" if peer.forks else ""

    def measure(self, bench: Bench, peer: Peer) -> dict[str, float]:
        few, many = (self._cost(bench, peer, held) for held in (10, bench.scale.crowd))
        return {"cpu_few": few, "cpu_many": many, "growth": many / few}

    @staticmethod
    def _cost(bench: Bench, peer: Peer, held: int) -> float:
        with bench.scene(peer) as scene:
            crowd = scene.generator.client("idle", scene.target, held)
            scene.stage.group.wait_quiet()
            cost = LoadWorkload("", "connect", _CALLERS, "conn").load(bench, scene)["cpu"]
            crowd.close()
            return cost


class Idle(Workload):
    """What an idle connection that has moved a byte holds."""

    name = "idle"
    figures = (Figure("memory", "B/conn"), Figure("descriptors", "per conn"))

    def obstacle(self, bench: Bench, peer: Peer) -> str:
        if isinstance(peer, NoProxy):
            return "nothing to measure"
        return "a process per connection" if peer.forks else ""

    def measure(self, bench: Bench, peer: Peer) -> dict[str, float]:
        count = bench.scale.idle
        with bench.scene(peer) as scene:
            group = scene.stage.group
            memory, descriptors = group.memory("Pss"), group.descriptors()
            crowd = scene.generator.client("idle", scene.target, count)
            group.wait_quiet()
            figures = {"memory": (group.memory("Pss") - memory) / count,
                       "descriptors": (group.descriptors() - descriptors) / count}
            crowd.close()
            return figures


class Footprint(Workload):
    """One process with a listener in each of many namespaces: from exec to the last listener."""

    name = "footprint"
    figures = (Figure("ready", "ms"), Figure("rss", "MB"), Figure("threads", ""))

    def obstacle(self, bench: Bench, peer: Peer) -> str:
        if type(peer).command_for is Peer.command_for:
            return "no process listens in several namespaces"
        return ""

    def measure(self, bench: Bench, peer: Peer) -> dict[str, float]:
        with bench.stage() as stage, contextlib.ExitStack() as stack:
            tenants = stage.tenants(bench.scale.tenants)
            probes = [ListenerProbe(tenant, "127.0.0.1:8000") for tenant in tenants]
            for probe in probes:
                stack.callback(probe.close)
            command = peer.command_for(stage, [tenant.path for tenant in tenants])
            assert command
            stage.start_proxy(command)
            wait_for_listeners(probes, patience=20)
            ready = time.monotonic() - stage.last_exec
            stage.group.wait_quiet()
            return {"ready": ready * 1e3, "rss": stage.group.memory("Rss") / 1e6,
                    "threads": float(stage.group.threads())}


def all_workloads() -> list[Workload]:
    """Every workload, in the order of the table."""
    bulk = [
        LoadWorkload(f"bulk-{count}-{way}", f"{way}load", count, "GB", scale=1e9)
        for count in (1, 16) for way in ("down", "up")
    ]
    pings = [LoadWorkload(f"ping-{count}", "ping", count, "req") for count in (1, 64, 1000)]
    echoes = [
        UdpWorkload(f"udp-{size}-{flows}", f"udp-echo-{size}", flows, "dgram")
        for size in (64, 1400) for flows in (1, 64)
    ]
    burst = UdpWorkload("udp-gso", "udp-burst", 1, "GB", scale=1e9)
    return [*bulk, *pings, LoadWorkload("connect", "connect", _CALLERS, "conn"), *echoes, burst,
            Crowd(), Idle(), Footprint()]
