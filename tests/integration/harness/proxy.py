"""The header of the PROXY protocol, written by hand from its specification."""

import socket
import struct

from .peers import Peer

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TYPE_NETNS = 0x30


def v1(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A header of version 1."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    return (f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n"
            ).encode()


def v2(source: tuple[str, int], destination: tuple[str, int], tlvs: bytes = b"") -> bytes:
    """A header of version 2 of the command PROXY."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    addresses = b"".join(socket.inet_pton(family, one[0]) for one in (source, destination))
    body = addresses + struct.pack("!HH", source[1], destination[1]) + tlvs
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(body)) + body


def v2_local() -> bytes:
    """A header of version 2 of the command LOCAL."""
    return SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)


def tlv(kind: int, value: bytes) -> bytes:
    """One type, length, value."""
    return struct.pack("!BH", kind, len(value)) + value


def read_v2(peer: Peer) -> tuple[tuple[str, int], tuple[str, int], dict[int, bytes]]:
    """Reads a header of version 2 and not a byte more: source, destination, TLVs."""
    fixed = peer.recv_exact(16)
    assert fixed[:12] == SIGNATURE and fixed[12] == 0x21, fixed
    kind, length = struct.unpack("!BH", fixed[13:])
    body = peer.recv_exact(length)
    family, size = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}[kind]
    ports = struct.unpack("!HH", body[2 * size : 2 * size + 4])
    source = (socket.inet_ntop(family, body[:size]), ports[0])
    destination = (socket.inet_ntop(family, body[size : 2 * size]), ports[1])
    rest, tlvs = body[2 * size + 4 :], {}
    while rest:
        kind, length = struct.unpack("!BH", rest[:3])
        tlvs[kind] = rest[3 : 3 + length]
        rest = rest[3 + length :]
    return source, destination, tlvs


def read_v1(peer: Peer) -> list[str]:
    """Reads a header of version 1 and not a byte more: its words."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += peer.recv_exact(1)
    return line[:-2].decode().split(" ")
