"""A stopped reader stops the sender; what waits meanwhile is bounded and lost by nobody."""

import struct

import pytest

from harness import process
from harness.lab import Lab

pytestmark = pytest.mark.sctp

MIB = 1024 * 1024


@pytest.mark.parametrize("from_client", [True, False], ids=["to-upstream", "to-client"])
@pytest.mark.parametrize("size", [100, 30_000])
def test_a_stopped_reader_stops_the_sender(lab: Lab, from_client: bool, size: int) -> None:
    link = lab.sctp_link()
    sender, receiver = link.open()
    if not from_client:
        sender, receiver = receiver, sender
    before = link.daemon.rss_bytes()
    count = sender.send_until_blocked(b"z" * size, limit=16 * MIB // size)
    assert count * size < 4 * MIB
    assert link.daemon.rss_bytes() - before < 4 * MIB
    for number in range(count):
        receiver.expect(struct.pack("=I", number) + b"z" * size)
    # It goes on, both ways.
    sender.send(b"more")
    receiver.expect(b"more")
    receiver.send(b"back")
    sender.expect(b"back")


def test_the_other_direction_goes_on_beside_a_stopped_reader(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    client.send_until_blocked(b"z" * 10_000, limit=1000)
    for number in range(20):
        upstream.send(b"%d" % number)
        client.expect(b"%d" % number)


def test_a_stopped_reader_costs_no_cpu_time(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    other_client, other_upstream = link.open()
    client.send_until_blocked(b"z" * 10_000, limit=1000)
    before = link.daemon.cpu_seconds()
    for number in range(50):  # as long as it takes: the relay works for these alone
        other_client.send(b"%d" % number)
        other_upstream.expect(b"%d" % number)
    assert link.daemon.cpu_seconds() - before < 1.0
    assert not upstream.ended


@pytest.mark.parametrize("from_client", [True, False], ids=["to-upstream", "to-client"])
def test_what_arrives_for_a_stopped_reader_wakes_nobody(lab: Lab, from_client: bool) -> None:
    link = lab.sctp_link(receive_buffer="1MiB", send_buffer="64KiB")
    sender, receiver = link.open()
    if not from_client:
        sender, receiver = receiver, sender
    # More than the reader's kernel and the relay's send buffer hold, and less than its receive
    # buffer holds besides.
    sent = [b"%d " % number + b"z" * 1000 for number in range(600)]
    for message in sent:
        sender.send(message)
    sender.wait_acknowledged()

    def trickle() -> int:
        """How often 50 short messages wake the relay."""
        before = process.sleeps(link.daemon.pid)
        for _ in range(50):
            sent.append(b"more %d" % len(sent))
            sender.send(sent[-1])
            sender.wait_acknowledged()
        return process.sleeps(link.daemon.pid) - before

    trickle()  # by its end the relay has come to rest
    woken = trickle()
    assert woken < 25, f"woken {woken} times"
    receiver.expect(*sent)
    receiver.send(b"back")
    sender.expect(b"back")
    sender.send(b"forth")
    receiver.expect(b"forth")
