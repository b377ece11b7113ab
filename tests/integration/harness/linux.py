"""System calls and socket options that Python 3.11 does not bring."""

import array
import ctypes
import fcntl
import os
import socket
import struct
import termios

CLONE_NEWNET = 0x40000000
SO_NETNS_COOKIE = 71
IPPROTO_MPTCP = 262
IP_FREEBIND = 15

TCP_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
}

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_SYS_PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int) -> None:
    """Moves the calling thread into the network namespace of `fd`; see setns(2)."""
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def pidfd_getfd(pid: int, fd: int) -> int:
    """A duplicate of descriptor `fd` of process `pid`; see pidfd_getfd(2)."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, fd, 0)
        if copy < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(copy)
    finally:
        os.close(pidfd)


def interface_up(sock: socket.socket, name: str) -> None:
    """Sets interface `name` of the socket's namespace up."""
    request = struct.pack("16sh14x", name.encode(), 0)
    answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
    flags = struct.unpack("16sh14x", answer)[1]
    fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags | _IFF_UP))


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that were written and not acknowledged by the peer's kernel (SIOCOUTQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, count)
    return count[0]


def unread(sock: socket.socket) -> int:
    """Bytes that lie in the receive queue (SIOCINQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]


def tcp_state(sock: socket.socket) -> str:
    """The state of a TCP socket, e.g. "CLOSE_WAIT"."""
    return TCP_STATES[sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]
