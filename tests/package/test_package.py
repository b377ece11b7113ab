"""The Debian package as a file: what is in it, and what lintian says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path) -> str:
    """The stdout of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package() -> Path:
    """What cpack left in the folder NSRELAY_PACKAGES."""
    (found,) = Path(os.environ["NSRELAY_PACKAGES"]).glob("nsrelay_*.deb")
    return found


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, unpacked."""
    folder = tmp_path_factory.mktemp("tree")
    run("dpkg-deb", "--extract", package, folder)
    return folder


def test_lintian_has_nothing_to_say(package: Path) -> None:
    # No bug in Debian asks for this package.
    run("lintian", "--fail-on", "error,warning",
        "--suppress-tags", "initial-upload-closes-no-bugs", package)


def test_versions_agree(package: Path) -> None:
    changelog = run("dpkg-parsechangelog", "-l", ROOT / "packaging/debian/changelog",
                    "-S", "Version").strip()
    version = run("dpkg-deb", "--field", package, "Version").strip()
    program = run(os.environ["NSRELAY_BINARY"], "--version").split()[1]
    assert version == changelog == f"{program}-1"


def test_dependencies_are_those_of_the_program(package: Path) -> None:
    depends = run("dpkg-deb", "--field", package, "Depends")
    for library in ("libc6", "libsystemd0", "libmnl0", "libc-ares2", "libyaml-cpp0.7"):
        assert re.search(rf"\b{re.escape(library)} ", depends), depends
    assert "-dev" not in depends


def test_what_is_installed(tree: Path) -> None:
    assert {path.name for path in tree.iterdir()} == {"etc", "usr"}
    for file in (
        "etc/nsrelay/nsrelay.yaml",
        "usr/bin/nsrelay",
        "usr/lib/systemd/catalog/nsrelay.catalog",
        "usr/lib/systemd/system/nsrelay.service",
        "usr/lib/sysusers.d/nsrelay.conf",
        "usr/lib/tmpfiles.d/nsrelay.conf",
        "usr/share/doc/nsrelay/README.md",
        "usr/share/doc/nsrelay/copyright",
        "usr/share/doc/nsrelay/changelog.gz",
        "usr/share/doc/nsrelay/changelog.Debian.gz",
        "usr/share/doc/nsrelay/examples/port-range.yaml",
        "usr/share/doc/nsrelay/monitoring/grafana-dashboard.json",
        "usr/share/doc/nsrelay/monitoring/prometheus-alerts.yaml",
        "usr/share/bash-completion/completions/nsrelay",
        "usr/share/man/man1/nsrelay.1.gz",
        "usr/share/man/man5/nsrelay.yaml.5.gz",
        "usr/share/zsh/vendor-completions/_nsrelay",
    ):
        assert (tree / file).is_file(), file


def test_the_program_is_stripped_and_hardened_and_runs(tree: Path) -> None:
    program = tree / "usr/bin/nsrelay"
    assert ".symtab" not in run("readelf", "--section-headers", program)
    assert "BIND_NOW" in run("readelf", "--dynamic", program)
    assert run(program, "--version").startswith("nsrelay ")


def test_the_installed_files_of_systemd_are_valid(tree: Path) -> None:
    run("systemd-sysusers", "--dry-run", tree / "usr/lib/sysusers.d/nsrelay.conf")
    unit = (tree / "usr/lib/systemd/system/nsrelay.service").read_text()
    assert "/usr/local" not in unit


def test_every_configuration_file_is_valid(tree: Path) -> None:
    files = [tree / "etc/nsrelay/nsrelay.yaml",
             *(tree / "usr/share/doc/nsrelay/examples").glob("*.yaml")]
    assert len(files) > 2
    for file in files:
        run(tree / "usr/bin/nsrelay", "check", "-c", file)


def test_the_configuration_belongs_to_the_administrator(package: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--control", package, tmp_path)
    assert (tmp_path / "conffiles").read_text().split() == ["/etc/nsrelay/nsrelay.yaml"]


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_sound(package: Path, tmp_path: Path, script: str) -> None:
    run("dpkg-deb", "--control", package, tmp_path)
    assert os.access(tmp_path / script, os.X_OK)
    run("shellcheck", tmp_path / script)
