"""./nj chaos: a stack of its own, hurt while people chat on it, and the judge's verdict."""

import argparse
import os
import shutil
import subprocess
import tempfile
import time

from nj import build, sanitizers, setup, stack
from nj.common import Failed, say

HELD, BROKEN = 0, 2     # of nightjar-sim verify


def seed_of(text):
    if not text.isdigit() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed (a whole number)")
    return int(text)


def seconds_of(text):
    if not text.isdigit() or not 6 <= int(text) <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 6 to 86400")
    return int(text)


def chaos(args):
    """verify's exit code: 0 every promise held, 2 one was broken, 1 it could not be run."""
    setup.setup()
    build.build(args.preset, build.STACK)
    simulator = build.program(args.preset, "client-sim/nightjar-sim")
    seed = args.seed if args.seed is not None else int(time.time() * 1000) % 1_000_000_000
    folder = tempfile.mkdtemp(prefix="nightjar-chaos-")
    say(f"chaos: seed {seed}, {args.seconds} s, stack in {folder}")
    report = os.path.join(folder, "report")
    args.dir = folder
    code = None
    try:
        stack.up(args)
        code = verify([simulator, "verify", "--stack", os.path.join(folder, "stack.json"), "--kill",
                       "--seconds", str(args.seconds), "--seed", str(seed),
                       "--json", f"{report}.json", "--html", f"{report}.html"],
                      {**os.environ, **sanitizers.options(args.preset)})
    finally:
        stack.down(folder)
        if code == HELD and sanitizers_found(os.path.join(folder, "log")):
            code = BROKEN
        if code == HELD and not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            say(f"chaos: logs in {os.path.join(folder, 'log')}, report in {report}.html and .json")
    if code != HELD:
        say(f"chaos: the same faults again: ./nj chaos --seconds {args.seconds} --seed {seed}"
            + ("" if args.preset == "release" else f" --preset {args.preset}"))
    if code not in (HELD, BROKEN):
        raise Failed(f"the simulator ended with exit code {code}")
    return code


def sanitizers_found(folder):
    found = [f"{name}: {line}" for name in sorted(os.listdir(folder))
             for line in sanitizers.reports_in(os.path.join(folder, name))]
    for line in found:
        say(f"FOUND {line}")
    return bool(found)


def verify(command, env):
    """Ctrl-C reaches the simulator as well: it brings the stack back, judges, and ends by itself."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env) as running:
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:
                say("chaos: ending early")
            except BaseException:
                running.terminate()
                running.wait()
                raise
