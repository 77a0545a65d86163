"""Waiting for conditions."""

import os
import sys
import threading
import time

from harness.proto import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))
from nj import sanitizers  # noqa: E402

PRESET = os.environ.get("NIGHTJAR_PRESET", "release")
SLOWNESS = sanitizers.slowness(PRESET)   # every limit below is multiplied by it
SECONDS = 10.0   # long enough for a loaded machine; a passing test never waits that long


class Late(AssertionError):
    """A condition that did not come true in time."""


class Board:
    """Things that happen on other threads, kept in order; tests wait for some of them.

    One lock for all that a client notes down, so that what a test sees is consistent.
    """

    def __init__(self):
        self.changed = threading.Condition()

    def __enter__(self):
        return self.changed.__enter__()

    def __exit__(self, *exc):
        self.changed.notify_all()
        return self.changed.__exit__(*exc)

    def wait(self, condition, what, seconds=SECONDS):
        """The first true value of condition(), evaluated whenever something happened."""
        deadline = time.monotonic() + seconds * SLOWNESS
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Late(f"waited {seconds * SLOWNESS:g} s for {what}")
                self.changed.wait(left)


def poll(condition, what, seconds=SECONDS, every=0.02):
    """Like Board.wait, for what nobody announces: files, processes, other programs."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"waited {seconds * SLOWNESS:g} s for {what}")
        threading.Event().wait(every)
