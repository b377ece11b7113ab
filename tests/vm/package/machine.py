"""dpkg on the guest, and the package under test."""

import os
import subprocess
from pathlib import Path

from service import run

#: What decides whether a package may start its service (policy-rc.d(8)).
POLICY = Path("/usr/sbin/policy-rc.d")
#: All that the package may leave on a machine.
TRACES = (
    "/etc/nsrelay*",
    "/etc/systemd/system/*/nsrelay*",
    "/lib/systemd/system/nsrelay*",
    "/run/nsrelay*",
    "/usr/bin/nsrelay",
    "/usr/lib/*.d/nsrelay*",
    "/usr/lib/systemd/*/nsrelay*",
    "/usr/share/*/nsrelay*",
    "/usr/share/*/*/nsrelay*",
    "/usr/share/*/*/_nsrelay*",
    "/var/lib/systemd/deb-systemd-helper-*/nsrelay*",
    "/var/lib/systemd/deb-systemd-helper-*/*/nsrelay*",
    "/var/lib/dpkg/info/nsrelay.*",
)


def dpkg(*arguments: str) -> None:
    """Calls dpkg the way a tool does: it asks nothing and keeps changed configuration files.

    Without triggers: man-db's would read every manual page of this machine.
    """
    run("dpkg", "--force-confold", "--no-triggers", *arguments)


def install() -> None:
    """Installs the package of NSRELAY_PACKAGES, or installs it again."""
    (package,) = Path(os.environ["NSRELAY_PACKAGES"]).glob("nsrelay_*.deb")
    dpkg("--install", str(package))


def forbid_services(forbidden: bool) -> None:
    """Whether packages may start services on this machine."""
    POLICY.unlink(missing_ok=True)
    if forbidden:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)


def is_enabled() -> bool:
    """Whether the service starts with the machine."""
    done = subprocess.run(["systemctl", "is-enabled", "--quiet", "nsrelay"], check=False)
    return done.returncode == 0


def traces() -> list[str]:
    """Files of the package on this machine."""
    return [str(path) for pattern in TRACES for path in Path("/").glob(pattern[1:])]
