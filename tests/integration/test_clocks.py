"""Clocks set back and far ahead (G3), with libfaketime between Mosquitto or Redis and the system."""

import os
import time

import pytest

from harness.device import Device
from harness.stack import FAKETIME

pytestmark = pytest.mark.skipif(not os.path.exists(FAKETIME), reason="needs Debian's faketime on amd64")
# The sanitizers and libfaketime both want to be loaded first.
SANITIZED = os.environ.get("NIGHTJAR_PRESET") in ("asan", "tsan")


def wrong_clock(part, shift=None, file=None):
    how = [(part, "FAKETIME", shift)] if shift else \
        [(part, "FAKETIME_TIMESTAMP_FILE", str(file)), (part, "FAKETIME_NO_CACHE", "1")]
    return [(part, "LD_PRELOAD", FAKETIME), (part, "FAKETIME_DONT_FAKE_MONOTONIC", "1"), *how]


def now():
    return int(time.time() * 1000)


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's runtime is preloaded instead")
@pytest.mark.parametrize("shift, hours", [("-26h", -26), ("+20h", 20)], ids=["back", "ahead"])
def test_a_broker_with_a_wrong_clock(own_stack, user, shift, hours):
    stack = own_stack(env=wrong_clock("b1", shift))
    a, b = (Device(stack, user(n), ttl=48 * 3600).online() for n in "ab")
    shown = a.ask_ok(whoami={}).server_time_ms
    assert abs(shown - now() - hours * 3_600_000) < 60_000, "the fake clock is not in force"
    before = now()
    ids = [a.say(b.uid, f"m{i}").msg_id for i in range(10)]
    after = now()
    # Reception time is held to the hub's clock and 10 s before it, whatever the broker believes.
    assert all(before - 10_000 <= i >> 20 <= after for i in ids) and ids == sorted(set(ids))
    b.message("m9")
    assert b.texts() == [f"m{i}" for i in range(10)]
    b.wait_acked()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's runtime is preloaded instead")
def test_a_broker_whose_clock_jumps(own_stack, user, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0h")
    stack = own_stack(env=wrong_clock("b1", file=clock))
    a, b = (Device(stack, user(n), ttl=96 * 3600).online() for n in "ab")
    ids = []
    for step, hours in enumerate([0, 20, -20, 5, 0]):
        clock.write_text(f"{hours:+d}h")
        a.wait_for(lambda hours=hours: abs(a.ask_ok(whoami={}).server_time_ms - now() - hours * 3_600_000) < 60_000,
                   "the clock to jump")
        ids += [a.say(b.uid, f"{step}.{i}").msg_id for i in range(5)]
    assert ids == sorted(set(ids)) and ids[-1] >> 20 <= now()
    b.message("4.4")
    assert b.texts() == [f"{s}.{i}" for s in range(5) for i in range(5)] and not b.doubled
    assert a.connected and b.connected


def test_a_hub_whose_clock_is_set_back_and_ahead(own_stack, user, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0h")
    stack = own_stack(env=wrong_clock("redis", file=clock))
    a, b = (Device(stack, user(n)).online() for n in "ab")
    ids = []
    for step, hours in enumerate([0, -2, 2, -2]):
        clock.write_text(f"{hours:+d}h")
        ids += [a.say(b.uid, f"{step}.{i}").msg_id for i in range(5)]
    assert ids == sorted(set(ids))
    b.message("3.4")
    assert b.texts() == [f"{s}.{i}" for s in range(4) for i in range(5)]
    page = a.ask_ok(open_chat={"to": b.uid, "limit": 100})
    assert [m.msg_id for m in page.messages] == ids


def test_clients_with_wrong_clocks_are_none_of_our_business(stack, user):
    """client_msg_id only has to grow; ids are given by the server."""
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    early = a.say(b.uid, "1970", cmid=1)
    late = a.say(b.uid, "far ahead", cmid=(1 << 53) - 1)
    assert abs((early.msg_id >> 20) - now()) < 10_000 and late.msg_id > early.msg_id
