"""`nsrelay top` on a pseudo terminal."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
from harness import process
from harness.control import Control
from harness.daemon import rule
from harness.lab import Lab
from harness.peers import echo, ping
from harness.waiting import DEADLINE

_ENTER, _LEAVE = b"\033[?1049h", b"\033[?1049l"


class Screen:
    """A terminal with `nsrelay top` on it."""

    def __init__(self, control: Control, rows: int = 24, columns: int = 80) -> None:
        self.fd, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.former = termios.tcgetattr(self.slave)
        self.process = process.start(
            control.command_line("top"), stdin=self.slave, stdout=self.slave, stderr=self.slave
        )
        self.output = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def expect(self, text: bytes, *, in_new_frame: bool = False) -> bytes:
        """Reads until `text` has come; returns everything up to it."""
        if in_new_frame:
            self.output = b""
        end = time.monotonic() + DEADLINE
        while text not in self.output:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} is not in {self.output[-2000:]!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.output += os.read(self.fd, 65536)
        return self.output

    def expect_end(self, status: int) -> None:
        """The program ends with `status`, and the terminal is as it was."""
        self.expect(_LEAVE)
        assert self.process.wait(DEADLINE) == status
        assert termios.tcgetattr(self.slave) == self.former

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)
        os.close(self.slave)


@contextlib.contextmanager
def _top(control: Control, **size: int) -> Iterator[Screen]:
    screen = Screen(control, **size)
    try:
        yield screen
    finally:
        screen.close()


def _daemon(lab: Lab, *rules: Any) -> Control:
    control = Control(lab.folder / "control.sock")
    lab.server(lab.host, script=echo)
    lab.daemon(*(rules or [rule()]), control=control.section())
    return control


def test_shows_what_is_forwarded_and_leaves_with_q(lab: Lab) -> None:
    control = _daemon(lab)
    with _top(control) as screen:
        screen.expect(b"0 active")
        assert screen.output.startswith(_ENTER)
        client = lab.connect(lab.host)
        ping(client)
        screen.expect(b"\033[H\033[1mnsrelay ")
        screen.expect(b"1 active")
        screen.expect(b"0.0.0.0:8000  tcp       web        1  listening")
        screen.press(b"q")
        screen.expect_end(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_restores_the_terminal_when_a_signal_ends_it(lab: Lab, number: signal.Signals) -> None:
    with _top(_daemon(lab)) as screen:
        screen.expect(b"q quit")
        screen.process.send_signal(number)
        screen.expect_end(-number)


def test_control_c_leaves(lab: Lab) -> None:
    with _top(_daemon(lab)) as screen:
        screen.expect(b"q quit")
        screen.press(b"\003")
        screen.expect_end(0)


def test_gives_the_terminal_back_while_it_is_suspended(lab: Lab) -> None:
    with _top(_daemon(lab)) as screen:
        screen.expect(b"q quit")
        screen.press(b"\032")
        screen.expect(_LEAVE)
        os.waitpid(screen.process.pid, os.WUNTRACED)
        assert termios.tcgetattr(screen.slave) == screen.former
        screen.output = b""
        screen.process.send_signal(signal.SIGCONT)
        screen.expect(_ENTER)
        screen.press(b"q")
        screen.expect_end(0)


def test_follows_the_size_of_the_terminal_and_scrolls(lab: Lab) -> None:
    rules = [rule(f"r{number:02}", f"127.0.0.1:{8100 + number}") for number in range(30)]
    with _top(_daemon(lab, *rules), rows=10, columns=60) as screen:
        screen.expect(b"q quit")
        assert b"r04" in screen.output and b"r29" not in screen.output
        screen.press(b"\033[F")
        screen.expect(b"127.0.0.1:8129", in_new_frame=True)
        screen.press(b"\033[H")
        screen.expect(b"r00", in_new_frame=True)
        screen.resize(50, 200)
        screen.process.send_signal(signal.SIGWINCH)
        screen.expect(b"r29", in_new_frame=True)
        screen.press(b"q")
        screen.expect_end(0)


def test_tells_that_the_daemon_is_gone_and_finds_the_next(lab: Lab) -> None:
    control = _daemon(lab)
    with _top(control, columns=200) as screen:
        screen.expect(b"q quit")
        lab.daemons[0].stop()
        screen.expect(b"no answer: ")
        screen.expect(b"No such file or directory")
        second = lab.daemon(rule(), control=control.section())
        screen.expect(b"pid %d" % second.pid)
        screen.press(b"q")
        screen.expect_end(0)


def test_needs_a_terminal_and_a_daemon(lab: Lab) -> None:
    done = _daemon(lab).run("top")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "nsrelay: top needs a terminal; nsrelay status does not\n"
    with _top(Control(lab.folder / "absent.sock")) as screen:
        screen.expect(b"No such file or directory")
        assert screen.process.wait(DEADLINE) == 1
        assert _ENTER not in screen.output
