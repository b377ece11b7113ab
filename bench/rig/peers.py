"""The proxies that are compared: what each is configured with and how it is started.

Each forwards one port with what its users have in production: a log record per connection where it
can write one, room for all connections, and otherwise its defaults.
"""

import json
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path

from .stage import Stage

BACKLOG = 4096

#: Connections for which the limit of open files has room, at two descriptors each.
MOST_CONNECTIONS = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 2000) // 2


class Peer:
    """A proxy. Subclasses say which program it is and how it is started."""

    name = ""
    #: Found on the PATH or in the folders that Debian hides programs in; "" where none is needed.
    program = ""
    #: A process for each connection: thousands of them measure the scheduler.
    forks = False
    #: What it can forward.
    protocols: Sequence[str] = ("tcp",)

    def path(self) -> str | None:
        """The program, or None where it is not installed."""
        places = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/systemd"
        return shutil.which(self.program, path=places)

    def command(self, stage: Stage, protocol: str) -> list[str]:
        """Writes what it reads into the stage's folder; the command that forwards one port of
        `protocol` in the foreground."""
        raise NotImplementedError

    def command_for(self, stage: Stage, netns_paths: Sequence[Path]) -> list[str] | None:
        """Like command(), listening on 127.0.0.1:8000 in each of these namespaces; None where it
        cannot with one process."""
        return None


class Nsrelay(Peer):
    """This project; as `baseline`, another build of it."""

    protocols = ("tcp", "udp")

    def __init__(self, binary: Path, name: str = "nsrelay", **top: object) -> None:
        self.name = name
        self.program = str(binary)
        self._top = top

    def command(self, stage: Stage, protocol: str) -> list[str]:
        return self._run(stage, {"listen": stage.listen, "protocol": protocol})

    def command_for(self, stage: Stage, netns_paths: Sequence[Path]) -> list[str]:
        return self._run(stage, {"netns": [str(path) for path in netns_paths],
                                 "listen": "127.0.0.1:8000"})

    def _run(self, stage: Stage, where: dict[str, object]) -> list[str]:
        file = stage.folder / "nsrelay.yaml"
        rule = {"name": "bench", "upstream": stage.upstream, "backlog": BACKLOG, **where}
        file.write_text(json.dumps({"log": {"target": "stderr"}, "control": {"socket": ""},
                                    **self._top, "rules": [rule]}))
        return [self.program, "run", "-c", str(file)]


class Haproxy(Peer):
    """HAProxy in TCP mode, with its data path for sockets (`splice`) or with copies."""

    program = "haproxy"

    def __init__(self, splice: bool) -> None:
        self.name = "haproxy-splice" if splice else "haproxy-copy"
        # splice-auto guesses, and guesses copies for much of this bulk: give it its best.
        self._splice = "option splice-request\n  option splice-response" if splice else ""

    def command(self, stage: Stage, protocol: str) -> list[str]:
        return self._run(stage, [f"bind {stage.listen} backlog {BACKLOG}"])

    def command_for(self, stage: Stage, netns_paths: Sequence[Path]) -> list[str]:
        return self._run(stage, [f"bind 127.0.0.1:8000 namespace {path.name}"
                                 for path in netns_paths])

    def _run(self, stage: Stage, binds: Sequence[str]) -> list[str]:
        file = stage.folder / "haproxy.cfg"
        lines = "\n  ".join(binds)
        file.write_text(f"""
global
  log stderr format raw local0
  maxconn {MOST_CONNECTIONS}
  maxpipes 400
defaults
  mode tcp
  log global
  option tcplog
  {self._splice}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen bench
  {lines}
  server backend {stage.upstream}
""")
        return [self.path() or "", "-q", "-db", "-f", str(file)]


class Nginx(Peer):
    """nginx with its stream module, one worker."""

    name = "nginx"
    program = "nginx"
    protocols = ("tcp", "udp")

    def path(self) -> str | None:
        return super().path() if self._module().exists() else None

    @staticmethod
    def _module() -> Path:
        return Path("/usr/lib/nginx/modules/ngx_stream_module.so")

    def command(self, stage: Stage, protocol: str) -> list[str]:
        file = stage.folder / "nginx.conf"
        options = "udp" if protocol == "udp" else f"backlog={BACKLOG}"
        file.write_text(f"""
load_module {self._module()};
user root;
daemon off;
pid {stage.folder}/nginx.pid;
worker_processes 1;
error_log stderr;
events {{ worker_connections {2 * MOST_CONNECTIONS + 1000}; }}
stream {{
  log_format connection '$remote_addr:$remote_port $upstream_addr $bytes_received $bytes_sent '
                        '$session_time $status';
  access_log {stage.folder}/access.log connection;
  proxy_timeout 1h;
  server {{ listen {stage.listen} {options}; proxy_pass {stage.upstream}; }}
}}
""")
        return [self.path() or "", "-p", str(stage.folder), "-e", "stderr", "-c", str(file)]


class SocketProxyd(Peer):
    """systemd-socket-proxyd behind systemd-socket-activate. It writes no log of connections."""

    name = "socket-proxyd"
    program = "systemd-socket-proxyd"

    def command(self, stage: Stage, protocol: str) -> list[str]:
        return [shutil.which("systemd-socket-activate") or "", "-l", stage.listen,
                self.path() or "", "--connections-max=20000", stage.upstream]


class DockerProxy(Peer):
    """The userland proxy of Docker. It writes no log of connections."""

    name = "docker-proxy"
    program = "docker-proxy"
    protocols = ("tcp", "udp")

    def command(self, stage: Stage, protocol: str) -> list[str]:
        listen_host, listen_port = stage.listen.split(":")
        host, port = stage.upstream.split(":")
        # Descriptor 3 is where it tells dockerd that it is ready.
        return ["/bin/sh", "-c", 'exec "$@" 3>/dev/null', "sh", self.path() or "",
                "-proto", protocol, "-host-ip", listen_host, "-host-port", listen_port,
                "-container-ip", host, "-container-port", port]


class Socat(Peer):
    """socat, a process for each connection. Its log at level notice has all connections."""

    name = "socat"
    program = "socat"
    forks = True

    def command(self, stage: Stage, protocol: str) -> list[str]:
        host, port = stage.listen.split(":")
        return [self.path() or "", "-d", "-d",
                f"TCP4-LISTEN:{port},bind={host},reuseaddr,fork,backlog={BACKLOG}",
                f"TCP4:{stage.upstream}"]


class Rinetd(Peer):
    """rinetd with its own log."""

    name = "rinetd"
    program = "rinetd"

    def command(self, stage: Stage, protocol: str) -> list[str]:
        file = stage.folder / "rinetd.conf"
        listen, upstream = stage.listen.replace(":", " "), stage.upstream.replace(":", " ")
        file.write_text(f"logfile {stage.folder}/rinetd.log\n{listen} {upstream}\n")
        return [self.path() or "", "-f", "-c", str(file)]


class GoWay(Peer):
    """bench/goway: goroutines and io.Copy."""

    name = "goway"
    protocols = ("tcp", "udp")

    def __init__(self, binary: Path) -> None:
        self.program = str(binary)

    def command(self, stage: Stage, protocol: str) -> list[str]:
        return [self.program, "-protocol", protocol, "-listen", stage.listen,
                "-upstream", stage.upstream]

    def command_for(self, stage: Stage, netns_paths: Sequence[Path]) -> list[str]:
        return [self.program, "-listen", "127.0.0.1:8000", "-upstream", stage.upstream,
                *map(str, netns_paths)]


class NoProxy(Peer):
    """The client talks to the backend itself."""

    name = "none"
    protocols = ("tcp", "udp")

    def path(self) -> str | None:
        return ""


def all_peers(nsrelay: Path, goway: Path, baseline: Path | None) -> list[Peer]:
    """Every peer, nsrelay first; `baseline` is another build of it, if any."""
    others = [Nsrelay(baseline, "baseline")] if baseline else []
    others.append(Nsrelay(nsrelay, "nsrelay-busy-poll", busy_poll=True))
    return [Nsrelay(nsrelay), *others, Haproxy(splice=True), Haproxy(splice=False), Nginx(),
            SocketProxyd(), DockerProxy(), Socat(), Rinetd(), GoWay(goway), NoProxy()]
