"""A stack: Redis, Mosquitto with the plugin, and the persister, on 127.0.0.1, in one folder.

stack.json in the folder says what runs where. It is written as the parts start, so that ./nj down
finds them whatever happens to ./nj up.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from nj import build, cluster, files, hbase, jwt, ports, probe, process, sanitizers, sentinel
from nj.common import Failed, exit_text, read_text, say, write_file

READY_SECONDS = 30      # for one part to come up
STOP_SECONDS = 15       # for one part to end by itself; HBase takes longer (hbase.py)
REDIS_MODES = ("one", "sentinel", "cluster")


class Stack:
    """What stack.json holds. Changes are written at once."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.data = None
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.data = json.loads(read_text(self.path("stack.json")))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def save(self):
        write_file(self.path("stack.json"), json.dumps(self.data, indent=2) + "\n", mode=0o600)

    @property
    def processes(self):
        return self.data["processes"] if self.data else []

    def process(self, name):
        return next(entry for entry in self.processes if entry["name"] == name)

    def broker(self, name):
        return next(broker for broker in self.data["brokers"] if broker["id"] == name)

    def start(self, entry):
        """Starts a process, for the first time or again, and notes its pid everywhere."""
        with process.uninterrupted():
            process.spawn(entry)
            if entry not in self.processes:
                self.processes.append(entry)
        name = entry["name"]
        parts = {"redis": self.data["redis"], "persister": self.data["persister"],
                 **{broker["id"]: broker for broker in self.data["brokers"]}}
        if name in parts:
            parts[name]["pid"] = entry["pid"]
        self.save()

    def redis_port(self, name):
        """Of a Redis or a Sentinel; None for other processes."""
        redis = self.data["redis"]
        if name == "redis":
            return redis["port"]
        for kind, ports_ in (("redis", redis.get("redis_ports", [])), ("sentinel", redis.get("sentinel_ports", []))):
            number = name.removeprefix(kind)
            if number != name and number.isdigit() and int(number) <= len(ports_):
                return ports_[int(number) - 1]
        return None

    def master_port(self, partition=0):
        """Where the hub is; in a Cluster, where it has this partition."""
        redis = self.data["redis"]
        if redis.get("mode") == "cluster":
            return cluster.master_port(redis["redis_ports"], partition) or redis["port"]
        return sentinel.master_port(redis.get("sentinel_ports", [])) or redis["port"]

    def token(self, uid=probe.PROBE_UID, **kwargs):
        return jwt.sign(self.path("keys.json"), uid, **kwargs)

    def health(self, entry):
        """None if the process runs and does its work, else what is wrong."""
        if not process.running(entry):
            return "not running"
        name = entry["name"]
        port = self.redis_port(name)
        if port:
            return None if probe.redis_ready(port) else "no answer to PING"
        if name.startswith("persister"):
            return self.unanswered()
        if name == "hbase":
            return hbase.accepts(self.data["hbase"]["master"])
        if name == "thrift":
            return hbase.answers(self.data["hbase"]["thrift"])
        return probe.broker(self.broker(name)["mqtt"], self.token())

    def unanswered(self):
        """None if the persister answers reads through every broker that runs."""
        for broker in self.data["brokers"]:
            if not process.running(self.process(broker["id"])):
                continue
            why = probe.history(broker["mqtt"], self.token())
            if why is not None:
                return f"through {broker['id']}: {why}" if len(self.data["brokers"]) > 1 else why
        return None


@contextlib.contextmanager
def locked(folder):
    """One nj at a time starts or stops a stack."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"nj: another nj is busy with {folder}; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def need(command):
    found = shutil.which(command, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    if not found:
        raise Failed(f"{command} is not installed: ./nj setup does it")
    return found


def mosquitto_binary():
    return os.path.abspath(os.environ["NIGHTJAR_MOSQUITTO"]) if os.environ.get("NIGHTJAR_MOSQUITTO") \
        else need("mosquitto")


def mosquitto_version(binary):
    try:
        shown = subprocess.run([binary, "-h"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise Failed(f"{binary}: {error.strerror}") from None
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", shown)
    return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def up(args):
    """Starts a stack, or says that it is up. Returns (stack, started by this call)."""
    folder = os.path.abspath(args.dir)
    with locked(folder):
        stack = Stack(folder)
        alive = [entry for entry in stack.processes if process.running(entry)]
        if alive:
            wrong = [f"{entry['name']}: {why}" for entry in stack.processes
                     if (why := stack.health(entry))]
            if wrong:
                raise Failed(f"a stack is up in {folder}, but {'; '.join(wrong)} (./nj down, then up)")
            return stack, False
        try:
            start_all(stack, args)
        except BaseException:
            say("nj: stopping what was started")
            stop_all(stack, quiet=True)
            raise
        return stack, True


def start_all(stack, args):
    if args.persisters > 1 and args.store != "hbase":
        raise Failed("a RocksDB store belongs to one persister: --persisters N needs --store hbase", code=2)
    plugin = build.program(args.preset, "plugin/nightjar_plugin.so", "plugin/*.so")
    persister = build.program(args.preset, "persister/nightjar-persister")
    redis, mosquitto = need("redis-server"), mosquitto_binary()
    for name in ("log", "redis", "store"):
        os.makedirs(stack.path(name), mode=0o700, exist_ok=True)
    keys = stack.path("keys.json")
    jwt.make_key_file(keys)
    if args.store == "hbase":
        hbase.ready_to_run()

    before = stack.data or {"brokers": [], "redis": {}}
    reserved = ports.Reserved()
    try:
        brokers = place_brokers(stack, args, before["brokers"], reserved)
        hub = place_redis(stack, args, before["redis"], reserved)
        store = place_store(stack, args, before.get("hbase", {}), reserved)
        for broker in brokers:
            options = {**hub["plugin"], "key_file": keys, "broker_id": broker["id"],
                       "wake_socket": broker["unix"], **dict(args.plugin_opt)}
            files.mosquitto_conf(stack.path(f"{broker['id']}.conf"), broker["mqtt"], broker["ws"], broker["unix"],
                                 plugin, options, mosquitto_version(mosquitto))
    finally:
        reserved.release()

    stack.data = {
        "brokers": brokers,
        "redis": {"host": "127.0.0.1", "port": hub["servers"][0][1], "pid": 0, "mode": args.redis,
                  **hub["ports"]},
        "persister": {"pid": 0},
        "key_file": keys, "preset": args.preset, "store": args.store, "processes": [],
        "hbase": store["ports"],
    }

    def entry(name, argv, log, env=None):
        extra = dict(env or {})
        for _, key, value in (item for item in args.env if item[0] == name):
            extra[key] = f"{extra[key]}:{value}" if key == "LD_PRELOAD" and key in extra else value
        return {"name": name, "pid": 0, "start": 0, "argv": argv, "cwd": stack.folder,
                "env": process.environment(extra), "log": stack.path("log", log)}

    for name, argv, _ in store["servers"]:    # they take longest: waited for when the others are there
        stack.start(entry(name, argv, f"{name}.log"))
    of_redis = [(name, port, []) for name, port in hub["servers"]]
    of_redis += [(name, port, ["--sentinel"]) for name, port in hub["sentinels"]]
    for name, port, more in of_redis:
        begin(stack, entry(name, [redis, stack.path(f"{name}.conf"), *more], f"{name}.log"),
              hub["agreed"] if name == of_redis[-1][0] and hub["agreed"] else
              lambda port=port: None if probe.redis_ready(port) else "no answer to PING")
    for broker in brokers:
        name = broker["id"]
        begin(stack, entry(name, [mosquitto, "-c", stack.path(f"{name}.conf")], f"{name}.log",
                           sanitizers.preloaded(args.preset, leaks=False)),
              lambda port=broker["mqtt"]: probe.broker(port, stack.token()))
    for name, _, why_not in store["servers"]:
        await_ready(stack.process(name), why_not, hbase.READY_SECONDS)
    addresses = [word for broker in brokers for word in ("--broker", f"127.0.0.1:{broker['mqtt']}")]
    for number in range(1, args.persisters + 1):
        name = "persister" if number == 1 else f"persister{number}"
        begin(stack, entry(name, [
            persister, *hub["persister"], *addresses,
            "--key-file", keys, *store["persister"], "--id", f"p{number}"], f"{name}.log",
                           sanitizers.preloaded(args.preset, leaks=True)), stack.unanswered,
              hbase.READY_SECONDS if store["servers"] else READY_SECONDS)   # it makes the tables


def place_redis(stack, args, before, reserved):
    """Where Redis is to be, with its configuration written, and how brokers and persister are told."""
    if args.redis == "sentinel":
        placed = sentinel.place(before, reserved)
        sentinel.write(stack, placed, args.redis_memory)
        asked = sentinel.addresses(placed["sentinels"])
        return {"agreed": lambda: sentinel.agreed(placed), "servers": sentinel.servers(placed), "sentinels": sentinel.sentinels(placed),
                "ports": {"redis_ports": placed["redis"], "sentinel_ports": placed["sentinels"]},
                "plugin": {"redis_sentinels": asked, "redis_master": sentinel.MASTER, "durability": "replica"},
                "persister": ["--redis-sentinels", asked, "--redis-master", sentinel.MASTER,
                              "--durability", "replica"]}
    if args.redis == "cluster":
        placed = cluster.place(before, reserved)
        cluster.write(stack, placed, args.redis_memory)
        nodes = sentinel.addresses(placed["redis"])
        return {"agreed": lambda: cluster.formed(placed), "servers": cluster.servers(placed), "sentinels": [],
                "ports": {"redis_ports": placed["redis"], "bus_ports": placed["bus"]},
                "plugin": {"redis_cluster": nodes, "durability": "replica"},
                "persister": ["--redis-cluster", nodes, "--durability", "replica"]}
    port = reserved.prefer(before.get("port"))
    files.redis_conf(stack.path("redis.conf"), port, stack.path("redis"), args.redis_memory)
    return {"agreed": None, "servers": [("redis", port)], "sentinels": [], "ports": {}, "plugin": {"redis": f"127.0.0.1:{port}"},
            "persister": ["--redis", f"127.0.0.1:{port}"]}


def place_store(stack, args, before, reserved):
    """Where HBase is to be, if there is one, and how the persister is told where to store."""
    if args.store != "hbase":
        return {"servers": [], "ports": {}, "persister": ["--data", stack.path("store")]}
    placed = hbase.place(before, reserved, ["thrift"])
    folder = stack.path("store")
    hbase.write(folder, placed)
    return {"servers": [("hbase", hbase.server(folder), lambda: hbase.accepts(placed["master"])),
                        ("thrift", hbase.thrift(folder, placed), lambda: hbase.answers(placed["thrift"]))],
            "ports": placed,
            "persister": ["--store", f"hbase:127.0.0.1:{placed['thrift']}", "--hbase-regions", "4"]}


def place_brokers(stack, args, before, reserved):
    """b1, b2, ... with ports of their own: from --port (--ws-port) upwards, or where they were before."""
    sockets = files.socket_folder(stack.folder, lambda: tempfile.mkdtemp(prefix="nightjar-"))

    def port(wanted, number, kind):
        if wanted:
            return reserved.take(wanted + number)
        return reserved.prefer(before[number].get(kind) if number < len(before) else None)

    return [{"id": f"b{number + 1}", "host": "127.0.0.1", "mqtt": port(args.port, number, "mqtt"),
             "ws": port(args.ws_port, number, "ws"), "unix": os.path.join(sockets, f"b{number + 1}.sock"), "pid": 0}
            for number in range(args.brokers)]


def begin(stack, entry, why_not, seconds=READY_SECONDS):
    """Starts one part and returns once it is ready."""
    stack.start(entry)
    await_ready(entry, why_not, seconds * sanitizers.slowness(stack.data["preset"]))


def await_ready(entry, why_not, seconds):
    started = time.monotonic()
    wait_ready(entry, why_not, seconds)
    say(f"up: {entry['name']} ready after {time.monotonic() - started:.1f} s (pid {entry['pid']})")


def wait_ready(entry, why_not, seconds):
    """Until `why_not()` is None. Failed, with the log's end, if the process ends or takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        reason = why_not()
        if not process.running(entry):
            code = process.exit_code(entry)
            ended = f" ({exit_text(code)})" if code is not None else ""
            raise Failed(f"{entry['name']} did not start: it ended{ended}", process.tail(entry["log"]))
        if reason is None:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{entry['name']} was not ready within {seconds} s: {reason}",
                         process.tail(entry["log"]))
        time.sleep(0.02)


def down(folder):
    """Stops whatever of the stack runs. The data stays, and a later up goes on with it."""
    folder = os.path.abspath(folder)
    if not os.path.exists(os.path.join(folder, "stack.json")):
        return False
    with locked(folder):
        stack = Stack(folder)
        return stop_all(stack)


def stop_all(stack, quiet=False):
    """Brokers first, so that nothing new is accepted; the persister may then still empty the journal
    (what it does not stays in Redis's log); Redis last, and HBase with it."""
    any_ran = False
    slowness = sanitizers.slowness((stack.data or {}).get("preset"))
    hub = [entry for entry in stack.processes if entry["name"].startswith(("redis", "sentinel"))]
    persister = [entry for entry in stack.processes if entry["name"].startswith("persister")]
    store = [entry for entry in stack.processes if entry["name"] in ("thrift", "hbase")]
    for part in ([entry for entry in stack.processes if entry not in hub + persister + store], persister,
                 [entry for entry in store if entry["name"] == "thrift"],
                 [entry for entry in store if entry["name"] == "hbase"],
                 [entry for entry in hub if entry["name"].startswith("sentinel")],
                 [entry for entry in hub if entry["name"].startswith("redis")]):
        seconds = slowness * (hbase.STOP_SECONDS if part and part[0] in store else STOP_SECONDS)
        for entry, how in zip(part, process.stop_at_once(part, seconds)):
            any_ran = any_ran or how != "gone"
            if how == "killed":
                say(f"down: {entry['name']} did not end within {seconds} s and was killed")
            elif how == "stopped" and not quiet:
                say(f"down: {entry['name']} stopped")
    for broker in stack.data["brokers"] if stack.data else []:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(broker["unix"])
        if os.path.dirname(broker["unix"]) != stack.folder:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(broker["unix"]))
    return any_ran
