"""Waiting for conditions. The only place of the tests that lets time pass."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How much slower than a release build the daemon may be (sanitizers); stretches every deadline.
SLOWNESS = float(os.environ.get("NSRELAY_TEST_SLOWNESS", "1"))

#: How long a test waits for anything that must happen, in seconds.
DEADLINE = 10.0 * SLOWNESS

_POLL_SECONDS = 0.005


def wait_until(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Returns the first true value of `condition()`; fails with `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(_POLL_SECONDS)


def let_pass(seconds: float) -> None:
    """Lets `seconds` pass, for a test whose promise is about time itself.

    Two uses: the interval of a peer that writes slower than a timeout, and the window in which
    CPU time is measured. Never a wait for something to happen: that is wait_until().
    """
    time.sleep(seconds)
