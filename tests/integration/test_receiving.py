"""protocol.md, "Receiving": sync, held, skipped, acknowledging, resends, several devices, max_frame."""

import pytest

from harness.proto import kind_of, pb


def test_sync_comes_first_and_a_new_user_starts_at_zero(device, user):
    a = device(user()).online()
    assert a.kinds()[0] == "sync"
    sync = a.syncs[0]
    assert (sync.start, sync.head, sync.resync) == (0, 0, False) and sync.epoch >= 1
    assert a.frames[0].seq == 0


def test_what_came_while_away_waits(device, user):
    a, uid = device(user("a")).online(), user("b")
    for i in range(5):
        a.say(uid, f"m{i}")
    device(uid, "watch").connect().wait_head(5)
    b = device(uid).online()
    b.message("m4")
    assert b.texts() == [f"m{i}" for i in range(5)]
    assert (b.syncs[0].start, b.syncs[0].head) == (0, 5)


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    for i in range(4):
        a.say(b.uid, f"m{i}")
    b.message("m3")
    b.ack(2)
    b.wait_for(lambda: b.ask_ok(whoami={}).acked == 2, "the acknowledgement")
    again = b.again().online()
    assert again.syncs[0].start == 2
    again.wait_for(lambda: len(again.doubled) == 2, "the rest again")
    assert [f.message.text for f in again.doubled] == ["m2", "m3"]


def test_resend_from_what_is_held(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    for i in range(4):
        a.say(b.uid, f"m{i}")
    b.message("m3")
    count = len(b.frames)
    b.ack(1, resend=True)
    b.wait_for(lambda: len(b.frames) >= count + 3, "frames 2 to 4 again")
    assert [f.seq for f in b.frames[count:count + 3]] == [2, 3, 4]
    assert [f.message.text for f in b.frames[count:count + 3]] == ["m1", "m2", "m3"]


@pytest.mark.parametrize("what, seq, epoch", [("beyond the head", 1000, None), ("without an epoch", 1, 0),
                                              ("far beyond", (1 << 64) - 1, None)])
def test_bad_acknowledgements(device, user, what, seq, epoch):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    accepted = a.say(b.uid, "hello")
    b.message("hello")
    b.ack(seq, epoch=epoch)
    assert b.notice("BAD_FRAME").message, what
    assert b.ask_ok(whoami={}).acked == 0
    b.ack()   # a good one works afterwards
    a.delivered(accepted.chat_id, b.uid, accepted.msg_id)


def test_an_acknowledgement_of_another_epoch_is_ignored(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    a.say(b.uid, "hello")
    b.message("hello")
    b.ack(1, epoch=b.epoch + 1)
    again = b.again().online()      # the hub has dealt with the one before the other
    assert again.syncs[0].start == 0 and "notice" not in b.kinds() + again.kinds()


def test_acknowledging_twice_or_less_is_fine(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    for i in range(3):
        a.say(b.uid, f"m{i}")
    b.message("m2")
    b.wait_acked()
    b.ack(1)
    b.ack(3)
    b.ack(0)
    again = b.again().online()
    assert again.syncs[0].start == 3 and "notice" not in b.kinds() + again.kinds()


# ---- several devices

def test_own_second_device_gets_what_the_first_sends(device, user):
    uid, peer = user("a"), device(user("b")).online()
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    accepted = phone.say(peer.uid, "from the phone")
    message = laptop.message("from the phone")
    assert message.msg_id == accepted.msg_id and message.author == uid
    assert (message.client_msg_id, message.device) == (accepted.client_msg_id, "phone")
    shown = peer.message("from the phone")
    assert (shown.client_msg_id, shown.device) == (0, "")


def test_own_messages_are_skipped_on_the_connection_that_was_told(device, user):
    uid, peer = user("a"), device(user("b")).online()
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    phone.say(peer.uid, "one")
    phone.say(peer.uid, "two")
    peer.say(uid, "answer")
    phone.message("answer")
    assert phone.texts() == ["answer"] and not phone.gaps
    frames = [f for f in phone.frames if f.seq]
    assert sum(f.skipped for f in frames) == 2 and frames[-1].seq == 3
    laptop.message("answer")
    assert laptop.texts() == ["one", "two", "answer"]


def test_a_sequence_that_ends_in_skipped_entries_is_closed(device, user):
    uid, peer = user("a"), user("b")
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    phone.say(peer, "one")
    phone.say(peer, "two")
    phone.wait_for(lambda: phone.held == 2, "a frame that closes the sequence", 3)
    closing = [f for f in phone.frames if f.seq]
    assert all(kind_of(f) is None for f in closing) and sum(1 + f.skipped for f in closing) == 2
    laptop.message("two")
    assert phone.wait_acked().acked == 2


def test_own_messages_come_as_messages_after_a_reconnect(device, user):
    uid, peer = user("a"), device(user("b")).online()
    phone = device(uid, "phone", auto_ack=False).online()
    device(uid, "laptop").online()
    accepted = phone.say(peer.uid, "mine")
    again = phone.again().online()
    assert again.message("mine").msg_id == accepted.msg_id
    assert again.message("mine").device == "phone"


def test_a_second_device_starts_after_what_the_first_acknowledged(device, user):
    a, uid = device(user("a")).online(), user("b")
    phone = device(uid, "phone").online()
    for i in range(3):
        a.say(uid, f"m{i}")
    phone.message("m2")
    phone.wait_acked()
    laptop = device(uid, "laptop").online()
    assert (laptop.syncs[0].start, laptop.syncs[0].resync) == (3, True)
    a.say(uid, "both")
    phone.message("both")
    laptop.message("both")
    assert laptop.texts() == ["both"]


def test_each_device_has_its_own_cursor(device, user):
    a, uid = device(user("a")).online(), user("b")
    phone, laptop = device(uid, "phone").online(), device(uid, "laptop").online()
    laptop.close()
    a.say(uid, "one")
    phone.message("one")
    phone.wait_acked()
    back = laptop.again().online()
    assert back.message("one") and back.syncs[0].start == 0


def test_the_seventeenth_device_makes_the_longest_unseen_forgotten(device, user):
    a, uid = device(user("a")).online(), user("b")
    first = device(uid, "d0").online()
    a.say(uid, "one")
    first.message("one")
    first.wait_acked()
    first.close()
    for i in range(1, 17):
        device(uid, f"d{i}").online().close()
    back = first.again().online()
    assert back.syncs[0].resync   # the hub does not know it any more
    assert back.syncs[0].start == 1


# ---- windows and frame sizes

def test_at_most_256_entries_are_under_way(device, user):
    b = device(user("b")).online()
    one, two = device(user("a")).online(), device(user("a")).online()
    for i in range(20):     # acknowledged, so that the byte window grows to its full size
        one.say(b.uid, f"{i}" + "x" * 15_000)
    b.wait_for(lambda: len(b.texts()) == 20, "the large ones")
    b.wait_acked()
    b.auto_ack = False
    count = len([f for f in b.frames if f.seq])
    sent = [(a, a.send(b.uid, f"{i}")) for i in range(150) for a in (one, two)]
    for a, cmid in sent:
        a.accepted(cmid)
    b.wait_for(lambda: len([f for f in b.frames if f.seq]) >= count + 256, "a full window")
    b.wait_head(320)
    assert len([f for f in b.frames if f.seq]) == count + 256
    b.auto_ack = True
    b.ack()
    b.wait_for(lambda: len(b.texts()) == 320, "the rest")
    assert not b.gaps and not b.doubled


def test_the_byte_window_opens_with_acknowledgements(device, user):
    a, b = device(user("a")).online(), device(user("b"), auto_ack=False).online()
    texts = [f"{i}:" + "x" * 10_000 for i in range(10)]
    for text in texts:
        a.say(b.uid, text)
    b.message(texts[0])
    b.ask_ok(whoami={})
    shown = len([f for f in b.frames if f.seq])
    assert 1 <= shown <= 3, "16 KiB at first"
    b.auto_ack = True
    b.ack()
    b.message(texts[-1])
    assert b.texts() == texts


def test_a_larger_message_than_max_frame_comes_cut(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    b.announce(1024)
    text = "ä" * 4000
    accepted = a.say(b.uid, text)
    frame = b.wait_for(lambda: next((f for f in b.frames if kind_of(f) == "message"), None), "the message")
    assert frame.message.truncated and text.startswith(frame.message.text)
    assert 700 < frame.ByteSize() <= 1024
    whole = b.ask(history={"chat_id": accepted.chat_id})
    assert whole.ByteSize() <= 1024
    a.say(b.uid, "short")
    assert not b.message("short").truncated
    b.announce(64 * 1024)
    whole = b.ask_ok(history={"chat_id": accepted.chat_id})
    assert [m.text for m in whole.messages] == [text, "short"] and not whole.messages[0].truncated


@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "json"])
def test_no_frame_exceeds_max_frame(device, user, json):
    a, b = device(user("a")).online(), device(user("b"), json=json).online()
    b.announce(2048)
    chat = a.say(b.uid, "x" * 16_000).chat_id
    for i in range(20):
        a.say(b.uid, f"{i} " + "y" * 300)
    b.message("19 " + "y" * 300)
    seen, after = [], 1
    while True:     # responses stop before max_frame, with `more`
        page = b.ask_ok(history={"chat_id": chat, "after_msg_id": after, "limit": 200})
        assert page.messages
        seen += [m.msg_id for m in page.messages]
        after = seen[-1]
        if not page.more:
            break
    assert len(seen) == 21 and seen == sorted(seen)
    b.ask_ok(open_chat={"chat_id": chat, "limit": 200})
    assert max(len(arrival.payload) for arrival in b.arrivals) <= 2048


def test_max_frame_may_grow_again_and_zero_leaves_it(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    b.announce(512)
    a.say(b.uid, "1" * 2000)
    b.wait_for(lambda: b.entries, "the first")
    b.announce(0)
    a.say(b.uid, "2" * 2000)
    b.wait_for(lambda: len(b.entries) == 2, "the second")
    b.announce(32 * 1024)
    a.say(b.uid, "3" * 2000)
    b.message("3" * 2000)
    assert [e.message.truncated for e in b.entries] == [True, True, False]


def test_a_reconnect_storm_loses_and_doubles_nothing(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    for i in range(10):
        for j in range(5):
            a.say(b.uid, f"{i}.{j}")
        b = b.again().online()
    b.message("9.4")
    assert b.texts() == [f"{i}.{j}" for i in range(10) for j in range(5)]


def test_frames_without_a_place_have_no_seq(pair):
    a, b = pair()
    a.say(b.uid, "x")
    b.message("x")
    b.ask_ok(whoami={})
    a.refuse("PERMISSION_DENIED", chat="g:" + "z" * 26, text="x")
    b.wait_acked()
    a.wait_for(lambda: "delivered" in a.kinds(), "delivered")
    for frame in a.frames + b.frames:
        assert (frame.seq > 0) == (kind_of(frame) in ("message", "chat_change", None)), frame
    assert isinstance(b.frames[0], pb.ServerFrame)
