"""SCTP messages pass as they are: bounds, stream, payload protocol identifier, order flag."""

import random
import struct

import pytest

from harness import sctp
from harness.lab import Lab
from harness.sctp import Message

pytestmark = pytest.mark.sctp

KIB = 1024


def test_a_message_goes_there_and_back(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    client.send(Message(b"question", stream=3, ppid=0x2A000000))
    upstream.expect(Message(b"question", stream=3, ppid=0x2A000000))
    upstream.send(Message(b"answer", stream=1, ppid=0x0102_0304, unordered=True))
    client.expect(Message(b"answer", stream=1, ppid=0x0102_0304, unordered=True))


@pytest.mark.parametrize("from_client", [True, False], ids=["to-upstream", "to-client"])
def test_everything_about_a_message_is_kept(lab: Lab, from_client: bool) -> None:
    link = lab.sctp_link()
    sender, receiver = link.open()
    if not from_client:
        sender, receiver = receiver, sender
    chance = random.Random(7)
    sent = [
        Message(
            chance.randbytes(chance.choice([1, 2, 63, 500, 1024, 1452, 1453, 9000, 40000])),
            stream=chance.randrange(10), ppid=chance.getrandbits(32),
        )
        for _ in range(200)
    ]
    for message in sent:
        sender.send(message)
        receiver.expect(message)


def test_many_messages_at_once_stay_apart_and_in_order(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    sent = [Message(struct.pack("!I", n) * (1 + n % 50), stream=0, ppid=n) for n in range(100)]
    for message in sent:
        client.send(message)
    upstream.expect(*sent)


@pytest.mark.parametrize("size", [64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 100 * KIB, 256 * KIB])
def test_long_messages_are_put_together(lab: Lab, size: int) -> None:
    link = lab.sctp_link(server={"receive_buffer": 1 << 20})
    client, upstream = link.open(send_buffer=1 << 20, receive_buffer=1 << 20)
    long = Message(random.Random(size).randbytes(size), stream=5, ppid=7)
    client.send(long)
    client.send(b"behind")
    upstream.expect(long, b"behind")


def test_max_message_may_be_raised(lab: Lab) -> None:
    link = lab.sctp_link(max_message="2MiB", server={"receive_buffer": 4 << 20})
    client, upstream = link.open(send_buffer=4 << 20)
    long = Message(random.Random(1).randbytes(1 << 20), stream=9)
    client.send(long)
    upstream.expect(long)


def test_a_message_over_max_message_aborts_both_sides(lab: Lab) -> None:
    link = lab.sctp_link(max_message="1KiB")
    client, upstream = link.open()
    client.send(b"x" * 1024)
    upstream.expect(b"x" * 1024)
    client.send(b"y" * 1025)
    client.expect_abort()
    upstream.expect_abort()
    record = link.log.wait_for(event="connection_failed")
    assert record["reason"] == "message_too_long"
    assert record["messages_received"] == "1"
    assert "the client" in record["error"] and "1024" in record["error"]


def test_unordered_messages_of_every_stream(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    for stream in range(10):
        message = Message(b"u%d" % stream, stream=stream, ppid=stream, unordered=True)
        client.send(message)
        upstream.expect(message)
        upstream.send(message)
        client.expect(message)


def test_the_record_counts_bytes_and_messages(lab: Lab) -> None:
    link = lab.sctp_link()
    client, upstream = link.open()
    client.send(b"12345")
    client.send(b"678")
    upstream.expect(b"12345", b"678")
    upstream.send(b"ab")
    client.expect(b"ab")
    name = client.name()
    client.shutdown()
    upstream.expect_shutdown()
    record = link.log.wait_for(event="connection_closed")
    assert (record["protocol"], record["received"], record["sent"]) == ("sctp", "8", "2")
    assert (record["messages_received"], record["messages_sent"]) == ("2", "1")
    assert (record["undelivered"], record["reason"]) == ("0", "client_closed")
    assert record["upstream"] == "127.0.0.1:9000" and record["client"] == name


def test_ipv6_and_both_families(lab: Lab) -> None:
    client_netns = lab.netns("a")
    server = lab.sctp_server(lab.host, ("::1", 9000))
    lab.sctp_daemon(netns=client_netns.name, listen="*:8000", upstream="[::1]:9000")
    for address in ("127.0.0.1", "::1"):
        client = lab.sctp_connect(client_netns, (address, 8000))
        upstream = server.accept()
        client.send(Message(b"over " + address.encode(), stream=2))
        upstream.expect(Message(b"over " + address.encode(), stream=2))


def test_echo_through_the_relay(lab: Lab) -> None:
    link = lab.sctp_link(script=sctp.echo)
    clients = [link.connect() for _ in range(5)]
    for number in range(20):
        for client in clients:
            client.send(Message(b"%d" % number, stream=number % 10, ppid=number))
        for client in clients:
            client.expect(Message(b"%d" % number, stream=number % 10, ppid=number))
