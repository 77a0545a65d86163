"""A Redis that fails over: a master, two replicas, and three Sentinels that agree who is the master.

The processes are redis (which begins as the master), redis2, redis3, sentinel1, sentinel2 and sentinel3. After a
failover another one is the master; each writes into its own configuration what it is, so that a later up finds
things as they were.
"""

import os

from nj import files, probe
from nj.common import write_file

MASTER = "nightjar"      # the master's name among the Sentinels; also the plugin's default
REPLICAS, SENTINELS = 2, 3
DOWN_AFTER_MS = 1000     # how long a master is silent before a Sentinel thinks it gone


def place(before, reserved):
    """Ports, as before if they are free."""
    def some(kind, count, first=None):
        had = before.get(kind) or []
        taken = [first] if first else []
        while len(taken) < count:
            number = len(taken)
            taken.append(reserved.prefer(had[number] if number < len(had) else None))
        return taken

    return {"redis": some("redis_ports", 1 + REPLICAS, reserved.prefer(before.get("port"))),
            "sentinels": some("sentinel_ports", SENTINELS)}


def servers(placed):
    return list(zip(("redis", "redis2", "redis3"), placed["redis"]))


def sentinels(placed):
    return [(f"sentinel{number}", port) for number, port in enumerate(placed["sentinels"], 1)]


def write(stack, placed, memory):
    """The configurations. Those of an earlier up on the same ports stay: they know who is the master."""
    master = placed["redis"][0]
    for name, port in servers(placed):
        path = stack.path(f"{name}.conf")
        os.makedirs(stack.path(name), mode=0o700, exist_ok=True)
        if kept(path, port):
            continue
        files.redis_conf(path, port, stack.path(name), memory, [
            "repl-diskless-sync-delay 0", *([f"replicaof 127.0.0.1 {master}"] if port != master else [])])
    for name, port in sentinels(placed):
        path = stack.path(f"{name}.conf")
        os.makedirs(stack.path(name), mode=0o700, exist_ok=True)
        if not kept(path, port):
            write_file(path, "\n".join([
                "# Written by ./nj up; the Sentinel writes into it what it learns.",
                "bind 127.0.0.1", f"port {port}", f'dir "{stack.path(name)}"', "daemonize no",
                f"sentinel monitor {MASTER} 127.0.0.1 {master} {SENTINELS // 2 + 1}",
                f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
                f"sentinel failover-timeout {MASTER} 10000", f"sentinel parallel-syncs {MASTER} 1"]) + "\n", mode=0o600)


def kept(path, port):
    try:
        with open(path, encoding="utf-8") as file:
            return f"port {port}\n" in file.read()
    except FileNotFoundError:
        return False


def addresses(ports):
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def master_port(ports):
    """Where the Sentinels on these ports say the master is: the first that answers. None: nobody knows."""
    for port in ports:
        try:
            answer = probe.redis_list(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        except OSError:
            continue
        if answer:
            return int(answer[1])
    return None


def agreed(placed):
    """None once every Sentinel knows of all the replicas and of the others, and the replicas have the master's data:
    before, a failover would find nobody to promote."""
    for name, port in sentinels(placed):
        try:
            fields = probe.redis_list(port, "SENTINEL", "MASTER", MASTER)
        except OSError as error:
            return f"{name}: {error}"
        state = dict(zip(fields[::2], fields[1::2]))
        if state.get(b"num-slaves") != b"%d" % REPLICAS or state.get(b"num-other-sentinels") != b"%d" % (SENTINELS - 1):
            return f"{name} does not know of all the others"
    master = master_port(placed["sentinels"])
    try:
        linked = probe.redis(master, "WAIT", str(REPLICAS), "100") == b":%d" % REPLICAS
    except OSError as error:
        return str(error)
    return None if linked else "the replicas do not follow"
