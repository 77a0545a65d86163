"""A Redis Cluster: three masters with a replica each, which takes over when its master is gone.

The processes are redis, redis2 and redis3 (which begin as the masters) and redis4, redis5 and redis6. Who is what
changes with failovers; each node keeps it in its nodes.conf, so that a later up finds things as they were.
"""

import binascii
import os

from nj import files, probe

MASTERS, REPLICAS = 3, 3
SLOTS = 16384
NODE_TIMEOUT_MS = 2000   # how long a node is silent before the others think it gone


def place(before, reserved):
    """Ports, as before if they are free. Those of the nodes among themselves are their own, too: the usual ones,
    10000 above, may be anybody's."""
    def some(kind):
        had = before.get(kind) or []
        return [reserved.prefer(had[number] if number < len(had) else None) for number in range(MASTERS + REPLICAS)]

    return {"redis": some("redis_ports"), "bus": some("bus_ports")}


def servers(placed):
    return [("redis" if number == 0 else f"redis{number + 1}", port) for number, port in enumerate(placed["redis"])]


def write(stack, placed, memory):
    for (name, port), bus in zip(servers(placed), placed["bus"]):
        os.makedirs(stack.path(name), mode=0o700, exist_ok=True)
        files.redis_conf(stack.path(f"{name}.conf"), port, stack.path(name), memory, [
            "cluster-enabled yes", "cluster-config-file nodes.conf", f"cluster-port {bus}",
            f"cluster-node-timeout {NODE_TIMEOUT_MS}",
            "cluster-require-full-coverage no",      # what is gone stops only what was there
            "cluster-replica-validity-factor 0", "cluster-allow-replica-migration no", "repl-diskless-sync-delay 0"])


def nodes(port):
    """What the node on this port knows of the Cluster: of each node id, port, flags, the master's id, slots as
    (first, last). OSError if it does not answer."""
    found = []
    for line in probe.redis_text(port, "CLUSTER", "NODES").splitlines():
        words = line.split()
        spans = [tuple(int(end) for end in word.split("-")) for word in words[8:] if not word.startswith("[")]
        found.append({"id": words[0], "port": int(words[1].split("@")[0].rsplit(":", 1)[1]),
                      "flags": words[2].split(","), "master": words[3], "slots": [(s[0], s[-1]) for s in spans]})
    return found


def formed(placed):
    """None once the Cluster stands and replicas have what their masters have. Does what it still takes to get there:
    also for one whose nodes came back on other ports."""
    ports = placed["redis"]
    try:
        views = {port: nodes(port) for port in ports}
    except OSError as error:
        return str(error)
    known = {port: {node["port"] for node in view if not {"handshake", "noaddr"} & set(node["flags"])}
             for port, view in views.items()}
    if any(ports_ != set(ports) for ports_ in known.values()):
        for port, bus in zip(ports[1:], placed["bus"][1:]):
            if port not in known[ports[0]]:
                probe.redis(ports[0], "CLUSTER", "MEET", "127.0.0.1", str(port), str(bus))
        return "the nodes do not know each other yet"
    me = {port: next(node for node in view if "myself" in node["flags"]) for port, view in views.items()}
    if not any(node["slots"] for node in me.values()):
        for number, port in enumerate(ports[:MASTERS]):
            first, end = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS
            probe.redis(port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
        return "the slots are being dealt out"
    return led(me) or agreed(ports, views)


def led(me):
    """None once every node without slots follows a master; makes those that do not."""
    alone = [node for node in me.values() if node["slots"]
             and not any(other["master"] == node["id"] for other in me.values())]
    for port, node in me.items():
        if "master" in node["flags"] and not node["slots"] and alone:
            probe.redis(port, "CLUSTER", "REPLICATE", alone.pop(0)["id"])
            return "the replicas are being told whom to follow"
    return None


def agreed(ports, views):
    def held(view):
        return {slot["port"]: slot["slots"] for slot in view if slot["slots"]}
    if any(held(view) != held(views[ports[0]]) for view in views.values()):
        return "the nodes do not agree on who has which slots"
    if sum(end - first + 1 for spans in held(views[ports[0]]).values() for first, end in spans) != SLOTS:
        return "slots are not served"
    try:
        for port in ports:
            if "cluster_state:ok" not in (probe.redis_text(port, "CLUSTER", "INFO") or ""):
                return "the Cluster is not ready"
        for port in held(views[ports[0]]):
            if probe.redis(port, "WAIT", "1", "100") != b":1":
                return "a replica does not follow"
    except OSError as error:
        return str(error)
    return None


def slot_of(partition):
    """That of every key with the tag {partition}."""
    return binascii.crc_hqx(str(partition).encode(), 0) % SLOTS


def master_port(ports, partition=0):
    """Where the nodes say the partition is: the first that answers. None: nobody knows."""
    slot = slot_of(partition)
    for port in ports:
        try:
            view = nodes(port)
        except OSError:
            continue
        for node in view:
            if any(first <= slot <= last for first, last in node["slots"]):
                return node["port"]
    return None


def masters(ports):
    """Ports of the masters, as the first node says that answers."""
    for port in ports:
        try:
            return [node["port"] for node in nodes(port) if node["slots"] and "fail" not in node["flags"]]
        except OSError:
            continue
    return []
