"""config/kubernetes/daemonset.yaml: well-formed, as its parts refer to each other, and as the unit."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.daemon import BINARY

ROOT = Path(__file__).parents[2]
FILE = ROOT / "config/kubernetes/daemonset.yaml"
UNIT = ROOT / "systemd/nsrelay.service"


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The documents of the file by their kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(FILE.read_text())}


@pytest.fixture(scope="module")
def pod(objects: dict[str, Any]) -> dict[str, Any]:
    """What the DaemonSet runs on each node."""
    return objects["DaemonSet"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod's one container."""
    (only,) = pod["containers"]
    return only


@pytest.fixture(scope="module")
def configuration(objects: dict[str, Any]) -> str:
    """The text of nsrelay.yaml."""
    return objects["ConfigMap"]["data"]["nsrelay.yaml"]


def test_the_configuration_is_valid(configuration: str, tmp_path: Path) -> None:
    file = tmp_path / "nsrelay.yaml"
    file.write_text(configuration)
    done = subprocess.run(
        [BINARY, "check", "-c", file], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_capabilities_are_those_of_the_unit(container: dict[str, Any]) -> None:
    capabilities = container["securityContext"]["capabilities"]
    assert capabilities["drop"] == ["ALL"]
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        found = re.search(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
        assert found
        assert {f"CAP_{name}" for name in capabilities["add"]} == set(found[1].split())


def test_time_to_stop_is_that_of_the_unit(pod: dict[str, Any]) -> None:
    assert f"TimeoutStopSec={pod['terminationGracePeriodSeconds']}\n" in UNIT.read_text()


def test_it_sees_the_nodes_namespaces(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["hostNetwork"] and pod["hostPID"]
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert mounts["/run/netns"]["mountPropagation"] == "HostToContainer"
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes[mounts["/run/netns"]["name"]]["hostPath"]["path"] == "/run/netns"
    assert volumes[mounts["/etc/nsrelay"]["name"]]["configMap"]["name"] == "nsrelay"


def test_names_that_must_agree(objects: dict[str, Any], pod: dict[str, Any]) -> None:
    spec = objects["DaemonSet"]["spec"]
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]
    namespace = objects["Namespace"]["metadata"]["name"]
    for kind in ("ConfigMap", "DaemonSet"):
        assert objects[kind]["metadata"]["namespace"] == namespace
    for mount in pod["containers"][0]["volumeMounts"]:
        assert mount["name"] in {one["name"] for one in pod["volumes"]}


def test_the_port_of_the_metrics(
    objects: dict[str, Any], container: dict[str, Any], configuration: str
) -> None:
    (port,) = container["ports"]
    assert yaml.safe_load(configuration)["metrics"]["listen"].endswith(f":{port['containerPort']}")
    annotations = objects["DaemonSet"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
