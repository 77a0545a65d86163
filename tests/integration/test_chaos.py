"""A short chaos with a fixed seed, the whole way through ./nj, and what is left when it is over."""

import os
import re

import pytest

from harness.stack import PRESET, nj, process

SECONDS = 20


@pytest.fixture
def chaos(tmp_path):
    """./nj chaos; its stacks are made below the test's folder."""
    def run(*args):
        return nj("chaos", "--preset", PRESET, *args, timeout=300, env={**os.environ, "TMPDIR": str(tmp_path)})
    return run


def below(folder):
    """Processes that were started for this folder and still run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and "pytest" not in line and process.start_ticks(int(pid)):
            found.append(line)
    return found


def test_a_short_chaos(chaos, tmp_path):
    done = chaos("--seconds", str(SECONDS), "--seed", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^seed +4$", done.stdout, re.M)
    for name in ("redis", "b1", "persister"):
        (kills, others) = re.search(rf"^{name} +(\d+) +(\d+) ", done.stdout, re.M).groups()
        assert int(kills) >= 2 and int(others) >= 0
    written, accepted = re.search(r"(\d+) written, (\d+) accepted", done.stdout).groups()
    assert written == accepted and int(accepted) > 1000
    assert "all promises held" in done.stdout
    assert not below(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("nightjar-chaos-")], "tidied up"


def test_chaos_over_several_brokers(chaos):
    done = chaos("--brokers", "3", "--seconds", str(SECONDS), "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("b1", "b2", "b3"):
        assert int(re.search(rf"^{name} +(\d+) ", done.stdout, re.M).group(1)) >= 2
    assert "all promises held" in done.stdout


@pytest.mark.parametrize("argv, word", [(["--seconds", "5"], "--seconds"), (["--seed", "x"], "--seed"),
                                        (["--brokers", "0"], "brokers")])
def test_bad_flags(chaos, argv, word):
    done = chaos(*argv)
    assert done.returncode == 2 and word in done.stderr
