"""./nj sim: whole worlds on virtual time, by seed (docs/testing.md)."""

import os
import subprocess

from nj import build, setup


def sim(args):
    setup.setup(test=True)
    build.build(args.preset, ["nightjar-worlds"])
    command = [os.path.join(build.folder(args.preset), "tests", "worlds", "nightjar-worlds")]
    if args.replay:
        command += ["--replay", str(args.replay)] + (["--trace"] if args.trace else [])
    else:
        command += ["--seeds", str(args.seeds), "--seed", str(args.seed), "--jobs", str(args.jobs)]
    command += ["--points"] if args.points else []
    command += ["--mutant", args.mutant] if args.mutant else []
    return subprocess.call(command)
