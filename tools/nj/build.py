"""Configures with cmake's presets and builds with ninja."""

import glob
import os
import shutil

from nj.common import BUILD, PRESETS, ROOT, Failed, run, say

# What a stack and its simulated people are made of; the tests are the larger part of a whole build.
STACK = ("nightjar_plugin", "nightjar-persister", "nightjar-sim")


def folder(preset):
    return os.path.join(BUILD, preset)


def build(preset, targets=()):
    if preset not in PRESETS:
        raise Failed(f"no preset {preset!r}; there are {', '.join(PRESETS)}", code=2)
    say(f"build: {preset}")
    if not os.path.exists(os.path.join(folder(preset), "build.ninja")):
        run(["cmake", "--preset", preset], "cmake", cwd=ROOT)
    command = ["cmake", "--build", "--preset", preset]
    if targets:
        command += ["--target", *targets]
    run(command, "build", cwd=ROOT)


def program(preset, *candidates):
    """The first of `candidates` (glob patterns below build/<preset>) that was built."""
    for candidate in candidates:
        found = sorted(glob.glob(os.path.join(folder(preset), candidate)))
        if found:
            return found[0]
    raise Failed(f"build/{preset}/{candidates[0]} is not there: ./nj build --preset {preset} makes it")


def clean(everything):
    """Removes what the presets built; with `everything` also the test clients and all else there."""
    if everything:
        shutil.rmtree(BUILD, ignore_errors=True)
        return
    for preset in PRESETS:
        shutil.rmtree(folder(preset), ignore_errors=True)
