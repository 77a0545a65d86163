"""Delivered: protocol.md "Receiving" 7 and the notes below "Requests" (G5)."""

from harness.proto import kind_of


def hints(device):
    with device.board:
        return [(f.delivered.chat_id, mark.uid, mark.msg_id) for f in device.frames
                if kind_of(f) == "delivered" for mark in f.delivered.marks]


def test_delivered_comes_once_somebody_has_acknowledged(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    accepted = a.say(b.uid, "hello")
    b.message("hello")
    a.ask_ok(whoami={})
    assert hints(a) == []
    b.ack()
    a.delivered(accepted.chat_id, b.uid, accepted.msg_id)
    assert hints(a) == [(accepted.chat_id, b.uid, accepted.msg_id)]


def test_one_device_suffices_and_the_hint_comes_once(device, user):
    a, uid = device(user("a")).online(), user("b")
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    accepted = a.say(uid, "hello")
    for b in (phone, laptop):
        b.message("hello")
        b.wait_acked()
    a.delivered(accepted.chat_id, uid, accepted.msg_id)
    a.ask_ok(whoami={})
    assert hints(a) == [(accepted.chat_id, uid, accepted.msg_id)]


def test_all_connected_devices_of_the_author_are_told(device, user):
    uid, b = user("a"), device(user("b")).online()
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    accepted = phone.say(b.uid, "hello")
    phone.delivered(accepted.chat_id, b.uid, accepted.msg_id)
    laptop.delivered(accepted.chat_id, b.uid, accepted.msg_id)


def test_nobody_gets_delivered_about_their_own_message(device, user):
    uid, b = user("a"), device(user("b")).online()
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    accepted = phone.say(b.uid, "hello")
    laptop.message("hello")
    laptop.wait_acked()
    phone.delivered(accepted.chat_id, b.uid, accepted.msg_id)
    b.wait_acked()
    assert {who for _, who, _ in hints(phone) + hints(laptop)} == {b.uid}
    assert hints(b) == []


def test_a_mark_covers_what_came_before_and_never_goes_back(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    sent = [a.say(b.uid, f"m{i}") for i in range(4)]
    b.message("m3")
    b.ack(2)
    a.delivered(sent[0].chat_id, b.uid, sent[1].msg_id)
    b.ack(4)
    a.delivered(sent[0].chat_id, b.uid, sent[3].msg_id)
    b.ack(1)
    b.ask_ok(whoami={})
    marks = [m for _, _, m in hints(a)]
    assert marks == sorted(marks) and marks[0] == sent[1].msg_id
    shown = a.ask_ok(receipts={"chat_ids": [sent[0].chat_id]}).chats[0]
    assert {m.uid: m.msg_id for m in shown.delivered}[b.uid] == sent[3].msg_id


def test_who_was_away_asks_for_receipts(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    accepted = a.say(b.uid, "hello")
    b.message("hello")
    a.cut()
    b.ack()
    b.wait_acked()
    back = a.again().online()
    shown = back.ask_ok(receipts={"chat_ids": [accepted.chat_id]}).chats[0]
    assert {m.uid: m.msg_id for m in shown.delivered}[b.uid] == accepted.msg_id
    assert hints(back) == []


def test_in_a_group_each_member_is_told_of(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    chat = a.create_group([b.uid, c.uid])
    accepted = a.say(chat=chat, text="hello")
    a.delivered(chat, b.uid, accepted.msg_id)
    a.delivered(chat, c.uid, accepted.msg_id)


def test_chats_of_more_than_32_members_send_no_hints(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    small = a.create_group([b.uid] + [user("m") for _ in range(30)])
    large = a.create_group([b.uid] + [user("m") for _ in range(31)])
    in_small, in_large = a.say(chat=small, text="32"), a.say(chat=large, text="33")
    b.message("32")
    b.message("33")
    b.wait_acked()
    a.delivered(small, b.uid, in_small.msg_id)
    shown = {c.chat_id: {m.uid: m.msg_id for m in c.delivered}
             for c in a.ask_ok(receipts={"chat_ids": [small, large]}).chats}
    assert shown[large][b.uid] == in_large.msg_id   # the mark is there, for who asks
    assert {chat for chat, _, _ in hints(a)} == {small}


def test_a_resync_passes_over_as_acknowledged(device, user):
    a, uid = device(user("a")).online(), user("b")
    phone = device(uid, "phone").online()
    accepted = a.say(uid, "hello")
    phone.message("hello")
    phone.wait_acked()
    laptop = device(uid, "laptop").online()
    assert laptop.syncs[0].resync
    assert laptop.ask_ok(whoami={}).acked == laptop.syncs[0].start
    a.delivered(accepted.chat_id, uid, accepted.msg_id)
