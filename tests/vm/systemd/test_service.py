"""The unit under a real systemd: start, reload, restart, watchdog, crash, sandbox, journal."""

import concurrent.futures
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping, wait_connected
from harness.waiting import wait_until
from service import CONFIG, UNIT, Service, listening_inodes, run


def both(**keys: object) -> list[dict[str, object]]:
    """One rule for TCP and one for UDP."""
    return [rule(**keys), rule(name="dns", protocol="udp", **keys)]


def test_unit_is_clean_and_little_exposed(service: Service) -> None:
    assert run("systemd-analyze", "verify", "--man=no", str(UNIT)) == ""
    overall = run("systemd-analyze", "security", "--no-pager", "nsrelay.service").splitlines()[-1]
    assert float(overall.split(":")[1].split()[0]) < 3.0, overall


def test_ready_means_that_clients_are_served(lab: Lab, service: Service) -> None:
    lab.server(lab.host, ("0.0.0.0", 9000), script=echo)
    a = lab.netns("a")
    upstream = {"targets": ["127.0.0.1:9000"], "netns": lab.host.name}
    service.start(rule(netns=a.name, upstream=upstream))
    ping(lab.connect(a))
    assert service.show("ActiveState") == "active"
    service.wait_for("StatusText", "1 listeners, 0 pending, 1 connections")


def test_runs_as_its_own_user_with_its_capabilities_only(service: Service) -> None:
    service.start(rule())
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{service.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert "0" not in status["Uid"].split()
    names = run("capsh", f"--decode={status['CapEff'].strip()}").strip().partition("=")[2].split(",")
    assert sorted(names) == [
        "cap_dac_read_search", "cap_net_admin", "cap_net_bind_service", "cap_net_raw",
        "cap_sys_admin", "cap_sys_ptrace",
    ]
    assert status["NoNewPrivs"] == "1"


def test_namespace_made_after_the_start_is_served_in_spite_of_the_sandbox(
    lab: Lab, service: Service
) -> None:
    lab.server(lab.host, ("0.0.0.0", 9000), script=echo)
    pattern = lab.host.name.replace("host", "late*")
    service.start(
        rule(netns=pattern, upstream={"targets": ["127.0.0.1:9000"], "netns": lab.host.name})
    )
    late = lab.netns("late")
    ping(wait_connected(late, ("127.0.0.1", 8000)))
    late.delete()
    service.wait_for("StatusText", "0 listeners, 0 pending, 0 connections")
    again = lab.netns("late")
    ping(wait_connected(again, ("127.0.0.1", 8000)))


def test_deleted_namespace_is_released_by_the_store_too(lab: Lab, service: Service) -> None:
    a = lab.netns("a")
    run("ip", "link", "add", "nsr-host", "type", "veth", "peer", "name", "nsr-a", "netns", a.name)
    service.start(*both(netns=["default", a.name]))
    service.wait_for("NFileDescriptorStore", "4")
    a.delete()
    wait_until(lambda: not Path("/sys/class/net/nsr-host").exists(), "its devices are gone", 10)
    service.wait_for("NFileDescriptorStore", "2")


def test_reload_keeps_sockets_and_a_wrong_file_changes_nothing(service: Service) -> None:
    service.start(rule())
    pid, before = service.pid, listening_inodes(service.pid, [8000])
    assert len(before) == 1
    service.write(rule(), rule(name="new", listen="0.0.0.0:8001"))
    service.systemctl("reload")
    service.wait_for("StatusText", "2 listeners, 0 pending, 0 connections")
    CONFIG.write_text("rules:\n  - name: web\n    lisen: x\n")
    service.systemctl("reload")
    wait_until(lambda: "lisen" in service.journal_text(), "the journal names the fault")
    assert service.show("StatusText") == "2 listeners, 0 pending, 0 connections"
    assert service.pid == pid
    assert listening_inodes(pid, [8000]) == before


class Stream:
    """Clients that come one after the other until stop(), four at a time."""

    def __init__(self, port: int, protocol: int) -> None:
        self._port, self._protocol = port, protocol
        self._ending = threading.Event()
        self.served = 0
        self._pool = concurrent.futures.ThreadPoolExecutor(4)
        self._clients = [self._pool.submit(self._run) for _ in range(4)]

    def _run(self) -> int:
        count = 0
        while not self._ending.is_set():
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, self._protocol) as client:
                client.settimeout(60)
                client.connect(("127.0.0.1", self._port))
                client.sendall(b"ping")
                assert client.recv(4) == b"ping"
            count += 1
            self.served += 1
        return count

    def stop(self) -> int:
        """Ends it; how many were served. Raises what any of them met."""
        self._ending.set()
        return sum(client.result(timeout=120) for client in self._clients)


def serve_at_home(lab: Lab, protocol: int = socket.IPPROTO_TCP) -> None:
    """An echo in the guest's own namespace, where the service's default is."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 9000))
    listener.listen(128)
    listener.settimeout(0.2)
    ending = threading.Event()

    def accept() -> None:
        while not ending.is_set():
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()

    def close() -> None:
        """A blocked accept() would keep the port beyond close(): the next test's bind() would fail."""
        ending.set()
        accepting.join()
        listener.close()

    lab.on_close(close)


@pytest.mark.parametrize(
    ("name", "listen"),
    [("tcp", "0.0.0.0:8000"), ("sctp", "0.0.0.0:8000"), ("sctp", "127.0.0.1+127.0.0.2:8000")],
)
def test_restart_under_a_stream_of_clients_refuses_none(
    lab: Lab, service: Service, name: str, listen: str
) -> None:
    protocol = {"tcp": socket.IPPROTO_TCP, "sctp": socket.IPPROTO_SCTP}[name]
    serve_at_home(lab, protocol)
    service.start(rule(protocol=name, listen=listen))
    before = listening_inodes(service.pid, [8000])
    assert len(before) == 1
    stream = Stream(8000, protocol)
    for _ in range(3):
        pid, served = service.pid, stream.served
        service.systemctl("restart")
        assert service.pid != pid
        wait_until(lambda: stream.served > served + 10, "clients are served")
    assert stream.stop() > 30
    assert listening_inodes(service.pid, [8000]) == before


def test_restart_loses_no_udp_listener(service: Service) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.settimeout(30)
        server.bind(("127.0.0.1", 9000))
        client.connect(("127.0.0.1", 8000))
        service.start(rule(protocol="udp"))
        before = listening_inodes(service.pid, [8000])
        client.send(b"0")
        assert server.recv(10) == b"0"
        restart = threading.Thread(target=service.systemctl, args=("restart",))
        pid = service.pid
        restart.start()
        sent = 0
        while restart.is_alive() or sent == 0:
            sent += 1
            client.send(str(sent).encode())
            restart.join(0.05)
        assert service.pid != pid
        got = [int(server.recv(10)) for _ in range(sent)]
        assert sorted(got) == list(range(1, sent + 1))
        assert listening_inodes(service.pid, [8000]) == before


def test_stop_closes_what_is_in_the_store(service: Service) -> None:
    service.start(*both())
    service.wait_for("NFileDescriptorStore", "2")
    service.systemctl("stop")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8000))
    service.start(rule())


def test_descriptors_of_rules_that_went_are_closed_at_the_next_start(service: Service) -> None:
    service.start(rule(), rule(name="old", listen="0.0.0.0:8001"))
    service.wait_for("NFileDescriptorStore", "2")
    service.write(rule())
    service.systemctl("restart")
    service.wait_for("NFileDescriptorStore", "1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8001))


def test_loop_that_hangs_is_killed_and_started_again(lab: Lab, service: Service) -> None:
    serve_at_home(lab)
    service.drop_in("WatchdogSec=3", "WatchdogSignal=SIGKILL")
    service.start(rule())
    pid, before = service.pid, listening_inodes(service.pid, [8000])
    os.kill(pid, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", 8000), timeout=60) as waiting:
        waiting.sendall(b"ping")
        wait_until(lambda: service.pid not in (0, pid), "another process", 60)
        assert waiting.recv(4) == b"ping"
    service.wait_for("ActiveState", "active")
    assert listening_inodes(service.pid, [8000]) == before
    assert service.show("NRestarts") == "1"


def test_watchdog_is_fed_while_idle(service: Service) -> None:
    service.drop_in("WatchdogSec=2")
    service.start(rule())
    pid = service.pid
    fed = {service.show("WatchdogTimestampMonotonic")}
    wait_until(
        lambda: len(fed | {service.show("WatchdogTimestampMonotonic")}) > 4
        or fed.add(service.show("WatchdogTimestampMonotonic")),
        "fed several times", 30,
    )
    assert service.pid == pid


def test_crash_is_recovered_with_the_same_sockets(lab: Lab, service: Service) -> None:
    serve_at_home(lab)
    service.start(rule())
    pid, before = service.pid, listening_inodes(service.pid, [8000])
    os.kill(pid, signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", 8000), timeout=60) as waiting:
        waiting.sendall(b"ping")
        assert waiting.recv(4) == b"ping"
    assert service.pid != pid
    assert listening_inodes(service.pid, [8000]) == before


def test_wrong_configuration_stops_it_for_good(service: Service) -> None:
    service.write(rule(listen="nonsense"))
    run("systemctl", "start", "nsrelay", check=False)
    service.wait_for("ActiveState", "failed")
    assert service.show("NRestarts") == "0"
    assert service.show("ExecMainStatus") == "2"
    assert f"{CONFIG}:1:" in service.journal_text()


def test_journal_has_every_field_of_a_connection(lab: Lab, service: Service) -> None:
    serve_at_home(lab)
    service.start(rule())
    with socket.create_connection(("127.0.0.1", 8000), timeout=60) as client:
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        name = "{}:{}".format(*client.getsockname())
    record = service.wait_for_record(NSRELAY_EVENT="connection_closed", NSRELAY_CLIENT=name)
    wanted = {
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "nsrelay",
        "_SYSTEMD_UNIT": "nsrelay.service",
        "NSRELAY_RULE": "web",
        "NSRELAY_NETNS": "default",
        "NSRELAY_PROTOCOL": "tcp",
        "NSRELAY_LISTENER": "0.0.0.0:8000",
        "NSRELAY_UPSTREAM": "127.0.0.1:9000",
        "NSRELAY_BYTES_RECEIVED": "4",
        "NSRELAY_BYTES_SENT": "4",
        "NSRELAY_REASON": "client_closed",
    }
    assert {key: record.get(key) for key in wanted} == wanted
    assert record["MESSAGE"].startswith("connection closed")
    assert int(record["NSRELAY_DURATION_USEC"]) > 0
    explained = run("journalctl", "--dump-catalog", record["MESSAGE_ID"])
    assert "connection" in explained.lower()


def test_journal_that_stands_still_does_not_stop_forwarding(lab: Lab, service: Service) -> None:
    serve_at_home(lab)
    service.start(rule())
    journald = int(run("systemctl", "show", "systemd-journald", "-P", "MainPID"))
    os.kill(journald, signal.SIGSTOP)
    try:
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", 8000), timeout=60) as client:
                client.sendall(b"ping")
                assert client.recv(4) == b"ping"
    finally:
        os.kill(journald, signal.SIGCONT)
    wait_until(
        lambda: len(service.records(NSRELAY_EVENT="connection_closed")) == 300, "nothing is lost"
    )
