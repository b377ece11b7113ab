"""The control socket of a daemon, by the program's own commands and as any HTTP client sees it."""

import http.client
import json
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .daemon import BINARY
from .waiting import DEADLINE

Done = subprocess.CompletedProcess[str]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Control:
    """Asks the daemon behind the socket at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def section(self) -> dict[str, str]:
        """What the configuration has to say under `control`."""
        return {"socket": str(self.path)}

    def run(self, command: str, *arguments: str, timeout: float = DEADLINE) -> Done:
        """`nsrelay COMMAND --control PATH ARGUMENTS`, to its end."""
        return subprocess.run(
            self.command_line(command, *arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command_line(self, command: str, *arguments: str) -> list[str]:
        """The same as a list of words."""
        return [BINARY, command, "--control", str(self.path), *arguments]

    def json(self, command: str, *arguments: str) -> Any:
        """The document that `nsrelay COMMAND --json` prints."""
        done = self.run(command, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return json.loads(done.stdout)

    def request(self, method: str, path: str, **arguments: str) -> tuple[int, Any]:
        """The status and the document of one HTTP request."""
        connection = _Connection(self.path)
        try:
            query = f"?{urlencode(arguments)}" if arguments else ""
            connection.request(method, path + query)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def listeners(self) -> list[dict[str, Any]]:
        """Those of all namespaces."""
        return [one for netns in self.json("status")["namespaces"] for one in netns["listeners"]]

    def connect(self) -> socket.socket:
        """A connection on which nothing has been said."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        sock.connect(str(self.path))
        return sock
