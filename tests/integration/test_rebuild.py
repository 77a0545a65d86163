"""Redis has lost everything, and is filled again from the store: people chat on with their history (docs/storage.md, "Recovery")."""

import itertools
import os
import subprocess

import pytest

from harness.device import Device
from harness.proto import pb
from harness.shims import stops_itself
from harness.stack import PARTITIONS
from harness.talker import Talker, judge, messages, whole_history
from harness.waiting import SLOWNESS, poll
from nj import probe

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000, "hub_start_wait_ms": 10_000}


def begin_rebuild(stack, *args, stop_at=None):
    """The command, told of Redis and the store as the persister is."""
    entry = stack.entry("persister")
    program, *rest = entry["argv"]
    env = stops_itself(entry["env"], stop_at) if stop_at else entry["env"]
    return subprocess.Popen([program, "rebuild", *rest, *args], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)


def stopped(process):
    """Once it is stopped or has ended: whether it is stopped."""
    what = poll(lambda: os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT),
                "the rebuild to stop or to end", 60)
    return what.si_code == os.CLD_STOPPED


def end(process, code=0):
    output, _ = process.communicate(timeout=60 * SLOWNESS)
    assert process.returncode == code, output
    return output


def closed(stack):
    """How many partitions are."""
    return sum(int(stack.redis("HEXISTS", f"hub:{{{p}}}", "closed", partition=p)[1:]) for p in range(PARTITIONS))


def push_settings(stack):
    everything = {}
    for port in stack.masters():
        for key in probe.redis_list(port, "KEYS", "push:*"):
            values = probe.redis_list(port, "HGETALL", key.decode())
            everything[key] = dict(zip(values[::2], values[1::2]))
    return everything


def wait_for_resync(devices, epochs):
    """In between they may have been told of an empty hub, if a broker came upon it first."""
    for device in devices:
        device.wait_for(lambda device=device: device.epoch > epochs[device] and device.syncs[-1].resync,
                        f"{device.uid} to be told of the rebuilt hub", 20)
        assert device.connected


def shown(device, chat):
    """What a member is shown of a chat, but for its newest id."""
    record = device.ask_ok(open_chat={"chat_id": chat}).chat if chat[0] == "g" else None
    members = sorted(device.ask_ok(list_members={"chat_id": chat, "limit": 1000}).uids)
    marks = device.ask_ok(receipts={"chat_ids": [chat]}).chats[0].delivered
    return (record and (record.title, record.created_by, record.created_ms, record.member_count),
            members, sorted((mark.uid, mark.msg_id) for mark in marks))


@pytest.mark.parametrize("store", ["rocksdb", "hbase"])
def test_people_chat_on_with_their_history(own_stack, user, store):
    stack = own_stack(options=FAST, store=store)
    a, b, c, away = (Device(stack, user(name)).online() for name in ("a", "b", "c", "away"))
    direct = a.say(b.uid, "0").chat_id
    group = a.create_group([b.uid, c.uid, away.uid], title="Höhle")
    old = {}    # (chat, text) -> (author's device, client_msg_id, Accepted)
    for i in range(40):
        for chat, author in ((direct, (a, b)[i % 2]), (group, (a, b, c)[i % 3])):
            text, cmid = f"{chat[0]}{i}", Device.next_id()
            old[chat, text] = author, cmid, author.say(chat=chat, text=text, cmid=cmid)
    a.ask_ok(update_chat={"chat_id": group, "remove": [c.uid]})
    a.ask_ok(mute_chat={"chat_id": group, "until_ms": -1})
    b.ask_ok(register_push=pb.RegisterPush(fcm=pb.RegisterPush.Fcm(token="token")))
    for device, text in ((a, "g38"), (b, "g39"), (away, "g39")):
        device.message(text)
        device.wait_acked()
    away.close()
    stack.wait_for_empty_journal()
    before = {chat: shown(a, chat) for chat in (direct, group)}
    told = push_settings(stack)
    epochs = {device: device.epoch for device in (a, b)}

    if store == "hbase":    # RocksDB lets nobody in to begin with
        assert "a persister is at work" in end(begin_rebuild(stack), 1)
        assert closed(stack) == 0
    stack.stop("persister")
    stack.flush()
    assert "rebuilt" in end(begin_rebuild(stack))
    stack.start("persister")
    wait_for_resync((a, b), epochs)
    stack.wait_healthy("persister")

    # Sent again, each has its first id; what the sixteen after it have pushed out is not taken either.
    for (chat, text), (author, cmid, first) in old.items():
        if author is c:
            continue
        after = len(author.frames)
        answer = author.answer(author.send(chat=chat, text=text, cmid=cmid), after)
        if answer.HasField("accepted"):
            assert answer.accepted.msg_id == first.msg_id
        else:
            assert int(text[1:]) < 20 and answer.rejected.error.code, answer
    assert {chat: shown(a, chat) for chat in (direct, group)} == before
    assert push_settings(stack) == told
    c.refuse("PERMISSION_DENIED", chat=group, text="out")

    new = {direct: a.say(b.uid, "on").msg_id, group: b.say(chat=group, text="on we go").msg_id}
    assert all(new[chat] > first.msg_id for (chat, _), (_, _, first) in old.items())
    b.message("on")
    a.message("on we go")
    stack.wait_for_empty_journal()
    for chat in (direct, group):
        history = whole_history(a, chat)
        ids = [message.msg_id for message in history]
        assert ids == sorted(set(ids)) and ids[-1] == new[chat]
        assert [message.text for message in history if message.text.startswith(chat[0])] == [f"{chat[0]}{i}" for i in range(40)]
    listed = {view.chat.chat_id: view.chat.last_msg_id for view in a.ask_ok(list_chats={}).chats}
    assert listed == new

    # Who was away, and a device that was never there.
    away = away.again().online()
    assert away.syncs[-1].resync and away.epoch == a.epoch
    fresh = Device(stack, b.uid, "tablet").online()
    assert fresh.syncs[-1].resync
    a.say(chat=group, text="all there?")
    for device in (b, away, fresh):
        device.message("all there?")
        assert not device.doubled


def test_people_who_go_on_meanwhile_lose_nothing(own_stack, user):
    """They send while Redis is empty and while it is filled: nothing gets in before what it goes by is back."""
    stack = own_stack(options=FAST)
    uids = [user("t") for _ in range(3)]
    founder = Device(stack, uids[0], "founder").online()
    chat = founder.create_group(uids[1:])
    founder.wait_acked()
    founder.close()
    talkers = [Talker(stack, uid, 100, chat=chat) for uid in uids]
    stack.wait_for_empty_journal()
    stack.stop("persister")
    stack.pause("b1")       # so that it is the rebuild that finds Redis empty
    stack.flush()
    for talker in talkers:
        talker.start()
    rebuild = begin_rebuild(stack)
    poll(lambda: closed(stack) > 0 or rebuild.poll() is not None, "the hub to be closed")
    stack.resume("b1")
    end(rebuild)
    assert closed(stack) == 0
    stack.start("persister")
    for talker in talkers:
        talker.join()
    stack.wait_healthy("persister")
    judge(talkers, chat)


def test_killed_in_the_middle_and_run_again(own_stack, user):
    stack = own_stack(options=FAST)
    uids = user("a"), user("b")
    others = [user("o") for _ in range(40)]
    talkers = [Talker(stack, uids[0], 300, to=uids[1]), Talker(stack, uids[1], 300, to=uids[0])]
    for talker in talkers:
        talker.start()
    for uid in others:
        talkers[0].device.say(uid, "hello")
    for talker in talkers:
        talker.join()
    chat = f"d:{min(uids)}:{max(uids)}"
    stack.wait_for_empty_journal()
    epochs = {talker.device: talker.device.epoch for talker in talkers}
    stack.stop("persister")
    stack.pause("b1")
    stack.flush()
    places = 0      # where it was killed with something closed
    for at in itertools.count(1, 5):
        rebuild = begin_rebuild(stack, stop_at=at)
        if not stopped(rebuild):
            break
        rebuild.kill()
        rebuild.communicate()
        places += closed(stack) > 0
    assert places > 3, "never in the middle"
    end(rebuild)
    assert closed(stack) == 0
    stack.resume("b1")
    stack.start("persister")
    wait_for_resync([talker.device for talker in talkers], epochs)
    stack.wait_healthy("persister")
    accepted = {text: msg_id for talker in talkers for text, msg_id in talker.accepted.items()}
    a = talkers[0].device
    assert {m.text: m.msg_id for m in whole_history(a, chat)} == accepted
    assert a.say(uids[1], "on").msg_id > max(accepted.values())
    talkers[1].device.message("on")
    assert len(a.ask_ok(list_chats={"limit": 100}).chats) == 41
    assert not any(talker.device.doubled for talker in talkers)
    assert len(messages(talkers[1].device, chat)) >= 301


def test_without_a_rebuild_the_persister_says_that_one_is_needed(own_stack, user):
    stack = own_stack(options=FAST)
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    a.say(b.uid, "hello")
    b.message("hello")
    stack.wait_for_empty_journal()
    assert "nightjar-persister rebuild" not in stack.log("persister")
    stack.flush()
    poll(lambda: "run nightjar-persister rebuild" in stack.log("persister"), "the warning", 30)
    # A persister that runs has the store open: nothing is closed behind its back.
    assert "another process has it open" in end(begin_rebuild(stack), 1)
    assert closed(stack) == 0
