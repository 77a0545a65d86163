"""A Redis Cluster whose masters go away, and whose slots move, in the middle of load: judged by nightjar-sim."""

import subprocess

import pytest

from harness.stack import probe
from harness.waiting import poll
from test_failover import Load, by_port, process_of, wait_for_load
from nj import cluster

PARTITION = 5


@pytest.fixture
def stack(own_stack):
    return own_stack(brokers=2, redis="cluster", options={"sends_per_s": 100_000, "sends_burst": 100_000})


def epoch(stack):
    return probe.redis_text(stack.inner.master_port(PARTITION), "HGET", f"hub:{{{PARTITION}}}", "epoch")


def failed_over(stack, old):
    poll(lambda: stack.inner.master_port(PARTITION) not in (old, None), "the failover", 30)


def test_a_master_that_is_killed_is_replaced(stack):
    before = epoch(stack)
    load = Load(stack)
    wait_for_load(stack)
    old = stack.inner.master_port(PARTITION)
    name = by_port(stack, old)["name"]
    stack.kill(name)
    failed_over(stack, old)
    stack.start(name)    # as a replica: alone, the new master takes nothing
    code, out = load.result()
    assert code == 0, out
    assert epoch(stack) == before, "complete, so nobody starts anew"


def test_a_slot_moves(stack):
    load = Load(stack)
    wait_for_load(stack)
    before = epoch(stack)
    slot = str(cluster.slot_of(PARTITION))
    source = stack.inner.master_port(PARTITION)
    target = next(port for port in (stack.inner.master_port(p) for p in range(64)) if port != source)
    ids = {port: probe.redis_text(port, "CLUSTER", "MYID") for port in (source, target)}
    said = [probe.redis(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]),
            probe.redis(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])]
    while left := probe.redis_list(source, "CLUSTER", "GETKEYSINSLOT", slot, "1000"):
        said += [probe.redis(source, "MIGRATE", "127.0.0.1", str(target), key.decode(), "0", "5000") for key in left]
    said += [probe.redis(port, "CLUSTER", "SETSLOT", slot, "NODE", ids[target]) for port in (target, source)]
    assert set(said) == {b"+OK"}
    code, out = load.result()
    assert code == 0, out
    assert stack.inner.master_port(PARTITION) == target
    assert epoch(stack) == before, "moved as it was"


def test_fsync_alone_is_refused_with_the_reason(stack):
    argv = process_of(stack, "persister")
    nodes = argv[argv.index("--redis-cluster") + 1]
    done = subprocess.run([argv[0], "--redis-cluster", nodes, "--durability", "fsync", "--store",
                           "rocksdb:" + stack.inner.path("x"), "--id", "p2"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and "a failover loses" in done.stderr + done.stdout
