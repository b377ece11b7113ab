"""Associations in status, connections and metrics: to the byte, as they pass."""

import pytest

from harness.control import Control
from harness.lab import Lab, SctpLink
from harness.metrics import scrape
from harness.sctp import Message
from harness.waiting import wait_until

pytestmark = pytest.mark.sctp


def _link(lab: Lab) -> tuple[SctpLink, Control]:
    control = Control(lab.folder / "control.sock")
    link = lab.sctp_link(daemon={"control": control.section(), "metrics": {"listen": "127.0.0.1:9180"}})
    return link, control


def test_status_and_connections_count_what_passes(lab: Lab) -> None:
    link, control = _link(lab)
    client, upstream = link.open()
    for message in (Message(b"12345", stream=1), Message(b"678", stream=2)):
        client.send(message)
        upstream.expect(message)
    upstream.send(b"ab")
    client.expect(b"ab")
    [one] = control.json("connections")
    assert one.pop("age_seconds") >= 0
    assert one == {
        "rule": "web", "netns": link.client_netns.name, "protocol": "sctp", "client": client.name(),
        "listener": "0.0.0.0:8000", "upstream": "127.0.0.1:9000", "upstream_netns": "default",
        "bytes_received": 8, "bytes_sent": 2,
    }
    status = control.json("status")
    totals = status["totals"]
    assert (totals["bytes_received"], totals["bytes_sent"]) == (8, 2)
    assert totals["connections_active"] == totals["connections_total"] == 1
    assert [(one["protocol"], one["connections_active"]) for one in status["rules"]] == [("sctp", 1)]
    [listener] = control.listeners()
    assert (listener["protocol"], listener["state"], listener["connections_active"]) == (
        "sctp", "listening", 1)
    client.shutdown()
    upstream.expect_shutdown()
    wait_until(lambda: not control.json("connections"), "the association is gone")
    totals = control.json("status")["totals"]
    assert (totals["connections_active"], totals["connections_total"]) == (0, 1)
    assert (totals["bytes_received"], totals["bytes_sent"]) == (8, 2)


def test_a_listener_of_two_addresses_is_one_in_status(lab: Lab) -> None:
    control = Control(lab.folder / "control.sock")
    lab.sctp_daemon(listen="127.0.0.1+127.0.0.2:8000", daemon={"control": control.section()})
    [listener] = control.listeners()
    assert (listener["address"], listener["port"]) == ("127.0.0.1+127.0.0.2:8000", 8000)


def test_metrics_count_bytes_messages_and_associations(lab: Lab) -> None:
    link, _ = _link(lab)
    labels = {"rule": "web", "netns": link.client_netns.name, "protocol": "sctp"}

    def value(name: str, **more: str) -> float | None:
        return scrape(lab.host).get(f"nsrelay_{name}", **labels, **more)

    client, upstream = link.open()
    sent = [Message(b"x" * size) for size in (1, 20, 300)]
    for message in sent:
        client.send(message)
    upstream.expect(*sent)
    upstream.send(b"y" * 4000)
    client.expect(b"y" * 4000)
    assert value("connections_active") == value("connections_total") == 1
    assert value("bytes_total", direction="received") == 321
    assert value("bytes_total", direction="sent") == 4000
    assert value("connect_seconds_count") == 1
    client.abort()
    upstream.expect_abort()
    wait_until(lambda: value("connections_active") == 0, "the association is gone")
    assert value("connections_total") == 1


def test_a_refused_association_is_counted_by_its_reason(lab: Lab) -> None:
    link, control = _link(lab)
    link.server.stop_listening()
    link.expect_aborted()
    link.log.wait_for(event="connection_failed")
    assert control.json("status")["totals"]["connections_failed"] == 1
    assert scrape(lab.host).get(
        "nsrelay_connections_failed_total", rule="web", netns=link.client_netns.name,
        protocol="sctp", reason="connect_refused") == 1
