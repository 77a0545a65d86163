"""Presence (G6): debounce, grace, takeovers, wills, by hand."""

import time

import pytest

from harness.device import Device
from harness.mqtt import V3, V5


def watch(stack, user, uid):
    """A device that watches uid; back when the present state is there."""
    watcher = Device(stack, user("w")).online()
    watcher.subscribe(f"presence/{uid}")
    watcher.wait_for(lambda: watcher.presence, "the present state")
    return watcher


def states(watcher, uid):
    with watcher.board:
        return [p.online for p in watcher.presence if p.uid == uid]


def wait_state(watcher, uid, wanted, seconds=10):
    watcher.wait_for(lambda: [p.online for p in watcher.presence if p.uid == uid] == wanted,
                     f"{wanted}, have {states(watcher, uid)}", seconds)


def settle(stack, user, watcher):
    """Somebody else comes and goes meanwhile: as long as any debounce and any grace take together."""
    other = Device(stack, user("other")).online()
    watcher.subscribe(f"presence/{other.uid}")
    wait_state(watcher, other.uid, [False, True])
    other.close()
    wait_state(watcher, other.uid, [False, True, False])


def test_coming_and_going(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    phone = Device(quick, uid).online()
    wait_state(watcher, uid, [False, True])
    phone.close()
    wait_state(watcher, uid, [False, True, False])
    last = watcher.presence[-1]
    assert abs(last.last_active_ms - time.time() * 1000) < 10_000


def test_the_times_of_the_protocol(stack, user):
    """Online after 3 s of steady connection, offline after a grace of 5 s."""
    uid = user()
    watcher = watch(stack, user, uid)
    started = time.monotonic()
    phone = Device(stack, uid).online()
    wait_state(watcher, uid, [False, True])
    assert 2.9 <= time.monotonic() - started < 5
    gone = time.monotonic()
    phone.cut()
    wait_state(watcher, uid, [False, True, False])
    assert 4.9 <= time.monotonic() - gone < 8


def test_a_short_visit_never_shows(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    Device(quick, uid).online().close()
    settle(quick, user, watcher)
    assert states(watcher, uid) == [False]


def test_a_quick_reconnect_never_shows(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    phone = Device(quick, uid).online()
    wait_state(watcher, uid, [False, True])
    phone.cut()
    back = phone.again().online()
    settle(quick, user, watcher)
    assert states(watcher, uid) == [False, True]
    back.close()
    wait_state(watcher, uid, [False, True, False])


def test_a_takeover_never_shows(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    old = Device(quick, uid).online()
    wait_state(watcher, uid, [False, True])
    new = Device(quick, uid).online()
    old.wait_gone()
    settle(quick, user, watcher)
    assert states(watcher, uid) == [False, True] and new.connected


def test_online_as_long_as_any_device_is(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    phone, laptop = Device(quick, uid, "phone").online(), Device(quick, uid, "laptop").online()
    wait_state(watcher, uid, [False, True])
    phone.close()
    settle(quick, user, watcher)
    assert states(watcher, uid) == [False, True]
    laptop.close()
    wait_state(watcher, uid, [False, True, False])


@pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
def test_a_will_says_that_the_device_is_gone(quick, user, version):
    uid = user()
    watcher = watch(quick, user, uid)
    phone = Device(quick, uid, version=version, will=(f"presence/{uid}/phone", b"anything at all")).online()
    wait_state(watcher, uid, [False, True])
    phone.cut()
    wait_state(watcher, uid, [False, True, False])


def test_leaving_by_hand(quick, user):
    """The same published by hand: this device is going."""
    uid = user()
    watcher = watch(quick, user, uid)
    phone = Device(quick, uid).online()
    wait_state(watcher, uid, [False, True])
    phone.publish(f"presence/{uid}/phone", b"bye")
    wait_state(watcher, uid, [False, True, False])


def test_a_connection_without_an_inbox_is_no_presence(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    sender = Device(quick, uid).connect()
    sender.say(user("x"), "hello")
    settle(quick, user, watcher)
    assert states(watcher, uid) == [False]


def test_a_keep_alive_that_runs_out(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    phone = Device(quick, uid, keepalive=5).online()
    wait_state(watcher, uid, [False, True])
    phone.paho.loop_stop()    # no pings any more, but the socket stays open
    wait_state(watcher, uid, [False, True, False], 20)


def test_the_present_state_comes_at_once_on_subscribing(quick, user):
    uid = user()
    Device(quick, uid).online()
    first = watch(quick, user, uid)
    wait_state(first, uid, first.presence[0].online and [True] or [False, True])
    second = watch(quick, user, uid)
    assert states(second, uid) == [True]


def test_no_word_after_unsubscribing(quick, user):
    uid = user()
    watcher = watch(quick, user, uid)
    watcher.unsubscribe(f"presence/{uid}")
    other = watch(quick, user, uid)
    Device(quick, uid).online()
    wait_state(other, uid, [False, True])
    watcher.ask_ok(whoami={})
    assert states(watcher, uid) == [False]


def test_nobody_stays_online_when_the_broker_dies(own_stack, user):
    stack, uid = own_stack(options={"online_after_ms": 200}), user()
    watcher = watch(stack, user, uid)
    Device(stack, uid).online()
    wait_state(watcher, uid, [False, True])
    stack.kill("b1")
    died = time.monotonic()
    stack.start("b1")
    stack.wait_healthy("b1")
    late = watch(stack, user, uid)
    late.wait_for(lambda: late.presence and not late.presence[-1].online, "offline", 20)
    assert time.monotonic() - died < 17


def test_a_pause_of_redis_takes_nobody_offline(own_stack, user):
    stack, uid = own_stack(options={"online_after_ms": 200, "offline_after_ms": 500}), user()
    watcher = watch(stack, user, uid)
    phone = Device(stack, uid).online()
    wait_state(watcher, uid, [False, True])
    stack.pause("redis")
    try:
        # A second of silence, measured by the broker itself: a ping goes and comes.
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert phone.subscribe(f"presence/{uid}") == 0
    finally:
        stack.resume("redis")
    settle(stack, user, watcher)
    assert states(watcher, uid)[-1] is True and False not in states(watcher, uid)[1:]
