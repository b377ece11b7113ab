"""Whether a namespace has a listener, asked of the kernel: the proxy notices nothing of it."""

import errno
import socket
import struct
import time
from collections.abc import Sequence

from harness.netns import Netns

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NO_COOKIE = 0xFFFFFFFF


class ListenerProbe:
    """Asks for the TCP listener of one namespace at an IPv4 address; see sock_diag(7)."""

    def __init__(self, netns: Netns, address: str) -> None:
        host, port = address.split(":")
        self._socket = netns.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        # struct inet_diag_req_v2: no dump, so the kernel looks up the very socket that a SYN to
        # the address would reach.
        body = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
        body += struct.pack("!HH", int(port), 0)
        body += socket.inet_aton(host).ljust(16, b"\0") + bytes(16)
        body += struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
        self._request = struct.pack(
            "=IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body

    def __call__(self) -> bool:
        """Whether it is there now."""
        self._socket.send(self._request)
        answer = self._socket.recv(4096)
        kind = struct.unpack_from("=H", answer, 4)[0]
        if kind == _NLMSG_ERROR:
            error = -struct.unpack_from("=i", answer, 16)[0]
            if error != errno.ENOENT:
                raise OSError(error, "sock_diag")
        return kind == _SOCK_DIAG_BY_FAMILY

    def close(self) -> None:
        """Lets go of the namespace."""
        self._socket.close()


def wait_for_listeners(probes: Sequence[ListenerProbe], patience: float) -> None:
    """Until all of them are there, looking every half millisecond."""
    end = time.monotonic() + patience
    for number, probe in enumerate(probes):
        while not probe():
            if time.monotonic() > end:
                raise TimeoutError(f"{number} of {len(probes)} listeners after {patience:g} s")
            time.sleep(0.0005)
