"""Brokers that die, stall, are restarted, or are mistaken for each other."""

import os
import re
import subprocess
import threading
import time

import pytest

from harness.broker import Broker
from harness.device import Device
from harness.mqtt import Refused
from harness.proto import ROOT
from harness.stack import PRESET, process
from harness.talker import Talker, judge
from harness.waiting import poll
from test_kill import accepted, chat_of
from test_presence import states, wait_state

SIM = os.path.join(ROOT, "build", PRESET, "client-sim", "nightjar-sim")
FAST = {"sends_per_s": 100_000, "sends_burst": 100_000, "hub_start_wait_ms": 10_000}
SHORT = {**FAST, "online_after_ms": 200, "offline_after_ms": 500, "beat_ms": 500, "broker_ttl_ms": 3000}


def watch(stack, user, uid):
    watcher = Device(stack, user("w")).online()
    watcher.subscribe(f"presence/{uid}")
    wait_state(watcher, uid, [False])
    return watcher


@pytest.mark.parametrize("size", [3, 12], ids=["inline", "task"])
def test_one_of_three_is_killed_under_load(own_stack, user, size):
    stack = own_stack(options=FAST, brokers=3)
    chat, uids = chat_of(stack, user, size)
    count = 100
    talkers = [Talker(stack.anywhere(), uid, count, chat=chat).start() for uid in uids[:3]]
    for round_, victim in ((1, "b2"), (2, "b1")):
        poll(lambda r=round_: accepted(talkers) >= r * count or any(t.failure for t in talkers), "some of the chat", 60)
        stack.kill(victim)
    for talker in talkers:
        talker.join()
    # b3 alone has it all by now.
    readers = [Device(stack.at("b3"), uid).online() for uid in uids[3:]]
    for talker in talkers:
        talker.device.stack = stack.at("b3")
    judge(talkers, chat, readers)


def test_who_was_on_a_killed_broker_is_offline_within_15_s(own_stack, user):
    stack, gone, moved = own_stack(options={"online_after_ms": 200}, brokers=2), user("gone"), user("moved")
    first, second = watch(stack.at("b1"), user, gone), watch(stack.at("b1"), user, moved)
    Device(stack.at("b2"), gone).online()
    phone = Device(stack.at("b2"), moved).online()
    wait_state(first, gone, [False, True])
    wait_state(second, moved, [False, True])
    stack.kill("b2")
    died = time.monotonic()
    phone.wait_gone()
    phone.stack = stack.at("b1")
    phone.again().online()
    wait_state(first, gone, [False, True, False], 15)
    print(f"offline after {time.monotonic() - died:.1f} s")
    assert states(second, moved) == [False, True], "who came back elsewhere never showed as gone"


def test_a_killed_broker_is_back_at_once(own_stack, user):
    """Nobody listens to its relay any more: its id is free, however lately it has beaten."""
    stack = own_stack(brokers=2)
    device = Device(stack.at("b1"), user()).online()
    stack.kill("b1")
    started = time.monotonic()
    stack.start("b1")
    stack.wait_healthy("b1")
    assert time.monotonic() - started < 4
    assert device.again().online().connected


def test_a_broker_that_stalls_finds_itself_cleared(own_stack, user):
    stack, uid = own_stack(options=SHORT, brokers=2), user()
    friend = watch(stack.at("b1"), user, uid)
    old = Device(stack.at("b2"), uid).online()
    stays = Device(stack.at("b2"), user("stays")).online()
    wait_state(friend, uid, [False, True])
    stack.pause("b2")
    try:
        wait_state(friend, uid, [False, True, False], 15)
        new = Device(stack.at("b1"), uid, memory=old).online()
        wait_state(friend, uid, [False, True, False, True])
        friend.say(uid, "while it was away")
        new.message("while it was away")
        friend.say(stays.uid, "for who stayed")
    finally:
        stack.resume("b2")
    old.wait_gone()
    stays.wait_gone()
    friend.say(uid, "and after")
    new.message("and after")
    assert new.connected and not new.doubled
    assert states(friend, uid) == [False, True, False, True]
    back = poll(lambda: try_online(stays), "b2 to take clients again", 20)
    back.message("for who stayed")
    friend.say(stays.uid, "again")
    back.message("again")


def try_online(device):
    fresh = device.again()
    try:
        return fresh.online()
    except (OSError, Refused, AssertionError):
        fresh.close()
        return None


def test_the_same_id_twice(own_stack, user, tmp_path):
    stack = own_stack(options=SHORT)
    device = Device(stack, user()).online()
    second = Broker(tmp_path, None, {**stack.hub_options(), "broker_id": "b1", "broker_ttl_ms": "3000", "beat_ms": "500"})
    try:
        assert second.ended() != 0
        assert re.search(r"cannot start: another broker with the id b1 is alive", second.log()), second.log()
        assert second.log().count("waiting for it to end") == 1
    finally:
        second.close()
    assert device.connected and device.say(user("x"), "still here").msg_id


def test_a_long_pause_of_redis_clears_nobody(own_stack, user):
    stack, uid = own_stack(options=SHORT, brokers=3), user()
    friend = watch(stack.at("b1"), user, uid)
    phone = Device(stack.at("b2"), uid).online()
    wait_state(friend, uid, [False, True])
    stack.pause("redis")
    threading.Event().wait(8)   # more than twice the ttl
    stack.resume("redis")
    friend.say(uid, "hello")
    phone.message("hello")
    third = Device(stack.at("b3"), user("c")).online()      # its first beats are through by then
    threading.Event().wait(5)
    third.say(uid, "and again")
    phone.message("and again")
    assert phone.connected and friend.connected
    assert states(friend, uid) == [False, True]


# ---- stopping on purpose -------------------------------------------------------------------------

def test_draining(own_stack, user):
    stack = own_stack(options={**FAST, "drain_per_s": 2}, brokers=2)
    devices = [Device(stack.at("b1"), user("d")).online() for _ in range(6)]
    process.send(stack.entry("b1"), 15)
    poll(lambda: any(not device.connected for device in devices), "the first one to be moved")
    with pytest.raises((Refused, OSError)) as refused:
        Device(stack.at("b1"), user("late")).connect()
    assert getattr(refused.value, "code", None) is None, "closed without a word, so that clients try again"
    assert any(device.connected for device in devices), "one after the other"
    for device in devices:
        device.notice("SHUTTING_DOWN")
        device.wait_gone()
        device.stack = stack.at("b2")
        assert device.again().online().connected
    assert process.wait_gone(stack.entry("b1"), 10)
    assert "drained" in stack.log("b1")


def test_a_second_signal_does_not_wait(own_stack, user):
    stack = own_stack(options={**FAST, "drain_per_s": 1})
    devices = [Device(stack, user("d")).online() for _ in range(20)]
    process.send(stack.entry("b1"), 15)
    poll(lambda: "draining" in stack.log("b1"), "the drain to begin")
    process.send(stack.entry("b1"), 15)
    assert process.wait_gone(stack.entry("b1"), 5)
    assert devices[-1].wait_gone()


def test_a_rolling_restart_is_not_noticed(own_stack, user):
    """Every broker is restarted under load: nothing is lost, doubled or rejected."""
    stack = own_stack(options=FAST, brokers=3)
    chat, uids = chat_of(stack, user, 12)
    talkers = [Talker(stack.anywhere(), uid, 400, chat=chat).start() for uid in uids[:3]]
    with load(stack, "--profile", "pairs", "--users", "200", "--rate", "200", "--seconds", "30") as crowd:
        for name in stack.brokers:
            threading.Event().wait(3)
            stack.stop(name)
            stack.start(name)
            stack.wait_healthy(name)
        output = crowd.communicate(timeout=120)[0]
    print(output)
    assert crowd.returncode == 0, output
    for talker in talkers:
        talker.join()
    assert sum(talker.put_off for talker in talkers) == 0
    for talker in talkers:
        talker.stack = stack
    judge(talkers, chat, [Device(stack.anywhere(), uid).online() for uid in uids[3:]])


def load(stack, *args):
    return subprocess.Popen(
        [SIM, "load", "--stack", os.path.join(stack.folder, "stack.json"), "--warm-up", "1", *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
