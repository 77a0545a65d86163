"""What is idle is let go of by the hub, and back on first use (docs/storage.md, "What is idle leaves Redis")."""

import time

from harness.device import Device
from harness.talker import whole_history
from nj import probe


def retire(stack, chat):
    """As a persister does after idle days."""
    keys = [key.decode() for port in stack.masters() for key in probe.redis_list(port, "KEYS", f"chat:*:{chat}")]
    assert len(keys) == 1, keys
    tail = keys[0].removeprefix("chat:{")
    partition = int(tail.split("}")[0])
    later = str(int((time.time() + 3600) * 1000))
    answer = stack.redis("FCALL", "nj_retire", "1", f"part:{{{partition}}}", f"{partition}}}", later, "1", tail, partition=partition)
    assert answer == b"*3", answer

    def has():
        return stack.redis("HEXISTS", keys[0], "title", partition=partition) == b":1"
    assert not has()
    return has


def test_whoever_uses_a_group_has_its_title(own_stack, user):
    stack = own_stack()
    a, b, c = (Device(stack, user(name)).online() for name in "abc")
    chat = a.create_group([b.uid], title="Höhle")
    first = [a.say(chat=chat, text=f"m{i}").msg_id for i in range(3)]
    stack.wait_for_empty_journal()

    has = retire(stack, chat)
    c.ask_error("PERMISSION_DENIED", open_chat={"chat_id": chat})
    assert not has()
    view = b.ask_ok(open_chat={"chat_id": chat})
    assert view.chat.title == "Höhle" and view.chat.created_by == a.uid and view.chat.member_count == 2
    assert [message.msg_id for message in view.messages] == first
    assert has()

    has = retire(stack, chat)
    listed = {view.chat.chat_id: view.chat.title for view in a.ask_ok(list_chats={}).chats}
    assert listed[chat] == "Höhle" and has()

    has = retire(stack, chat)
    changed = a.ask_ok(update_chat={"chat_id": chat, "add": [c.uid]})
    assert changed.title == "Höhle" and changed.member_count == 3 and has()
    assert c.change("MEMBERS_CHANGED", chat).chat.title == "Höhle"
    c.say(chat=chat, text="here")
    b.message("here")

    # The same title is no new one, another is.
    stack.wait_for_empty_journal()
    has = retire(stack, chat)
    assert a.ask_ok(update_chat={"chat_id": chat, "title": "Höhle"}).last_msg_id == b.message("here").msg_id
    retire(stack, chat)
    assert a.ask_ok(update_chat={"chat_id": chat, "title": "Grotte"}).title == "Grotte"
    stack.wait_for_empty_journal()
    retire(stack, chat)
    assert b.ask_ok(open_chat={"chat_id": chat}).chat.title == "Grotte"
    assert [m.text for m in whole_history(b, chat) if m.text] == ["m0", "m1", "m2", "here"]


def test_without_a_persister_people_go_on_in_it(own_stack, user):
    stack = own_stack()
    a, b = (Device(stack, user(name)).online() for name in "ab")
    chat = a.create_group([b.uid], title="Höhle")
    stack.wait_for_empty_journal()
    stack.stop("persister")
    has = retire(stack, chat)
    a.say(chat=chat, text="on")
    b.message("on")
    b.wait_acked()
    a.ask_error("UNAVAILABLE", update_chat={"chat_id": chat, "remove": [b.uid]})
    assert b.ask_ok(list_members={"chat_id": chat}).uids
    stack.start("persister")
    stack.wait_healthy("persister")
    assert a.ask_ok(update_chat={"chat_id": chat, "remove": [b.uid]}).title == "Höhle" and has()
