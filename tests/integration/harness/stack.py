"""Stacks started with ./nj up, and what tests do to them."""

import os
import random
import signal
import subprocess

from harness import keys
from harness.proto import ROOT
from harness.waiting import PRESET, SLOWNESS, poll
from nj import cluster, probe, process, sanitizers, sentinel, stack as nj_stack

NJ = os.path.join(ROOT, "nj")
PARTITIONS = 64


def nj(*args, timeout=90, **kwargs):
    """Runs ./nj; returns the completed process with its output."""
    return subprocess.run([NJ, *args], capture_output=True, text=True, timeout=timeout * SLOWNESS, check=False,
                          stdin=subprocess.DEVNULL, **kwargs)


class Stack:
    """A stack in `folder`, signing with its own keys: HS256 first, ES256 and RS256 for the tests."""

    def __init__(self, folder, options=None, env=None, brokers=1, redis=None, store="rocksdb", persisters=1):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.keys = [keys.Key("k1", "HS256"), keys.Key("k2", "ES256"), keys.Key("k3", "RS256")]
        keys.write_key_file(os.path.join(self.folder, "keys.json"), self.keys)
        self.args = ["--dir", self.folder, "--preset", PRESET, "--brokers", str(brokers), "--redis", redis or os.environ.get("NIGHTJAR_REDIS", "one"),
                     "--store", store, "--persisters", str(persisters)]
        for name, value in (options or {}).items():
            self.args += ["--plugin-opt", f"{name}={value}"]
        for part, name, value in env or []:
            self.args += ["--env", f"{part}:{name}={value}"]
        self.inner = None

    def up(self):
        done = nj("up", *self.args)
        assert done.returncode == 0, f"./nj up: {done.stderr}"
        self.inner = nj_stack.Stack(self.folder)
        return self

    def down(self):
        done = nj("down", "--dir", self.folder)
        assert done.returncode == 0, f"./nj down: {done.stderr}"
        for entry in self.inner.processes if self.inner else ():
            assert not sanitizers.reports_in(entry["log"]), process.tail(entry["log"], 200)

    @property
    def broker(self):
        return self.inner.data["brokers"][0]

    @property
    def brokers(self):
        return [broker["id"] for broker in self.inner.data["brokers"]]

    def anywhere(self):
        """The stack as one sees it who connects to any broker, each time anew."""
        return Anywhere(self)

    def at(self, name):
        """The stack as a device sees it that connects to this broker."""
        return At(self, name)

    def token(self, uid, ttl=3600, **claims):
        return self.keys[0].sign(uid, ttl, **claims)

    def entry(self, name):
        return self.inner.process(name)

    def pid(self, name):
        return self.entry(name)["pid"]

    def kill(self, name):
        """kill -9, and back when it is gone."""
        entry = self.entry(name)
        assert process.send(entry, signal.SIGKILL), f"{name} does not run"
        assert process.wait_gone(entry, 10 * SLOWNESS), f"{name} survived SIGKILL"

    def stop(self, name, seconds=15):
        """SIGTERM, and back when it is gone."""
        assert process.stop(self.entry(name), seconds * SLOWNESS) == "stopped", f"{name} goes on after SIGTERM"

    def start(self, name):
        """As it was started before; returns at once."""
        self.inner.start(self.entry(name))

    def wait_healthy(self, name, seconds=30):
        poll(lambda: self.inner.health(self.entry(name)) is None, f"{name} to be healthy", seconds)

    def wait_started(self, name, seconds=30):
        """Until it answers by itself, whether or not the parts it needs are there."""
        if name == "redis":
            poll(lambda: probe.redis_ready(self.inner.data["redis"]["port"]), "Redis to answer", seconds)
        elif name != "persister":
            poll(lambda: self.inner.health(self.entry(name)) is None, "the broker to work", seconds)

    def restart(self, name):
        self.kill(name)
        self.start(name)
        self.wait_healthy(name)

    def pause(self, name):
        assert process.send(self.entry(name), signal.SIGSTOP)

    def resume(self, name):
        assert process.send(self.entry(name), signal.SIGCONT)

    def hang_up(self, name):
        """SIGHUP: read your files again."""
        assert process.send(self.entry(name), signal.SIGHUP)

    def wait_for_token(self, make, uid):
        """Until the broker takes a token that it did not know before."""
        def taken():
            try:
                probe.Mqtt(self.broker["mqtt"], uid, make()).close()
                return True
            except OSError:
                return False
        poll(taken, "the new key to be taken")

    def log(self, name):
        with open(self.entry(name)["log"], encoding="utf-8", errors="replace") as file:
            return file.read()

    def redis(self, *command, partition=0):
        """Asks the server that has the partition: several are there in a Cluster, and behind Sentinels."""
        return probe.redis(self.inner.master_port(partition), *command)

    def masters(self):
        """The ports of all servers that together are the hub."""
        redis = self.inner.data["redis"]
        return cluster.masters(redis["redis_ports"]) if redis["mode"] == "cluster" else [self.inner.master_port()]

    def flush(self):
        """The hub loses everything."""
        for port in self.masters():
            assert probe.redis(port, "FLUSHALL") == b"+OK"

    def wait_for_empty_journal(self, seconds=20):
        """The persister takes what is in the journal into the store, and only then out of Redis."""
        def left():
            return sum(int(self.redis("LLEN", f"journal:{{{p}}}", partition=p)[1:]) for p in range(PARTITIONS))
        poll(lambda: left() == 0, "the journal to be empty", seconds)

    def hub_servers(self):
        """The names of the servers that hold data: masters, and replicas if there are any."""
        return [entry["name"] for entry in self.inner.processes if entry["name"].startswith("redis")]

    def hub_processes(self):
        """How many processes the hub is, with replicas and Sentinels."""
        return sum(entry["name"].startswith(("redis", "sentinel")) for entry in self.inner.processes)

    def hub_options(self):
        """What a broker outside of the stack is told of where the hub is."""
        redis = self.inner.data["redis"]
        nodes = sentinel.addresses(redis.get("redis_ports") or [redis["port"]])
        return {"one": {"redis": nodes},
                "sentinel": {"redis": None, "redis_sentinels": sentinel.addresses(redis.get("sentinel_ports", [])),
                             "redis_master": sentinel.MASTER, "durability": "replica"},
                "cluster": {"redis": None, "redis_cluster": nodes, "durability": "replica"}}[redis["mode"]]


class At:
    """Everything of the stack, with another broker as the one to connect to."""

    def __init__(self, stack, name):
        self._stack = stack
        self._name = name

    def __getattr__(self, attribute):
        return getattr(self._stack, attribute)

    @property
    def broker(self):
        return self._stack.inner.broker(self._name)


class Anywhere(At):
    """Likewise, but any of them, chosen anew at every look."""

    def __init__(self, stack):
        super().__init__(stack, None)

    @property
    def broker(self):
        return random.choice(self._stack.inner.data["brokers"])
