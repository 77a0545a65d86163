"""protocol.md, "Requests": every row, its errors and its pages."""

import time

import pytest

from harness.proto import pb
from harness.waiting import poll


def test_whoami(device, user):
    a = device(user("a"), "tablet").online()
    device(user("b")).online().say(a.uid, "x")
    a.message("x")
    identity = a.wait_acked()
    assert (identity.uid, identity.device, identity.head, identity.acked) == (a.uid, "tablet", 1, 1)
    assert abs(identity.server_time_ms - time.time() * 1000) < 5000
    assert identity.version


# ---- chats

def test_open_chat_by_peer_and_by_id(pair):
    a, b = pair()
    chat = a.say(b.uid, "one").chat_id
    b.message("one")
    b.wait_acked()
    for view in (a.ask_ok(open_chat={"to": b.uid}), b.ask_ok(open_chat={"chat_id": chat})):
        assert view.chat.chat_id == chat and view.chat.kind == pb.Chat.DIRECT
        assert sorted(view.chat.members) == sorted([a.uid, b.uid]) and view.chat.member_count == 2
        assert [m.text for m in view.messages] == ["one"] and not view.more
        assert sorted(p.uid for p in view.presence) == sorted([a.uid, b.uid])
        assert {m.uid: m.msg_id for m in view.delivered}[b.uid] == view.messages[0].msg_id


def test_open_chat_shows_own_ids_only_to_the_author(pair):
    a, b = pair()
    accepted = a.say(b.uid, "one")
    mine = a.ask_ok(open_chat={"to": b.uid}).messages[0]
    theirs = b.ask_ok(open_chat={"to": a.uid}).messages[0]
    assert (mine.client_msg_id, mine.device) == (accepted.client_msg_id, a.device)
    assert (theirs.client_msg_id, theirs.device) == (0, "")


def test_open_chat_of_a_direct_chat_not_yet_begun(device, user):
    a = device(user("a")).online()
    response = a.ask(open_chat={"to": user("b")})
    if response.WhichOneof("result") == "error":
        assert response.error.code == pb.PERMISSION_DENIED
    else:
        assert not response.chat_view.messages


def test_open_chat_pages(pair):
    a, b = pair()
    for i in range(60):
        a.say(b.uid, f"m{i}")
    view = b.ask_ok(open_chat={"to": a.uid})
    assert [m.text for m in view.messages] == [f"m{i}" for i in range(10, 60)] and view.more
    view = b.ask_ok(open_chat={"to": a.uid, "limit": 200})
    assert len(view.messages) == 60 and not view.more
    assert len(b.ask_ok(open_chat={"to": a.uid, "limit": 3}).messages) == 3


def test_open_chat_of_a_large_group(device, user):
    a = device(user("a")).online()
    chat = a.create_group([user("m") for _ in range(80)], title="large")
    view = a.ask_ok(open_chat={"chat_id": chat})
    assert view.chat.member_count == 81 and len(view.chat.members) == 64 and view.chat.title == "large"
    assert len(view.presence) <= 64


def test_history_pages_both_ways(pair):
    a, b = pair()
    sent = [a.say(b.uid, f"m{i}").msg_id for i in range(25)]
    chat = b.message("m24").chat_id
    newest = b.ask_ok(history={"chat_id": chat, "limit": 10})
    assert [m.msg_id for m in newest.messages] == sent[15:] and newest.more
    older = b.ask_ok(history={"chat_id": chat, "before_msg_id": sent[15], "limit": 10})
    assert [m.msg_id for m in older.messages] == sent[5:15] and older.more
    oldest = b.ask_ok(history={"chat_id": chat, "before_msg_id": sent[5], "limit": 10})
    assert [m.msg_id for m in oldest.messages] == sent[:5] and not oldest.more
    after = b.ask_ok(history={"chat_id": chat, "after_msg_id": sent[0], "limit": 10})
    assert [m.msg_id for m in after.messages] == sent[1:11] and after.more
    last = b.ask_ok(history={"chat_id": chat, "after_msg_id": sent[20], "limit": 10})
    assert [m.msg_id for m in last.messages] == sent[21:] and not last.more
    assert len(b.ask_ok(history={"chat_id": chat}).messages) == 25
    empty = b.ask_ok(history={"chat_id": chat, "after_msg_id": sent[-1]})
    assert not empty.messages and not empty.more


def test_history_spans_store_and_journal(own_stack, device, user):
    """What is in the store already and what the persister has not yet taken, as one sequence."""
    stack = own_stack()
    a = device(user("a"), on=stack).online()
    b = user("b")
    sent = [a.say(b, f"m{i}").msg_id for i in range(10)]
    stack.stop("persister")
    sent += [a.say(b, f"m{i}").msg_id for i in range(10, 20)]
    a.ask_error("UNAVAILABLE", history={"chat_id": f"d:{a.uid}:{b}" if a.uid < b else f"d:{b}:{a.uid}"})
    stack.start("persister")
    stack.wait_healthy("persister")
    page = a.ask_ok(open_chat={"to": b, "limit": 100})
    assert [m.msg_id for m in page.messages] == sent


def test_list_chats_newest_first_and_in_pages(device, user):
    a = device(user("a")).online()
    peers = [user("p") for _ in range(6)]
    said = [a.say(peer, f"to {i}") for i, peer in enumerate(peers)]
    newest = {accepted.chat_id: accepted.msg_id for accepted in said}
    group = a.create_group([peers[0]], title="group")
    newest[group] = a.ask_ok(open_chat={"chat_id": group}).chat.last_msg_id
    last = a.say(peers[0], "again")
    newest[last.chat_id] = last.msg_id
    # A chat's place in the list is the user's, told by what comes into the inbox.
    poll(lambda: {c.chat.chat_id: c.chat.last_msg_id for c in a.ask_ok(list_chats={}).chats} == newest, "the list")
    whole = a.ask_ok(list_chats={})
    order = [c.chat.chat_id for c in whole.chats]
    assert {c.chat.chat_id: c.chat.last_msg_id for c in whole.chats} == newest and not whole.more
    # Ids of different chats may be equal, within one millisecond: then either may come first.
    assert [newest[chat] for chat in order] == sorted(newest.values(), reverse=True)
    shown = {c.chat.chat_id: c for c in whole.chats}
    assert shown[last.chat_id].last_message.text == "again"
    assert shown[last.chat_id].last_message.msg_id == last.msg_id
    assert shown[group].chat.title == "group"
    seen, before = [], 0
    while True:
        page = a.ask_ok(list_chats={"limit": 3, "before_msg_id": before})
        seen += [c.chat.chat_id for c in page.chats]
        if not page.more:
            break
        before = page.chats[-1].chat.last_msg_id
    assert seen == order


def test_list_chats_of_nobody(device, user):
    whole = device(user("a")).online().ask_ok(list_chats={})
    assert not whole.chats and not whole.more


def test_list_chats_shows_chats_that_others_began(pair):
    a, b = pair()
    a.say(b.uid, "hi")
    b.message("hi")
    assert [c.last_message.text for c in b.ask_ok(list_chats={}).chats] == ["hi"]


def test_list_members_pages(device, user):
    a = device(user("a")).online()
    others = [user("m") for _ in range(20)]
    chat = a.create_group(others)
    want = sorted([a.uid] + others)
    first = a.ask_ok(list_members={"chat_id": chat, "limit": 8})
    assert list(first.uids) == want[:8] and first.more
    rest = a.ask_ok(list_members={"chat_id": chat, "after": first.uids[-1], "limit": 100})
    assert list(rest.uids) == want[8:] and not rest.more
    direct = a.say(others[0], "x").chat_id
    assert sorted(a.ask_ok(list_members={"chat_id": direct}).uids) == sorted([a.uid, others[0]])


@pytest.mark.parametrize("request_", ["open_chat", "history", "list_members", "update_chat", "mute_chat"])
@pytest.mark.parametrize("which", ["someone else's", "none"])
def test_members_only(device, user, request_, which):
    a, stranger = device(user("a")).online(), device(user("s")).online()
    chat = a.create_group([user("b")]) if which != "none" else "g:" + "q" * 26
    if request_ == "mute_chat":
        response = stranger.ask(mute_chat={"chat_id": chat, "until_ms": -1})
        assert response.WhichOneof("result") in ("error", "done")   # quieting what one cannot hear is no secret
        return
    body = {"chat_id": chat}
    if request_ == "update_chat":
        body["title"] = "mine"
    stranger.ask_error("PERMISSION_DENIED", **{request_: body})


# ---- receipts and presence

def test_receipts_of_several_chats_leave_out_strangers(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    one, two = a.say(b.uid, "x").chat_id, a.say(c.uid, "y").chat_id
    foreign = b.say(c.uid, "z").chat_id
    for x in (b, c):
        x.wait_for(lambda x=x: x.entries, "a message")
        x.wait_acked()
    shown = {c_.chat_id: {m.uid for m in c_.delivered} for c_ in
             a.ask_ok(receipts={"chat_ids": [one, two, foreign]}).chats}
    assert b.uid in shown[one] and c.uid in shown[two]
    assert not shown.get(foreign)


def test_limits_of_lists(device, user):
    a = device(user("a")).online()
    a.ask_error("INVALID_ARGUMENT", receipts={"chat_ids": ["g:" + "a" * 26] * 101})
    a.ask_ok(receipts={"chat_ids": ["g:" + "a" * 26] * 100})
    a.ask_error("INVALID_ARGUMENT", get_presence={"uids": [f"u{i}" for i in range(201)]})
    a.ask_error("INVALID_ARGUMENT", get_presence={"uids": ["not a uid"]})
    shown = a.ask_ok(get_presence={"uids": [f"u{i}" for i in range(200)]})
    assert [p.uid for p in shown.presence] == [f"u{i}" for i in range(200)]


def test_get_presence(quick, device, user):
    a, b = device(user("a"), on=quick).online(), device(user("b"), on=quick).online()
    a.subscribe(f"presence/{b.uid}")
    a.wait_for(lambda: a.presence and a.presence[-1].online, "b online")
    shown = {p.uid: p for p in a.ask_ok(get_presence={"uids": [b.uid, "nobody.ever"]}).presence}
    assert shown[b.uid].online and not shown["nobody.ever"].online
    assert shown["nobody.ever"].last_active_ms == 0
    assert abs(shown[b.uid].last_active_ms - time.time() * 1000) < 20_000


# ---- push and mutes: stored, nothing is pushed yet

@pytest.mark.parametrize("gateway", [
    {"web_push": pb.RegisterPush.WebPush(endpoint="https://push.example.org/x", p256dh=b"\4" + b"k" * 64,
                                         auth=b"a" * 16)},
    {"fcm": pb.RegisterPush.Fcm(token="t" * 150)},
    {"apns": pb.RegisterPush.Apns(token="ab" * 32, topic="org.example.app", sandbox=True)},
], ids=lambda gateway: next(iter(gateway)))
def test_push_registration(device, user, gateway):
    a = device(user("a")).online()
    a.ask_ok(register_push=pb.RegisterPush(preview=True, language="de-DE", **gateway))
    a.ask_ok(register_push=pb.RegisterPush(**gateway))
    a.ask_ok(unregister_push={})
    a.ask_ok(unregister_push={})


def test_push_registration_without_a_gateway(device, user):
    device(user("a")).online().ask_error("INVALID_ARGUMENT", register_push={})


def test_muting(pair):
    a, b = pair()
    chat = a.say(b.uid, "x").chat_id
    for until in (int(time.time() * 1000) + 60_000, -1, 0):
        b.ask_ok(mute_chat={"chat_id": chat, "until_ms": until})
    b.ask_ok(mute_chat={"until_ms": -1})
    b.ask_ok(mute_chat={"until_ms": 0})


# ---- the envelope

@pytest.mark.parametrize("request_id", ["", "x" * 37])
def test_request_ids_have_1_to_36_bytes(device, user, request_id):
    a = device(user("a")).online()
    a.put("req", pb.Request(request_id=request_id, whoami=pb.WhoAmI()))
    frame = a.wait_for(lambda: next((f for f in a.frames if f.WhichOneof("body") in ("notice", "response")), None),
                       "an answer")
    assert frame.notice.kind == pb.Notice.BAD_FRAME or frame.response.error.code == pb.INVALID_ARGUMENT


def test_a_request_without_a_body(device, user):
    a = device(user("a")).online()
    a.put("req", pb.Request(request_id="empty"))
    frame = a.wait_for(lambda: next((f for f in a.frames if f.WhichOneof("body") in ("notice", "response")), None),
                       "an answer")
    assert frame.notice.kind == pb.Notice.BAD_FRAME or frame.response.error.code == pb.INVALID_ARGUMENT


def test_many_requests_at_once_are_all_answered(device, user):
    a = device(user("a")).online()
    for i in range(50):
        a.put("req", pb.Request(request_id=f"n{i}", list_chats=pb.ListChats()))
    for i in range(50):
        assert a.response(f"n{i}").WhichOneof("result") in ("chats", "error")


def test_requests_work_in_json(device, user):
    a = device(user("a"), json=True).online()
    chat = a.ask_ok(create_chat={"title": "json", "members": [user("b")]})
    assert chat.title == "json"
    a.publish("chat/req", '{"requestId": "by hand", "openChat": {"chatId": "%s"}}' % chat.chat_id)
    assert a.response("by hand").chat_view.chat.title == "json"
