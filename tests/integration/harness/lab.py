"""What one test builds: namespaces, servers, clients, programs, daemons. Removes all of it."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import process, sctp
from .daemon import Daemon, Rule, count_listeners, rule
from .netns import Netns
from .peers import Address, Peer, Script, Server, connect
from .sctp import Endpoint, SctpPeer, SctpServer
from .udp import UdpAddress, UdpPeer, UdpServer
from .waiting import wait_until


class Lab:
    """Everything that is made through it is gone after close(), in the right order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[Daemon] = []
        self._cleanups = contextlib.ExitStack()
        self._peers = contextlib.ExitStack()
        self._namespaces: list[Netns] = []
        self._thousands: list[Netns] = []
        self._host: Netns | None = None

    @property
    def host(self) -> Netns:
        """The namespace that the daemon starts in: its `default`."""
        if self._host is None:
            self._host = self.netns("host")
        return self._host

    def netns(self, label: str) -> Netns:
        """A new namespace."""
        return self.netns_list([label])[0]

    def netns_list(self, labels: Sequence[str]) -> list[Netns]:
        """New namespaces, one for each label."""
        made = Netns.add_many(labels)
        self._namespaces += made
        return made

    def thousands(self, labels: Sequence[str]) -> list[Netns]:
        """Like netns_list(), several times as fast; the host's namespace is made before."""
        assert self.host
        self._thousands += Netns.add_thousands(labels)
        return self._thousands[-len(labels):]

    def name_again(self, netns: Netns, label: str) -> Netns:
        """One more name for a namespace."""
        other = netns.add_name(label)
        self._namespaces.append(other)
        return other

    def daemon(self, *rules: Rule, listeners: int | None = None, **options: Any) -> Daemon:
        """A daemon with these rules that is ready; options are those of Daemon.

        `listeners`: how many are to open; by default as many as the rules have namespaces,
        addresses and ports.
        """
        folder = self.folder / f"daemon{len(self.daemons)}"
        folder.mkdir()
        made = Daemon(options.pop("netns", self.host), folder, rules, **options)
        self.daemons.append(made)
        self._cleanups.callback(made.stop)
        made.wait_ready(count_listeners(rules) if listeners is None else listeners)
        return made

    def server(
        self, netns: Netns, address: Address = ("127.0.0.1", 9000), script: Script | None = None,
        **options: Any,
    ) -> Server:
        """A listening peer."""
        made = Server(netns, address, script, **options)
        self._peers.callback(made.close)
        return made

    def connect(self, netns: Netns, address: Address = ("127.0.0.1", 8000), **options: Any) -> Peer:
        """A connected client."""
        peer = connect(netns, address, **options)
        self._peers.callback(peer.close)
        return peer

    def udp_server(
        self, netns: Netns, address: UdpAddress = ("127.0.0.1", 9000),
        answer: Callable[[bytes], bytes | None] | None = None,
    ) -> UdpServer:
        """A bound UDP peer."""
        made = UdpServer(netns, address, answer)
        self._peers.callback(made.close)
        return made

    def udp_client(
        self, netns: Netns, to: UdpAddress = ("127.0.0.1", 8000), bind: UdpAddress | None = None
    ) -> UdpPeer:
        """A UDP client of `to`."""
        made = UdpPeer(netns, bind, to)
        self._peers.callback(made.close)
        return made

    def sctp_server(
        self, netns: Netns, endpoint: Endpoint = ("127.0.0.1", 9000),
        script: Callable[[SctpPeer], None] | None = None, **options: Any,
    ) -> SctpServer:
        """A listening SCTP peer."""
        made = SctpServer(netns, endpoint, script, **options)
        self._peers.callback(made.close)
        return made

    def sctp_connect(
        self, netns: Netns, endpoint: Endpoint = ("127.0.0.1", 8000), **options: Any
    ) -> SctpPeer:
        """An SCTP client with an association."""
        peer = sctp.connect(netns, endpoint, **options)
        self._peers.callback(peer.close)
        return peer

    def sctp_daemon(self, *, daemon: dict[str, Any] | None = None, **keys: Any) -> Daemon:
        """A daemon with one SCTP rule `web`."""
        return self.daemon(rule(protocol="sctp", **keys), **(daemon or {}))

    def program(
        self, netns: Netns, *command: str, ready: Callable[[], object], **options: Any
    ) -> "subprocess.Popen[bytes]":
        """A program that runs inside `netns` until the end of the test, once `ready()` holds."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        made = process.start(netns.command(*command), **options)
        self._peers.callback(_end, made)

        def is_ready() -> object:
            assert made.poll() is None, f"{command[0]} ended with {made.returncode}"
            return ready()

        wait_until(is_ready, f"{command[0]} is ready")
        return made

    def process_inside(self, netns: Netns) -> "subprocess.Popen[bytes]":
        """A process that stays in `netns`; nothing else of it matters."""
        there = netns.path.stat().st_ino
        made = process.start(
            [*netns.command("tail", "-f", "/dev/null")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._peers.callback(_end, made)
        wait_until(
            lambda: os.stat(f"/proc/{made.pid}/ns/net").st_ino == there, "the process is inside"
        )
        return made

    def on_close(self, callback: Callable[[], object]) -> None:
        """Calls it at the end, before the daemons stop."""
        self._peers.callback(callback)

    def adopt(self, netns: Netns) -> None:
        """Removes a name at the end that the test has made itself."""
        self._namespaces.append(netns)

    def link(self, *, script: Script | None = None, server: dict[str, Any] | None = None,
             daemon: dict[str, Any] | None = None, **keys: Any) -> "Link":
        """A client namespace, one rule `web` with `keys`, and an upstream beside the daemon."""
        client_netns = self.netns("a")
        upstream = self.server(self.host, script=script, **(server or {}))
        running = self.daemon(rule(netns=client_netns.name, **keys), **(daemon or {}))
        return Link(self, client_netns, self.host, upstream, running)

    def udp_link(self, *, answer: Callable[[bytes], bytes] | None = None,
                 daemon: dict[str, Any] | None = None, **keys: Any) -> "UdpLink":
        """A client namespace, one UDP rule `web` with `keys`, and an upstream beside the daemon."""
        client_netns = self.netns("a")
        upstream = self.udp_server(self.host, answer=answer)
        keys.setdefault("netns", client_netns.name)
        options = {"drain_timeout": "50ms", **(daemon or {})}
        running = self.daemon(rule(protocol="udp", **keys), **options)
        return UdpLink(self, client_netns, upstream, running)

    def sctp_link(self, *, script: Callable[[SctpPeer], None] | None = None,
                  server: dict[str, Any] | None = None, daemon: dict[str, Any] | None = None,
                  **keys: Any) -> "SctpLink":
        """A client namespace, one SCTP rule `web` with `keys`, an upstream beside the daemon."""
        client_netns = self.netns("a")
        upstream = self.sctp_server(self.host, script=script, **(server or {}))
        running = self.sctp_daemon(netns=client_netns.name, daemon=daemon, **keys)
        return SctpLink(self, client_netns, upstream, running)

    def close(self) -> None:
        """Ends peers first, then daemons (each asserts its clean end), then namespaces."""
        with contextlib.ExitStack() as stack:
            stack.callback(Netns.delete_many, self._namespaces)
            stack.callback(lambda: Netns.delete_thousands(
                [netns for netns in self._thousands if netns.path.exists()]))
            stack.callback(self._cleanups.close)
            stack.callback(self._peers.close)

    def logs(self) -> list[str]:
        """The log of each daemon."""
        return [daemon.log.text() for daemon in self.daemons]


class Link:
    """One relay between a client's namespace and an upstream: what most tests need."""

    def __init__(
        self, lab: Lab, client_netns: Netns, upstream_netns: Netns, server: Server, daemon: Daemon
    ) -> None:
        self.lab = lab
        self.client_netns = client_netns
        self.upstream_netns = upstream_netns
        self.server = server
        self.daemon = daemon
        self.log = daemon.log

    def connect(self, **options: Any) -> Peer:
        """A client at the relay's listener."""
        return self.lab.connect(self.client_netns, ("127.0.0.1", 8000), **options)

    def open(self, **options: Any) -> tuple[Peer, Peer]:
        """Both ends of a new connection: the client and, accepted, the upstream."""
        client = self.connect(**options)
        return client, self.server.accept()


class UdpLink:
    """One relay between clients in a namespace and a UDP upstream beside the daemon."""

    def __init__(self, lab: Lab, client_netns: Netns, server: UdpServer, daemon: Daemon) -> None:
        self.lab = lab
        self.client_netns = client_netns
        self.server = server
        self.daemon = daemon
        self.log = daemon.log

    def client(self, **options: Any) -> UdpPeer:
        """A client of the relay's listener."""
        return self.lab.udp_client(self.client_netns, **options)

    def session(self, **options: Any) -> tuple[UdpPeer, UdpAddress]:
        """A client whose session runs, and how the upstream sees it."""
        client = self.client(**options)
        client.send(b"hello")
        got = self.server.recv()
        assert got.data == b"hello"
        return client, got.sender


class SctpLink:
    """One relay between clients in a namespace and an SCTP upstream beside the daemon."""

    def __init__(self, lab: Lab, client_netns: Netns, server: SctpServer, daemon: Daemon) -> None:
        self.lab = lab
        self.client_netns = client_netns
        self.server = server
        self.daemon = daemon
        self.log = daemon.log

    def connect(self, **options: Any) -> SctpPeer:
        """A client at the relay's listener."""
        return self.lab.sctp_connect(self.client_netns, **options)

    def expect_aborted(self, **options: Any) -> None:
        """A client at the relay's listener is aborted."""
        sctp.expect_aborted(self.client_netns, ("127.0.0.1", 8000), **options)

    def open(self, **options: Any) -> tuple[SctpPeer, SctpPeer]:
        """Both ends of a new association: the client and, accepted, the upstream."""
        client = self.connect(**options)
        return client, self.server.accept()


def _end(program: "subprocess.Popen[bytes]") -> None:
    if program.poll() is None:
        program.terminate()
    try:
        program.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
