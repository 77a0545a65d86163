"""Clocks set back and far ahead (G3): of the broker, of the hub, of clients."""

import time

import pytest

from harness.clock import Clock
from harness.device import Device


def now():
    return int(time.time() * 1000)


def shows(device, hours):
    return abs(device.ask_ok(whoami={}).server_time_ms - now() - hours * 3_600_000) < 60_000


@pytest.mark.parametrize("hours", [-26, 20], ids=["back", "ahead"])
def test_a_broker_with_a_wrong_clock(own_stack, user, tmp_path, hours):
    clock = Clock(tmp_path / "clock")
    stack = own_stack(env=clock.env("b1"))
    clock.set(hours)
    a, b = (Device(stack, user(n), ttl=48 * 3600).online() for n in "ab")
    assert shows(a, hours), "the wrong clock is not in force"
    before = now()
    ids = [a.say(b.uid, f"m{i}").msg_id for i in range(10)]
    # Reception time is held to the hub's clock and 10 s before it, whatever the broker believes.
    assert all(before - 10_000 <= i >> 20 <= now() for i in ids) and ids == sorted(set(ids))
    b.message("m9")
    assert b.texts() == [f"m{i}" for i in range(10)]
    b.wait_acked()


def test_a_broker_whose_clock_jumps(own_stack, user, tmp_path):
    clock = Clock(tmp_path / "clock")
    stack = own_stack(env=clock.env("b1"))
    a, b = (Device(stack, user(n), ttl=96 * 3600).online() for n in "ab")
    ids = []
    for step, hours in enumerate([0, 20, -20, 5, 0]):
        clock.set(hours)
        assert shows(a, hours)
        ids += [a.say(b.uid, f"{step}.{i}").msg_id for i in range(5)]
    assert ids == sorted(set(ids)) and ids[-1] >> 20 <= now()
    b.message("4.4")
    assert b.texts() == [f"{s}.{i}" for s in range(5) for i in range(5)] and not b.doubled
    assert a.connected and b.connected


def test_a_hub_whose_clock_is_set_back_and_ahead(own_stack, user, tmp_path):
    clock = Clock(tmp_path / "clock")
    stack = own_stack(env=clock.env("redis"))
    a, b = (Device(stack, user(n)).online() for n in "ab")
    ids = []
    for step, hours in enumerate([0, -2, 2, -2]):
        clock.set(hours)
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
