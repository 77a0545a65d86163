"""A Redis Cluster whose masters go away, and whose slots move, in the middle of load: judged by nightjar-sim."""

import os
import subprocess
import time

import pytest

from harness.device import Device
from harness.mqtt import Refused
from harness.stack import probe
from harness.waiting import poll
from test_failover import Load, by_port, process_of, wait_for_load
from nj import cluster

PARTITION = 5
PARTITIONS = 64

thorough = pytest.mark.skipif(os.environ.get("NIGHTJAR_REDIS") != "cluster",
                              reason="takes a minute: ./nj test --only integration --redis cluster")


@pytest.fixture
def stack(own_stack):
    return own_stack(brokers=2, redis="cluster", options={"sends_per_s": 100_000, "sends_burst": 100_000})


def epoch(stack):
    return probe.redis_text(stack.inner.master_port(PARTITION), "HGET", f"hub:{{{PARTITION}}}", "epoch")


def epochs(stack):
    """Of all partitions."""
    return [probe.redis_text(stack.inner.master_port(p), "HGET", f"hub:{{{p}}}", "epoch") for p in range(PARTITIONS)]


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


@thorough
def test_a_master_takes_over_before_all_know_its_replica(stack):
    """Right after the Cluster has been made, its nodes do not yet name every replica when they are asked."""
    before = epochs(stack)
    load = Load(stack)
    for old in cluster.masters(stack.inner.data["redis"]["redis_ports"]):
        me = next(node["id"] for node in cluster.nodes(old) if "myself" in node["flags"])
        replica = next(node["port"] for node in cluster.nodes(old) if node["master"] == me)
        assert probe.redis(replica, "CLUSTER", "FAILOVER") == b"+OK"
        poll(lambda replica=replica: replica in cluster.masters([replica]), "the failover")
    code, out = load.result()
    assert code == 0, out
    assert epochs(stack) == before


@thorough
def test_a_master_stands_still_for_long(stack):
    before = epochs(stack)
    load = Load(stack, 30)
    wait_for_load(stack)
    old = stack.inner.master_port(PARTITION)
    stack.pause(by_port(stack, old)["name"])
    asked = [port for port in stack.inner.data["redis"]["redis_ports"] if port != old]
    poll(lambda: cluster.master_port(asked, PARTITION) not in (old, None), "the failover", 30)
    time.sleep(20)   # meanwhile the new master has no replica, and tells nobody anything
    stack.resume(by_port(stack, old)["name"])    # it wakes up as the master that it no longer is
    code, out = load.result()
    assert code == 0, out
    assert epochs(stack) == before


@thorough
def test_slots_are_moved_by_redis_cli(stack):
    """A sixth of a master's, to another one and back."""
    before = epochs(stack)
    load = Load(stack, 40)
    wait_for_load(stack)
    # By their slots: redis-cli takes the lowest, so on the way back the same ones.
    held = sorted((node["slots"], node["port"]) for node in cluster.nodes(stack.inner.master_port()) if node["slots"])
    first, second = (port for _, port in held[:2])
    ids = {port: probe.redis_text(port, "CLUSTER", "MYID") for port in (first, second)}
    at = [stack.inner.master_port(p) for p in range(PARTITIONS)]
    for source, target in ((first, second), (second, first)):
        done = subprocess.run(["redis-cli", "--cluster", "reshard", f"127.0.0.1:{first}", "--cluster-from", ids[source],
                               "--cluster-to", ids[target], "--cluster-slots", "900", "--cluster-yes"],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        now = [stack.inner.master_port(p) for p in range(PARTITIONS)]
        assert (now == at) == (target == first)
    code, out = load.result()
    assert code == 0, out
    assert epochs(stack) == before, "moved as they were"


@thorough
def test_cut_off_from_all_of_it_a_broker_lets_nobody_new_in(stack, user):
    """While some of it is there, it does."""
    a, b = user("a"), user("b")
    phone = Device(stack, a).online()
    servers = stack.hub_servers()
    old = stack.inner.master_port(PARTITION)
    stack.pause(by_port(stack, old)["name"])
    time.sleep(8)   # longer than a broker may be without all of it, and still let people in
    Device(stack, b).connect().close()
    for name in servers:
        stack.pause(name)

    def refused():
        try:
            Device(stack, b).connect().close()
        except (Refused, OSError):
            return True
        return False
    poll(refused, "nobody to be let in", 15)
    assert phone.connected
    for name in servers:
        stack.resume(name)
    poll(lambda: not refused(), "people to be let in", 30)
    phone.say_patiently(b, "hello")


def test_fsync_alone_is_refused_with_the_reason(stack):
    argv = process_of(stack, "persister")
    nodes = argv[argv.index("--redis-cluster") + 1]
    done = subprocess.run([argv[0], "--redis-cluster", nodes, "--durability", "fsync", "--store",
                           "rocksdb:" + stack.inner.path("x"), "--id", "p2"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and "a failover loses" in done.stderr + done.stdout
