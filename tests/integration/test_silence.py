"""Devices that do not acknowledge, or do not read: protocol.md "Receiving" 5 (G4, G8)."""

import socket
import time

import pytest

from harness.device import Device
from harness.proto import pb
from harness.raw import Raw


def test_what_is_not_acknowledged_is_sent_again_until_the_device_is_closed(quick, user):
    a, b = Device(quick, user("a")).online(), Device(quick, user("b"), auto_ack=False).online()
    a.say(b.uid, "hello?")
    b.message("hello?")
    b.wait_gone(30)    # three waits, each double the last: 0.5 + 1 + 2 s here; sent again after the first two
    shown = [f for f in b.frames if f.seq == 1]
    assert len(shown) == 3 and all(f.message.text == "hello?" for f in shown)
    again = b.again(auto_ack=True).online()     # nothing is lost by it
    again.wait_for(lambda: again.doubled or again.entries, "the message")
    again.wait_acked()


def test_an_acknowledgement_stops_the_repeats(quick, user):
    a, b = Device(quick, user("a")).online(), Device(quick, user("b"), auto_ack=False).online()
    silent = Device(quick, user("s"), auto_ack=False).online()
    a.say(b.uid, "hello?")
    a.say(silent.uid, "hello?")
    b.wait_for(lambda: b.repeats >= 1, "a repeat")
    b.ack()
    silent.wait_gone(30)      # as long as it would have taken b
    assert b.connected and len([f for f in b.frames if f.seq == 1]) <= 3


def test_progress_keeps_a_slow_device_connected(quick, user):
    """One entry acknowledged per repeat: never quick, but never three rounds without progress."""
    a, b = Device(quick, user("a")).online(), Device(quick, user("b"), auto_ack=False).online()
    for i in range(5):
        a.say(b.uid, f"m{i}")
    b.message("m4")
    for seq in range(1, 6):
        before = b.repeats
        b.wait_for(lambda before=before: b.repeats > before, "a repeat", 15)
        b.ack(seq)
    assert b.wait_acked().acked == 5 and b.connected


def test_the_default_waits_ten_seconds(stack, user):
    a, b = Device(stack, user("a")).online(), Device(stack, user("b"), auto_ack=False).online()
    a.say(b.uid, "hello?")
    b.message("hello?")
    start = time.monotonic()
    b.wait_for(lambda: b.repeats, "the repeat", 15)
    assert 9 < time.monotonic() - start < 13


def test_a_silent_device_does_not_hold_up_others(quick, user):
    a, uid = Device(quick, user("a")).online(), user("b")
    silent, good = Device(quick, uid, "silent", auto_ack=False).online(), Device(quick, uid, "good").online()
    for i in range(3):
        a.say(uid, f"m{i}")
    good.message("m2")
    good.wait_acked()
    silent.wait_gone(30)
    a.say(uid, "after")
    good.message("after")


@pytest.mark.parametrize("sub_qos", [0, 1])
def test_a_device_that_stops_reading(quick, user, sub_qos):
    """Its socket fills up; others notice nothing; it is closed in the end (here by its keep-alive, which
    is shorter than what a window full of bytes is given at 4 kbit/s); nothing is lost."""
    a, other, uid = Device(quick, user("a")).online(), Device(quick, user("c")).online(), user("b")
    other.subscribe(f"presence/{uid}")
    stuck = Raw(quick, f"{uid}:phone", uid, quick.token(uid), receive_buffer=4096, keepalive=5)
    stuck.subscribe(f"inbox/{uid}", sub_qos)
    texts = [f"{i} " + "x" * 15_000 for i in range(30)]
    for text in texts:
        a.say(uid, text)
    a.say(other.uid, "still quick")
    other.message("still quick", 3)
    # The end of the connection cannot reach somebody who does not read: presence tells of it.
    other.wait_for(lambda: [p.online for p in other.presence] == [False, True, False], "it to be closed", 30)
    stuck.close()
    back = Device(quick, uid).online()
    back.message(texts[-1], 20)
    assert back.texts() == texts and not back.doubled


def test_a_slow_reader_gets_everything(quick, user):
    """A device that reads little at a time, but does read and acknowledge, is served in full."""
    a, uid = Device(quick, user("a")).online(), user("b")
    slow = Raw(quick, f"{uid}:phone", uid, quick.token(uid), receive_buffer=4096)
    slow.subscribe(f"inbox/{uid}", 0)
    texts = [f"{i} " + "x" * 3000 for i in range(40)]
    for text in texts:
        a.say(uid, text)
    got, held, epoch = [], 0, 0
    while len(got) < len(texts):
        topic, payload = slow.next_publish(chunk=256)
        frame = pb.ServerFrame.FromString(payload)
        if frame.WhichOneof("body") == "sync":
            held, epoch = frame.sync.start, frame.sync.epoch
        elif frame.seq and frame.seq - frame.skipped - 1 <= held < frame.seq:
            held = frame.seq
            got.append(frame.message.text)
            slow.publish("a", pb.Ack(seq=held, epoch=epoch).SerializeToString())
        elif frame.seq > held:
            slow.publish("a", pb.Ack(seq=held, epoch=epoch, resend=True).SerializeToString())
    assert got == texts and topic
    slow.close()


def test_a_half_open_connection_is_told_by_its_keep_alive(quick, user):
    uid = user()
    raw = Raw(quick, f"{uid}:phone", uid, quick.token(uid), keepalive=5)
    raw.subscribe(f"inbox/{uid}", 0)
    raw.wait_closed(20)
    assert isinstance(raw.sock, socket.socket)
