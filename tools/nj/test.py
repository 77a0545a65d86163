"""./nj test: unit and contract tests and simulated worlds through ctest, integration tests through pytest."""

import os
import re
import subprocess
import tempfile
import time

from nj import build, hbase, sanitizers, setup
from nj.common import ROOT, Failed, say

KINDS = ("unit", "contract", "sim", "integration")


def test(args):
    if args.preset == "fuzz":
        raise Failed("the fuzz preset has fuzz targets, no tests; its corpora are replayed by the others",
                     code=2)
    kinds = [args.only] if args.only else list(KINDS)
    os.environ["NIGHTJAR_REDIS"] = args.redis
    setup.setup(test="integration" in kinds)
    if "integration" in kinds:
        setup.setup_test_clients()
        hbase.ready_to_run()
    build.build(args.preset)
    store = None
    try:
        if "contract" in kinds:   # it comes up while the unit tests run
            store = hbase.Running(tempfile.mkdtemp(prefix="nightjar-hbase-")).start()
        return run_kinds(args, kinds, store)
    finally:
        if store:
            store.stop()


def run_kinds(args, kinds, store):
    results = []
    for kind in kinds:
        if kind == "contract":
            store.wait()
            os.environ.update(store.addresses())
        started = time.monotonic()
        say(f"\n==== {kind} tests ({args.preset})")
        runner = run_pytest if kind == "integration" else run_ctest
        code, count = runner(args.preset, kind, args.filter)
        results.append((kind, code, count, time.monotonic() - started))

    say("\n==== summary")
    for kind, code, count, seconds in results:
        word = "nothing ran" if count == 0 else "passed" if code == 0 else "FAILED"
        say(f"{kind:<12} {word:<12} {count:>5} tests {seconds:>7.1f} s")
    if any(code != 0 for _, code, _, _ in results):
        return 1
    # A filter may well match in one kind only; without one, each kind must have run something.
    counts = [count for _, _, count, _ in results]
    if sum(counts) == 0 or (not args.filter and 0 in counts):
        say("nj: tests are missing: something ran none")
        return 1
    return 0


def run_ctest(preset, kind, pattern):
    """(exit code, number of tests run)"""
    command = ["ctest", "--test-dir", build.folder(preset), "-L", f"^{kind}$", "--output-on-failure",
               "--no-tests=ignore", "-j", "2"]
    command += ["-R", pattern] if pattern else []
    command += ["--verbose"] if kind == "sim" else []   # minutes in one test: it tells how far it is
    return watched(command, r"(\d+)% tests passed, (\d+) tests? failed out of (\d+)", 3,
                   env={**os.environ, **sanitizers.options(preset)})


def run_pytest(preset, _kind, pattern):
    command = [setup.TEST_PYTHON, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--tb=short",
               "--durations=10", "-n", "2", "--dist", "worksteal", os.path.join(ROOT, "tests", "integration")]
    command += ["-k", pattern] if pattern else []
    env = {**os.environ, **sanitizers.options(preset), "NIGHTJAR_PRESET": preset, "PYTHONUNBUFFERED": "1"}
    code, count = watched(command, r"(\d+) (?:passed|failed)", 1, env=env)
    return (0 if code == 5 else code), count   # 5: no test matched


def watched(command, pattern, group, **kwargs):
    """Runs the command, showing its output as it comes; also counts tests by its closing lines."""
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", cwd=ROOT, **kwargs) as runner:
        for line in runner.stdout:
            print(line, end="", flush=True)
            found = [int(match.group(group)) for match in re.finditer(pattern, line)]
            count = sum(found) or count
    return runner.returncode, count
