"""Redis loses everything under a running stack (FLUSHALL, a lost disk): whoever is connected chats on, in a new epoch."""

import os
import shutil

import pytest

from harness.device import Device
from harness.stack import Stack
from harness.talker import Talker, check_inbox, messages, whole_history
from harness.waiting import poll

FAST = {"sends_per_s": 100_000, "sends_burst": 100_000, "hub_start_wait_ms": 10_000}


def lose_the_disk(stack):
    """Of every server, all at once. Who is whose replica they still know."""
    for name in stack.hub_servers():
        stack.kill(name)
    for name in stack.hub_servers():
        for file in os.scandir(stack.inner.path(name)):
            if file.is_dir():
                shutil.rmtree(file)
            elif file.name != "nodes.conf":   # of a Cluster
                os.unlink(file)
        stack.start(name)


lost = pytest.mark.parametrize("lose", [Stack.flush, lose_the_disk], ids=["flushall", "lost disk"])


def wait_for_epochs_above(epochs):
    """Also who says nothing is told: the broker asks for its leases every few seconds."""
    for device, epoch in epochs.items():
        device.wait_for(lambda device=device, epoch=epoch: device.epoch > epoch, f"{device.uid}'s next epoch", 15)
        assert device.connected
        assert device.syncs[-1].resync or device.syncs[-1].start == 0
    one = next(iter(epochs)).stack
    assert len({device.epoch for device in epochs}) == 1 or len(one.masters()) > 1   # each partition has its own


@lost
def test_everybody_is_told_and_chats_on(own_stack, user, lose):
    stack = own_stack(options=FAST)
    a, b, idle, away = (Device(stack, user(name)).online() for name in ("a", "b", "idle", "away"))
    chat = a.say(b.uid, "before").chat_id
    a.say(away.uid, "before")
    away.message("before")
    away.wait_acked()
    away.close()
    stack.wait_for_empty_journal()
    epochs = {device: device.epoch for device in (a, b, idle)}

    lose(stack)
    wait_for_epochs_above(epochs)

    sent = [a.say(b.uid, f"after {i}").msg_id for i in range(20)]
    a.say(idle.uid, "you too")
    a.say(away.uid, "welcome back")
    b.message("after 19")
    idle.message("you too")
    away = away.again().online()
    away.message("welcome back")
    assert (away.epoch == a.epoch or len(stack.masters()) > 1) and away.texts() == ["before", "welcome back"]
    assert b.texts() == ["before"] + [f"after {i}" for i in range(20)]
    # What the store had taken before is still there, and ids went on above it.
    stack.wait_for_empty_journal()
    history = whole_history(a, chat)
    assert [message.text for message in history] == b.texts()
    assert [message.msg_id for message in history][1:] == sent == sorted(sent)


@lost
def test_in_mid_chat(own_stack, user, lose):
    """What is accepted afterwards is in every inbox and in history once; before it, nobody can promise anything."""
    stack = own_stack(options=FAST)
    uids = user("a"), user("b")
    talkers = [Talker(stack, uids[0], 400, to=uids[1]), Talker(stack, uids[1], 400, to=uids[0])]
    epochs = {talker.device: talker.device.epoch for talker in talkers}
    for talker in talkers:
        talker.start()
    poll(lambda: all(len(talker.accepted) >= 100 for talker in talkers), "some of the chat", 60)
    lose(stack)
    sent_before = set(talkers[0].sent + talkers[1].sent)
    wait_for_epochs_above(epochs)
    for talker in talkers:
        talker.join()

    chat = f"d:{min(uids)}:{max(uids)}"
    stack.wait_for_empty_journal()
    history = {message.text: message.msg_id for message in whole_history(talkers[0].device, chat)}
    for talker, other in (talkers, talkers[::-1]):
        after = {text: msg_id for text, msg_id in other.accepted.items() if text not in sent_before}
        assert after, "the chat was over too early"
        talker.device.wait_for(lambda: after.keys() <= set(talker.device.texts(chat)), "what came after", 30)
        got = {m.msg_id: m.text for m in messages(talker.device, chat)}
        assert all(got[msg_id] == text for text, msg_id in after.items())
        assert all(history[text] == msg_id for text, msg_id in after.items())
        assert not talker.device.doubled
