"""What systemd does for a service, as far as nsrelay speaks with it: sd_notify(3), the descriptor
store, sd_listen_fds(3). Played by the test, so that no systemd is needed."""

import array
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

from .waiting import wait_until

Message = dict[str, str]

#: Run as the daemon's wrapper: takes descriptors of another process, numbers them from 3, and says
#: so in the environment. Arguments: the process, the names, as many numbers, the command.
_HAND_OVER = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from harness import linux
owner, names, numbers = int(sys.argv[1]), sys.argv[2], sys.argv[3]
given = [linux.pidfd_getfd(owner, int(number)) for number in numbers.split(",")]
above = [os.dup2(fd, 200 + i) for i, fd in enumerate(given)]
for i, fd in enumerate(above):
    os.dup2(fd, 3 + i, inheritable=True)
os.closerange(3 + len(above), 300)
os.environ.update(LISTEN_FDS=str(len(above)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[4], sys.argv[4:])
"""


class ServiceManager:
    """Listens where $NOTIFY_SOCKET points to, and keeps what it is given to store."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="nsr-")
        self._path = f"{self._folder}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        self._lock = threading.Lock()
        self.messages: list[Message] = []
        self.store: dict[str, int] = {}
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def wrapper(self, *, store: int = 100, watchdog_usec: int | None = None) -> list[str]:
        """What goes before the daemon's command: its environment, and what is in the store."""
        command = ["env", f"NOTIFY_SOCKET={self._path}", f"FDSTORE={store}"]
        if watchdog_usec is not None:
            command.append(f"WATCHDOG_USEC={watchdog_usec}")
        return command + self.hand_over(self.store)

    @staticmethod
    def hand_over(descriptors: dict[str, int]) -> list[str]:
        """A wrapper that starts the daemon with these descriptors of the test, by name."""
        if not descriptors:
            return []
        numbers = ",".join(str(fd) for fd in descriptors.values())
        return [sys.executable, "-c", _HAND_OVER, str(os.getpid()), ":".join(descriptors), numbers]

    def states(self) -> list[str]:
        """READY, RELOADING, STOPPING, in the order that they came."""
        with self._lock:
            return [
                state
                for message in self.messages
                for state in ("READY", "RELOADING", "STOPPING")
                if message.get(state) == "1"
            ]

    def wait_for_states(self, *states: str) -> None:
        """Until exactly these have come."""
        wait_until(lambda: self.states() == list(states), f"states {states}, not {self.states()}")

    def wait_for_status(self, text: str) -> None:
        """Until the line of STATUS= is `text`."""
        wait_until(lambda: self.status() == text, f"status {text!r}")

    def status(self) -> str:
        """The last line of STATUS=."""
        with self._lock:
            lines = [message["STATUS"] for message in self.messages if "STATUS" in message]
        return lines[-1] if lines else ""

    def count(self, key: str) -> int:
        """How many messages have had the key."""
        with self._lock:
            return sum(key in message for message in self.messages)

    def wait_for_stored(self, count: int) -> None:
        """Until so many descriptors are in the store."""
        wait_until(lambda: len(self.store) == count, f"{count} descriptors, not {self.store}")

    def inodes(self) -> set[int]:
        """What is in the store."""
        return {os.fstat(fd).st_ino for fd in self.store.values()}

    def close(self) -> None:
        """Drops the store."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        for fd in self.store.values():
            os.close(fd)
        shutil.rmtree(self._folder)

    def _receive(self) -> None:
        room = socket.CMSG_SPACE(4 * array.array("i").itemsize)
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(65536, room)
            if not data:
                return
            descriptors = array.array("i")
            for _, _, content in ancillary:
                descriptors.frombytes(content)
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            with self._lock:
                self.messages.append(message)
                self._change_store(message, list(descriptors))

    def _change_store(self, message: Message, descriptors: list[int]) -> None:
        if "FDSTOREREMOVE" in message:
            with contextlib.suppress(KeyError):
                os.close(self.store.pop(message["FDNAME"]))
        if "FDSTORE" in message:
            assert message["FDNAME"] not in self.store, message
            (self.store[message["FDNAME"]],) = descriptors
