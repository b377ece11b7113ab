"""Names of namespaces that come and go: served within 100 ms, without a reload."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import kernel, linux
from harness.daemon import Daemon, rule
from harness.lab import Lab
from harness.netns import RUN_NETNS, Netns
from harness.peers import echo, is_refused, ping, tell, wait_connected
from harness.waiting import SLOWNESS, wait_until

#: From the return of `ip netns add` to a successful connect.
PROMISE = 0.1 * SLOWNESS
#: Where that is not what a test is about; the rescan, behind the events, takes longer.
SOON = 1.0 * SLOWNESS

PORT = ("127.0.0.1", 8000)

#: The daemon's own start without fanotify's mount events; the program keeps its process id.
WITHOUT_FANOTIFY = [
    "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null",
    "-E", "ASAN_OPTIONS=detect_leaks=0",  # which would fail under a tracer
    "-e", "trace=fanotify_init", "-e", "inject=fanotify_init:error=EINVAL",
]
#: /run as it may be at boot: nothing in it.
IN_AN_EMPTY_RUN = [
    "unshare", "--mount", "sh", "-c",
    'umount -R /run/netns; mount -t tmpfs none /run && exec "$@"', "sh",
]
METHODS = {"fanotify": [], "mountinfo": WITHOUT_FANOTIFY}
with_each_method = pytest.mark.parametrize(
    "method", [pytest.param("fanotify", marks=kernel.needs_mount_events), "mountinfo"]
)


def _seconds_until_served(netns: Netns) -> float:
    """From the return of `ip netns add` until an answer came through the daemon."""
    client = wait_connected(netns, PORT)
    seconds = client.connected - netns.added
    ping(client)
    client.close()
    return seconds


def _names_of(pattern: str) -> str:
    """A pattern that only names of this run match."""
    return Netns(pattern).name


@with_each_method
def test_name_that_appears_is_served_within_100_ms(lab: Lab, method: str) -> None:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=_names_of("tenant-*")), listeners=0, wrapper=METHODS[method])
    daemon.log.wait_for(event="started")
    holds_fanotify = any(
        "fanotify" in os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in daemon.descriptors()
    )
    assert holds_fanotify == (method == "fanotify")
    times = [_seconds_until_served(lab.netns(f"tenant-{number}")) for number in range(9)]
    # The median, because the machine may have something else to do in one of them.
    assert statistics.median(times) < PROMISE, times


FORMS = {
    "name": "tenant-a",
    "pattern": "tenant-*",
    "class": "tenant-[a-c]",
    "path": "/tenant-a",
    "path-pattern": "/tenant-*",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_followed_live(lab: Lab, form: str) -> None:
    """The name comes, goes, and comes again; another one never matches."""
    text = FORMS[form]
    selector = str(Netns(text[1:]).path) if text.startswith("/") else Netns(text).name
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=selector), listeners=0)
    daemon.log.wait_for(event="started")
    other = lab.netns("other-a")
    for times in (1, 2):
        a = lab.netns("tenant-a")
        assert _seconds_until_served(a) < SOON
        assert len(daemon.log.records(event="listener_open", netns=a.name)) == times
        a.delete()
        daemon.log.wait_for_count(times, event="listener_closed", netns=a.name)
    assert is_refused(other, PORT)


def test_star_means_every_name(lab: Lab) -> None:
    """In an empty /run, because `*` would take the namespaces of others too."""
    daemon = _daemon_in_empty_run(lab, "*")
    for label in ("a", "b"):
        a = _add_in_mounts_of(daemon, label)
        assert _seconds_until_served(a) < SOON
    assert {r["netns"] for r in daemon.log.records(event="listener_open")} == {
        Netns(label).name for label in ("a", "b")
    }


def test_path_pattern_outside_of_run_netns(lab: Lab, outside: Path) -> None:
    """As containers have them: /var/run/docker/netns/*."""
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=f"{outside}/box-*"), listeners=0)
    a = lab.netns("a")
    bound = outside / "box-1"
    bound.touch()
    daemon.log.wait_for(event="started")
    # Through the mount namespace that the daemon lives in: a private one shows it nothing.
    _mount_in_mounts_of(daemon, a.path, bound)
    daemon.log.wait_for(event="listener_open", netns="box-1")
    ping(lab.connect(a))


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder for namespace files that is not /run/netns."""
    folder = Path(f"/run/nsrelay-test-{os.getpid()}")
    folder.mkdir()
    yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _mount_in_mounts_of(daemon: Daemon, source: Path, target: Path) -> None:
    subprocess.run(
        ["nsenter", "-t", str(daemon.pid), "-m", "mount", "--bind", source, target], check=True
    )


def _daemon_in_empty_run(lab: Lab, selector: str) -> Daemon:
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=selector), listeners=0, wrapper=IN_AN_EMPTY_RUN)
    daemon.log.wait_for(event="started")
    assert not Path(f"/proc/{daemon.pid}/root{RUN_NETNS}").exists()
    return daemon


def _add_in_mounts_of(daemon: Daemon, label: str) -> Netns:
    """`ip netns add` where the daemon sees it; it goes with the daemon's mount namespace."""
    netns = Netns(label).seen_by(daemon.pid)
    subprocess.run(
        ["nsenter", "-t", str(daemon.pid), "-m", "ip", "netns", "add", netns.name], check=True
    )
    netns.set_up()
    return netns


def test_run_netns_absent_at_the_start(lab: Lab) -> None:
    daemon = _daemon_in_empty_run(lab, _names_of("tenant-*"))
    first = _add_in_mounts_of(daemon, "tenant-1")
    assert _seconds_until_served(first) < PROMISE
    second = _add_in_mounts_of(daemon, "tenant-2")
    assert _seconds_until_served(second) < PROMISE


def test_plain_file_before_the_mount(lab: Lab) -> None:
    """What `ip netns add` does in two steps."""
    a, b = lab.netns("a"), Netns("b")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=b.name), listeners=0)
    daemon.log.wait_for(event="listener_pending", netns=b.name)
    b.path.touch()
    lab.adopt(b)
    wait_until(
        lambda: any("not a namespace file" in record["reason"]
                    for record in daemon.log.records(event="listener_pending")),
        "the plain file is seen and is no namespace",
    )
    linux.bind_mount(a.path, b.path)
    daemon.log.wait_for(event="listener_open", netns=b.name)
    ping(lab.connect(a))


def test_unmounted_but_not_unlinked(lab: Lab) -> None:
    a = lab.netns("a")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=a.name))
    inside = a.socket()
    a.unmount()
    daemon.log.wait_for(event="listener_closed", netns=a.name)
    assert "not a namespace file" in daemon.log.wait_for(event="listener_pending")["reason"]
    with inside, pytest.raises(ConnectionRefusedError):
        inside.connect(PORT)


@with_each_method
def test_overflow_of_the_event_queue(lab: Lab, method: str) -> None:
    """More events than the kernel keeps (16384) come while the daemon cannot read them."""
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=_names_of("tenant-*")), listeners=0, wrapper=METHODS[method])
    daemon.log.wait_for(event="started")
    busy = lab.netns("busy")
    source = lab.netns("source")
    daemon.signal(signal.SIGSTOP)
    try:
        for _ in range(8300):
            linux.bind_mount(source.path, busy.path)
            linux.unmount(busy.path)
        during = lab.netns("tenant-during")
    finally:
        daemon.signal(signal.SIGCONT)
    ping(wait_connected(during, PORT))
    after = lab.netns("tenant-after")
    assert _seconds_until_served(after) < PROMISE


def test_symbolic_link_to_the_namespace_of_a_process(lab: Lab) -> None:
    """How container runtimes name one: no mount, hence no mount event."""
    a, name = lab.netns("a"), Netns("linked")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(rule(netns=_names_of("linked*")), listeners=0)
    daemon.log.wait_for(event="started")
    inside = lab.process_inside(a)
    name.path.symlink_to(f"/proc/{inside.pid}/ns/net")
    lab.adopt(name)
    a.added = time.monotonic()
    assert _seconds_until_served(a) < PROMISE
    name.path.unlink()
    daemon.log.wait_for(event="listener_closed", netns=name.name)


def test_symbolic_link_whose_process_ends_is_found_by_the_rescan(lab: Lab) -> None:
    """No event tells: the link stays where it is."""
    a, name = lab.netns("a"), Netns("linked")
    lab.server(lab.host, script=echo)
    inside = lab.process_inside(a)
    name.path.symlink_to(f"/proc/{inside.pid}/ns/net")
    lab.adopt(name)
    daemon = lab.daemon(rule(netns=name.name))
    inside.kill()
    daemon.log.wait_for(event="listener_closed", netns=name.name)


@with_each_method
def test_sandbox_with_slave_propagation_sees_names_appear(lab: Lab, method: str) -> None:
    """What systemd's ProtectSystem= and its kin make of the mounts."""
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=_names_of("tenant-*")), listeners=0,
        wrapper=["unshare", "--mount", "--propagation", "slave", *METHODS[method]],
    )
    daemon.log.wait_for(event="started")
    a = lab.netns("tenant-a")
    assert _seconds_until_served(a) < SOON
    a.delete()
    daemon.log.wait_for(event="listener_closed", netns=a.name)


def test_sandbox_with_private_propagation_sees_no_new_mounts(lab: Lab) -> None:
    """It sees the plain file alone and says so; what it had before is served and let go of."""
    old, new = lab.netns("old"), Netns("new")
    lab.server(lab.host, script=echo)
    daemon = lab.daemon(
        rule(netns=[old.name, new.name]), listeners=1,
        wrapper=["unshare", "--mount", "--propagation", "private"],
    )
    ping(lab.connect(old))
    daemon.log.wait_for(event="listener_pending", netns=new.name)
    lab.netns("new")
    wait_until(
        lambda: any("not a namespace file" in record["reason"]
                    for record in daemon.log.records(event="listener_pending", netns=new.name)),
        "the plain file is seen and is no namespace",
    )
    assert is_refused(new, PORT)
    # Unlinking takes the mounts of other mount namespaces along.
    old.delete()
    daemon.log.wait_for(event="listener_closed", netns=old.name)


def test_netns_in_a_target_of_a_pattern(lab: Lab) -> None:
    for label in ("tenant-a", "tenant-b"):
        lab.server(lab.host, str(lab.folder / f"{Netns(label).name}.sock"), tell(label))
    lab.daemon(
        rule(netns=_names_of("tenant-*"), upstream=f"unix:{lab.folder}/{{netns}}.sock"),
        listeners=0,
    )
    for label in ("tenant-a", "tenant-b"):
        client = wait_connected(lab.netns(label), PORT)
        assert client.recv_until_eof() == label.encode()


def test_upstream_in_the_same_namespace_of_a_pattern(lab: Lab) -> None:
    upstream = {"targets": ["127.0.0.1:9000"], "netns": "same"}
    lab.daemon(rule(netns=_names_of("tenant-*"), upstream=upstream), listeners=0)
    for label in ("tenant-a", "tenant-b"):
        netns = lab.netns(label)
        lab.server(netns, script=tell(label))
        assert wait_connected(netns, PORT).recv_until_eof() == label.encode()


def test_same_means_the_own_namespace_where_two_have_the_same_last_part(
    lab: Lab, outside: Path
) -> None:
    """/run/netns/blue and /elsewhere/blue are called alike and are two."""
    blue, green = lab.netns("blue"), lab.netns("green")
    for netns in (blue, green):
        lab.server(netns, script=tell(netns.label))
    namesake = outside / blue.name
    namesake.touch()
    subprocess.run(["mount", "--bind", green.path, namesake], check=True)
    try:
        upstream = {"targets": ["127.0.0.1:9000"], "netns": "same"}
        lab.daemon(rule(netns=[blue.name, str(namesake)], upstream=upstream))
        assert lab.connect(blue).recv_until_eof() == b"blue"
        assert lab.connect(green).recv_until_eof() == b"green"
    finally:
        subprocess.run(["umount", namesake], check=True)


def test_absent_upstream_namespace_resets_and_is_counted_until_it_appears(lab: Lab) -> None:
    later = Netns("later")
    link = lab.link(upstream={"targets": ["127.0.0.1:9000"], "netns": later.name})
    link.connect().expect_reset()
    failed = link.log.wait_for(event="connection_failed")
    assert failed["reason"] == "upstream_netns_absent"
    appeared = lab.netns("later")
    lab.server(appeared, script=tell("later"))

    def answer() -> bytes:
        client = link.connect()
        try:
            return client.recv_until_eof()
        except ConnectionResetError:
            return b""
        finally:
            client.close()

    assert wait_until(answer, "the upstream's namespace is found") == b"later"
    appeared.delete()

    def is_known_to_be_gone() -> bool:
        answer()
        return len(link.log.records(event="connection_failed", reason=failed["reason"])) > 1

    wait_until(is_known_to_be_gone, "the upstream's namespace is known to be gone")
