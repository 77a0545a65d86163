"""./nj fmt and ./nj lint: clang-format, clang-tidy, and the rules of the house that grep can hold."""

import os
import re
import subprocess
import sys

from nj import build, setup
from nj.common import ROOT, Failed, read_text, run, say

MOST_LINES = 600
CODE = (".cc", ".h", ".lua", ".py", ".js", ".proto", ".cmake")
CPP = (".cc", ".h")
# Time is handed to the core, and it does no I/O (docs/architecture.md).
CLOCKS = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)\b|\bclock_gettime\b|"
                    r"\bgettimeofday\b|\btime\s*\(\s*(?:NULL|nullptr|0)\s*\)|\bsleep_for\b|\bstd::thread\b")


def git(*args):
    shown = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        raise Failed(f"git {args[0]}: {shown.stderr.strip()}")
    return shown.stdout.splitlines()


def sources(suffixes):
    listed = git("ls-files", "--cached", "--others", "--exclude-standard")
    return sorted(path for path in set(listed)
                  if path.endswith(suffixes) and os.path.exists(os.path.join(ROOT, path)))


def fmt(args):
    setup.setup(clang=True)
    paths = sources(CPP)
    if not args.all and not args.check:
        changed = set(git("diff", "--name-only", "HEAD")) | set(git("ls-files", "-o", "--exclude-standard"))
        paths = [path for path in paths if path in changed]
    if not paths:
        say("fmt: no source differs from the last commit (--all formats everything)")
        return 0
    command = ["clang-format-14", *(["--dry-run", "-Werror"] if args.check else ["-i"]), *paths]
    run(command, "clang-format", cwd=ROOT)
    say(f"fmt: {len(paths)} files")
    return 0


def lint(args):
    problems = house_rules()
    for problem in problems:
        print(problem)
    failed = bool(problems)
    if not args.fast:
        setup.setup(clang=True)
        if not os.path.exists(os.path.join(build.folder(args.preset), "compile_commands.json")):
            build.build(args.preset)   # the protobuf headers are generated
        failed = tidy(args.preset) or failed
    say("lint: " + ("there is something to do" if failed else "clean"))
    return 1 if failed else 0


def house_rules():
    problems = []
    for path in sources(CODE):
        lines = read_text(os.path.join(ROOT, path)).splitlines()
        if len(lines) > MOST_LINES:
            problems.append(f"{path}: {len(lines)} lines; {MOST_LINES} is the most")
        if path.startswith("plugin/core/"):
            problems += [f"{path}:{number}: the core has no clock and no threads of its own: {line.strip()}"
                         for number, line in enumerate(lines, 1)
                         if CLOCKS.search(line.partition("//")[0])]
        if path.endswith(".py"):
            try:
                compile("\n".join(lines) + "\n", path, "exec")
            except SyntaxError as error:
                problems.append(f"{path}:{error.lineno}: {error.msg}")
    return problems


def tidy(preset):
    """True if clang-tidy has something to say. Two files at a time."""
    paths = [path for path in sources((".cc",)) if not path.startswith("tests/fuzz/")]
    say(f"lint: clang-tidy over {len(paths)} files")
    if not paths:
        return False
    command = ["xargs", "-0", "-P", "2", "-n", "4", "clang-tidy-14", "--quiet", "-p", build.folder(preset)]
    shown = subprocess.run(command, input="\0".join(paths), text=True, cwd=ROOT, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    sys.stdout.write(shown.stdout)
    return shown.returncode != 0
