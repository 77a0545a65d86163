"""What a sanitizer's preset asks of the processes that were built with it, and what they leave when they found something."""

import os
import subprocess

from nj.common import ROOT

LIBRARIES = {"asan": "libasan.so", "tsan": "libtsan.so"}

# How much longer things take than in the other builds. The one place that says so: limits of waiting
# are multiplied by it. What the protocol itself promises within a time is not.
SLOWNESS = {"asan": 3, "tsan": 6}

SUPPRESSIONS = os.path.join(ROOT, "tests", "sanitizers")

# How reports begin, in a log.
REPORTS = (b"ERROR: AddressSanitizer", b"ERROR: LeakSanitizer", b": runtime error: ", b"WARNING: ThreadSanitizer",
           b"FATAL: ThreadSanitizer", b"AddressSanitizer:DEADLYSIGNAL")


def slowness(preset):
    return SLOWNESS.get(preset, 1)


def options(preset, leaks=True):
    """Environment under which the first finding ends the process. What a file of suppressions names is a
    report that is provably not ours; each line says why."""
    def joined(name, **values):
        path = os.path.join(SUPPRESSIONS, name)
        if os.path.exists(path):
            values["suppressions"] = path
        return ":".join(f"{key}={value}" for key, value in values.items())

    if preset == "asan":
        return {
            "ASAN_OPTIONS": joined("asan.supp", halt_on_error=1, abort_on_error=1, detect_leaks=int(leaks),
                                   detect_stack_use_after_return=1, strict_string_checks=1,
                                   check_initialization_order=1),
            "LSAN_OPTIONS": joined("lsan.supp", print_suppressions=0),
            "UBSAN_OPTIONS": joined("ubsan.supp", halt_on_error=1, abort_on_error=1, print_stacktrace=1),
        }
    if preset == "tsan":
        return {"TSAN_OPTIONS": joined("tsan.supp", halt_on_error=1, second_deadlock_stack=1,
                                       history_size=4, print_suppressions=0)}
    return {}


def preloaded(preset, leaks):
    """The same for a process of a stack, with the sanitizer's runtime in front of all other libraries: a
    program that loads the plugin was built without, and a test may preload something else. `leaks`:
    whether what the process has not freed when it ends is a finding; another's program is its own matter."""
    if preset not in LIBRARIES:
        return {}
    shown = subprocess.run(["g++", f"-print-file-name={LIBRARIES[preset]}"], capture_output=True, text=True,
                           check=True).stdout
    return {**options(preset, leaks), "LD_PRELOAD": os.path.realpath(shown.strip())}


def reports_in(path):
    """The lines with which reports begin in a log, of any sanitizer."""
    try:
        with open(path, "rb") as file:
            return [line.decode(errors="replace").strip() for line in file
                    if any(mark in line for mark in REPORTS)]
    except FileNotFoundError:
        return []
