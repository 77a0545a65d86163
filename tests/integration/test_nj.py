"""./nj itself: stacks, their files, tokens, and failing well."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jwt
import pytest

from harness.device import Device
from harness.stack import NJ, PRESET, Stack, nj, process
from harness.waiting import poll
from nj import sanitizers


def running_below(folder):
    """Command lines of processes that were started for this folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(f"/proc/{pid}/cwd")   # a Redis does not show how it was called
        except OSError:
            continue
        if (str(folder) in line or str(folder) in where) and "pytest" not in line:
            found.append(line)
    return found


def test_stack_json_is_what_it_promises(stack):
    with open(os.path.join(stack.folder, "stack.json"), encoding="utf-8") as file:
        data = json.load(file)
    (broker,) = data["brokers"]
    assert broker.keys() >= {"id", "host", "mqtt", "ws", "pid"} and data["redis"].keys() >= {"host", "port", "pid"}
    assert data["persister"]["pid"] == stack.pid("persister")
    names = [entry["name"] for entry in data["processes"]]
    assert names[0] == "redis" and names[stack.hub_processes():] == ["b1", "persister"]
    for entry in data["processes"]:
        assert entry.keys() >= {"name", "pid", "argv", "cwd", "env", "log"}
        assert os.path.exists(entry["log"]) and os.path.isabs(entry["argv"][0])
        with open(f"/proc/{entry['pid']}/cmdline", "rb") as file:
            assert entry["argv"][0].encode() in file.read()
    assert os.stat(stack.inner.data["key_file"]).st_mode & 0o777 in (0o600, 0o644)   # the test wrote it


def test_up_when_it_is_up(stack):
    done = nj("up", *stack.args)
    assert done.returncode == 0 and "already up" in done.stdout and str(stack.broker["mqtt"]) in done.stdout


def test_status(stack, tmp_path):
    done = nj("status", "--dir", stack.folder)
    assert done.returncode == 0 and done.stdout.count("healthy") == stack.hub_processes() + 2
    done = nj("status", "--dir", str(tmp_path))
    assert done.returncode != 0 and "nothing" in done.stdout


def test_token_prints_a_token_and_nothing_else(stack, user):
    uid = user()
    done = nj("token", uid, "--device", "phone", "--ttl", "10m", "--service", "--dir", stack.folder)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1
    claims = jwt.decode(done.stdout.strip(), stack.keys[0].private, algorithms=["HS256"])
    assert (claims["sub"], claims["dev"], claims["svc"]) == (uid, "phone", True)
    assert 590 < claims["exp"] - time.time() <= 600
    Device(stack, uid, token=done.stdout.strip()).online()


@pytest.mark.parametrize("argv, word", [
    (["token", "no/uid"], "user id"), (["token", "a", "--ttl", "soon"], "--ttl"), (["token", "a", "--device", "x y"], "device"),
    (["up", "--brokers", "0"], "brokers"), (["up", "--port", "0x"], "port"), (["fly"], "fly"), (["build", "--preset", "x"], "x"),
])
def test_errors_are_one_line(tmp_path, argv, word):
    done = nj(*argv, *(["--dir", str(tmp_path)] if argv[0] in ("token", "up") else []))
    assert done.returncode == 2 and word in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_help_of_every_command():
    top = nj("help").stdout
    for name in "setup build demo up down status token test bench chaos fmt lint clean help".split():
        assert name in top
        done = nj(name, "--help")
        assert done.returncode == 0 and "usage" in done.stdout


def test_wanted_ports_and_a_second_stack_beside(tmp_path, stack):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    port, ws_port = (sock.getsockname()[1] for sock in sockets)
    other = Stack(tmp_path / "other")
    other.args += ["--port", str(port), "--ws-port", str(ws_port)]
    done = nj("up", *other.args)
    assert done.returncode == 1 and str(port) in done.stderr, "a port that is taken is not taken away"
    for sock in sockets:
        sock.close()
    try:
        other.up()
        assert (other.broker["mqtt"], other.broker["ws"]) == (port, ws_port)
        assert nj("status", "--dir", stack.folder).returncode == 0
    finally:
        other.down()
    assert not running_below(other.folder)


def test_a_component_that_does_not_come_up(tmp_path):
    broken = Stack(tmp_path / "broken", options={"no_such_option": "1"})
    done = nj("up", *broken.args)
    assert done.returncode == 1
    assert "b1 did not start" in done.stderr and "no_such_option" in done.stderr
    assert not running_below(broken.folder)
    assert nj("down", "--dir", broken.folder).returncode == 0


def test_interrupting_up_leaves_nothing(tmp_path):
    folder = tmp_path / "slow"
    # A broker that never becomes ready: the port of the probe is refused for as long as Redis is paused.
    slow = Stack(folder, options={"hub_start_wait_ms": "60000", "redis": "127.0.0.1:1"})
    # Who runs the tests may ignore SIGINT (a shell's background job does), and children inherit that.
    with subprocess.Popen([NJ, "up", *slow.args], stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as up:
        for line in up.stderr:
            if "redis ready" in line:
                break
        up.send_signal(signal.SIGINT)
        up.stderr.read()
    assert up.returncode == 130
    assert not running_below(folder)


def test_down_is_clean_and_may_be_repeated(own_stack):
    stack = own_stack()
    entries = list(stack.inner.processes)
    assert nj("down", "--dir", stack.folder).returncode == 0
    assert not any(process.running(entry) for entry in entries)
    assert nj("down", "--dir", stack.folder).returncode == 0
    assert not os.path.exists(stack.broker["unix"])
    assert "ASSERT" not in stack.log("redis") and "terminate called" not in stack.log("b1") + stack.log("persister")


def test_a_killed_part_is_noticed(own_stack):
    stack = own_stack()
    stack.kill("persister")
    done = nj("status", "--dir", stack.folder)
    assert done.returncode == 1 and "not running" in done.stdout
    done = nj("up", *stack.args)
    assert done.returncode == 1 and "persister" in done.stderr and PRESET


def test_a_strangers_process_with_our_pid_is_left_alone(tmp_path):
    """stack.json of a machine that has been restarted since: the pids are somebody else's now."""
    folder = tmp_path / "stale"
    folder.mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        entry = {"name": "redis", "pid": stranger.pid, "start": 1, "argv": ["sleep"], "cwd": "/", "env": {}, "log": "/dev/null"}
        (folder / "stack.json").write_text(json.dumps(
            {"brokers": [{"id": "b1", "unix": str(folder / "x")}], "redis": {}, "persister": {}, "processes": [entry]}))
        assert nj("down", "--dir", str(folder)).returncode == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_is_gone_only_when_its_last_thread_is(tmp_path):
    """The first thread may be dead while another one still holds the port, which the next process wants."""
    program = ("import ctypes, threading, time\n"
               "threading.Thread(target=time.sleep, args=(60,)).start()\n"
               "ctypes.CDLL(None).syscall(60, 0)\n")      # exit, of this thread alone
    entry = process.spawn({"name": "half dead", "argv": [sys.executable, "-c", program], "cwd": str(tmp_path),
                           "env": process.environment(), "log": str(tmp_path / "log")})
    try:
        poll(lambda: not process.running(entry), "the first thread to end")
        assert not process.wait_gone(entry, 0.1)
    finally:
        os.kill(entry["pid"], signal.SIGKILL)
    assert process.wait_gone(entry, 10)


@pytest.mark.parametrize("line", [
    "==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x1", "==1==ERROR: LeakSanitizer: detected memory leaks",
    "plugin/core/send.cc:12:3: runtime error: signed integer overflow", "WARNING: ThreadSanitizer: data race (pid=1)"])
def test_what_a_sanitizer_found_is_found_in_a_log(tmp_path, line):
    log = tmp_path / "b1.log"
    log.write_text(f"all is well\n{line}\n")
    assert sanitizers.reports_in(str(log)) == [line]
    assert not sanitizers.reports_in(str(tmp_path / "none"))
