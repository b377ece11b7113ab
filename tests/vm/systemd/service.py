"""nsrelay.service under the guest's systemd."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import linux
from harness.daemon import Rule
from harness.waiting import wait_until

CONFIG = Path("/etc/nsrelay/nsrelay.yaml")
UNIT = Path("/usr/local/lib/systemd/system/nsrelay.service")
_DROP_INS = Path("/run/systemd/system/nsrelay.service.d")


def run(*command: str, check: bool = True) -> str:
    """The output of a command, both streams."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def install(build: Path) -> None:
    """What a user does after `cmake --install`."""
    run("cmake", "--install", str(build))
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create")
    run("journalctl", "--update-catalog")
    run("systemctl", "daemon-reload")


class Service:
    """The one service; its cursor in the journal is where the test began."""

    def __init__(self) -> None:
        listing = run("journalctl", "-n", "0", "--show-cursor", "-q", check=False)
        self._cursor = listing.rpartition("cursor: ")[2].strip()

    def write(self, *rules: Rule, **top: Any) -> None:
        """The configuration. JSON is YAML."""
        CONFIG.write_text(json.dumps({"drain_timeout": "2s", **top, "rules": list(rules)}))
        CONFIG.chmod(0o644)

    def start(self, *rules: Rule, **top: Any) -> None:
        """Returns when systemd says that it is ready."""
        self.write(*rules, **top)
        run("systemctl", "reset-failed", "nsrelay", check=False)
        run("systemctl", "start", "nsrelay")

    def drop_in(self, *lines: str) -> None:
        """Changes the unit for the length of the test."""
        _DROP_INS.mkdir(parents=True, exist_ok=True)
        (_DROP_INS / "test.conf").write_text("\n".join(("[Service]", *lines, "")))
        run("systemctl", "daemon-reload")

    def systemctl(self, verb: str) -> str:
        """A verb of systemctl, which must succeed."""
        return run("systemctl", verb, "nsrelay")

    def stop(self) -> None:
        """The service is stopped, and as it was installed."""
        run("systemctl", "stop", "nsrelay", check=False)
        if _DROP_INS.exists():
            shutil.rmtree(_DROP_INS)
            run("systemctl", "daemon-reload")

    def show(self, name: str) -> str:
        """A property of the unit."""
        return run("systemctl", "show", "nsrelay", "-P", name).strip()

    @property
    def pid(self) -> int:
        """The main process; 0 where there is none."""
        return int(self.show("MainPID"))

    def wait_for(self, name: str, value: str) -> None:
        """Until a property of the unit has a value."""
        wait_until(lambda: self.show(name) == value, f"{name}={value}, not {self.show(name)}")

    def records(self, **fields: str) -> list[dict[str, str]]:
        """What the test's daemons have written to the journal and has these fields.

        Not filtered by journalctl: with a match --after-cursor leaves the first record out.
        """
        text = run("journalctl", "-o", "json", "--after-cursor", self._cursor)
        records = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        wanted = {"SYSLOG_IDENTIFIER": "nsrelay", **fields}
        return [record for record in records if all(record.get(key) == value for key, value in wanted.items())]

    def wait_for_record(self, **fields: str) -> dict[str, str]:
        """The first record that has these fields."""
        return wait_until(lambda: self.records(**fields), f"record {fields}")[0]

    def journal_text(self) -> str:
        """The last lines about the unit."""
        return run("journalctl", "-u", "nsrelay", "-n", "30", "--no-pager", check=False)


def listening_inodes(pid: int, ports: Sequence[int]) -> set[int]:
    """The sockets of the process that listen on, or are bound to, these ports of its namespace."""
    found = set()
    for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
        if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
            continue
        with socket.socket(fileno=linux.pidfd_getfd(pid, fd)) as sock:
            is_listener = sock.family == socket.AF_INET and (
                sock.type == socket.SOCK_DGRAM
                or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            )
            if is_listener and sock.getsockname()[1] in ports:
                found.add(os.fstat(sock.fileno()).st_ino)
    return found
