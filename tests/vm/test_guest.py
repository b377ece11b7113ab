"""The guest itself: it runs what it is given, tells how that ended, and leaves this machine alone."""

import hashlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from harness.waiting import wait_until  # noqa: E402

GUEST = Path(__file__).parent / "guest"


def in_guest(*command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs a command in a guest of its own."""
    return subprocess.run(
        [GUEST, *options, "--", *command], capture_output=True, text=True, timeout=200, check=False
    )


def test_the_commands_exit_status_is_the_guests() -> None:
    assert in_guest("true").returncode == 0
    assert in_guest("sh", "-c", "exit 7").returncode == 7


def test_the_kernel_has_what_the_tests_need() -> None:
    done = in_guest(
        "sh",
        "-ec",
        "checksctp; ip netns add a; ip link add v type veth peer name w netns a;"
        "tc qdisc add dev v root netem delay 10ms; uname -r",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.uname().release not in done.stdout


def test_what_the_guest_writes_is_lost_outside_of_the_shared_folder(tmp_path: Path) -> None:
    mark = Path("/var/tmp") / uuid.uuid4().hex
    shared = tmp_path / "shared"
    shared.mkdir()
    done = in_guest(
        "sh", "-ec", f"echo x >{mark}; cat {mark} >$OUT/copy", options=("--out", str(shared))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not mark.exists()
    assert (shared / "copy").read_text() == "x\n"


def test_programs_that_run_by_turns_keep_their_vector_registers() -> None:
    digest = "head -c 3000000 /dev/zero | sha256sum"
    done = in_guest("bash", "-c", f"for i in 1 2 3 4 5 6; do {digest} & done; wait")
    expected = hashlib.sha256(bytes(3000000)).hexdigest()
    assert done.stdout.split() == [expected, "-"] * 6, done.stdout + done.stderr


def test_the_guest_sees_the_folder_that_it_is_called_from(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seen\n")
    done = subprocess.run(
        [GUEST, "--", "cat", "file"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == "seen\n", done.stdout + done.stderr


def test_a_guest_that_takes_too_long_is_ended_and_told() -> None:
    done = in_guest("sleep", "1000", options=("--timeout", "15"))
    assert done.returncode == 125
    assert "after 15 s" in done.stderr


def processes_of_guest(folder: Path) -> list[str]:
    """Ids of what runs on this machine for a guest whose working folder is below `folder`."""
    listing = subprocess.run(
        ["pgrep", "-f", f"uml_dir={folder}"], capture_output=True, text=True, check=False
    )
    return listing.stdout.split()


def test_a_killed_guest_leaves_no_process(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [GUEST, "--", "sleep", "1000"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as guest:
        wait_until(lambda: len(processes_of_guest(tmp_path)) > 3, "the guest runs")
        guest.kill()
    wait_until(lambda: not processes_of_guest(tmp_path), "the guest is gone")


def test_systemd_runs_in_it() -> None:
    done = in_guest("ps", "-o", "comm=", "-p", "1", options=("--systemd",))
    assert done.stdout.split() == ["systemd"], done.stdout + done.stderr
    assert done.returncode == 0
