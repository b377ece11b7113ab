"""Network namespaces that belong to one run of the tests.

Their names carry the run's process id (`nsr<pid>-<label>`), so that two runs at once never meet,
and a later run can sweep up what a killed one left behind.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import kernel, linux
from .waiting import DEADLINE, wait_until

RUN_NETNS = Path("/run/netns")
ETC_NETNS = Path("/etc/netns")
_PREFIX = f"nsr{os.getpid()}-"
_OURS = re.compile(r"nsr(\d+)-")


class Netns:
    """A named namespace with `lo` up. Made by `Netns.add()`, removed by `delete()`."""

    _all: dict[str, "Netns"] = {}

    def __init__(self, label: str) -> None:
        self.label = label
        self.name = _PREFIX + label
        self.path = RUN_NETNS / self.name
        #: time.monotonic() when `ip netns add` had returned.
        self.added = 0.0

    def __str__(self) -> str:
        return self.name

    @classmethod
    def add(cls, label: str) -> "Netns":
        """Makes one namespace the way users do, by `ip netns add`, and sets `lo` up."""
        return cls.add_many([label])[0]

    @classmethod
    def add_many(cls, labels: Sequence[str]) -> list["Netns"]:
        """Makes a namespace for each label with one call of ip."""
        made = [cls(label) for label in labels]
        for netns in made:
            cls._all[netns.name] = netns
        _ip_batch([f"netns add {netns.name}" for netns in made])
        for netns in made:
            netns.set_up()
        return made

    def set_up(self) -> None:
        """Notes the time and sets `lo` up."""
        self.added = time.monotonic()
        with self.socket() as sock:
            linux.interface_up(sock, "lo")

    @classmethod
    def add_thousands(cls, labels: Sequence[str]) -> list["Netns"]:
        """Like add_many(), without a program for it: several times as fast.

        Needs /run/netns as an earlier `ip netns add` leaves it.
        """
        made = [cls(label) for label in labels]
        for netns in made:
            cls._all[netns.name] = netns
        with staying_home():
            for netns in made:
                linux.unshare_net()
                netns.path.touch(exist_ok=False)
                linux.bind_mount("/proc/thread-self/ns/net", netns.path)
                netns.added = time.monotonic()
                with socket.socket() as sock:
                    linux.interface_up(sock, "lo")
        return made

    @classmethod
    def add_with_inode(cls, label: str, inode: int) -> "Netns | None":
        """One with that inode number, which must be free or become so; None where it does not."""
        made = cls(label)
        with staying_home():
            end = time.monotonic() + DEADLINE
            while os.stat("/proc/thread-self/ns/net").st_ino != inode:
                if time.monotonic() > end:
                    return None
                linux.unshare_net()
            made.path.touch(exist_ok=False)
            cls._all[made.name] = made
            linux.bind_mount("/proc/thread-self/ns/net", made.path)
        made.set_up()
        return made

    @classmethod
    def delete_thousands(cls, namespaces: Sequence["Netns"]) -> None:
        """The counterpart of add_thousands()."""
        for netns in namespaces:
            netns.unmount()
            netns.path.unlink()
            cls._all.pop(netns.name, None)

    def add_name(self, label: str) -> "Netns":
        """Gives this namespace one more name in /run/netns."""
        other = Netns(label)
        Netns._all[other.name] = other
        other.path.touch(exist_ok=False)
        linux.bind_mount(self.path, other.path)
        return other

    def unmount(self) -> None:
        """Takes the namespace from the name; a plain file stays behind."""
        linux.unmount(self.path)

    def seen_by(self, pid: int) -> "Netns":
        """The same name as the mount namespace of process `pid` has it."""
        other = Netns(self.label)
        other.path = Path(f"/proc/{pid}/root{self.path}")
        return other

    def delete(self) -> None:
        """Removes the name; the kernel removes the namespace when its last user is gone."""
        Netns.delete_many([self])

    @classmethod
    def delete_many(cls, namespaces: Sequence["Netns"]) -> None:
        """Removes those of `namespaces` that still have a name."""
        names = {netns.name for netns in namespaces if os.path.lexists(netns.path)}
        if names:
            _ip_batch([f"netns del {name}" for name in names])
        for netns in namespaces:
            cls._all.pop(netns.name, None)
            shutil.rmtree(ETC_NETNS / netns.name, ignore_errors=True)
        with contextlib.suppress(OSError):
            ETC_NETNS.rmdir()

    @classmethod
    def delete_all(cls) -> None:
        """Removes every namespace that this run made."""
        cls.delete_many(list(cls._all.values()))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside the namespace while the context lasts."""
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with staying_home():
                linux.setns(there)
                yield
        finally:
            os.close(there)

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0
    ) -> socket.socket:
        """A socket that lives in this namespace, whatever thread uses it later."""
        with self.entered():
            return socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)

    def cookie(self) -> bytes:
        """The kernel's identity of the namespace."""
        with self.socket() as sock:
            return sock.getsockopt(socket.SOL_SOCKET, linux.SO_NETNS_COOKIE, 8)

    def interfaces(self) -> set[str]:
        """The names of its interfaces."""
        with self.entered():
            return {name for _, name in socket.if_nameindex()}

    def command(self, *arguments: str) -> list[str]:
        """`arguments` as a command line that runs inside, with /etc/netns/NAME in place."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def run(self, *arguments: str, timeout: float = 30.0) -> str:
        """Runs a command inside and returns its stdout; a failure of it is a failure of the test."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{arguments} in {self}: {done.stderr}{done.stdout}"
        return done.stdout

    def sysctl(self, key: str, value: str) -> None:
        """Sets a sysctl of the namespace, e.g. `net.ipv4.ip_local_port_range`."""
        with self.entered():
            Path("/proc/sys", *key.split(".")).write_text(value)

    def add_address(self, address: str, device: str = "lo") -> None:
        """Adds `ADDRESS/PREFIX` to a device; one of `lo` is usable at once.

        The kernel makes the route that delivers to an IPv6 address a moment later, also with
        `nodad`; until then what is sent to it gets lost.
        """
        nodad = ["nodad"] if ":" in address else []
        self.run("ip", "address", "add", address, "dev", device, *nodad)
        if nodad and device == "lo":
            route = ["ip", "-6", "route", "show", "table", "local", address.partition("/")[0]]
            wait_until(lambda: self.run(*route), f"{address} is local")

    def connect_to(self, other: "Netns", address: str, other_address: str) -> None:
        """A veth pair: `to-<other>` here with `address`, `to-<here>` there with `other_address`."""
        here, there = f"to-{other.label}"[:15], f"to-{self.label}"[:15]
        self.run(
            *f"ip link add {here} type veth peer name {there} netns {other.name}".split()
        )
        self.add_address(address, here)
        other.add_address(other_address, there)
        self.run("ip", "link", "set", here, "up")
        other.run("ip", "link", "set", there, "up")

    def drop(self, match: str) -> None:
        """Drops every incoming packet that matches `PROTOCOL dport PORT` or `iifname NAME`."""
        if kernel.has_inet_tables():
            self.run(
                "nft",
                "add table inet drops; "
                "add chain inet drops input { type filter hook input priority 0 ; }; "
                f"add rule inet drops input {match} drop",
            )
            return
        words = match.split()
        options = ["-i", words[1]] if words[0] == "iifname" else ["-p", words[0], "--dport", words[2]]
        for program in ("iptables-legacy", "ip6tables-legacy"):
            self.run(program, "-A", "INPUT", *options, "-j", "DROP")

    def undrop(self) -> None:
        """Takes back every drop()."""
        if kernel.has_inet_tables():
            self.run("nft", "delete table inet drops")
            return
        for program in ("iptables-legacy", "ip6tables-legacy"):
            self.run(program, "-F", "INPUT")

    def go_deaf(self) -> None:
        """Loses every packet on `lo`; for the guest, whose kernel has netem."""
        self.run("tc", "qdisc", "replace", "dev", "lo", "root", "netem", "loss", "100%")

    def hear_again(self) -> None:
        """Takes back go_deaf()."""
        self.run("tc", "qdisc", "delete", "dev", "lo", "root")

    def listens(self, port: int) -> bool:
        """Whether a TCP socket listens on `port`, without connecting to it."""
        return bool(self.run("ss", "-Hltn", f"sport = :{port}").strip())

    def write_etc(self, file: str, text: str) -> None:
        """Puts `text` in the place of /etc/`file` for the processes started inside from now on."""
        folder = ETC_NETNS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)


@contextlib.contextmanager
def staying_home() -> Iterator[None]:
    """Whatever network namespace the calling thread goes to, it is back afterwards."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            yield
        finally:
            linux.setns(home)
    finally:
        os.close(home)


def sweep() -> None:
    """Removes what a run left behind that was killed: names of a process that is no more."""
    for folder in (RUN_NETNS, ETC_NETNS):
        for path in folder.glob("nsr*-*") if folder.exists() else ():
            ours = _OURS.match(path.name)
            if not ours or Path("/proc", ours[1]).exists():
                continue
            if folder == RUN_NETNS:
                subprocess.run(["ip", "netns", "del", path.name], capture_output=True, check=False)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _ip_batch(lines: Sequence[str]) -> None:
    done = subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
