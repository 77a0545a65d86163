"""Starting wrongly: one clear line, and no half-working broker (issue 3, point 7)."""

import os
import subprocess

import pytest

from harness.broker import Broker, OldRedis
from harness.device import Device
from harness.stack import process
from harness.waiting import SLOWNESS, poll
from nj import files, ports, probe


@pytest.fixture
def start(tmp_path, stack):
    """A function that starts a broker; by default against the shared stack's Redis port."""
    made = []

    def run(redis_port=None, **options):
        made.append(Broker(tmp_path, redis_port or stack.inner.data["redis"]["port"], options))
        return made[-1]

    yield run
    for broker in made:
        broker.close()


@pytest.fixture
def plain_redis(tmp_path):
    """A function that starts a Redis with other settings; its port."""
    made = []

    def run(*settings):
        reserved = ports.Reserved()
        port = reserved.take()
        reserved.release()
        folder = tmp_path / "redis"
        folder.mkdir()
        entry = {"name": "redis", "cwd": str(folder), "log": str(folder / "log"), "env": process.environment(),
                 "argv": ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", *settings]}
        made.append(process.spawn(entry))
        poll(lambda: probe.redis_ready(port), "Redis")
        return port

    yield run
    for entry in made:
        process.stop(entry, 10)


def complaint(broker):
    """The one line about it, of a broker that is not there."""
    assert broker.ended() != 0
    lines = [line for line in broker.log().splitlines() if "nightjar: cannot start" in line]
    assert len(lines) == 1, broker.log()
    return lines[0]


@pytest.mark.parametrize("options, words", [
    ({"onlin_after_ms": "3000"}, ["onlin_after_ms", "online_after_ms"]),
    ({"no_such_thing": "1"}, ["no_such_thing"]),
    ({"online_after_ms": "soon"}, ["online_after_ms", "soon"]),
    ({"group_members": "-3"}, ["group_members", "-3"]),
    ({"broker_id": "b 1"}, ["broker_id"]),
    ({"redis": "127.0.0.1"}, ["redis", "127.0.0.1"]),
    ({"key_file": None}, ["key_file"]),
], ids=lambda value: " ".join(value) if isinstance(value, dict) else "")
def test_a_wrong_option(start, options, words):
    line = complaint(start(**options))
    assert all(word in line for word in words), line


@pytest.mark.parametrize("content", [None, "", "{ not json", '{"keys": []}', '{"keys": [{"kid": "x", "alg": "none"}]}',
                                     '{"keys": [{"kid": "x", "alg": "HS256", "secret": "!!"}]}'],
                         ids=["missing", "empty", "no JSON", "no keys", "alg none", "bad secret"])
def test_an_unreadable_key_file(start, tmp_path, content):
    path = tmp_path / "other-keys.json"
    if content is not None:
        path.write_text(content)
    assert "other-keys.json" in complaint(start(key_file=str(path)))


def test_no_redis(start):
    reserved = ports.Reserved()
    port = reserved.take()
    reserved.release()
    assert str(port) in complaint(start(redis_port=port))


@pytest.mark.parametrize("version", ["6.2.14", "5.0.3"])
def test_too_old_a_redis(start, version):
    redis = OldRedis(version)
    try:
        line = complaint(start(redis_port=redis.port))
        assert version in line and "7" in line
    finally:
        redis.close()


def test_redis_settings_that_would_not_keep_promises_are_warned_of(start, plain_redis):
    broker = start(redis_port=plain_redis("--appendonly", "no", "--maxmemory-policy", "allkeys-lru"))
    poll(lambda: "appendonly" in broker.log() and "maxmemory-policy" in broker.log(), "warnings")
    warnings = [line for line in broker.log().splitlines() if "nightjar" in line and
                ("appendonly" in line or "maxmemory-policy" in line)]
    assert len(warnings) == 2, broker.log()


def test_appendfsync_everysec_is_warned_of(start, plain_redis):
    broker = start(redis_port=plain_redis("--appendonly", "yes", "--appendfsync", "everysec"))
    poll(lambda: "appendfsync" in broker.log(), "a warning")


def test_a_good_redis_is_not_warned_of(stack):
    assert not [line for line in stack.log("b1").splitlines() if "appendfsync" in line or "appendonly" in line]


def test_the_broker_waits_a_little_for_redis(start, user, tmp_path):
    reserved = ports.Reserved()
    port = reserved.take()
    reserved.release()
    broker = start(redis_port=port, hub_start_wait_ms="20000")
    conf = tmp_path / "redis.conf"
    files.redis_conf(str(conf), port, str(tmp_path), "100mb")
    entry = {"name": "redis", "argv": ["redis-server", str(conf)], "cwd": str(tmp_path),
             "env": process.environment(), "log": str(tmp_path / "redis.log")}
    process.spawn(entry)
    try:
        uid = user()
        poll(lambda: probe.broker(broker.broker["mqtt"], broker.token("nj.probe")) is None, "the broker to work", 20)
        assert Device(broker, uid).online().ask_ok(whoami={}).uid == uid
        broker.close()
    finally:
        process.stop(entry, 10)


@pytest.mark.parametrize("argv, words", [
    ([], []), (["--no-such-option"], ["no-such-option"]),
    (["--redis", "127.0.0.1:1", "--broker", "127.0.0.1:1", "--key-file", "/nonexistent", "--data", "/dev/null/x",
      "--id", "p1"], ["/"]),
], ids=["nothing", "unknown", "unreadable"])
def test_the_persister_says_what_is_wrong(argv, words):
    from harness.stack import PRESET
    from nj import build
    program = build.program(PRESET, "persister/nightjar-persister")
    done = subprocess.run([program, *argv], capture_output=True, text=True, timeout=30 * SLOWNESS, check=False,
                          cwd=os.path.dirname(program))
    assert done.returncode > 0
    output = (done.stdout + done.stderr).strip()
    assert output and all(word in output for word in words)
