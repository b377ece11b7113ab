"""Streams: as many as the client's association has, and never another number."""

import pytest

from harness.lab import Lab
from harness.sctp import Message

pytestmark = pytest.mark.sctp


@pytest.mark.parametrize("count", [1, 10, 64, 1000])
def test_the_upstream_is_asked_for_as_many_as_the_client_has(lab: Lab, count: int) -> None:
    link = lab.sctp_link(server={"outbound": 2048})
    client, upstream = link.open(outbound=count, inbound=count)
    assert client.streams() == (count, count)
    assert upstream.streams() == (count, count)
    last = Message(b"on the last", stream=count - 1)
    client.send(last)
    upstream.expect(last)
    upstream.send(last)
    client.expect(last)


def test_different_numbers_each_way(lab: Lab) -> None:
    link = lab.sctp_link(server={"outbound": 500})
    client, upstream = link.open(outbound=7, inbound=300)
    assert client.streams() == (7, 300)
    assert upstream.streams() == (300, 7)


def test_a_message_on_a_stream_that_was_not_granted_aborts_both_sides(lab: Lab) -> None:
    link = lab.sctp_link(server={"inbound": 5})
    client, upstream = link.open(outbound=20)
    client.send(Message(b"fits", stream=4))
    upstream.expect(Message(b"fits", stream=4))
    client.send(Message(b"does not", stream=5))
    client.expect_abort()
    upstream.expect_abort()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "too_few_streams"
    assert record["error"] == (
        "the client sent on stream 5, the other side has granted 5 streams")


def test_each_stream_keeps_its_order(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    sent = [Message(b"%d" % n, stream=n * 7 % 10, ppid=n) for n in range(100)]
    for message in sent:
        client.send(message)
    got = [upstream.recv() for _ in sent]
    for stream in range(10):
        assert [one for one in got if one and one.stream == stream] == [
            one for one in sent if one.stream == stream]
