"""The master of Redis goes away in the middle of load, and Sentinel promotes another: judged by nightjar-sim."""

import os
import re
import signal
import subprocess
import time

import pytest

from harness.proto import ROOT
from harness.stack import PRESET, probe, process
from harness.waiting import poll
from nj import sentinel

SIM = os.path.join(ROOT, "build", PRESET, "client-sim", "nightjar-sim")
SECONDS = 15


class Load:
    """People chat on the stack for so long, in the background."""

    def __init__(self, stack, seconds=SECONDS):
        self.seconds = seconds
        self.process = subprocess.Popen(
            [SIM, "load", "--stack", stack.inner.path("stack.json"), "--users", "40", "--groups", "4",
             "--group-share", "0.3", "--rate", "100", "--seconds", str(seconds), "--drain", "40", "--seed", "7"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)

    def result(self):
        out, _ = self.process.communicate(timeout=self.seconds + 120)
        return self.process.returncode, out


def by_port(stack, port):
    """The entry of the process on this port."""
    return next(entry for entry in stack.inner.processes if stack.inner.redis_port(entry["name"]) == port)


def hub(stack, field, port=None):
    """A field of the key `hub`, asked of the master."""
    return probe.redis_text(port or stack.inner.master_port(), "HGET", "hub:{0}", field)


def wait_for_load(stack):
    """Until messages flow."""
    def lengths():
        return int(probe.redis(stack.inner.master_port(), "DBSIZE")[1:])
    poll(lambda: lengths() > 50, "the load to begin", 20)


def failed_over(stack, old):
    poll(lambda: stack.inner.master_port() != old, "the failover", 30)


@pytest.fixture
def stack(own_stack):
    return own_stack(brokers=2, redis="sentinel", options={"sends_per_s": 100_000, "sends_burst": 100_000})


def by_order(stack, _old):
    assert probe.redis(stack.inner.data["redis"]["sentinel_ports"][0], "SENTINEL", "FAILOVER", sentinel.MASTER) == b"+OK"


def kill(stack, old):
    stack.kill(by_port(stack, old)["name"])


def pause(stack, old):
    stack.pause(by_port(stack, old)["name"])


@pytest.mark.parametrize("how", [by_order, kill, pause])
def test_the_master_goes_under_load(stack, how):
    epoch = hub(stack, "epoch")
    load = Load(stack)
    wait_for_load(stack)
    old = stack.inner.master_port()
    how(stack, old)
    failed_over(stack, old)
    if how is pause:
        stack.resume(by_port(stack, old)["name"])    # it wakes up as the master that it no longer is
    code, out = load.result()
    assert code == 0, out
    assert hub(stack, "epoch") == epoch, "complete, so nobody starts anew"


def test_without_replicas_nothing_is_accepted_and_nothing_is_lost(stack):
    load = Load(stack)
    wait_for_load(stack)
    master = stack.inner.master_port()
    replicas = [entry["name"] for entry in stack.inner.processes
                if entry["name"].startswith("redis") and stack.inner.redis_port(entry["name"]) != master]
    for name in replicas:
        stack.kill(name)
    # For longer than a call waits: some are refused for now, and sent again.
    time.sleep(11)
    for name in replicas:
        stack.start(name)
    code, out = load.result()
    assert code == 0, out


def test_one_replica_less_is_hardly_noticed(stack):
    load = Load(stack)
    wait_for_load(stack)
    master = stack.inner.master_port()
    name = next(entry["name"] for entry in stack.inner.processes
                if entry["name"].startswith("redis") and stack.inner.redis_port(entry["name"]) != master)
    stack.kill(name)
    code, out = load.result()
    assert code == 0, out
    assert "unavailable" not in out.lower(), out


def test_fsync_alone_is_refused_with_the_reason(stack):
    done = subprocess.run([process_of(stack, "persister")[0], "--redis-sentinels", "127.0.0.1:1", "--durability", "fsync",
                           "--data", stack.inner.path("x")], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "a failover loses" in done.stderr


def process_of(stack, name):
    return stack.entry(name)["argv"]
