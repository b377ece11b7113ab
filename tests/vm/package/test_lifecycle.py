"""Install, use, upgrade, remove, install again, purge: what an administrator does with the package.

The tests are one story: each begins where the one before it has ended.
"""

import threading
from pathlib import Path

import machine
import pytest
from harness.daemon import Rule, rule
from harness.lab import Lab
from harness.netns import Netns
from harness.peers import connect, echo, ping, wait_connected
from service import CONFIG, Service

LISTENER = ("127.0.0.1", 8000)


def echo_rule(lab: Lab, netns: Netns) -> Rule:
    """Port 8000 of a namespace goes to an echo in the host's."""
    lab.server(lab.host, ("127.0.0.1", 9000), echo)
    upstream = {"targets": ["127.0.0.1:9000"], "netns": lab.host.name}
    return rule(netns=netns.name, listen="127.0.0.1:8000", upstream=upstream)


@pytest.fixture(scope="module")
def service() -> Service:
    """The package's service."""
    return Service()


@pytest.fixture(scope="module", autouse=True)
def fresh_machine() -> None:
    """A machine like any: it lets packages start services, and does not have this one."""
    machine.forbid_services(False)
    assert machine.traces() == []


def test_installing_starts_the_service(service: Service) -> None:
    machine.install()
    assert service.show("ActiveState") == "active"
    assert machine.is_enabled()
    assert Path(f"/proc/{service.pid}").owner() == "nsrelay"


def test_the_journal_explains_its_records(service: Service) -> None:
    machine.run("dpkg", "--triggers-only", "systemd")
    assert "nsrelay has started" in machine.run("journalctl", "--list-catalog")
    assert "Subject: nsrelay has started" in machine.run("journalctl", "-x", "-u", "nsrelay")


def test_it_forwards_after_a_reload(lab: Lab, service: Service) -> None:
    blue = lab.netns("blue")
    service.write(echo_rule(lab, blue))
    service.systemctl("reload")
    ping(wait_connected(blue, LISTENER))


def test_upgrading_restarts_it_and_refuses_nobody(lab: Lab, service: Service) -> None:
    blue = lab.netns("blue")
    service.write(echo_rule(lab, blue))
    service.systemctl("reload")
    wait_connected(blue, LISTENER).close()
    before = service.pid
    ended = threading.Event()
    outcomes: list[BaseException | None] = []

    def one_after_the_other() -> None:
        while not ended.is_set():
            try:
                client = connect(blue, LISTENER)
                ping(client)
                client.close()
                outcomes.append(None)
            except (OSError, AssertionError) as error:
                outcomes.append(error)

    clients = threading.Thread(target=one_after_the_other)
    clients.start()
    try:
        machine.install()
    finally:
        ended.set()
        clients.join()
    assert service.pid not in (before, 0)
    assert outcomes.count(None) > 10
    assert [error for error in outcomes if error] == []


def test_removing_stops_it_and_leaves_the_configuration(service: Service) -> None:
    pid = service.pid
    machine.dpkg("--remove", "nsrelay")
    assert not Path(f"/proc/{pid}").exists()
    assert service.show("LoadState") == "not-found"
    assert not Path("/usr/bin/nsrelay").exists()
    assert not Path("/run/nsrelay").exists()
    assert CONFIG.exists()


def test_installing_again_takes_the_configuration_that_was_left(
    lab: Lab, service: Service
) -> None:
    green = lab.netns("green")
    service.write(echo_rule(lab, green))
    machine.install()
    assert service.show("ActiveState") == "active"
    ping(wait_connected(green, LISTENER))


def test_a_service_that_was_disabled_stays_so(service: Service) -> None:
    machine.run("systemctl", "disable", "--now", "nsrelay")
    machine.install()
    assert not machine.is_enabled()
    assert service.show("ActiveState") == "inactive"


def test_purging_leaves_nothing(service: Service) -> None:
    machine.dpkg("--purge", "nsrelay")
    machine.run("dpkg", "--triggers-only", "systemd")
    assert service.show("LoadState") == "not-found"
    assert machine.traces() == []
    assert "nsrelay" not in machine.run("journalctl", "--list-catalog")


def test_where_policy_forbids_it_the_service_is_not_started(service: Service) -> None:
    machine.forbid_services(True)
    machine.install()
    assert service.show("ActiveState") == "inactive"
    assert machine.is_enabled()
    machine.dpkg("--purge", "nsrelay")
    assert machine.traces() == []
