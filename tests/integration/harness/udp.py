"""UDP peers on both sides of the relay.

Every operation has a deadline; a peer that waits for ever is a failed test, not a hung one.
"""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .netns import Netns
from .peers import family_of, format_address
from .waiting import DEADLINE, wait_until

UdpAddress = tuple[str, int]

UDP_SEGMENT = 103
UDP_GRO = 104
SOL_UDP = 17
_SO_RCVBUFFORCE = 33
_IPV6_RECVTCLASS = 66
_IPV6_TCLASS = 67
_LARGEST = 65536


@dataclass
class Datagram:
    """One datagram as it arrived."""

    data: bytes
    sender: UdpAddress
    #: TOS or traffic class: DSCP and ECN.
    traffic_class: int


class UdpPeer:
    """One UDP socket in a namespace; `peer` is where send() goes unless told otherwise."""

    def __init__(
        self, netns: Netns, bind: UdpAddress | None = None, peer: UdpAddress | None = None
    ) -> None:
        address = bind or peer
        assert address
        self.family = family_of(address)
        self.sock = netns.socket(self.family, socket.SOCK_DGRAM)
        self.peer = peer
        with contextlib.suppress(PermissionError):
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 * 1024 * 1024)
        if self.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        if bind:
            self.sock.bind(bind)
        self.sock.settimeout(DEADLINE)

    def name(self) -> str:
        """The own address as the daemon's log writes it, for a peer on the loopback."""
        address, port = self.sock.getsockname()[:2]
        return format_address(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), port))

    def send(self, data: bytes, to: UdpAddress | None = None, traffic_class: int = 0) -> None:
        """One datagram."""
        target = to or self.peer
        assert target
        self.sock.sendmsg([data], self._class_option(traffic_class), 0, target)

    def send_burst(self, data: bytes, segment_size: int, to: UdpAddress | None = None) -> None:
        """Datagrams of `segment_size` as one message that the kernel cuts (UDP_SEGMENT)."""
        target = to or self.peer
        assert target
        option = [(SOL_UDP, UDP_SEGMENT, struct.pack("H", segment_size))]
        self.sock.sendmsg([data], option, 0, target)

    def recv(self) -> Datagram:
        """The next datagram."""
        data, options, flags, sender = self.sock.recvmsg(_LARGEST, 256)
        assert not flags & socket.MSG_TRUNC
        traffic_class = 0
        for level, kind, value in options:
            if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                traffic_class = value[0]
            elif (level, kind) == (socket.IPPROTO_IPV6, _IPV6_TCLASS):
                traffic_class = int(struct.unpack("i", value)[0])
        return Datagram(data, sender[:2], traffic_class)

    def recv_bytes(self) -> bytes:
        """The payload of the next datagram."""
        return self.recv().data

    def _class_option(self, traffic_class: int) -> list[tuple[int, int, bytes]]:
        if traffic_class == 0:
            return []
        if self.family == socket.AF_INET6:
            return [(socket.IPPROTO_IPV6, _IPV6_TCLASS, struct.pack("i", traffic_class))]
        return [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", traffic_class))]

    def has_waiting(self) -> bool:
        """Whether a datagram has arrived."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def ask(self, text: bytes = b"ping") -> Datagram:
        """One question to an echoing upstream; returns the answer, which must be equal."""
        self.send(text)
        answer = self.recv()
        assert answer.data == text
        return answer

    def close(self) -> None:
        """Closes the socket."""
        self.sock.close()


class UdpServer(UdpPeer):
    """A bound UDP socket; with `answer` a thread sends back what it makes of each datagram, if
    anything."""

    def __init__(
        self,
        netns: Netns,
        address: UdpAddress,
        answer: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        super().__init__(netns, bind=address)
        self._thread: threading.Thread | None = None
        self._ended = False
        if answer:
            self._thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
            self._thread.start()

    def _serve(self, answer: Callable[[bytes], bytes | None]) -> None:
        while True:
            try:
                if not select.select([self.sock], [], [], 0.1)[0]:
                    if self._ended:
                        return
                    continue
                got = self.recv()
                said = answer(got.data)
                if said is not None:
                    self.send(said, got.sender, got.traffic_class)
            except (OSError, ValueError):
                if self._ended:
                    return

    def close(self) -> None:
        """Ends the thread and closes the socket."""
        self._ended = True
        if self._thread:
            self._thread.join(DEADLINE)
        super().close()


def echo(data: bytes) -> bytes:
    """An answer that is equal."""
    return data


def tell(text: str) -> Callable[[bytes], bytes]:
    """Answers `text`: tells which server one has reached."""
    return lambda data: text.encode()


def eventually_answered(client: UdpPeer, text: bytes = b"ping") -> bytes:
    """Asks again and again until an answer comes: for an upstream that is just coming up."""

    def asked() -> bytes:
        client.send(text)
        with contextlib.suppress(OSError):
            if select.select([client.sock], [], [], 0.1)[0]:
                return client.recv_bytes()
        return b""

    return wait_until(asked, "an answer")


@contextlib.contextmanager
def talking(client: UdpPeer) -> Iterator[None]:
    """`client` asks again and again, so that its session is never idle while the context lasts."""
    errors: list[OSError] = []
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.wait(0.1):
                client.ask()
        except OSError as error:
            errors.append(error)

    client.ask()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not errors, errors


@contextlib.contextmanager
def quiet(client: UdpPeer) -> Iterator[None]:
    """Asserts that nothing is left over for `client` when the context ends."""
    yield
    assert not client.has_waiting(), client.recv()
