"""Rubbish on every topic and on the socket itself (G10): a word back, and life goes on."""

import contextlib
import random
import socket

import pytest

from harness.device import Device
from harness.proto import pb, to_json
from harness.raw import Raw

TOPICS = ["chat/send", "s", "chat/ack", "a", "chat/req", "r", "presence/{uid}/phone"]


def rubbish(seed):
    """Random bytes, cut and mutated frames of both encodings, and the classics."""
    dice = random.Random(seed)
    good = [pb.Send(client_msg_id=5, to="x", text="hello", ack=3, epoch=1).SerializeToString(),
            pb.Ack(seq=1, epoch=1, resend=True, max_frame=100).SerializeToString(),
            pb.Request(request_id="r", history=pb.GetHistory(chat_id="d:a:b", limit=9)).SerializeToString(),
            to_json(pb.Send(client_msg_id=5, to="x", text="hello")).encode(),
            to_json(pb.Request(request_id="r", open_chat=pb.OpenChat(to="y"))).encode()]
    yield from (b"", b"\0", b"{", b"}", b"{}", b"[]", b"null", b"\xff" * 10, b"{" * 500, b"[" * 500,
                b'{"a":' * 300, b'{"text":"' + b"\\u0000" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x08" + b"\xff" * 12,
                b'{"clientMsgId":1e400}', b'{"clientMsgId":-1}', b'{"clientMsgId":"x"}', b'{"seq":1.5}',
                b" " * 1000 + b"{", b"\x1a\x05hello" * 100, b'{"requestId":"x","history":[]}')
    for _ in range(120):
        yield dice.randbytes(dice.randrange(200))
    for _ in range(180):
        data = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 6)):
            kind = dice.randrange(3)
            at = dice.randrange(len(data) + 1)
            if kind == 0 and at < len(data):
                data[at] = dice.randrange(256)
            elif kind == 1:
                data[at:at] = dice.randbytes(dice.randrange(4))
            else:
                del data[at:at + dice.randrange(4)]
        yield bytes(data)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "json"])
def test_the_connection_stays(stack, user, topic, json):
    peer = Device(stack, user("peer")).online()
    bad = Device(stack, user("bad"), json=json).online()
    for payload in rubbish(f"{topic} {json}"):
        bad.publish(topic.format(uid=bad.uid), payload)
    response = bad.ask(whoami={})
    assert response.identity.uid == bad.uid and bad.connected
    bad.say_patiently(peer.uid, "and now something sensible")    # rubbish may have used up the rate
    peer.message("and now something sensible")


def test_bad_acknowledgements_and_requests_get_a_word(stack, user):
    a = Device(stack, user("a")).online()
    for topic in ("chat/ack", "chat/req"):
        after = len(a.frames)
        a.publish(topic, b"\xff\xff\xff")
        assert a.notice("BAD_FRAME", after=after).message


@pytest.mark.parametrize("start", [b"\x10", b"\xff\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n",
                                   b"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0", b"\x30\x05\0\3x/y", b"\0" * 100,
                                   b"\x10\xff\xff\xff\x7f"],
                         ids=lambda data: repr(data[:8]))
def test_rubbish_instead_of_mqtt(stack, user, start):
    raw = Raw(stack)
    with contextlib.suppress(OSError):  # the broker may have closed before we have ended our half
        raw.sock.sendall(start)
        raw.sock.shutdown(socket.SHUT_WR)
        while raw.sock.recv(4096):
            pass
    raw.close()
    assert Device(stack, user()).online().ask_ok(whoami={})


def test_rubbish_after_a_good_login(stack, user):
    dice = random.Random(7)
    peer = Device(stack, user("peer")).online()
    for _ in range(30):
        uid = user("bad")
        raw = Raw(stack, f"{uid}:phone", uid, stack.token(uid))
        raw.subscribe(f"inbox/{uid}", 0)
        raw.sock.sendall(dice.randbytes(dice.randrange(1, 300)))
        raw.close()
    assert peer.ask_ok(whoami={}).uid == peer.uid


def test_nothing_of_it_is_in_the_log(stack, user):
    """Neither a message's text nor a token (issue: logs an operator can use)."""
    a, b = Device(stack, user("a")).online(), Device(stack, user("b")).online()
    a.say(b.uid, "TopSecretText")
    b.message("TopSecretText")
    log = stack.log("b1") + stack.log("persister")
    assert "TopSecretText" not in log and stack.token(a.uid).split(".")[2] not in log
    assert "eyJ" not in log
