"""`nsrelay drain`: stops accepting, waits for what runs, closes the rest."""

import signal
import subprocess
import time

from harness import process, udp
from harness.control import Control
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.peers import echo, is_refused, ping
from harness.waiting import DEADLINE, wait_until


def _control(lab: Lab) -> Control:
    return Control(lab.folder / "control.sock")


def _begin(control: Control, *arguments: str) -> "subprocess.Popen[bytes]":
    command = control.command_line("drain", *arguments)
    return process.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _end(drain: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    out, err = drain.communicate(timeout=DEADLINE)
    return drain.returncode, out.decode(), err.decode()


def _state(control: Control, name: str = "web") -> str:
    [listener] = [one for one in control.listeners() if one["rule"] == name]
    return str(listener["state"])


def _with_rules(lab: Lab, control: Control, **options: object) -> Daemon:
    lab.server(lab.host, script=echo)
    return lab.daemon(
        rule(), rule("other", "0.0.0.0:8001"), control=control.section(), **options
    )


def test_drain_of_a_rule_waits_for_its_connections(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    client, other = lab.connect(lab.host), lab.connect(lab.host, ("127.0.0.1", 8001))
    ping(client)
    ping(other)
    drain = _begin(control, "--rule", "web", "--timeout", "1h")
    wait_until(lambda: _state(control) == "draining", "the rule drains")
    assert is_refused(lab.host, ("127.0.0.1", 8000))
    ping(client)
    ping(lab.connect(lab.host, ("127.0.0.1", 8001)))
    assert drain.poll() is None
    client.close()
    status, out, err = _end(drain)
    assert (status, err) == (0, "")
    assert out == "rule web drained: 1 listener closed, 1 connection finished, 0 ended by the time-out\n"
    assert _state(control) == "pending"
    assert control.listeners()[0]["reason"] == "drained; a reload opens it again"
    ping(other)


def test_drain_closes_what_is_left_when_its_time_is_over(lab: Lab) -> None:
    control = _control(lab)
    daemon = _with_rules(lab, control)
    client = lab.connect(lab.host)
    ping(client)
    done = control.json("drain", "--rule", "web", "--timeout", "100ms")
    assert done == {
        "result": "ok", "listeners": 1, "connections_finished": 0, "connections_ended": 1
    }  # fmt: skip
    client.expect_reset()
    daemon.log.wait_for(event="connection_closed", reason="drained")


def test_time_that_no_timer_takes_is_an_error_and_drains_nothing(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    client = lab.connect(lab.host)
    ping(client)
    done = control.run("drain", "--rule", "web", "--timeout", "3000000h")
    assert (done.returncode, done.stdout) == (2, "")
    status, answer = control.request("POST", "/drain", rule="web", timeout="3000000h")
    assert status == 400
    for said in (done.stderr, answer["error"]):
        assert "3000000h" in said and "allowed: a duration from 0s to 596h" in said
    assert _state(control) == "listening"
    ping(client)


def test_drain_takes_drain_timeout_where_no_time_is_given(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control, drain_timeout="100ms")
    client = lab.connect(lab.host)
    ping(client)
    assert control.json("drain", "default")["connections_ended"] == 1
    client.expect_reset()


def test_drain_of_a_namespace_leaves_the_others_alone(lab: Lab) -> None:
    control = _control(lab)
    netns = lab.netns("a")
    lab.server(lab.host, script=echo)
    lab.daemon(rule(netns=["default", netns.name]), control=control.section())
    inside, outside = lab.connect(netns), lab.connect(lab.host)
    ping(inside)
    ping(outside)
    done = control.run("drain", netns.name, "--timeout", "0s")
    assert done.returncode == 0 and not done.stderr
    inside.expect_reset()
    assert is_refused(netns, ("127.0.0.1", 8000))
    ping(outside)
    ping(lab.connect(lab.host))


def test_namespace_that_is_made_again_is_not_drained(lab: Lab) -> None:
    control = _control(lab)
    netns = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=netns.name), control=control.section())
    assert control.json("drain", netns.name)["listeners"] == 1
    netns.delete()
    assert control.json("drain", netns.name)["listeners"] == 0, "nothing to drain while absent"
    again = lab.netns("a")
    daemon.log.wait_for_count(2, event="listener_open")
    ping(lab.connect(again))


def test_udp_sessions_drain(lab: Lab) -> None:
    control = _control(lab)
    lab.udp_server(lab.host, answer=udp.echo)
    lab.daemon(rule("dns", protocol="udp"), control=control.section())
    client = lab.udp_client(lab.host)
    assert client.ask().data == b"ping"
    done = control.json("drain", "--rule", "dns", "--timeout", "1h")
    assert (done["listeners"], done["connections_finished"]) == (1, 1)
    assert control.json("connections") == []


def test_reload_opens_what_was_drained(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    assert control.json("drain", "--rule", "web")["listeners"] == 1
    assert control.run("reload").stdout == "+1 -0 ~0 listeners\n"
    ping(lab.connect(lab.host))


def test_udp_port_that_opens_while_it_drains_is_one_again(lab: Lab) -> None:
    """A second socket on the port would leave a share of the clients to the one that drains."""
    control = _control(lab)
    lab.udp_server(lab.host, answer=udp.echo)
    daemon = lab.daemon(rule("dns", protocol="udp"), control=control.section())
    client = lab.udp_client(lab.host)
    with udp.talking(client):
        drain = _begin(control, "--rule", "dns", "--timeout", "1h")
        wait_until(lambda: _state(control, "dns") == "draining", "the rule drains")
        assert control.run("reload").returncode == 0
        assert _end(drain)[0] == 1
        for _ in range(20):
            lab.udp_client(lab.host).ask()
    time.sleep(1.5)  # a session that drains would be over
    client.ask()
    assert not daemon.log.records(event="datagrams_dropped")
    assert not daemon.log.records(event="connection_closed")


def test_reload_ends_a_drain_that_waits(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    client = lab.connect(lab.host)
    ping(client)
    drain = _begin(control, "--rule", "web", "--timeout", "1h")
    wait_until(lambda: _state(control) == "draining", "the rule drains")
    assert control.run("reload").returncode == 0
    status, out, err = _end(drain)
    assert (status, out) == (1, "")
    assert "reload" in err and err.count("\n") == 1
    ping(client)
    ping(lab.connect(lab.host))


def test_what_is_unknown_is_an_error(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    for arguments in (["--rule", "nosuch"], ["nosuch"]):
        done = control.run("drain", *arguments)
        assert done.returncode == 1 and not done.stdout
        assert '"nosuch"' in done.stderr and done.stderr.count("\n") == 1


def test_command_that_is_interrupted_harms_nothing(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    client = lab.connect(lab.host)
    ping(client)
    drain = _begin(control, "--rule", "web", "--timeout", "1h")
    wait_until(lambda: _state(control) == "draining", "the rule drains")
    drain.send_signal(signal.SIGINT)
    assert _end(drain)[0] == -signal.SIGINT
    assert _state(control) == "draining", "the drain goes on"
    ping(client)


def test_several_may_wait_for_one_drain(lab: Lab) -> None:
    control = _control(lab)
    _with_rules(lab, control)
    client = lab.connect(lab.host)
    ping(client)
    drains = [_begin(control, "--rule", "web", "--timeout", "1h") for _ in range(3)]
    wait_until(lambda: _state(control) == "draining", "the rule drains")
    last = _begin(control, "default", "--timeout", "100ms")
    assert _end(last)[0] == 0
    client.expect_reset()
    assert [_end(drain)[0] for drain in drains] == [0, 0, 0]


def test_daemon_that_stops_while_a_command_waits_is_an_error(lab: Lab) -> None:
    control = _control(lab)
    daemon = _with_rules(lab, control, drain_timeout="0s")
    client = lab.connect(lab.host)
    ping(client)
    drain = _begin(control, "--rule", "web", "--timeout", "1h")
    wait_until(lambda: _state(control) == "draining", "the rule drains")
    daemon.stop()
    status, out, err = _end(drain)
    assert (status, out) == (1, "")
    assert "has it stopped?" in err and err.count("\n") == 1


def test_stopping_daemon_answers_and_shows_what_drains(lab: Lab) -> None:
    control = _control(lab)
    daemon = _with_rules(lab, control, drain_timeout="1h")
    client = lab.connect(lab.host)
    ping(client)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: control.json("status")["state"] == "stopping", "it stops")
    assert _state(control) == "draining"
    for command in (["drain", "--rule", "web"], ["reload"]):
        done = control.run(*command)
        assert done.returncode == 1 and "stopping" in done.stderr
    client.close()
    assert daemon.wait() == 0
    assert not control.path.exists()
