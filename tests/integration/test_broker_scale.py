"""Big groups and storms over several brokers. Figures are printed (pytest -s); what is asserted is
loose enough for a busy machine."""

import json
import os
import subprocess

from harness.device import Device
from test_broker_failures import SIM

LOAD = {"sends_per_s": 100_000, "sends_burst": 100_000}


def start(stack, report, *args):
    return subprocess.Popen(
        [SIM, "load", "--stack", os.path.join(stack.folder, "stack.json"), "--quiet", "--json", report, *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


def finish(running, report):
    output = running.communicate(timeout=240)[0]
    with open(report, encoding="utf-8") as file:
        shown = json.load(file)
    assert running.returncode == 0, (output, shown["troubles"], shown["judge"]["violations"])
    return shown


def p99(shown, which="received"):
    return max(phase[which]["p99_ms"] for phase in shown["phases"] if phase[which]["count"])


PAIRS = ["--profile", "pairs", "--users", "100", "--rate", "100", "--warm-up", "2", "--seconds", "12"]


def test_a_group_of_1000_does_not_disturb_others(own_stack, tmp_path):
    stack = own_stack(options=LOAD, brokers=3)
    quiet = finish(start(stack, str(tmp_path / "quiet.json"), *PAIRS), tmp_path / "quiet.json")
    big = start(stack, str(tmp_path / "big.json"), "--profile", "big-group", "--rate", "1", "--seconds", "25")
    busy = finish(start(stack, str(tmp_path / "busy.json"), *PAIRS), tmp_path / "busy.json")
    group = finish(big, tmp_path / "big.json")
    print(f"\npairs alone: p99 {p99(quiet):.1f} ms; beside a group of 1,000: {p99(busy):.1f} ms; "
          f"in the group: {p99(group):.1f} ms")
    assert p99(busy) < max(10 * p99(quiet), 300)


def test_a_storm(own_stack, tmp_path, user):
    """Thousands of connections are cut at once, and again: everybody is back and has everything."""
    stack = own_stack(options=LOAD, brokers=3)
    shown = finish(start(stack, str(tmp_path / "storm.json"), "--profile", "storm", "--users", "2000", "--rate", "100",
                         "--storm-every", "10", "--seconds", "12"), tmp_path / "storm.json")
    lost = sum(phase["counts"]["others"].get("lines_lost", 0) for phase in shown["phases"])
    low = min(second["connected"] for second in shown["series"])
    print(f"\nlines lost {lost}, fewest connected {low}, p99 {p99(shown):.0f} ms")
    assert lost >= 2000
    assert Device(stack.at("b2"), user()).online().connected
