"""A journald of the test's own, which a daemon in a private mount namespace finds in its place."""

import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from .waiting import DEADLINE

SOCKET = "/run/systemd/journal/socket"


class Journal:
    """Reads what is sent to it in journald's native protocol."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        """Binds the socket, anew after stop()."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.folder / "socket"))
        self.sock.settimeout(DEADLINE)

    def stop(self) -> None:
        """As when journald is gone."""
        self.sock.close()
        (self.folder / "socket").unlink()

    def wrapper(self) -> Sequence[str]:
        """What goes before a command that is to find this one at SOCKET."""
        script = (
            'mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal && '
            f'mount --bind {self.folder} /run/systemd/journal && exec "$@"'
        )
        return ["unshare", "-m", "sh", "-c", script, "sh"]

    def read(self) -> dict[str, str]:
        """The fields of the next record."""
        data, ancillary, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, _, rights in ancillary:
            (descriptor,) = struct.unpack("i", rights[:4])
            with os.fdopen(descriptor, "rb") as file:
                file.seek(0)
                data = file.read()
        fields: dict[str, str] = {}
        while data:
            line, _, rest = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                (size,) = struct.unpack("<Q", rest[:8])
                value, rest = rest[8:8 + size], rest[9 + size:]
            fields[name.decode()] = value.decode()
            data = rest
        return fields

    def wait_for(self, event: str) -> dict[str, str]:
        """The next record of this kind; those before it are passed over."""
        while True:
            fields = self.read()
            if fields["NSRELAY_EVENT"] == event:
                return fields
