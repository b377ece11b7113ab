"""Bytes are neither lost nor reordered, whatever their number, size and rhythm."""

import socket
import threading

import pytest

import scenarios
from harness.lab import Lab, Link
from harness.peers import echo, exchange, pattern, ping, same, say, sending

MIB = scenarios.MIB


@pytest.fixture
def link(lab: Lab) -> Link:
    """A relay with its defaults and an upstream that the test drives."""
    return lab.link()


@pytest.mark.parametrize(
    "size", [0, 1, 1460, 65535, 65536, 65537, MIB, pytest.param(64 * MIB, marks=pytest.mark.heavy)],
)
def test_both_directions_at_once(link: Link, size: int) -> None:
    client, upstream = link.open()
    exchange(client, upstream, pattern(size), pattern(size + 1)[1:])
    record = link.log.wait_for(event="connection_closed")
    assert (record["received"], record["sent"]) == (str(size), str(size))


def test_fifty_connections_in_parallel(lab: Lab) -> None:
    link = lab.link(script=echo)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            client = link.connect()
            data = pattern(256 * 1024 + number)[number:]
            with sending(client, data, fin=True):
                same(client.recv_until_eof(), data, f"connection {number}")
        except (OSError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    link.log.wait_for_count(50, event="connection_closed")


def test_single_bytes_arrive_one_by_one(link: Link) -> None:
    client, upstream = link.open()
    for byte in pattern(200):
        client.send(bytes([byte]))
        assert upstream.recv_exact(1) == bytes([byte])
        upstream.send(bytes([byte ^ 0xFF]))
        assert client.recv_exact(1) == bytes([byte ^ 0xFF])


def test_dribbled_writes_arrive_in_order(link: Link) -> None:
    client, upstream = link.open()
    data = pattern(20_000)
    for start in range(0, len(data), 7):
        client.send(data[start : start + 7])
    client.send_fin()
    same(upstream.recv_until_eof(), data, "dribbled")


def test_small_messages_and_bulk_in_turn(lab: Lab) -> None:
    link = lab.link(script=echo)
    client = link.connect()
    data = pattern(8 * MIB)
    for _ in range(3):
        for number in range(50):
            ping(client, f"small {number}".encode())
        with sending(client, data):
            same(client.recv_exact(len(data)), data, "bulk between small messages")
    ping(client)


def test_pauses_inside_bulk_do_not_hold_bytes_back(link: Link) -> None:
    client, upstream = link.open()
    for size in (1, 70_000, 1, 1_000_000, 3, 65536, 4096, 2_000_000, 1):
        data = pattern(size)
        with sending(client, data):
            same(upstream.recv_exact(size), data, f"{size} bytes")


def test_server_that_speaks_first(lab: Lab) -> None:
    link = lab.link(script=say(b"220 welcome\r\n"))
    client = link.connect()
    assert client.recv_exact(13) == b"220 welcome\r\n"
    ping(client)


def test_bytes_sent_with_the_handshake_still_open_arrive(link: Link) -> None:
    clients = [link.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(bytes([number]) * 1000)
        client.send_fin()
    got = {link.server.accept().recv_until_eof() for _ in clients}
    assert got == {bytes([number]) * 1000 for number in range(20)}


@pytest.mark.parametrize("sender_name", ["client", "upstream"])
@pytest.mark.parametrize("bulk", [10, MIB])
def test_urgent_byte_arrives_in_its_place(link: Link, sender_name: str, bulk: int) -> None:
    client, upstream = link.open()
    sender, reader = (client, upstream) if sender_name == "client" else (upstream, client)
    reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    data = pattern(bulk)

    with sending(sender, data):
        head = reader.recv_exact(bulk)
    sender.sock.send(b"!", socket.MSG_OOB)
    with sending(sender, data, fin=True):
        same(head + reader.recv_until_eof(), data + b"!" + data, "around the urgent byte")


@pytest.mark.parametrize("bulk", [10, 50_000])
def test_urgent_byte_in_the_midst_of_unread_data_arrives_in_its_place(
    link: Link, bulk: int
) -> None:
    client, upstream = link.open()
    upstream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    data = pattern(bulk)
    client.send(data)
    client.sock.send(b"!", socket.MSG_OOB)
    client.send(data)
    client.send_fin()
    same(upstream.recv_until_eof(), data + b"!" + data, "around the urgent byte")


def test_bytes_never_reach_another_connection(link: Link) -> None:
    """What is left in a pipe at a reset must not surface elsewhere (haproxy#2505)."""
    for number in range(20):
        stale, stale_upstream = link.open()
        stale.send(b"S" * 300_000)
        stale_upstream.wait_unread(1)
        stale_upstream.reset()
        stale.recv_until_reset()
        client, upstream = link.open()
        data = bytes([number]) * 200_000
        exchange(client, upstream, data, data)
