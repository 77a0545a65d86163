"""protocol.md, "Topics": tail/{uid} and json/tail/{uid}, a live copy without any effect."""

import pytest

from harness.proto import kind_of


@pytest.mark.parametrize("prefix", ["", "json/"], ids=["protobuf", "json"])
def test_a_tail_shows_what_enters_the_inbox(device, user, prefix):
    a, b = device(user("a")).online(), device(user("b")).online()
    watch = device(b.uid, "watch").connect()
    assert watch.subscribe(f"{prefix}tail/{b.uid}") == 0
    accepted = a.say(b.uid, "hello")
    frame = watch.wait_for(lambda: next((f for f in watch.tail if kind_of(f) == "message"), None), "the copy")
    assert frame.message.msg_id == accepted.msg_id and frame.message.text == "hello"
    assert b.message("hello")


def test_a_tail_shows_ones_own_messages_too(device, user):
    a = device(user("a")).online()
    watch = device(a.uid, "watch").connect()
    watch.subscribe(f"tail/{a.uid}")
    a.say(user("b"), "mine")
    watch.wait_for(lambda: any(f.message.text == "mine" for f in watch.tail), "the copy")


def test_a_tail_does_not_catch_up_acknowledge_or_repeat(device, user):
    a, uid = device(user("a")).online(), user("b")
    a.say(uid, "before")
    watch = device(uid, "watch").connect()
    watch.wait_head(1)
    watch.subscribe(f"json/tail/{uid}")
    a.say(uid, "after")
    watch.wait_for(lambda: any(f.message.text == "after" for f in watch.tail), "the copy")
    assert [f.message.text for f in watch.tail if kind_of(f) == "message"] == ["after"]
    assert "delivered" not in a.kinds()
    # The inbox still has both for the first real device.
    b = device(uid, "phone").online()
    b.message("after")
    assert b.texts() == ["before", "after"] and not b.syncs[0].resync


def test_a_tail_ends_with_unsubscribing(device, user):
    a, uid = device(user("a")).online(), user("b")
    watch = device(uid, "watch").connect()
    watch.subscribe(f"tail/{uid}")
    watch.unsubscribe(f"tail/{uid}")
    a.say(uid, "unseen")
    watch.wait_head(1)
    watch.subscribe(f"tail/{uid}")
    a.say(uid, "seen")
    watch.wait_for(lambda: any(f.message.text == "seen" for f in watch.tail), "the copy")
    assert [f.message.text for f in watch.tail if kind_of(f) == "message"] == ["seen"]


def test_two_tails_and_an_inbox_at_once(device, user):
    a, uid = device(user("a")).online(), user("b")
    b = device(uid, "phone").online()
    b.subscribe(f"tail/{uid}")
    watch = device(uid, "watch").connect()
    watch.subscribe(f"json/tail/{uid}")
    a.say(uid, "hello")
    b.message("hello")
    for one in (b, watch):
        one.wait_for(lambda one=one: any(f.message.text == "hello" for f in one.tail), "the copy")


def test_a_tail_is_no_presence(quick, device, user):
    watcher, uid = device(user("w"), on=quick).online(), user("b")
    watcher.subscribe(f"presence/{uid}")
    tail = device(uid, "watch", on=quick).connect()
    tail.subscribe(f"tail/{uid}")
    # A real device later shows online; had the tail done so, there would be two.
    marker = device(user("m"), on=quick).online()
    watcher.subscribe(f"presence/{marker.uid}")
    watcher.wait_for(lambda: any(p.uid == marker.uid and p.online for p in watcher.presence), "the marker online")
    assert [p.online for p in watcher.presence if p.uid == uid] == [False]
