"""Records in the journal: their fields, and a journald that is absent, stops or starts anew."""

import signal
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon, rule
from harness.journal import Journal
from harness.lab import Lab
from harness.peers import echo, ping, connect
from harness.waiting import wait_until

TARGET = {"log": {"target": "journal"}}


@pytest.fixture
def journal(lab: Lab) -> Iterator[Journal]:
    made = Journal(lab.folder / "journal")
    yield made
    made.sock.close()


def _daemon(lab: Lab, journal: Journal, **options: object) -> Daemon:
    lab.server(lab.host, script=echo)
    options.setdefault("log", {"target": "journal"})
    return lab.daemon(rule(), listeners=0, wrapper=journal.wrapper(), **options)


def _connection(lab: Lab) -> str:
    client = lab.connect(lab.host)
    ping(client)
    name = client.name()
    client.close()
    return name


def test_a_connection_has_every_field(lab: Lab, journal: Journal) -> None:
    daemon = _daemon(lab, journal)
    journal.wait_for("started")
    client = _connection(lab)
    fields = journal.wait_for("connection_closed")
    assert 0 < int(fields.pop("NSRELAY_DURATION_USEC")) < 10_000_000
    assert fields.pop("MESSAGE").startswith(
        f"connection closed event=connection_closed rule=web netns=default protocol=tcp "
        f"client={client} listener=0.0.0.0:8000 upstream=127.0.0.1:9000 received=4 sent=4 duration=")
    assert len(fields.pop("MESSAGE_ID")) == 32
    assert fields == {
        "PRIORITY": "6", "SYSLOG_IDENTIFIER": "nsrelay", "SYSLOG_FACILITY": "3",
        "NSRELAY_EVENT": "connection_closed", "NSRELAY_RULE": "web", "NSRELAY_NETNS": "default",
        "NSRELAY_PROTOCOL": "tcp", "NSRELAY_CLIENT": client, "NSRELAY_LISTENER": "0.0.0.0:8000",
        "NSRELAY_UPSTREAM": "127.0.0.1:9000", "NSRELAY_BYTES_RECEIVED": "4",
        "NSRELAY_BYTES_SENT": "4", "NSRELAY_REASON": "client_closed",
    }
    daemon.stop()
    journal.wait_for("stopped")
    assert daemon.log.text() == ""


def test_a_stopped_journald_stops_nothing_and_hears_of_what_is_lost(
    lab: Lab, journal: Journal
) -> None:
    daemon = _daemon(lab, journal)
    journal.wait_for("started")
    for _ in range(4000):
        client = connect(lab.host, ("127.0.0.1", 8000))
        ping(client)
        client.close()
    report = journal.wait_for("log_dropped")
    assert int(report["NSRELAY_RECORDS"]) > 0
    assert report["PRIORITY"] == "4"
    _connection(lab)
    journal.wait_for("connection_closed")
    assert daemon.is_running()


def test_a_journald_that_starts_anew_gets_what_was_held(lab: Lab, journal: Journal) -> None:
    _daemon(lab, journal)
    journal.wait_for("started")
    journal.stop()
    name = _connection(lab)
    journal.start()
    assert journal.wait_for("connection_closed")["NSRELAY_CLIENT"] == name


def test_without_a_journal_records_go_to_stderr_with_a_warning(lab: Lab) -> None:
    journal = Journal(lab.folder / "journal")
    journal.stop()
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(), wrapper=journal.wrapper(), **TARGET)
    record = daemon.log.wait_for(event="journal_unavailable")
    assert record.level == "warn"
    assert record["reason"] == "/run/systemd/journal/socket: No such file or directory"
    _connection(lab)
    daemon.log.wait_for(event="connection_closed")


def test_a_reload_changes_the_target(lab: Lab, journal: Journal) -> None:
    daemon = _daemon(lab, journal, log={"target": "stderr"})
    daemon.wait_ready(1)
    daemon._top["log"] = {"target": "journal"}
    daemon.write([rule()])
    daemon.signal(signal.SIGHUP)
    assert journal.wait_for("reload")["NSRELAY_RESULT"] == "ok"
    daemon._top["log"] = {"target": "stderr"}
    daemon.reload([rule()])


@pytest.mark.parametrize("target", ["journal", "stderr"])
def test_the_option_wins_over_the_file(lab: Lab, journal: Journal, target: str) -> None:
    other = {"journal": "stderr", "stderr": "journal"}[target]
    daemon = _daemon(lab, journal, log={"target": other}, arguments=["--log-target", target])
    if target == "journal":
        journal.wait_for("started")
    else:
        daemon.log.wait_for(event="started")


def test_level_is_heeded(lab: Lab, journal: Journal) -> None:
    daemon = _daemon(lab, journal, log={"target": "journal", "level": "warn"})
    wait_until(lambda: lab.host.listens(8000), "the listener")
    lab.connect(lab.host, ("127.0.0.1", 8000)).close()
    daemon.write([])
    daemon.signal(signal.SIGHUP)
    assert journal.read()["NSRELAY_EVENT"] == "reload"
