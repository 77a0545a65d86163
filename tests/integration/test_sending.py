"""protocol.md, "Sending" and "Limits and errors": accepted, rejected, repeats, the window, the limits."""

import time

import pytest

from harness.mqtt import V3, V5
from harness.proto import code, kind_of, pb, to_json

MOST_ID = (1 << 53) - 1


@pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "json"])
def test_a_message(device, user, version, transport, json):
    options = {"version": version, "transport": transport, "json": json}
    a, b = device(user("a"), **options).online(), device(user("b"), **options).online()
    before = int(time.time() * 1000)
    accepted = a.say(b.uid, "Grüße 👋", content_url="https://example.org/x.jpg", content_type="image/jpeg")
    after = int(time.time() * 1000)
    message = b.message("Grüße 👋")
    low, high = sorted([a.uid, b.uid])
    assert accepted.chat_id == f"d:{low}:{high}"
    assert before <= accepted.msg_id >> 20 <= after
    assert message == pb.Message(msg_id=accepted.msg_id, chat_id=accepted.chat_id, author=a.uid, text="Grüße 👋",
                                 content_url="https://example.org/x.jpg", content_type="image/jpeg")


def test_accepted_names_the_chat_only_when_the_send_did_not(pair):
    a, b = pair()
    first = a.say(b.uid, "one")
    second = a.say(chat=first.chat_id, text="two")
    assert first.chat_id and not second.chat_id
    assert b.message("two").chat_id == first.chat_id


def test_ids_grow_in_the_order_of_acceptance(pair):
    a, b = pair()
    sent = [a.send(b.uid, f"m{i}") for i in range(12)]
    ids = [a.accepted(cmid).msg_id for cmid in sent]
    assert ids == sorted(set(ids))
    b.message("m11")
    assert b.texts() == [f"m{i}" for i in range(12)]
    assert [e.message.msg_id for e in b.entries] == ids


def test_both_sides_see_one_order(pair):
    a, b = pair()
    chat = a.say(b.uid, "start").chat_id
    for i in range(10):
        a.send(chat=chat, text=f"a{i}")
        b.send(chat=chat, text=f"b{i}")
    a.message("b9")
    b.message("a9")
    whole = a.ask_ok(history={"chat_id": chat, "limit": 100}).messages
    assert len(whole) == 21
    order = [m.text for m in whole]
    assert a.texts() == [t for t in order if t.startswith("b")]
    assert b.texts() == [t for t in order if not t.startswith("b")]


def test_a_chat_with_oneself(device, user):
    uid = user()
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    accepted = phone.say(uid, "remember the milk")
    assert accepted.chat_id == f"d:{uid}:{uid}"
    assert laptop.message("remember the milk").device == "phone"
    laptop.wait_acked()
    marker = phone.say(user("x"), "marker")
    assert marker.msg_id and "delivered" not in phone.kinds()


def test_without_a_client_msg_id_nothing_is_recognised(pair):
    a, b = pair()
    a.send(b.uid, "hi", cmid=0)
    a.send(b.uid, "hi", cmid=0)
    a.wait_for(lambda: a.kinds().count("accepted") == 2, "two answers")
    b.wait_for(lambda: b.texts() == ["hi", "hi"], "both")


def test_an_acknowledgement_may_ride_along(pair):
    a, b = pair()
    b.auto_ack = False
    accepted = a.say(b.uid, "hello")
    b.message("hello")
    b.say(a.uid, "hi", ack=b.held, epoch=b.epoch)
    a.delivered(accepted.chat_id, b.uid, accepted.msg_id)
    b.wait_acked()


# ---- repeats

def test_a_repeat_on_the_same_connection(pair):
    a, b = pair()
    first = a.say(b.uid, "once")
    again = a.say(b.uid, "once", cmid=first.client_msg_id)
    assert again == first
    a.say(b.uid, "marker")
    b.message("marker")
    assert b.texts() == ["once", "marker"]


def test_a_repeat_after_a_reconnect(pair):
    a, b = pair()
    first = a.say(b.uid, "once")
    again = a.again().online()
    assert again.say(b.uid, "once", cmid=first.client_msg_id) == first
    again.say(b.uid, "marker")
    b.message("marker")
    assert b.texts() == ["once", "marker"]


def test_a_repeat_wins_even_if_its_content_differs_or_is_no_longer_allowed(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    chat = a.create_group([b.uid, c.uid])
    sent = b.say(chat=chat, text="still in")
    a.ask_ok(update_chat={"chat_id": chat, "remove": [b.uid]})
    assert b.say(chat=chat, text="anything", cmid=sent.client_msg_id) == sent
    b.refuse("PERMISSION_DENIED", chat=chat, text="new")


def test_an_accepted_that_never_reached_the_sender(device, user, stack):
    a, b = device(user("a")).online(), device(user("b")).online()
    cmid = a.next_id()
    # The line dies right behind the last byte of the send.
    a.publish("chat/send", pb.Send(client_msg_id=cmid, to=b.uid, text="once").SerializeToString())
    b.message("once")
    a.cut()
    # Much later: 15 more messages of the same device in between, on other connections.
    other = a.again().online()
    for i in range(15):
        other.say(b.uid, f"later {i}")
    last = other.again().online()
    accepted = last.say(b.uid, "once", cmid=cmid)
    assert accepted.msg_id == b.message("once").msg_id
    last.say(b.uid, "marker")
    b.message("marker")
    assert b.texts().count("once") == 1 and not b.doubled


def test_devices_and_chats_have_windows_of_their_own(device, user):
    uid, b, c = user("a"), user("b"), user("c")
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    first = phone.say(b, "1", cmid=7)
    assert laptop.say(b, "2", cmid=7).msg_id > first.msg_id
    assert phone.say(c, "3", cmid=7).chat_id != first.chat_id


def test_below_the_window(pair):
    a, b = pair()
    base = a.next_id() * 1000
    sent = [a.say(b.uid, f"m{i}", cmid=base + 10 * i) for i in range(18)]
    # The 16 highest are m2..m17: those are recognised; what lies below is refused, repeat or not.
    assert a.say(b.uid, "m2", cmid=base + 20) == sent[2]
    a.refuse("FAILED_PRECONDITION", b.uid, "m1", cmid=base + 10)
    a.refuse("FAILED_PRECONDITION", b.uid, "never sent", cmid=base + 11)
    # Above the lowest kept, an id not yet used is news.
    assert a.say(b.uid, "late", cmid=base + 175).msg_id > sent[17].msg_id
    b.message("late")
    assert b.texts() == [f"m{i}" for i in range(18)] + ["late"]
    # History settles what became of it.
    own = {m.client_msg_id: m.text for m in a.ask_ok(history={"chat_id": sent[0].chat_id}).messages
           if m.device == a.device}
    assert own[base + 10] == "m1" and base + 11 not in own


def test_forgetting_a_device_raises_the_floor(device, user):
    uid, b = user("a"), user("b")
    first = device(uid, "d0").online()
    first.say(b, "old", cmid=1000)
    for i in range(1, 17):
        other = device(uid, f"d{i}").online()
        other.say(b, f"m{i}", cmid=2000 + i)
        other.close()
    again = first.again().online()
    again.refuse("FAILED_PRECONDITION", b, "old", cmid=1000)
    again.say(b, "new", cmid=1001)


def test_sixteen_under_way_in_any_order(pair):
    a, b = pair()
    base = a.next_id()
    sent = [a.send(b.uid, f"m{i}", cmid=base + i) for i in range(16)]
    again = [a.send(b.uid, f"m{i}", cmid=base + i) for i in reversed(range(16))]
    for cmid in sent + again:
        a.accepted(cmid)
    a.wait_for(lambda: a.kinds().count("accepted") == 32, "32 answers")
    b.message("m15")
    assert b.texts() == [f"m{i}" for i in range(16)]


# ---- limits and errors

def test_the_largest_of_everything(pair):
    a, b = pair()
    text = "ü" * 8192
    a.say(b.uid, text, content_url="h" * 2048, content_type="t" * 128, cmid=MOST_ID)
    message = b.message(text)
    assert len(message.content_url) == 2048 and len(message.content_type) == 128


@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "json"])
@pytest.mark.parametrize("what, fields", [
    ("text", {"text": "x" * (16 * 1024 + 1)}), ("text in characters", {"text": "ü" * 8193}),
    ("content_url", {"text": "x", "content_url": "h" * 2049}),
    ("content_type", {"text": "x", "content_type": "t" * 129}),
    ("client_msg_id", {"text": "x", "cmid": MOST_ID + 1}),
    ("the largest client_msg_id", {"text": "x", "cmid": (1 << 64) - 1}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_beyond_a_limit(pair, what, fields, json):
    a, b = pair(json=json)
    a.refuse("INVALID_ARGUMENT", b.uid, **fields)
    a.say(b.uid, "marker")
    b.message("marker")
    assert b.texts() == ["marker"], what


@pytest.mark.parametrize("target", [
    {"to": "no such/uid"}, {"to": ""}, {"to": "x" * 65}, {}, {"chat_id": ""}, {"chat_id": "x"}, {"chat_id": "d:a"},
    {"chat_id": "g:short"}], ids=str)
def test_no_target_or_a_malformed_one(device, user, target):
    a = device(user("a")).online()
    message = pb.Send(client_msg_id=a.next_id(), text="x", **target)
    a.put("send", message)
    frame = a.answer(message.client_msg_id)
    assert kind_of(frame) == "rejected"
    # A chat id that cannot be is no chat: the same answer as for one that is not there.
    assert frame.rejected.error.code in (code("INVALID_ARGUMENT"), code("PERMISSION_DENIED"))


def test_no_such_chat_and_not_a_member_look_the_same(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    group = a.create_group([b.uid])
    direct = a.say(b.uid, "hi").chat_id
    refusals = [c.refuse("PERMISSION_DENIED", chat=chat, text="let me in").error
                for chat in (group, direct, "g:" + "a" * 26, f"d:{a.uid}:{a.uid}")]
    assert len({error.message for error in refusals}) == 1
    assert all(error.retry_after_ms == 0 for error in refusals)


def test_rejected_names_the_chat(device, user):
    a = device(user("a")).online()
    rejected = a.refuse("PERMISSION_DENIED", chat="g:" + "a" * 26, text="x")
    assert rejected.chat_id == "g:" + "a" * 26


def test_the_rate_limit_and_its_retry_time(pair):
    a, b = pair()
    sent = [a.send(b.uid, f"m{i}") for i in range(260)]
    answers = [a.answer(cmid) for cmid in sent]
    refused = [(cmid, f.rejected.error) for cmid, f in zip(sent, answers) if kind_of(f) == "rejected"]
    assert 200 <= len(answers) - len(refused) < 260
    assert all(error.code == code("RESOURCE_EXHAUSTED") and error.retry_after_ms > 0 for _, error in refused)
    # Rejected so is not final: the same ids go through later.
    for cmid, _ in refused:
        a.say_patiently(b.uid, f"m{sent.index(cmid)}", cmid=cmid)
    b.wait_for(lambda: len(b.texts()) == 260, "all of them", 20)
    assert sorted(b.texts()) == sorted(f"m{i}" for i in range(260)) and not b.doubled


def test_what_cannot_be_decoded_but_has_an_id_is_rejected(device, user):
    a = device(user("a"), json=True).online()
    a.publish("chat/send", '{"clientMsgId": "77", "to": ["not", "a", "string"], "text": "x"}')
    frame = a.wait_for(lambda: next((f for f in a.frames if kind_of(f) in ("rejected", "notice")), None), "an answer")
    if kind_of(frame) == "rejected":
        assert frame.rejected.client_msg_id == 77 and frame.rejected.error.code == code("INVALID_ARGUMENT")
    else:
        assert frame.notice.kind == pb.Notice.BAD_FRAME
    a.say(user("b"), "still here")


@pytest.mark.parametrize("payload", [b"", b"{", b"{}", b"\xff\xff\xff", b"[]", b'{"to": "\xff"}', b"\x08",
                                     b'{"text": "\\ud800"}', b"{" * 20000])
def test_what_cannot_be_read_gets_a_word(device, user, payload):
    a = device(user("a")).online()
    a.publish("chat/send", payload)
    frame = a.wait_for(lambda: next((f for f in a.frames if kind_of(f) in ("rejected", "notice")), None), "an answer")
    if kind_of(frame) == "notice":
        assert frame.notice.kind == pb.Notice.BAD_FRAME and frame.notice.message
    a.say(user("b"), "still here")


def test_invalid_utf8_in_protobuf_text(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    good = pb.Send(client_msg_id=a.next_id(), to=b.uid, text="AAAA").SerializeToString()
    a.publish("chat/send", good.replace(b"AAAA", b"\xff\xfe\x80A"))
    frame = a.wait_for(lambda: next((f for f in a.frames if kind_of(f) in ("rejected", "notice")), None), "an answer")
    assert frame is not None
    a.say(b.uid, "marker")
    b.message("marker")
    assert b.texts() == ["marker"]


def test_the_same_by_json(pair):
    a, b = pair(json=True)
    send = pb.Send(client_msg_id=a.next_id(), to=b.uid, text='"quotes", \\ and \u2028 and \0 too'.replace("\0", "\x01"))
    a.publish("chat/send", to_json(send))
    a.accepted(send.client_msg_id)
    b.message(send.text)
