"""Which target a connection gets: balance, weights, backups, and targets that fail."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from harness import udp
from harness.control import Control
from harness.daemon import rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import Peer, Server, echo, ping, tell
from harness.waiting import wait_until

BALANCES = ["round_robin", "least_connections", "source_hash"]


def _address(number: int) -> str:
    return f"127.0.0.1:{9000 + number}"


def _server(lab: Lab, number: int) -> Server:
    """A target that tells its number."""
    return lab.server(lab.host, ("127.0.0.1", 9000 + number), tell(str(number)))


def _ask(lab: Lab, netns: Netns, port: int = 8000) -> str:
    """The number of the target that a new connection gets."""
    client = lab.connect(netns, ("127.0.0.1", port))
    number = client.recv_until_eof().decode()
    client.close()
    return number


def _counts(answers: Sequence[str]) -> dict[str, int]:
    return dict(Counter(answers))


def _daemon(lab: Lab, netns: Any, targets: list[Any], **upstream: Any) -> Any:
    return lab.daemon(rule(netns=netns, upstream={"targets": targets, **upstream}))


def test_round_robin_follows_the_weights_smoothly(lab: Lab) -> None:
    a = lab.netns("a")
    for number in range(3):
        _server(lab, number)
    weights = (5, 1, 1)
    targets = [{"address": _address(n), "weight": w} for n, w in enumerate(weights)]
    _daemon(lab, a.name, targets)
    assert "".join(_ask(lab, a) for _ in range(14)) == "0010200" * 2


def test_the_listeners_of_a_rule_take_turns_together(lab: Lab) -> None:
    a, b = lab.netns_list(["a", "b"])
    for number in range(2):
        _server(lab, number)
    lab.daemon(rule(netns=[a.name, b.name], listen=["0.0.0.0:8000", "0.0.0.0:8001"],
                    upstream=[_address(0), _address(1)]))
    answers = [_ask(lab, netns, port) for netns in (a, b) for port in (8000, 8001)]
    assert answers == ["0", "1", "0", "1"]


def test_least_connections_goes_where_the_fewest_are(lab: Lab) -> None:
    a = lab.netns("a")
    servers = [lab.server(lab.host, ("127.0.0.1", 9000 + number)) for number in range(2)]
    _daemon(lab, a.name, [{"address": _address(0), "weight": 2}, _address(1)],
            balance="least_connections")
    pairs: list[tuple[int, Peer, Peer]] = []

    def connect() -> int:
        client = lab.connect(a)
        wait_until(lambda: any(server.has_waiting() for server in servers), "a target is reached")
        number = next(n for n, server in enumerate(servers) if server.has_waiting())
        pairs.append((number, client, servers[number].accept()))
        return number

    assert _counts([str(connect()) for _ in range(9)]) == {"0": 6, "1": 3}
    of_second = [pair for pair in pairs if pair[0] == 1]
    for _, client, upstream in of_second:
        upstream.close()
        assert client.recv_until_eof() == b""
        client.close()
    assert [connect() for _ in range(3)] == [1, 1, 1]


def test_source_hash_keeps_a_client_at_its_target(lab: Lab) -> None:
    a = lab.netns("a")
    for number in range(3):
        _server(lab, number)
    _daemon(lab, a.name, [_address(n) for n in range(3)], balance="source_hash")

    def ask_from(last: int) -> str:
        client = lab.connect(a, source_address=(f"127.0.1.{last}", 0))
        number = client.recv_until_eof().decode()
        client.close()
        return number

    first = [ask_from(last) for last in range(1, 31)]
    assert set(first) == {"0", "1", "2"}
    assert [ask_from(last) for last in range(1, 31)] == first


def test_source_hash_moves_only_the_clients_of_a_target_that_goes(lab: Lab) -> None:
    a = lab.netns("a")
    servers = [_server(lab, number) for number in range(3)]
    _daemon(lab, a.name, [_address(n) for n in range(3)], balance="source_hash")

    def ask_all() -> list[str]:
        answers = []
        for last in range(1, 31):
            client = lab.connect(a, source_address=(f"127.0.1.{last}", 0))
            answers.append(client.recv_until_eof().decode())
            client.close()
        return answers

    before = ask_all()
    servers[1].stop_listening()
    after = ask_all()
    assert [x for x, y in zip(after, before) if y != "1"] == [y for y in before if y != "1"]
    assert {x for x, y in zip(after, before) if y == "1"} == {"0", "2"}


def test_a_backup_serves_while_no_other_does(lab: Lab) -> None:
    a = lab.netns("a")
    first = _server(lab, 0)
    _server(lab, 1)
    daemon = _daemon(lab, a.name, [{"address": _address(1), "backup": True}, _address(0)])
    assert _counts([_ask(lab, a) for _ in range(5)]) == {"0": 5}
    first.stop_listening()
    assert _counts([_ask(lab, a) for _ in range(5)]) == {"1": 5}
    assert daemon.log.wait_for(event="upstream_down")["upstream"] == _address(0)
    _server(lab, 0)
    wait_until(lambda: _ask(lab, a) == "0", "the first target is used again")
    assert daemon.log.wait_for(event="upstream_up")["upstream"] == _address(0)


@pytest.mark.parametrize("balance", BALANCES)
def test_a_target_that_fails_costs_no_client_and_is_left_out(lab: Lab, balance: str) -> None:
    a = lab.netns("a")
    _server(lab, 0)
    daemon = _daemon(lab, a.name, [_address(0), _address(1)], balance=balance)

    def ask_from(last: int) -> str:
        client = lab.connect(a, source_address=(f"127.0.1.{last}", 0))
        number = client.recv_until_eof().decode()
        client.close()
        return number

    assert {ask_from(last) for last in range(1, 101)} == {"0"}
    down = daemon.log.wait_for(event="upstream_down")
    assert (down["rule"], down["upstream"]) == ("web", _address(1))
    assert len(daemon.log.records(event="upstream_down")) == 1
    # Three put it out; whoever tries it after its pause is one at a time.
    assert len(daemon.log.records(event="upstream_failed")) < 10


def test_where_all_targets_are_out_all_are_tried(lab: Lab) -> None:
    a = lab.netns("a")
    daemon = _daemon(lab, a.name, [_address(0), _address(1)])
    for _ in range(5):
        lab.connect(a).expect_reset()
    daemon.log.wait_for_count(2, event="upstream_down")
    _server(lab, 1)
    assert _ask(lab, a) == "1"
    assert daemon.log.wait_for(event="upstream_up")["upstream"] == _address(1)


def test_udp_sessions_are_balanced_and_leave_out_a_target_that_is_gone(lab: Lab) -> None:
    a = lab.netns("a")
    lab.udp_server(lab.host, ("127.0.0.1", 9000), udp.tell("0"))
    daemon = lab.daemon(rule(protocol="udp", netns=a.name, upstream=[_address(0), _address(1)]))
    for _ in range(12):
        assert udp.eventually_answered(lab.udp_client(a)) == b"0"
    assert daemon.log.wait_for(event="upstream_down")["upstream"] == _address(1)
    assert len(daemon.log.records(event="upstream_failed")) < 6


def test_status_tells_which_targets_are_up(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    control = Control(lab.folder / "control.sock")
    targets = [{"address": _address(0), "weight": 2}, {"address": _address(1), "backup": True}]
    first, second = targets
    daemon = lab.daemon(
        rule(netns=a.name, upstream={"targets": targets}),
        rule("dead", netns=a.name, listen="0.0.0.0:8001", upstream=_address(2)),
        control=control.section(),
    )
    ping(lab.connect(a))
    for _ in range(3):
        lab.connect(a, ("127.0.0.1", 8001)).expect_reset()
    daemon.log.wait_for(event="upstream_down")
    common = {"netns": "default", "failures": 0, "state": "up"}
    web, dead = (one["upstreams"] for one in control.json("status")["rules"])
    assert web == [
        {**common, "target": first["address"], "weight": 2, "backup": False,
         "connections_active": 1},
        {**common, "target": second["address"], "weight": 1, "backup": True,
         "connections_active": 0},
    ]
    assert dead == [{"target": _address(2), "netns": "default", "state": "down", "backup": False,
                     "weight": 1, "connections_active": 0, "failures": 3}]
