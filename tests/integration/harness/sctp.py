"""SCTP peers on both sides of the relay: one-to-one sockets, message by message.

Every operation has a deadline; a peer that waits for ever is a failed test, not a hung one.
Constants and structures are those of linux/sctp.h, which Python does not know.
"""

import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .netns import Netns
from .peers import family_of, format_address
from .waiting import DEADLINE, wait_until

IPPROTO_SCTP = 132
_INITMSG, _NODELAY, _STATUS, _EVENT = 2, 3, 14, 127
_FRAGMENT_INTERLEAVE, _RECVRCVINFO = 18, 32
_SNDINFO, _RCVINFO = 2, 3
_ASSOC_CHANGE, _PEER_ADDR_CHANGE = 0x8001, 0x8002
_MSG_NOTIFICATION = 0x8000
_BINDX_ADD = 1
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_SSTAT_STATES = ("EMPTY", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED",
                 "SHUTDOWN_PENDING", "SHUTDOWN_SENT", "SHUTDOWN_RECEIVED", "SHUTDOWN_ACK_SENT")
UNORDERED = 1
_STATES = {0: "up", 1: "lost", 2: "restart", 3: "shutdown", 4: "refused"}

SctpAddress = tuple[str, int]
#: One address, or all of a multihomed endpoint.
Endpoint = SctpAddress | Sequence[SctpAddress]


@dataclass(frozen=True)
class Message:
    """A message with everything that belongs to it. `ppid` is in the wire's byte order."""

    data: bytes
    stream: int = 0
    ppid: int = 0
    unordered: bool = False

    def __repr__(self) -> str:
        return (f"Message({len(self.data)} bytes {self.data[:16]!r}, stream {self.stream}, "
                f"ppid {self.ppid:#x}, {'un' if self.unordered else ''}ordered)")


@dataclass
class SctpPeer:
    """One end of an association."""

    sock: socket.socket
    #: How the association ended, once a notification has said it: "shutdown", "lost", "restart".
    ended: str = ""
    #: Paths that the kernel has reported: (address, state).
    changes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sock.settimeout(DEADLINE)

    def name(self) -> str:
        """The own address as the daemon's log writes it."""
        return format_address(self.sock.getsockname())

    def streams(self) -> tuple[int, int]:
        """Outbound and inbound streams of the association."""
        status = self.sock.getsockopt(IPPROTO_SCTP, _STATUS, 176)
        _, _, _, _, _, inbound, outbound = struct.unpack_from("=iiIHHHH", status)
        return outbound, inbound

    def unacknowledged(self) -> int:
        """DATA chunks that are not acknowledged or not sent."""
        status = self.sock.getsockopt(IPPROTO_SCTP, _STATUS, 176)
        _, _, _, unacknowledged, pending = struct.unpack_from("=iiIHH", status)
        return int(unacknowledged) + int(pending)

    def send(self, message: Message | bytes) -> None:
        """Sends one message."""
        one = message if isinstance(message, Message) else Message(message)
        info = struct.pack("=HHIIi", one.stream, UNORDERED if one.unordered else 0, one.ppid, 0, 0)
        sent = self.sock.sendmsg([one.data], [(IPPROTO_SCTP, _SNDINFO, info)])
        assert sent == len(one.data), f"{sent} of {len(one.data)} bytes"

    def recv(self) -> Message | None:
        """The next message, put together from its parts; nothing after SHUTDOWN."""
        parts = []
        while True:
            data, options, flags, _ = self.sock.recvmsg(1 << 20, 512)
            if flags & _MSG_NOTIFICATION:
                self._note(data)
                if self.ended == "shutdown":
                    return None
                continue
            if not data:
                return None
            parts.append(data)
            if flags & socket.MSG_EOR:
                return _message(b"".join(parts), options)

    def expect(self, *messages: Message | bytes) -> None:
        """Exactly these messages come next."""
        for wanted in messages:
            wanted = wanted if isinstance(wanted, Message) else Message(wanted)
            got = self.recv()
            assert got == wanted, f"{got} in place of {wanted}"

    def expect_shutdown(self) -> None:
        """SHUTDOWN comes next, and no message before it."""
        got = self.recv()
        assert got is None, f"{got} in place of SHUTDOWN"

    def expect_abort(self) -> None:
        """ABORT comes next, and no message before it."""
        assert not self.recv_until_abort()

    def recv_until_abort(self) -> list[Message]:
        """All messages up to ABORT; SHUTDOWN in its place fails the test."""
        messages = []
        try:
            while (message := self.recv()) is not None:
                messages.append(message)
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE):
                raise
            return messages
        raise AssertionError(f"SHUTDOWN in place of ABORT, after {len(messages)} messages")

    def send_until_blocked(self, data: bytes, limit: int, quiet: float = 2.0) -> int:
        """Sends `data` again and again until nothing moved for `quiet` s; how many messages."""
        self.sock.setblocking(False)
        count = 0
        try:
            while count < limit and select.select([], [self.sock], [], quiet)[1]:
                with contextlib.suppress(BlockingIOError):
                    self.send(Message(struct.pack("=I", count) + data))
                    count += 1
        finally:
            self.sock.settimeout(DEADLINE)
        return count

    def state(self) -> str:
        """Of the association, as `enum sctp_sstat_state` calls it."""
        status = self.sock.getsockopt(IPPROTO_SCTP, _STATUS, 176)
        return _SSTAT_STATES[struct.unpack_from("=ii", status)[1]]

    def wait_acknowledged(self) -> None:
        """Until the other end's kernel has every message."""
        wait_until(lambda: self.unacknowledged() == 0, "acknowledgement of all messages")

    def shutdown(self) -> None:
        """Sends SHUTDOWN; what the other end has sent already can still be read."""
        self.sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Ends the association with ABORT."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """A plain close: SHUTDOWN, or ABORT where something was not read."""
        self.sock.close()

    def is_readable(self) -> bool:
        """Whether something has come."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def follow_paths(self) -> None:
        """From now on `changes` tells what becomes of the peer's addresses."""
        self.sock.setsockopt(IPPROTO_SCTP, _EVENT, struct.pack("=iHBx", 0, _PEER_ADDR_CHANGE, 1))

    def _note(self, notification: bytes) -> None:
        kind, = struct.unpack_from("=H", notification)
        if kind == _ASSOC_CHANGE:
            state, = struct.unpack_from("=H", notification, 8)
            if _STATES[state] != "up":
                self.ended = _STATES[state]
        else:
            self.changes.append(notification.hex())


def _message(data: bytes, options: Sequence[tuple[int, int, bytes]]) -> Message:
    for level, kind, value in options:
        if (level, kind) == (IPPROTO_SCTP, _RCVINFO):
            stream, _, flags, ppid = struct.unpack_from("=HHHxxI", value)
            return Message(data, stream, ppid, bool(flags & UNORDERED))
    raise AssertionError("a message without SCTP_RCVINFO")


class SctpServer:
    """A listening one-to-one socket inside a namespace.

    Without a script the test takes the associations with accept(); with one, a thread per
    association runs it.
    """

    def __init__(
        self, netns: Netns, endpoint: Endpoint, script: Callable[[SctpPeer], None] | None = None,
        *, outbound: int = 10, inbound: int = 2048, receive_buffer: int = 0, backlog: int = 64,
    ) -> None:
        self.sock = _socket(netns, endpoint, outbound, inbound)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
        bind(self.sock, endpoint)
        self.sock.listen(backlog)
        self.sock.settimeout(DEADLINE)
        self.accepted = 0
        self._peers: list[SctpPeer] = []
        self._script = script
        if script:
            self.sock.settimeout(None)
            threading.Thread(target=self._accept_all, daemon=True).start()

    def accept(self) -> SctpPeer:
        """The next association."""
        peer = SctpPeer(self.sock.accept()[0])
        self._peers.append(peer)
        self.accepted += 1
        return peer

    def has_waiting(self) -> bool:
        """Whether an association waits for accept()."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def stop_listening(self) -> None:
        """From now on a client is refused; associations go on."""
        self.sock.close()

    def close(self) -> None:
        """Ends the listener and every association."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for peer in self._peers:
            peer.close()

    def _accept_all(self) -> None:
        while True:
            try:
                peer = self.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer: SctpPeer) -> None:
        assert self._script
        with contextlib.suppress(OSError):
            self._script(peer)
        peer.close()


def echo(peer: SctpPeer) -> None:
    """Sends every message back as it came, until SHUTDOWN."""
    while (message := peer.recv()) is not None:
        peer.send(message)


def connect(
    netns: Netns, endpoint: Endpoint, *, source: Endpoint | None = None, outbound: int = 10,
    inbound: int = 2048, send_buffer: int = 0, receive_buffer: int = 0,
) -> SctpPeer:
    """A client in `netns`; its INIT asks for so many streams."""
    sock = _socket(netns, endpoint, outbound, inbound)
    try:
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, send_buffer)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
        if source:
            bind(sock, source)
        packed = _pack(endpoint)
        status = _libsctp().sctp_connectx(sock.fileno(), packed, len(_addresses(endpoint)), None)
        if status < 0 and ctypes.get_errno() != errno.EINPROGRESS:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except BaseException:
        sock.close()
        raise
    return SctpPeer(sock)


def expect_aborted(netns: Netns, endpoint: Endpoint, **options: Any) -> None:
    """A client's association is aborted; ABORT may come before connect() has returned."""
    try:
        peer = connect(netns, endpoint, **options)
    except (ConnectionRefusedError, ConnectionResetError):
        return
    try:
        peer.expect_abort()
    finally:
        peer.close()


def is_refused(netns: Netns, endpoint: Endpoint) -> bool:
    """Whether an association with `endpoint` is refused now."""
    try:
        connect(netns, endpoint).abort()
    except ConnectionRefusedError:
        return True
    return False


def bind(sock: socket.socket, endpoint: Endpoint) -> None:
    """bind(2), or sctp_bindx(3) for several addresses."""
    count = len(_addresses(endpoint))
    if _libsctp().sctp_bindx(sock.fileno(), _pack(endpoint), count, _BINDX_ADD) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def kernel_has_sctp() -> bool:
    """Whether an SCTP socket can be made here."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def _socket(netns: Netns, endpoint: Endpoint, outbound: int, inbound: int) -> socket.socket:
    family = family_of(_addresses(endpoint)[0])
    sock = netns.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP)
    sock.setsockopt(IPPROTO_SCTP, _INITMSG, struct.pack("=HHHH", outbound, inbound, 0, 0))
    sock.setsockopt(IPPROTO_SCTP, _NODELAY, 1)
    sock.setsockopt(IPPROTO_SCTP, _RECVRCVINFO, 1)
    sock.setsockopt(IPPROTO_SCTP, _EVENT, struct.pack("=iHBx", 0, _ASSOC_CHANGE, 1))
    return sock


def _addresses(endpoint: Endpoint) -> list[SctpAddress]:
    if isinstance(endpoint[0], str):
        return [endpoint]  # type: ignore[list-item]
    return list(endpoint)  # type: ignore[arg-type]


def _pack(endpoint: Endpoint) -> bytes:
    packed = b""
    for host, port in _addresses(endpoint):
        family = family_of((host, port))
        raw = socket.inet_pton(family, host)
        if family == socket.AF_INET6:
            packed += struct.pack("=H", family) + struct.pack("!H4x16s4x", port, raw)
        else:
            packed += struct.pack("=H", family) + struct.pack("!H4s8x", port, raw)
    return packed


def _libsctp() -> ctypes.CDLL:
    return ctypes.CDLL("libsctp.so.1", use_errno=True)
