"""Groups: creating, changing, who may, and the three ways a message reaches members (3, 12, 70)."""

import pytest

from harness.proto import code, pb


def members(device, chat):
    return sorted(device.ask_ok(list_members={"chat_id": chat, "limit": 1000}).uids)


def test_creating_a_group(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    chat = a.ask_ok(create_chat={"title": "Höhle", "members": [b.uid, c.uid]})
    assert chat.chat_id[:2] == "g:" and len(chat.chat_id) == 28
    assert set(chat.chat_id[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert (chat.kind, chat.title, chat.created_by, chat.member_count) == (pb.Chat.GROUP, "Höhle", a.uid, 3)
    assert sorted(chat.members) == sorted([a.uid, b.uid, c.uid])
    for one in (a, b, c):
        change = one.change("CREATED", chat.chat_id)
        assert change.chat.title == "Höhle" and change.by == a.uid
        assert change.msg_id == chat.last_msg_id and change.msg_id >> 20 == chat.created_ms


def test_creating_again_finds_the_same_group(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    request = pb.Request(request_id="same", create_chat=pb.CreateChat(title="one", members=[b.uid]))
    a.put("req", request)
    first = a.response("same").chat
    after = len(a.frames)
    a.put("req", request)
    assert a.response("same", after=after).chat.chat_id == first.chat_id
    again = a.again().online()
    again.put("req", request)
    assert again.response("same").chat.chat_id == first.chat_id
    a = again
    other = a.create_group([b.uid], title="marker")
    b.change("CREATED", other)
    assert len([e for e in b.entries if e.chat_change.kind == pb.ChatChange.CREATED]) == 2


def test_a_group_of_one_and_duplicate_members(device, user):
    a, b = device(user("a")).online(), user("b")
    alone = a.ask_ok(create_chat={"title": "", "members": []})
    assert (alone.member_count, list(alone.members)) == (1, [a.uid])
    twice = a.ask_ok(create_chat={"title": "", "members": [b, b, a.uid]})
    assert twice.member_count == 2


@pytest.mark.parametrize("size", [3, 8, 9, 12, 70])
def test_a_message_reaches_every_member_once_and_in_order(device, user, size):
    uids = [user("m") for _ in range(size)]
    online = [device(uid).online() for uid in uids[:12]]
    a = online[0]
    chat = a.ask_ok(create_chat={"title": f"{size}", "members": uids[1:]}).chat_id
    sent = [a.say(chat=chat, text=f"m{i}") for i in range(5)]
    reply = online[1].say(chat=chat, text="reply")
    assert reply.msg_id > sent[-1].msg_id
    for one in online[2:]:
        one.message("reply")
        assert one.texts(chat) == [f"m{i}" for i in range(5)] + ["reply"]
        assert not one.doubled
    for uid in uids[12:]:     # those who were away
        late = device(uid).online()
        late.message("reply")
        assert late.texts(chat) == [f"m{i}" for i in range(5)] + ["reply"]
        late.close()


def test_a_small_chat_keeps_its_order_behind_open_tasks(device, user):
    """A group that shrinks from the task path to the inline path (and back) stays in order."""
    a, b = device(user("a")).online(), device(user("b")).online()
    extra = [user("x") for _ in range(8)]
    chat = a.create_group([b.uid] + extra)
    texts = []
    for i in range(4):
        texts += [f"{i} large", f"{i} small"]
        a.send(chat=chat, text=texts[-2])
        a.ask_ok(update_chat={"chat_id": chat, "remove": extra[-1:]})
        a.send(chat=chat, text=texts[-1])
        a.ask_ok(update_chat={"chat_id": chat, "add": extra[-1:]})
    b.message(texts[-1])
    assert b.texts(chat) == texts
    ids = [(e.message if e.WhichOneof("body") == "message" else e.chat_change).msg_id for e in b.entries]
    assert ids == sorted(ids)


def test_any_member_renames_and_adds(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    chat = a.create_group([b.uid])
    changed = b.ask_ok(update_chat={"chat_id": chat, "title": "renamed"})
    assert changed.title == "renamed"
    assert a.change("RENAMED", chat).by == b.uid
    b.ask_ok(update_chat={"chat_id": chat, "add": [c.uid]})
    change = c.change("MEMBERS_CHANGED", chat)
    assert list(change.added) == [c.uid] and change.by == b.uid and change.chat.title == "renamed"
    a.say(chat=chat, text="welcome")
    c.message("welcome")
    assert members(c, chat) == sorted([a.uid, b.uid, c.uid])


def test_adding_a_member_twice_is_fine(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    chat = a.create_group([b.uid])
    shown = a.ask_ok(update_chat={"chat_id": chat, "add": [b.uid]})
    assert shown.member_count == 2
    a.say(chat=chat, text="once")
    b.message("once")
    assert b.texts(chat) == ["once"]


def test_only_the_creator_removes_others(device, user):
    a, b, c = (device(user(n)).online() for n in "abc")
    chat = a.create_group([b.uid, c.uid])
    b.ask_error("PERMISSION_DENIED", update_chat={"chat_id": chat, "remove": [c.uid]})
    b.ask_error("PERMISSION_DENIED", update_chat={"chat_id": chat, "remove": [a.uid]})
    a.ask_ok(update_chat={"chat_id": chat, "remove": [c.uid]})
    change = c.change("MEMBERS_CHANGED", chat)      # the removed one is told
    assert list(change.removed) == [c.uid] and change.by == a.uid
    a.say(chat=chat, text="without c")
    b.message("without c")
    a.say(c.uid, "marker")
    c.message("marker")
    assert c.texts(chat) == []


def test_anyone_leaves(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    chat = a.create_group([b.uid])
    b.ask_ok(update_chat={"chat_id": chat, "remove": [b.uid]})
    assert list(a.change("MEMBERS_CHANGED", chat).removed) == [b.uid]
    for request in ({"history": {"chat_id": chat}}, {"open_chat": {"chat_id": chat}},
                    {"list_members": {"chat_id": chat}}, {"update_chat": {"chat_id": chat, "title": "x"}},
                    {"update_chat": {"chat_id": chat, "add": [b.uid]}}):
        b.ask_error("PERMISSION_DENIED", **request)
    b.refuse("PERMISSION_DENIED", chat=chat, text="hello?")
    assert chat not in [c.chat.chat_id for c in b.ask_ok(list_chats={}).chats]


def test_coming_back(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    chat = a.create_group([b.uid])
    a.ask_ok(update_chat={"chat_id": chat, "remove": [b.uid]})
    a.say(chat=chat, text="behind your back")
    a.ask_ok(update_chat={"chat_id": chat, "add": [b.uid]})
    a.say(chat=chat, text="welcome back")
    b.message("welcome back")
    assert b.texts(chat) == ["welcome back"]


def test_the_last_one_leaves(device, user):
    a = device(user("a")).online()
    chat = a.create_group([])
    a.ask_ok(update_chat={"chat_id": chat, "remove": [a.uid]})
    a.refuse("PERMISSION_DENIED", chat=chat, text="hello?")


def test_changes_in_a_group_of_tasks(device, user):
    a, b, new = (device(user(n)).online() for n in "abn")
    chat = a.create_group([b.uid] + [user("m") for _ in range(20)])
    a.say(chat=chat, text="before")
    a.ask_ok(update_chat={"chat_id": chat, "add": [new.uid]})
    a.say(chat=chat, text="with new")
    a.ask_ok(update_chat={"chat_id": chat, "remove": [b.uid]})
    a.say(chat=chat, text="without b")
    new.message("without b")
    assert new.texts(chat) == ["with new", "without b"]
    b.wait_for(lambda: any(b.uid in e.chat_change.removed for e in b.entries), "word of the removal")
    assert b.texts(chat) == ["before", "with new"]


def test_in_chats_of_more_than_64_members_are_omitted_and_text_is_4k(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    others = [user("m") for _ in range(62)]
    chat = a.create_group([b.uid] + others)      # 64 members
    assert len(b.change("CREATED", chat).chat.members) == 64
    a.say(chat=chat, text="x" * 16 * 1024)
    a.ask_ok(update_chat={"chat_id": chat, "add": [user("m")]})
    shown = b.change("MEMBERS_CHANGED", chat).chat
    assert list(shown.members) == [] and shown.member_count == 65
    a.refuse("INVALID_ARGUMENT", chat=chat, text="x" * (4 * 1024 + 1))
    a.say(chat=chat, text="y" * 4 * 1024)
    b.message("y" * 4 * 1024)


def test_limits_of_create_and_update(device, user):
    a = device(user("a")).online()
    many = [user("m") for _ in range(201)]
    a.ask_error("INVALID_ARGUMENT", create_chat={"members": many})
    a.ask_error("INVALID_ARGUMENT", create_chat={"members": ["bad uid"]})
    a.ask_error("INVALID_ARGUMENT", create_chat={"title": "x" * 129})
    chat = a.ask_ok(create_chat={"title": "x" * 128, "members": many[:200]}).chat_id
    a.ask_error("INVALID_ARGUMENT", update_chat={"chat_id": chat, "add": many})
    a.ask_error("INVALID_ARGUMENT", update_chat={"chat_id": chat, "title": "ü" * 65})
    a.ask_error("INVALID_ARGUMENT", update_chat={"chat_id": chat, "add": [""]})
    assert len(members(a, chat)) == 201


def test_the_largest_group_is_configurable(own_stack, device, user):
    stack = own_stack(options={"group_members": 10})
    a = device(user("a"), on=stack).online()
    chat = a.create_group([user("m") for _ in range(9)])
    a.ask_error("INVALID_ARGUMENT", update_chat={"chat_id": chat, "add": [user("m")]})
    a.ask_error("INVALID_ARGUMENT", create_chat={"members": [user("m") for _ in range(10)]})


def test_a_direct_chat_cannot_be_changed(pair):
    a, b = pair()
    chat = a.say(b.uid, "hi").chat_id
    error = a.ask(update_chat={"chat_id": chat, "title": "x"}).error
    assert error.code in (code("PERMISSION_DENIED"), code("INVALID_ARGUMENT"))


def test_a_title_may_be_emptied_and_left_alone(device, user):
    a = device(user("a")).online()
    chat = a.create_group([], title="title")
    assert a.ask_ok(update_chat={"chat_id": chat, "add": [user("m")]}).title == "title"
    assert a.ask_ok(update_chat={"chat_id": chat, "title": ""}).title == ""
