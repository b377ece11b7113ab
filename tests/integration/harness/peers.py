"""TCP peers on both sides of the relay, driven step by step or by a script in a thread.

Every operation has a deadline; a peer that waits for ever is a failed test, not a hung one.
"""

import contextlib
import errno
import hashlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import linux
from .netns import Netns
from .waiting import DEADLINE, wait_until

_CHUNK = 256 * 1024
#: A sender that could write nothing for so long counts as blocked.
QUIET_SECONDS = 1.0

Address = tuple[str, int] | str


class Peer:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, was_reset: bool = False) -> None:
        """`was_reset`: RST came so early that a call before recv() has reported it already."""
        self.sock = sock
        self._was_reset = was_reset
        #: time.monotonic() when the connection stood.
        self.connected = time.monotonic()
        sock.settimeout(DEADLINE)

    def name(self) -> str:
        """The own address as the daemon's log writes it."""
        return format_address(self.sock.getsockname())

    def peer_name(self) -> str:
        """The other end's address as the daemon's log writes it."""
        return format_address(self.sock.getpeername())

    def send(self, data: bytes | memoryview) -> None:
        """Writes all of `data`; the deadline holds for each step forward, not for the whole."""
        view = memoryview(data)
        while view:
            view = view[self.sock.send(view[:_CHUNK]) :]

    def send_unless_reset(self, data: bytes, fin: bool = False) -> None:
        """Like send(), and FIN where asked, where RST may be faster; expect_reset() knows then."""
        try:
            self.send(data)
            if fin:
                self.send_fin()
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                raise
            self._was_reset = True

    def send_fin(self) -> None:
        """Sends FIN; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """A plain close."""
        self.sock.close()

    def recv_exact(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        data = bytearray()
        while len(data) < count:
            piece = self.sock.recv(min(_CHUNK, count - len(data)))
            assert piece, f"end of stream after {len(data)} of {count} bytes"
            data += piece
        return bytes(data)

    def recv_until_eof(self) -> bytes:
        """All bytes up to the peer's FIN; a reset raises ConnectionResetError."""
        data = bytearray()
        while piece := self.sock.recv(_CHUNK):
            data += piece
        return bytes(data)

    def recv_until_reset(self) -> bytes:
        """All bytes up to the peer's RST; a FIN in its place fails the test."""
        data = bytearray()
        if self._was_reset:
            return b""
        try:
            while piece := self.sock.recv(_CHUNK):
                data += piece
        except ConnectionResetError:
            return bytes(data)
        raise AssertionError(f"FIN in place of a reset, after {len(data)} bytes")

    def expect_reset(self) -> None:
        """RST comes, and not one byte before it."""
        data = self.recv_until_reset()
        assert not data, f"{len(data)} bytes before the reset"

    def expect_reset_after_fin(self) -> None:
        """RST comes though the peer's FIN was read already (recv() goes on saying 0 then)."""
        wait_until(
            lambda: linux.tcp_state(self.sock) == "CLOSE", "RST on a connection that has had a FIN"
        )
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert error in (errno.EPIPE, errno.ECONNRESET), errno.errorcode.get(error, error)

    def wait_acknowledged(self) -> None:
        """Until the other end's kernel has taken every byte written here."""
        wait_until(lambda: linux.unacknowledged(self.sock) == 0, "acknowledgement of all bytes")

    def wait_unread(self, count: int) -> None:
        """Until at least `count` bytes lie in the receive queue, without reading them."""
        wait_until(lambda: linux.unread(self.sock) >= count, f"{count} unread bytes")

    def send_until_blocked(self, limit: int, quiet: float = QUIET_SECONDS) -> int:
        """Writes until nothing moved for `quiet` seconds, or `limit` bytes. Returns their number.

        The bytes are those of pattern(), so that the reader can check them.
        """
        sent = 0
        view = memoryview(pattern(limit))
        self.sock.setblocking(False)
        try:
            while sent < limit:
                if not select.select([], [self.sock], [], quiet)[1]:
                    break
                with contextlib.suppress(BlockingIOError):
                    sent += self.sock.send(view[sent : sent + _CHUNK])
        finally:
            self.sock.settimeout(DEADLINE)
        return sent


Script = Callable[[Peer], None]


class Server:
    """A listening socket inside a namespace.

    Without a script the test takes the connections itself with accept(); with one, a thread per
    connection runs it. An error in a script that the relay caused is kept for check().
    """

    def __init__(
        self,
        netns: Netns,
        address: Address,
        script: Script | None = None,
        backlog: int = 1024,
        receive_buffer: int = 0,
    ) -> None:
        self._script = script
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.errors: list[BaseException] = []
        self.accepted = 0
        self.sock = netns.socket(family_of(address))
        if not isinstance(address, str):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind(address)
        self.sock.listen(backlog)
        self.address = address
        if script:
            self._start(self._accept_all)
        else:
            self.sock.settimeout(DEADLINE)

    def accept(self) -> Peer:
        """The next connection."""
        peer = Peer(self.sock.accept()[0])
        with self._lock:
            self._peers.append(peer)
            self.accepted += 1
        return peer

    def has_waiting(self) -> bool:
        """Whether a connection waits for accept()."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                peer = self.accept()
            except OSError:
                return
            self._start(self._run, peer)

    def _run(self, peer: Peer) -> None:
        assert self._script
        try:
            self._script(peer)
        except (OSError, AssertionError) as error:
            self.errors.append(error)
        finally:
            peer.close()

    def stop_listening(self) -> None:
        """From now on a connect is refused; connections go on."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def close(self) -> None:
        """Ends the listener and every connection."""
        self.stop_listening()
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            peer.close()
        for thread in self._threads:
            thread.join(DEADLINE)


def echo(peer: Peer) -> None:
    """Sends back what comes, and a FIN after the FIN."""
    while data := peer.sock.recv(_CHUNK):
        peer.send(data)


def sink(peer: Peer) -> None:
    """Reads to the end."""
    peer.recv_until_eof()


def source(count: int) -> Script:
    """Sends `count` bytes of pattern(), then FIN, then reads to the end."""

    def script(peer: Peer) -> None:
        peer.send(pattern(count))
        peer.send_fin()
        peer.recv_until_eof()

    return script


def say(text: bytes) -> Script:
    """Sends `text` first, then echoes."""

    def script(peer: Peer) -> None:
        peer.send(text)
        echo(peer)

    return script


def tell(text: str) -> Script:
    """Sends `text` and FIN: tells which server one has reached."""
    return lambda peer: peer.send(text.encode())


def connect(
    netns: Netns,
    address: Address,
    source_address: Address | None = None,
    send_buffer: int = 0,
    receive_buffer: int = 0,
) -> Peer:
    """A client in `netns` that is connected to `address`."""
    sock = netns.socket(family_of(address))
    try:
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source_address:
            sock.bind(source_address)
        sock.settimeout(DEADLINE)
        if not isinstance(address, str):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(address)
    except ConnectionResetError:  # Accepted by the kernel and reset before we could look.
        return Peer(sock, was_reset=True)
    except BaseException:
        sock.close()
        raise
    return Peer(sock)


def is_refused(netns: Netns, address: Address) -> bool:
    """Whether a connect to `address` is refused now."""
    try:
        connect(netns, address).reset()
    except ConnectionRefusedError:
        return True
    return False


def exchange(client: Peer, upstream: Peer, to_upstream: bytes, to_client: bytes) -> None:
    """Both ends send at once and FIN; asserts that each got exactly what the other sent."""
    got: list[bytes | OSError] = []

    def receive() -> None:
        try:
            got.append(upstream.recv_until_eof())
        except OSError as error:
            got.append(error)

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    with sending(client, to_upstream, fin=True), sending(upstream, to_client, fin=True):
        same(client.recv_until_eof(), to_client, "upstream to client")
        receiver.join()
    assert isinstance(got[0], bytes), got[0]
    same(got[0], to_upstream, "client to upstream")


def same(got: bytes, wanted: bytes, what: str) -> None:
    """Asserts equality of long byte strings, with a short message where they differ."""
    if got == wanted:
        return
    if len(got) != len(wanted):
        raise AssertionError(f"{what}: {len(got)} bytes in place of {len(wanted)}")
    first = next(i for i, (a, b) in enumerate(zip(got, wanted)) if a != b)
    raise AssertionError(f"{what}: differs from byte {first} of {len(wanted)}")


def pattern(count: int) -> bytes:
    """`count` bytes that no shift, loss or repetition leaves equal to themselves."""
    return hashlib.shake_128(b"nsrelay").digest(count)


def ping(client: Peer, text: bytes = b"ping") -> None:
    """One round trip through an echoing upstream."""
    client.send(text)
    assert client.recv_exact(len(text)) == text


def family_of(address: Address) -> socket.AddressFamily:
    """The address family that `address` belongs to."""
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def format_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """`ADDRESS:PORT`, or `[V6]:PORT`."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


@contextlib.contextmanager
def sending(peer: Peer, data: bytes, fin: bool = False) -> Iterator[None]:
    """`peer` sends `data`, and FIN where asked, in a thread while the context lasts."""
    errors: list[OSError] = []

    def work() -> None:
        try:
            peer.send(data)
            if fin:
                peer.send_fin()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join()
    assert not errors, errors


def wait_connected(netns: Netns, address: Address, **options: Any) -> Peer:
    """A client that is connected as soon as `address` does not refuse any more."""

    def attempt() -> Peer | None:
        try:
            return connect(netns, address, **options)
        except ConnectionRefusedError:
            return None

    client = wait_until(attempt, f"{address} in {netns} is listened at")
    assert client
    return client
