#!/usr/bin/python3
"""Runs the scenarios of a TCP relay against other programs and prints who keeps which promise.

Not part of the tests: it shows that the scenarios can fail, and what they are for. As root:

    NSRELAY_BINARY=build/release/nsrelay tests/integration/peers_fail.py [PROGRAM...]
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# The other programs fail by waiting for ever: 3 seconds are enough to tell.
os.environ.setdefault("NSRELAY_TEST_SLOWNESS", "0.3")
sys.path.insert(0, str(Path(__file__).parent))

import scenarios  # noqa: E402
from harness import netns  # noqa: E402
from harness.daemon import BINARY, rule  # noqa: E402
from harness.lab import Lab  # noqa: E402
from harness.peers import Peer  # noqa: E402

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen web
  bind 0.0.0.0:8000
  server app 127.0.0.1:9000
"""
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 256; }}
stream {{ server {{ listen 8000; proxy_pass 127.0.0.1:9000; {more} }} }}
"""


class Link:
    """A relay that listens on port 8000 of the host namespace, and its upstream on 9000."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.server = lab.server(lab.host)

    def connect(self) -> Peer:
        """A client at the relay."""
        return self._lab.connect(self._lab.host)

    def open(self) -> tuple[Peer, Peer]:
        """Both ends of a new connection."""
        client = self.connect()
        return client, self.server.accept()


def _program(lab: Lab, *command: str) -> None:
    with open(os.devnull, "wb") as nowhere:
        lab.program(lab.host, *command, ready=lambda: lab.host.listens(8000), stderr=nowhere)


def start_nsrelay(lab: Lab) -> None:
    """nsrelay, with its defaults."""
    lab.daemon(rule())


def start_haproxy(lab: Lab) -> None:
    """HAProxy in TCP mode."""
    file = lab.folder / "haproxy.cfg"
    file.write_text(HAPROXY)
    _program(lab, "haproxy", "-db", "-f", str(file))


def start_nginx(lab: Lab, more: str = "") -> None:
    """nginx with its stream module."""
    file = lab.folder / "nginx.conf"
    file.write_text(NGINX.format(folder=lab.folder, more=more))
    _program(lab, "nginx", "-c", str(file), "-e", "/dev/null")


def start_nginx_half_close(lab: Lab) -> None:
    """The same with proxy_half_close."""
    start_nginx(lab, "proxy_half_close on;")


def start_socat(lab: Lab) -> None:
    """socat, a process for each connection."""
    _program(lab, "socat", "TCP-LISTEN:8000,fork,reuseaddr", "TCP:127.0.0.1:9000")


def start_socket_proxyd(lab: Lab) -> None:
    """systemd-socket-proxyd behind systemd-socket-activate."""
    proxyd = "/usr/lib/systemd/systemd-socket-proxyd"
    _program(lab, "systemd-socket-activate", "-l", "0.0.0.0:8000", proxyd, "127.0.0.1:9000")


PROGRAMS: dict[str, tuple[str, Callable[[Lab], None]]] = {
    "nsrelay": (BINARY, start_nsrelay),
    "haproxy": ("haproxy", start_haproxy),
    "nginx": ("nginx", start_nginx),
    "nginx+half": ("nginx", start_nginx_half_close),
    "socat": ("socat", start_socat),
    "proxyd": ("systemd-socket-activate", start_socket_proxyd),
}


def passes(start: Callable[[Lab], None], scenario: Callable[[scenarios.Link], None]) -> bool:
    """Whether the program keeps the promise."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            start(lab)
            scenario(Link(lab))
        except (AssertionError, OSError):
            return False
        finally:
            lab.close()
    return True


def main() -> int:
    """Prints the table; the exit status says nothing about other programs."""
    wanted = sys.argv[1:] or list(PROGRAMS)
    present = [name for name in wanted if shutil.which(PROGRAMS[name][0])]
    for name in set(wanted) - set(present):
        print(f"not installed: {name}", file=sys.stderr)
    width = max(len(scenario.__name__) for scenario in scenarios.ALL)
    print(" " * width, *(f"{name:>10}" for name in present))
    for scenario in scenarios.ALL:
        print(f"{scenario.__name__:{width}}", end="", flush=True)
        for name in present:
            word = "yes" if passes(PROGRAMS[name][1], scenario) else "NO"
            print(f" {word:>10}", end="", flush=True)
        print()
    return 0


if __name__ == "__main__":
    netns.sweep()
    try:
        sys.exit(main())
    finally:
        netns.Netns.delete_all()
