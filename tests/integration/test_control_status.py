"""status, connections and reload: the same by command, by --json and over HTTP."""

import json
import subprocess

from harness import udp
from harness.control import Control
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping
from harness.waiting import wait_until


def _control(lab: Lab) -> Control:
    return Control(lab.folder / "control.sock")


def test_status_tells_totals_rules_and_listeners_with_their_states(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    rules = [rule(), rule("late", "0.0.0.0:8001", netns=["default", "nsr-none"])]
    daemon = lab.daemon(*rules, listeners=2, control=control.section())
    client = lab.connect(lab.host)
    ping(client)
    status = control.json("status")
    assert status["version"] == "0.1.0"
    assert status["pid"] == daemon.pid
    assert status["state"] == "running"
    assert status["config"]["file"] == str(daemon.file)
    assert status["config"]["rules"] == 2
    totals = status["totals"]
    assert totals["connections_active"] == totals["connections_total"] == 1
    assert totals["connections_failed"] == 0
    assert totals["bytes_received"] == totals["bytes_sent"] > 0
    assert [one["name"] for one in status["rules"]] == ["web", "late"]
    assert status["rules"][0]["connections_active"] == 1
    default, absent = status["namespaces"]
    assert (default["name"], default["state"]) == ("default", "present")
    assert default["cookie"] == int.from_bytes(lab.host.cookie(), "little")
    assert default["listeners"][0] == {
        "rule": "web",
        "netns": "default",
        "protocol": "tcp",
        "address": "0.0.0.0:8000",
        "port": 8000,
        "state": "listening",
        "reason": "",
        "connections_active": 1,
    }
    assert (absent["name"], absent["state"], absent["cookie"]) == ("nsr-none", "absent", 0)
    assert absent["listeners"][0]["state"] == "pending"
    assert absent["listeners"][0]["reason"].startswith("namespace absent")


def test_status_for_a_person_is_aligned_and_without_colour_in_a_pipe(lab: Lab) -> None:
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    done = control.run("status")
    assert done.returncode == 0 and not done.stderr
    assert "\033" not in done.stdout
    assert f"pid {daemon.pid}" in done.stdout
    assert "  default    0.0.0.0:8000  tcp       web        0  listening\n" in done.stdout


def test_connections_lists_tcp_and_udp_and_filters_in_the_daemon(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    lab.udp_server(lab.host, answer=udp.echo)
    control = _control(lab)
    lab.daemon(
        rule(), rule("dns", "0.0.0.0:8000", protocol="udp"), control=control.section(), listeners=2
    )
    client = lab.connect(lab.host)
    ping(client)
    datagrams = lab.udp_client(lab.host, ("127.0.0.1", 8000))
    datagrams.send(b"four")
    assert datagrams.recv().data == b"four"
    everything = control.json("connections")
    assert {one["protocol"] for one in everything} == {"tcp", "udp"}
    [tcp] = control.json("connections", "--rule", "web")
    assert tcp["client"] == client.name()
    assert tcp["age_seconds"] >= 0
    assert {key: tcp[key] for key in ("rule", "netns", "listener", "upstream", "upstream_netns")} == {
        "rule": "web",
        "netns": "default",
        "listener": "0.0.0.0:8000",
        "upstream": "127.0.0.1:9000",
        "upstream_netns": "default",
    }
    [session] = control.json("connections", "--rule", "dns", "--netns", "default")
    assert (session["bytes_received"], session["bytes_sent"]) == (4, 4)
    assert control.json("connections", "--netns", "nowhere") == []
    shown = control.run("connections").stdout
    assert client.name() in shown and datagrams.name() in shown


def test_curl_gets_the_same_documents(lab: Lab) -> None:
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    done = subprocess.run(
        ["curl", "-sS", "--unix-socket", str(control.path), "http://nsrelay/status"],
        capture_output=True, text=True, timeout=10, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["pid"] == daemon.pid
    for method, path, arguments, status in [
        ("GET", "/nowhere", {}, 404),
        ("POST", "/status", {}, 405),
        ("GET", "/reload", {}, 405),
        ("GET", "/status", {"nosuch": "1"}, 400),
        ("POST", "/drain", {}, 400),
        ("POST", "/drain", {"rule": "web", "netns": "default"}, 400),
        ("POST", "/drain", {"rule": "web", "timeout": "5"}, 400),
        ("POST", "/drain", {"rule": "nosuch"}, 404),
    ]:
        got, document = control.request(method, path, **arguments)
        assert got == status, (method, path, arguments)
        assert document["error"]


def test_reload_tells_what_changed(lab: Lab) -> None:
    control = _control(lab)
    daemon = lab.daemon(rule(), rule("old", "0.0.0.0:8001"), control=control.section())
    daemon.write([rule(keepalive="off"), rule("a", "0.0.0.0:8002"), rule("b", "0.0.0.0:8003")])
    done = control.run("reload")
    assert (done.returncode, done.stdout, done.stderr) == (0, "+2 -1 ~1 listeners\n", "")
    assert control.run("reload").stdout == "+0 -0 ~0 listeners\n"


def test_reload_of_an_invalid_file_tells_every_fault_and_changes_nothing(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    daemon = lab.daemon(rule(), control=control.section())
    loaded = control.json("status")["config"]
    daemon.file.write_text("rules:\n  - {name: web, listn: 1, upstream: 'a:1', keepalive: 5}\n")
    done = control.run("reload")
    assert done.returncode == 1 and not done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{daemon.file}:2:17: error: unknown key 'listn'")
    assert lines[1].startswith(f"{daemon.file}:2:55: error: keepalive: ")
    assert lines[-1] == "nsrelay: the old configuration stays in force"
    assert control.json("status")["config"] == loaded
    status, document = control.request("POST", "/reload")
    assert status == 422
    assert len(document["faults"]) == len(lines) - 1
    ping(lab.connect(lab.host))


def test_totals_do_not_go_back_when_a_rule_goes(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    daemon = lab.daemon(rule(), rule("old", "0.0.0.0:8001"), control=control.section())
    with_old = lab.connect(lab.host, ("127.0.0.1", 8001))
    ping(with_old)
    with_old.close()
    daemon.log.wait_for(event="connection_closed", rule="old")
    before = control.json("status")["totals"]
    daemon.reload([rule()])
    assert control.json("status")["totals"] == before
    assert before["connections_total"] == 1


def test_listener_that_is_gone_while_its_connection_goes_on_is_draining(lab: Lab) -> None:
    lab.server(lab.host, script=echo)
    control = _control(lab)
    daemon = lab.daemon(
        rule(), rule("old", "0.0.0.0:8001"), control=control.section(), drain_timeout="1h"
    )
    client = lab.connect(lab.host, ("127.0.0.1", 8001))
    ping(client)
    daemon.reload([rule()])
    [gone] = [one for one in control.listeners() if one["rule"] == "old"]
    assert (gone["state"], gone["connections_active"], gone["port"]) == ("draining", 1, 8001)
    client.close()
    wait_until(lambda: len(control.listeners()) == 1, "the gone listener is no longer shown")
