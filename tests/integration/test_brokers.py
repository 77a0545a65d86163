"""Several brokers on one hub: where somebody is connected makes no difference (G1 to G7)."""

import json

import pytest

from harness import tools
from harness.device import Device
from harness.talker import Talker, judge
from harness.stack import nj
from harness.waiting import poll
from test_presence import settle, states, wait_state

PAIRS = pytest.mark.parametrize("here, there", [("b1", "b1"), ("b1", "b2"), ("b3", "b1")])


def anywhere(stack, uids, name="phone"):
    """A device of each, on the brokers in turn."""
    return [Device(stack.at(stack.brokers[i % len(stack.brokers)]), uid, name).online() for i, uid in enumerate(uids)]


def test_three_are_up(three):
    done = nj("status", "--dir", three.folder)
    assert done.returncode == 0 and done.stdout.count("healthy") == three.hub_processes() + 4, done.stdout
    assert done.stdout.count("mqtt://") == 3
    assert len({broker["mqtt"] for broker in three.inner.data["brokers"]}) == 3


@PAIRS
def test_a_direct_chat(three, user, here, there):
    a, b = Device(three.at(here), user("a")).online(), Device(three.at(there), user("b")).online()
    for i in range(20):
        sent = a.say(b.uid, f"to {i}")
        back = b.say(a.uid, f"back {i}")
    b.message("to 19")
    a.message("back 19")
    assert b.texts() == [f"to {i}" for i in range(20)] and a.texts() == [f"back {i}" for i in range(20)]
    a.delivered(sent.chat_id, b.uid, sent.msg_id)
    b.delivered(back.chat_id, a.uid, back.msg_id)
    assert not a.gaps and not b.gaps and not a.doubled and not b.doubled
    page = b.ask_ok(history={"chat_id": sent.chat_id, "limit": 200})
    assert len(page.messages) == 40


@pytest.mark.parametrize("size", [3, 8, 9, 20])
def test_groups(three, user, size):
    devices = anywhere(three, [user("g") for _ in range(size)])
    chat = devices[0].create_group([device.uid for device in devices[1:]])
    for device in devices[1:]:
        device.change("CREATED", chat)
    said = {device.say(chat=chat, text=f"{round_}").msg_id: device.uid
            for round_ in range(3) for device in devices[:5]}
    for device in devices:
        wanted = [i for i in sorted(said) if said[i] != device.uid]
        device.wait_for(lambda d=device, w=wanted: set(w) <= set(ids_of(d, chat)), "the others' messages")
        assert [i for i in ids_of(device, chat) if said[i] != device.uid] == wanted
        assert not device.doubled
    newcomer = Device(three.at("b2"), user("n")).online()
    devices[-1].ask_ok(update_chat={"chat_id": chat, "add": [newcomer.uid]})
    newcomer.change("MEMBERS_CHANGED", chat)
    newcomer.say(chat=chat, text="hello from b2")
    for device in devices:
        device.message("hello from b2")


def ids_of(device, chat):
    with device.board:
        return [e.message.msg_id for e in device.entries
                if e.WhichOneof("body") == "message" and e.message.chat_id == chat]


def test_several_devices_on_several_brokers(three, user):
    alice, bob = user("alice"), user("bob")
    phones = [Device(three.at(name), alice, f"d{i}").online() for i, name in enumerate(three.brokers)]
    friend = Device(three.at("b2"), bob).online()
    friend.say(alice, "to all of you")
    for phone in phones:
        phone.message("to all of you")
    phones[0].say(bob, "from one of us")
    for phone in phones[1:]:
        assert phone.message("from one of us").author == alice
    friend.message("from one of us")
    for phone in phones:
        assert phone.texts().count("to all of you") == 1 and not phone.gaps


@PAIRS
def test_presence(three, user, here, there):
    uid = user()
    watcher = Device(three.at(here), user("w")).online()
    watcher.subscribe(f"presence/{uid}")
    wait_state(watcher, uid, [False])
    phone = Device(three.at(there), uid).online()
    wait_state(watcher, uid, [False, True])
    phone.close()
    wait_state(watcher, uid, [False, True, False])


def test_moving_to_another_broker_never_shows(three, user):
    uid = user()
    watcher = Device(three.at("b3"), user("w")).online()
    watcher.subscribe(f"presence/{uid}")
    phone = Device(three.at("b1"), uid).online()
    wait_state(watcher, uid, [False, True])
    phone.stack = three.at("b2")
    moved = phone.again().online()
    settle(three, user, watcher)
    assert states(watcher, uid) == [False, True] and moved.connected


def test_a_takeover_from_another_broker(three, user):
    uid = user()
    watcher = Device(three.at("b3"), user("w")).online()
    watcher.subscribe(f"presence/{uid}")
    old = Device(three.at("b1"), uid, auto_ack=False).online()
    wait_state(watcher, uid, [False, True])
    watcher.say(uid, "before")
    old.message("before")
    new = Device(three.at("b2"), uid, memory=None).online()
    old.notice("SESSION_REPLACED")
    old.wait_gone()
    assert new.message("before"), "it was not acknowledged"
    watcher.say(uid, "after")
    new.message("after")
    assert "after" not in old.texts()
    settle(three, user, watcher)
    assert states(watcher, uid) == [False, True] and new.connected


@pytest.mark.parametrize("waits", [True, False])
def test_a_takeover_to_and_fro(three, user, waits):
    uid, other = user(), Device(three.at("b1"), user("o")).online()
    devices = [Device(three.at("b1"), uid).online()]
    for round_ in range(10):
        other.say(uid, f"m{round_}")
        devices.append(Device(three.at(three.brokers[(round_ + 1) % 3]), uid).online())
        if waits:
            devices[-2].wait_gone()
    for device in devices[:-1]:
        device.wait_gone()
    # Each is taken by whoever had the session then, or by the next one.
    poll(lambda: {text for device in devices for text in device.texts()} == {f"m{i}" for i in range(10)}, "all of it")
    assert devices[-1].connected and not any(device.doubled for device in devices)


def test_tools_out_of_the_box(three, user):
    alice, bob = user("alice"), user("bob")
    with tools.mosquitto_sub(three.at("b2"), alice, "watch", f"json/tail/{alice}", args=["-d"]) as watch:
        watch.line("SUBACK")
        done = tools.mosquitto_pub(three.at("b3"), bob, "phone", "chat/send", json.dumps({"to": alice, "text": "hello"}))
        assert done.returncode == 0, done.stderr
        frame = json.loads(watch.line('"hello"').split(" ", 1)[1])
    assert frame["message"]["author"] == bob


@pytest.mark.parametrize("size", [3, 12], ids=["inline", "task"])
def test_talk_over_all_brokers(three, user, size):
    devices = anywhere(three, [user("t") for _ in range(size)])
    chat = devices[0].create_group([device.uid for device in devices[1:]])
    devices[-1].change("CREATED", chat)
    for device in devices:
        device.close()
    talkers = [Talker(three.at(three.brokers[i % 3]), device.uid, 60, chat=chat).start()
               for i, device in enumerate(devices[:3])]
    for talker in talkers:
        talker.join()
    readers = [Device(three.anywhere(), device.uid, "reader").online() for device in devices[3:]]
    judge(talkers, chat)
    for reader in readers:
        reader.ask_ok(whoami={})
