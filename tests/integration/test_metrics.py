"""/metrics: exact against known traffic, bounded under churn, served where the file says."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness import process
from harness.daemon import BINARY, rule
from harness.lab import Lab, Link
from harness.metrics import ADDRESS, request, scrape
from harness.peers import connect, echo, is_refused, ping
from harness.udp import echo as echo_datagram
from harness.waiting import wait_until

METRICS = {"metrics": {"listen": "127.0.0.1:9180"}}

SPECIFIED = {
    "nsrelay_connections_total", "nsrelay_connections_active", "nsrelay_bytes_total",
    "nsrelay_listeners", "nsrelay_namespaces", "nsrelay_reloads_total",
    "nsrelay_connect_seconds_bucket", "nsrelay_connect_seconds_sum",
    "nsrelay_connect_seconds_count", "process_cpu_seconds_total", "process_open_fds",
    "process_max_fds", "process_resident_memory_bytes", "process_virtual_memory_bytes",
    "process_start_time_seconds",
}


def _value(link: Any, name: str, **labels: str) -> float | None:
    return scrape(link.lab.host).get(name, rule="web", netns=link.client_netns.name, **labels)


def _link(lab: Lab, **keys: Any) -> Link:
    return lab.link(script=echo, daemon=dict(METRICS), **keys)


def test_has_every_metric_that_is_promised_in_a_form_that_prometheus_takes(lab: Lab) -> None:
    link = _link(lab)
    ping(link.connect())
    page = scrape(lab.host)
    assert SPECIFIED <= page.names()
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page.text, text=True, capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_content_type_and_other_requests(lab: Lab) -> None:
    _link(lab)
    response, _ = request(lab.host)
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert request(lab.host, "HEAD")[1] == ""
    assert request(lab.host, "POST")[0].status == 405
    assert request(lab.host, path="/")[0].status == 404


def test_tcp_bytes_count_exactly_and_as_they_pass(lab: Lab) -> None:
    link = _link(lab)
    client = link.connect()
    for size in (1, 70_000, 1_000_000):
        client.send(b"x" * size)
        client.recv_exact(size)
    assert _value(link, "nsrelay_bytes_total", direction="received") == 1_070_001
    assert _value(link, "nsrelay_bytes_total", direction="sent") == 1_070_001
    assert _value(link, "nsrelay_connections_active", protocol="tcp") == 1
    client.close()
    link.log.wait_for(event="connection_closed")
    assert _value(link, "nsrelay_bytes_total", direction="received") == 1_070_001
    assert _value(link, "nsrelay_connections_active") == 0
    assert _value(link, "nsrelay_connections_total") == 1


def test_connect_time_is_a_histogram_of_all_connections(lab: Lab) -> None:
    link = _link(lab)
    for _ in range(5):
        ping(link.connect())
    assert _value(link, "nsrelay_connect_seconds_count") == 5
    assert _value(link, "nsrelay_connect_seconds_bucket", le="+Inf") == 5
    buckets = scrape(lab.host).all("nsrelay_connect_seconds_bucket", rule="web")
    assert buckets == sorted(buckets)
    total = _value(link, "nsrelay_connect_seconds_sum")
    assert total is not None and 0 < total < 5


def test_failures_count_by_reason(lab: Lab) -> None:
    link = _link(lab, deny=["127.0.0.9"])
    connect(link.client_netns, ("127.0.0.1", 8000), ("127.0.0.9", 0)).expect_reset()
    link.server.stop_listening()
    for _ in range(2):
        link.connect().expect_reset()
    assert _value(link, "nsrelay_connections_failed_total", reason="connect_refused") == 2
    assert _value(link, "nsrelay_connections_failed_total", reason="denied") == 1
    assert _value(link, "nsrelay_connections_failed_total", reason="connect_timeout") is None
    assert _value(link, "nsrelay_connections_total") == 2


def test_datagrams_and_their_bytes_count_exactly(lab: Lab) -> None:
    link = lab.udp_link(answer=echo_datagram, daemon=dict(METRICS))
    client = link.client()
    sizes = [0, 1, 1400, 65507]
    for size in sizes:
        client.send(b"x" * size)
        assert len(client.recv_bytes()) == size
    for direction in ("received", "sent"):
        wanted = (len(sizes), sum(sizes))
        assert (_value(link, "nsrelay_datagrams_total", direction=direction),
                _value(link, "nsrelay_bytes_total", direction=direction)) == wanted
    assert _value(link, "nsrelay_connections_active", protocol="udp") == 1


def test_dropped_datagrams_count_by_reason(lab: Lab) -> None:
    link = lab.udp_link(deny=["127.0.0.0/8"], daemon=dict(METRICS))
    for _ in range(3):
        link.client().send(b"denied")

    def dropped() -> bool:
        return _value(link, "nsrelay_datagrams_dropped_total", reason="denied") == 3

    wait_until(dropped, "three drops are counted")
    assert _value(link, "nsrelay_connections_total") == 0


def test_pauses_count_by_reason(lab: Lab) -> None:
    link = _link(lab, max_connections=1)
    first = link.connect()
    ping(first)
    link.connect()
    wait_until(
        lambda: (_value(link, "nsrelay_accept_paused_total", reason="max_connections") or 0) >= 1,
        "the pause is counted",
    )


def test_listeners_and_namespaces_by_state(lab: Lab) -> None:
    a = lab.netns("a")
    lab.daemon(rule("web", netns=[a.name, "absent-1"]), listeners=1, **METRICS)
    page = scrape(lab.host)
    assert page.get("nsrelay_listeners", netns=a.name, state="listening") == 1
    assert page.get("nsrelay_listeners", netns="absent-1", state="pending") == 1
    assert page.get("nsrelay_namespaces", state="present") == 1
    assert page.get("nsrelay_namespaces", state="absent") == 1
    # An absent namespace has nothing to count.
    assert page.all("nsrelay_connections_total", netns="absent-1") == []


def test_what_runs_in_a_deleted_namespace_is_told_until_it_ends(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name, on_netns_delete="keep"), **METRICS)
    client = lab.connect(a)
    ping(client)
    a.delete()
    daemon.log.wait_for(event="listener_closed")
    page = scrape(lab.host)
    assert page.get("nsrelay_namespaces", state="deleted") == 1
    assert page.get("nsrelay_listeners", netns=a.name, state="draining") == 1
    assert page.get("nsrelay_connections_active", netns=a.name) == 1
    client.close()
    daemon.log.wait_for(event="connection_closed")
    page = scrape(lab.host)
    assert page.get("nsrelay_namespaces", state="deleted") == 0
    assert page.all("nsrelay_connections_active", netns=a.name) == []


def test_counters_go_on_over_a_reload_that_changes_the_rule(lab: Lab) -> None:
    link = _link(lab)
    running = link.connect()
    ping(running)
    changed = rule(netns=link.client_netns.name, idle_timeout="5m")
    link.daemon.reload([changed])
    ping(running)
    ping(link.connect())
    assert _value(link, "nsrelay_connections_total") == 2
    assert _value(link, "nsrelay_bytes_total", direction="received") == 12
    page = scrape(lab.host)
    assert page.get("nsrelay_reloads_total", result="ok") == 1
    assert page.get("nsrelay_last_reload_successful") == 1


def test_a_reload_that_fails_is_counted(lab: Lab) -> None:
    link = _link(lab)
    link.daemon.file.write_text("rules: [")
    link.daemon.signal(signal.SIGHUP)
    link.log.wait_for(event="reload")
    page = scrape(lab.host)
    assert page.get("nsrelay_reloads_total", result="failed") == 1
    assert page.get("nsrelay_last_reload_successful") == 0


def test_namespaces_that_come_and_go_leave_no_series(lab: Lab) -> None:
    pattern = lab.netns("t-first").name.removesuffix("first")
    daemon = lab.daemon(rule(netns=f"{pattern}*"), listeners=1, **METRICS)
    for batch in range(4):
        labels = [f"t-{batch}-{number}" for number in range(50)]
        made = lab.thousands(labels)
        daemon.log.wait_for_count(1 + 50 * (batch + 1), event="listener_open")
        assert len(scrape(lab.host).all("nsrelay_connections_total")) == 51
        type(made[0]).delete_thousands(made)
        daemon.log.wait_for_count(50 * (batch + 1), event="listener_closed")
    page = scrape(lab.host)
    assert len(page.all("nsrelay_connections_total")) == 1
    assert len(page.all("nsrelay_listeners")) == 3


def _reload_top(daemon: Any, rules: list[Any], **top: Any) -> None:
    daemon._top.update(top)
    daemon.reload(rules)


def test_reload_moves_removes_and_adds(lab: Lab) -> None:
    daemon = lab.daemon(rule("home"), **METRICS)
    _reload_top(daemon, [rule("home")], metrics={"listen": "*:9180"})
    scrape(lab.host)
    scrape(lab.host, ("::1", 9180))
    _reload_top(daemon, [rule("home")], metrics={"listen": "[::1]:9181"})
    scrape(lab.host, ("::1", 9181))
    assert is_refused(lab.host, ADDRESS)
    _reload_top(daemon, [rule("home")], metrics={})
    assert is_refused(lab.host, ("::1", 9181))
    _reload_top(daemon, [rule("home")], **METRICS)
    scrape(lab.host)


def test_a_reload_to_a_port_that_is_taken_changes_nothing(lab: Lab) -> None:
    lab.server(lab.host, ("127.0.0.1", 9181))
    daemon = lab.daemon(rule("home"), **METRICS)
    _reload_top(daemon, [rule("home"), rule("more", listen="127.0.0.1:8001")],
                metrics={"listen": "127.0.0.1:9181"})
    record = daemon.log.records(event="reload")[-1]
    assert record.level == "error"
    assert record["reason"] == "metrics.listen 127.0.0.1:9181: bind: Address already in use"
    assert is_refused(lab.host, ("127.0.0.1", 8001))
    assert scrape(lab.host).get("nsrelay_reloads_total", result="failed") == 1


def test_a_port_that_is_taken_is_an_error_at_the_start(lab: Lab) -> None:
    lab.server(lab.host, ADDRESS)
    file = lab.folder / "nsrelay.yaml"
    file.write_text("control: {socket: ''}\nmetrics: {listen: '127.0.0.1:9180'}\n"
                    "rules: [{name: a, listen: '127.0.0.1:8000', upstream: '127.0.0.1:9000'}]\n")
    ended = subprocess.run(
        lab.host.command(BINARY, "run", "-c", str(file)), capture_output=True, text=True,
        timeout=30, check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "nsrelay: metrics.listen 127.0.0.1:9180: bind: Address already in use\n")


@pytest.mark.parametrize("text", [
    b"\x00" * 5000, b"GET /metrics\r\n\r\n", b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
], ids=["zeros", "no version", "long path", "many headers", "tls", "huge body"])
def test_hostile_requests_harm_nothing(lab: Lab, text: bytes) -> None:
    link = _link(lab)
    hostile = connect(lab.host, ADDRESS)
    hostile.send_unless_reset(text, fin=True)
    ping(link.connect())
    scrape(lab.host)
    hostile.close()


def test_scrapers_that_do_not_read_stop_nobody_but_themselves(lab: Lab) -> None:
    link = _link(lab)
    stopped = [connect(lab.host, ADDRESS) for _ in range(20)]
    for peer in stopped:
        peer.send(b"GET /metrics HTTP/1.1\r\n")
    client = link.connect()
    for _ in range(10):
        ping(client)
    for peer in stopped:
        peer.close()
    # Those that had to wait for a place come with their end: it is not their time that is waited for.
    begin = time.monotonic()
    assert scrape(lab.host).get("nsrelay_connections_active", rule="web") == 1
    assert time.monotonic() - begin < 5


def test_process_metrics_are_those_of_the_process(lab: Lab) -> None:
    link = _link(lab)
    pid = link.daemon.pid
    before = len(process.descriptors(pid))
    page = scrape(lab.host)
    limit = re.search(r"Max open files +\d+ +(\d+)", open(f"/proc/{pid}/limits").read())
    assert limit and page.get("process_max_fds") == float(limit[1])
    # The scrape's own connection comes on top.
    assert page.get("process_open_fds") == before + 1
    resident = page.get("process_resident_memory_bytes")
    assert resident and 0.5 < resident / process.rss_bytes(pid) < 2
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
    assert page.get("nsrelay_build_info", version=version.stdout.split()[1]) == 1


CONFIG = Path(__file__).parents[2] / "config"
ALERTS = CONFIG / "prometheus-alerts.yaml"


def _promtool(*arguments: object) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alerts_are_valid_and_fire_when_they_should(tmp_path: Path) -> None:
    _promtool("check", "rules", ALERTS)
    examples = (Path(__file__).parent / "prometheus-alerts-test.yaml").read_text()
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert all(f'alertname="{alert}"' in examples for alert in alerts)
    file = tmp_path / "test.yaml"
    file.write_text(examples.replace("[ALERTS]", f"[{ALERTS}]"))
    assert "SUCCESS" in _promtool("test", "rules", file)


def test_dashboard_and_alerts_name_only_what_a_scrape_has(lab: Lab) -> None:
    client_netns = lab.netns("a")
    server = lab.server(lab.host, script=echo)
    lab.udp_server(lab.host, answer=echo_datagram)
    lab.daemon(
        rule(netns=client_netns.name, max_connections=1),
        rule("dns", protocol="udp", netns=client_netns.name),
        rule("shut", protocol="udp", netns=client_netns.name, listen="0.0.0.0:8001",
             deny=["127.0.0.0/8"]),
        **METRICS,
    )
    ping(lab.connect(client_netns))
    lab.connect(client_netns)  # waits: max_connections
    lab.udp_client(client_netns).ask()
    lab.udp_client(client_netns, ("127.0.0.1", 8001)).send(b"denied")
    server.stop_listening()
    wait_until(
        lambda: {"nsrelay_accept_paused_total", "nsrelay_datagrams_dropped_total"}
        <= scrape(lab.host).names(),
        "a pause and a drop",
    )
    known = set(re.findall(r"^# TYPE (\w+)", scrape(lab.host).text, re.MULTILINE))
    known |= {f"nsrelay_connect_seconds_{part}" for part in ("bucket", "sum", "count")}
    for file in (ALERTS, CONFIG / "grafana-dashboard.json"):
        named = set(re.findall(r"\b(?:nsrelay|process)_\w+", file.read_text()))
        assert len(named) > 5
        assert named <= known, named - known


def test_dashboard_is_well_formed() -> None:
    dashboard = json.loads((CONFIG / "grafana-dashboard.json").read_text())
    assert {one["name"] for one in dashboard["templating"]["list"]} >= {"rule", "netns"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) > 10
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for number, query in enumerate(queries):
        plain = query.replace("$__rate_interval", "5m").replace("$rule", ".*")
        plain = plain.replace("$netns", ".*")
        queries[number] = f"- {{record: 'query:{number}', expr: {json.dumps(plain)}}}"
    rules = "groups: [{name: queries, rules: [\n" + ",\n".join(q[2:] for q in queries) + "]}]"
    checked = subprocess.run(
        ["promtool", "check", "rules", "/dev/stdin"], input=rules, text=True,
        capture_output=True, check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
