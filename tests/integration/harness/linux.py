"""System calls and socket options that Python 3.11 does not bring."""

import array
import ctypes
import fcntl
import os
import socket
import struct
import termios

CLONE_NEWNET = 0x40000000
SO_COOKIE = 57
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
_MS_BIND = 0x1000
_MNT_DETACH = 0x2
_SYS_PIDFD_GETFD = 438
_SYS_CLONE3 = 435

_libc = ctypes.CDLL(None, use_errno=True)
#: Keeps the interpreter's lock during a call, which a child made by it inherits.
_libc_locked = ctypes.PyDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def setns(fd: int) -> None:
    """Moves the calling thread into the network namespace of `fd`; see setns(2)."""
    _check(_libc.setns(fd, CLONE_NEWNET))


def unshare_net() -> None:
    """Moves the calling thread into a new network namespace; see unshare(2)."""
    _check(_libc.unshare(CLONE_NEWNET))


def bind_mount(source: os.PathLike[str] | str, target: os.PathLike[str] | str) -> None:
    """`mount --bind`."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND, None))


def unmount(target: os.PathLike[str] | str) -> None:
    """`umount --lazy`."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH))


def start_with_pid(pid: int, command: list[str]) -> None:
    """Starts `command` as process `pid`, which must be free; see set_tid in clone3(2)."""
    wanted = (ctypes.c_int * 1)(pid)
    # struct clone_args: exit_signal is the 5th member, set_tid the 9th, set_tid_size the 10th.
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = 17  # SIGCHLD
    arguments[8] = ctypes.addressof(wanted)
    arguments[9] = 1
    child = _libc_locked.syscall(_SYS_CLONE3, arguments, ctypes.sizeof(arguments))
    if child == 0:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    _check(child)


def reap(pid: int) -> None:
    """Waits for the end of a child that start_with_pid() has made."""
    os.waitpid(pid, 0)


def pidfd_getfd(pid: int, fd: int) -> int:
    """A duplicate of descriptor `fd` of process `pid`; see pidfd_getfd(2)."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, fd, 0)
        _check(copy)
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


def segments_sent(sock: socket.socket) -> int:
    """Segments that a TCP socket has sent, those without data included (`tcpi_segs_out`)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 140)
    return int(struct.unpack_from("I", info, 136)[0])
