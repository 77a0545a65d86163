"""kill -9 in the middle of a chat: nothing accepted is lost or doubled (G1, G2, G4, G9)."""

import pytest

from harness.device import Device
from harness.talker import Talker, check_inbox, judge
from harness.waiting import poll

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000, "hub_start_wait_ms": 10_000}


def chat_of(stack, user, size):
    """A group; uids of its members, the first three of whom will talk."""
    uids = [user("t") for _ in range(size)]
    founder = Device(stack, uids[0], "founder").online()
    chat = founder.create_group(uids[1:])
    founder.wait_acked()
    founder.close()
    return chat, uids


def accepted(talkers):
    return sum(len(talker.accepted) for talker in talkers)


@pytest.mark.parametrize("size", [3, 12], ids=["inline", "task"])
@pytest.mark.parametrize("victims", [["b1"], ["persister"], ["redis"], ["b1", "redis", "persister"]],
                         ids=lambda victims: "+".join(victims))
def test_kill_in_mid_chat(own_stack, user, victims, size):
    stack = own_stack(options=FAST)
    chat, uids = chat_of(stack, user, size)
    count = 100
    talkers = [Talker(stack, uid, count, chat=chat).start() for uid in uids[:3]]
    for round_ in (1, 2):
        poll(lambda round_=round_: accepted(talkers) >= round_ * count or any(t.failure for t in talkers),
             "some of the chat", 60)
        for victim in victims:
            stack.kill(victim)
        # As an operator's supervisor would: what others need first.
        for victim in sorted(victims, key=["redis", "b1", "persister"].index):
            stack.start(victim)
            if len(victims) > 1:
                stack.wait_started(victim)
    for talker in talkers:
        talker.join()
    for victim in victims:
        stack.wait_healthy(victim)
    readers = [Device(stack, uid).online() for uid in uids[3:]]
    judge(talkers, chat, readers)


def test_a_message_accepted_right_before_the_broker_dies_reaches_everybody(own_stack, user):
    """Repeated: the kill follows Accepted at once, with members online and away, inline and by task."""
    stack = own_stack(options=FAST)
    small, few = chat_of(stack, user, 3)
    large, many = chat_of(stack, user, 12)
    for round_ in range(3):
        a, b = Device(stack, few[0]).online(), Device(stack, many[0]).online()
        first, second = a.send(chat=small, text=f"s{round_}"), b.send(chat=large, text=f"l{round_}")
        ids = a.accepted(first).msg_id, b.accepted(second).msg_id
        stack.restart("b1")
        for chat, uids, text, msg_id in ((small, few, "s", ids[0]), (large, many, "l", ids[1])):
            for uid in uids[1:]:
                reader = Device(stack, uid).online()
                check_inbox(reader, chat, {f"{text}{round_}": msg_id})
                reader.wait_acked()
                reader.close()


def test_repeats_are_recognised_after_everything_was_killed(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    sent = [a.say(b.uid, f"m{i}") for i in range(5)]
    b.message("m4")
    b.wait_acked()
    for name in ("b1", "persister", "redis"):
        stack.kill(name)
    for name in ("redis", "b1", "persister"):
        stack.start(name)
        stack.wait_healthy(name)
    a, b = a.again().online(), b.again().online()
    for i, accepted_ in enumerate(sent):
        assert a.say(b.uid, f"m{i}", cmid=accepted_.client_msg_id) == accepted_
    a.say(b.uid, "news")
    b.message("news")
    assert b.texts() == [f"m{i}" for i in range(5)] + ["news"] and not b.doubled


def test_delivered_marks_survive(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    sent = a.say(b.uid, "hello")
    a.delivered(sent.chat_id, b.uid, sent.msg_id)
    for name in ("b1", "redis"):
        stack.kill(name)
    for name in ("redis", "b1"):
        stack.start(name)
        stack.wait_healthy(name)
    shown = a.again().online().ask_ok(receipts={"chat_ids": [sent.chat_id]}).chats[0]
    assert {m.uid: m.msg_id for m in shown.delivered}[b.uid] == sent.msg_id


def test_while_redis_is_away_sends_wait_and_then_go_through(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    a.say(b.uid, "before")
    stack.kill("redis")
    cmid = a.send(b.uid, "meanwhile")
    assert a.connected and b.connected
    stack.start("redis")
    after = 0
    frame = a.answer(cmid, after, 20)
    while frame.WhichOneof("body") == "rejected":     # not final: the repeat settles it
        after = len(a.frames)
        frame = a.answer(a.send(b.uid, "meanwhile", cmid=cmid), after, 20)
    b.message("meanwhile")
    a.say(b.uid, "after")
    b.message("after")
    assert b.texts() == ["before", "meanwhile", "after"]
    assert a.connected and b.connected


def test_redis_away_for_long_means_unavailable_not_silence(own_stack, user):
    stack = own_stack(options={**FAST, "hub_timeout_ms": 1000})
    a = Device(stack, user("a")).online()
    for name in stack.hub_servers():
        stack.kill(name)
    rejected = a.rejected(a.send(user("b"), "x"), "UNAVAILABLE")
    assert rejected.error.retry_after_ms > 0
    for name in stack.hub_servers():
        stack.start(name)
        stack.wait_healthy(name)
    stack.wait_healthy("b1")
    a.stack = stack
    assert a.again().online().say(user("b"), "x").msg_id


def test_a_paused_redis_is_waited_for(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    stack.pause("redis")
    sent = [a.send(b.uid, f"m{i}") for i in range(10)]
    assert a.subscribe(f"presence/{b.uid}") == 0     # the broker itself is awake
    stack.resume("redis")
    for cmid in sent:
        a.accepted(cmid)
    b.message("m9")
    assert b.texts() == [f"m{i}" for i in range(10)]


def test_chat_goes_on_without_a_persister(own_stack, user):
    """G9: the backlog drains when it returns."""
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    stack.kill("persister")
    sent = [a.say(b.uid, f"m{i}").msg_id for i in range(50)]
    b.message("m49")
    error = a.ask_error("UNAVAILABLE", history={"chat_id": b.message("m0").chat_id})
    assert error.retry_after_ms >= 0
    stack.start("persister")
    stack.wait_healthy("persister")
    page = a.ask_ok(history={"chat_id": b.message("m0").chat_id, "limit": 200})
    assert [m.msg_id for m in page.messages] == sent


def test_down_and_up_again_keeps_everything(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b"), auto_ack=False).online()
    accepted_ = a.say(b.uid, "kept")
    b.message("kept")
    a.close()
    b.close()
    stack.down()
    stack.up()
    back = Device(stack, b.uid).online()
    assert back.message("kept").msg_id == accepted_.msg_id
    assert [m.text for m in back.ask_ok(open_chat={"to": a.uid}).messages] == ["kept"]
