#!/usr/bin/env python3
"""Writes the seeds of the fuzz corpora: one file for each thing worth starting from.

Findings of the fuzzers are kept beside them under the names libFuzzer gave them.
Run it again after adding a seed; it changes nothing else.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
GROUP = "g:abcdefghijklmnopqrstuvwxyz"


def write(target, name, data):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


REQUESTS = {
    "openChat": (2, text(2, "bob") + number(3, 50), {"to": "bob", "limit": 50}),
    "createChat": (3, text(1, "Garden") + text(2, "bob") + text(2, "carol"),
                   {"title": "Garden", "members": ["bob", "carol"]}),
    "updateChat": (4, text(1, GROUP) + text(2, "") + text(3, "dave") + text(4, "bob"),
                   {"chatId": GROUP, "title": "", "add": ["dave"], "remove": ["bob"]}),
    "listChats": (5, number(1, 10) + fixed(2, 1 << 60), {"limit": 10, "beforeMsgId": str(1 << 60)}),
    "history": (6, text(1, "d:alice:bob") + fixed(3, 77), {"chatId": "d:alice:bob", "afterMsgId": 77}),
    "receipts": (7, text(1, GROUP), {"chatIds": [GROUP]}),
    "getPresence": (8, text(1, "bob"), {"uids": ["bob"]}),
    "registerPush": (9, text(1, text(1, "https://p.example/1") + text(2, b"\x04" + b"k" * 64)
                             + text(3, b"a" * 16)) + number(4, 1) + text(5, "de"),
                     {"webPush": {"endpoint": "https://p.example/1",
                                  "p256dh": base64.b64encode(b"\x04" + b"k" * 64).decode(),
                                  "auth": base64.b64encode(b"a" * 16).decode()}, "preview": True}),
    "unregisterPush": (10, b"", {}),
    "whoami": (11, b"", {}),
    "muteChat": (12, text(1, GROUP) + number(2, 2**64 - 1), {"chatId": GROUP, "untilMs": "-1"}),
    "listMembers": (13, text(1, GROUP) + text(2, "bob"), {"chatId": GROUP, "after": "bob"}),
}


def decode():
    send = (number(1, 1767225600000) + text(3, "alice") + text(4, "h\u00e9llo \U0001f600")
            + text(5, "https://x.example/p") + text(6, "image/png") + number(7, 9) + number(8, 1))
    write("decode", "send", send)
    write("decode", "send_json", json.dumps(
        {"clientMsgId": "1767225600000", "to": "alice", "text": "h\u00e9llo \U0001f600 \x00 \"<",
         "contentUrl": "https://x.example/p", "ack": 9, "epoch": 1}))
    write("decode", "send_json_names", '{"client_msg_id":9007199254740991,"chat_id":"%s","text":"x"}' % GROUP)
    write("decode", "send_json_odd", '{"clientMsgId":1e3,"to":null,"new":{"a":[[1.5,-2,true]]},"text":"\\ud83d\\ude00"}')
    write("decode", "send_json_bad", '{"clientMsgId":9007199254740993,"text":"a","text":"\\ud800"}')
    write("decode", "send_unknown", send + text(99, "later") + fixed(100, 1) + b"\xab\x06\x08\x01\xac\x06")
    write("decode", "ack", number(1, 300) + number(2, 1) + number(3, 512) + number(4, 2))
    write("decode", "ack_json", '{"seq":"300","resend":true,"maxFrame":512,"epoch":2}')
    for name, (field, body, mapping) in REQUESTS.items():
        write("decode", "request_" + name, text(1, "r-1") + text(field, body))
        write("decode", "request_" + name + "_json", json.dumps({"requestId": "r-1", name: mapping}))


def message(msg_id, words):
    return (fixed(1, msg_id) + text(2, "d:alice:bob") + text(3, "alice") + text(4, words)
            + text(5, "https://x.example/p") + number(7, 5) + text(8, "phone"))


def chat(members):
    return (text(1, GROUP) + number(2, 2) + text(3, "Garden") + number(4, 1767225600000)
            + text(5, "alice") + fixed(6, 99) + b"".join(text(7, m) for m in members)
            + number(8, len(members)))


def encode():
    def frame(name, max_frame, body):
        write("encode", name, struct.pack("<HHQ", max_frame, 1, 300) + body)

    people = ["member%d" % i for i in range(20)]
    presence = b"".join(text(4, text(1, p) + number(2, 1) + number(3, 5)) for p in people)
    marks = b"".join(text(5, text(1, p) + fixed(2, 98)) for p in people)
    page = b"".join(text(1, message(100 + i, "words " * 10)) for i in range(12))
    view = (text(1, chat(people)) + b"".join(text(2, message(100 + i, "words " * 10)) for i in range(5))
            + presence + marks)
    response = lambda field, body: text(8, text(1, "r-1") + text(field, body))
    frame("message", 65535, text(3, message(1 << 60, "hello")))
    frame("message_cut", 256, text(3, message(1 << 60, "\u20ac\U0001f600\"<\u2028\x01x" * 60)))
    frame("accepted", 256, text(4, number(1, 5) + fixed(2, 1 << 60) + text(3, "d:alice:bob")))
    frame("delivered", 300, text(5, text(1, GROUP) + b"".join(
        text(2, text(1, p) + fixed(2, 9)) for p in people)))
    frame("change", 400, text(6, fixed(1, 99) + text(2, chat(people)) + number(3, 3) + text(4, "alice")
                              + b"".join(text(5, p) for p in people) + text(6, "bob")))
    frame("rejected", 256, text(7, number(1, 5) + text(2, number(1, 8) + text(2, "busy") + number(3, 500))))
    frame("sync", 256, text(9, number(1, 1) + number(2, 5) + number(3, 9) + number(4, 1)))
    frame("notice", 256, text(10, number(1, 4) + text(2, "what was wrong " * 30)))
    frame("error", 256, response(2, number(1, 7) + text(2, "no " * 100)))
    frame("view", 1500, response(3, view))
    frame("chat", 300, response(4, chat(people)))
    frame("chats", 700, response(5, b"".join(
        text(1, text(1, chat(people)) + text(2, message(100, "x" * 50))) for _ in range(4))))
    frame("history", 900, response(6, page))
    frame("history_large", 512, response(6, text(1, message(100, "x" * 3000)) + number(2, 1)))
    frame("receipts", 300, response(7, text(1, text(1, GROUP) + marks.replace(b"\x2a", b"\x12"))))
    frame("presence", 300, response(8, presence.replace(b"\x22", b"\x0a")))
    frame("done", 256, response(9, b""))
    frame("identity", 256, response(10, text(1, "alice") + text(2, "phone") + number(4, 9)))
    frame("members", 300, response(11, b"".join(text(1, p) for p in people)))


def names():
    for i, name in enumerate([
            "chat/send", "s", "chat/ack", "a", "chat/req", "r", "i", "inbox/alice", "json/inbox/alice",
            "tail/alice", "json/tail/alice", "presence/alice", "json/presence/alice",
            "presence/alice/phone", "svc/store/3", "svc/#", "inbox/+", "$share/g/inbox/alice",
            "alice.b-1_:phone-1", "d:alice:bob", "d:bob:bob", "d:Zoe:alice", GROUP]):
        write("names", "name%02d" % i, name)


def url64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt():
    secret = b"s" * 32
    header = '{"alg":"HS256","typ":"JWT","kid":"h"}'
    claims = {"sub": "alice", "exp": 1900000000, "nbf": 1700000000, "iat": 1700000000.5, "dev": "phone",
              "svc": True, "name": "Alice \u00e9", "email": "a@example.org"}
    signed = url64(header) + "." + url64(json.dumps(claims))
    token = signed + "." + url64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
    write("jwt", "token", "\0" + token)
    write("jwt", "token_none", "\0" + url64('{"alg":"none"}') + "." + url64(json.dumps(claims)) + ".")
    for kid, alg, size in (("e", "ES256", 64), ("r", "RS256", 256)):
        write("jwt", "token_" + kid, "\0" + url64('{"alg":"%s","kid":"%s"}' % (alg, kid)) + "."
              + url64(json.dumps(claims)) + "." + url64(b"\x01" * size))
    write("jwt", "payload", "\1" + json.dumps(claims))
    write("jwt", "payload_bad", '\1{"sub":"a\\u0000","exp":1e99,"dev":[],"svc":1}')
    write("jwt", "payload_twice", '\1{"sub":"a","sub":"b","exp":1900000000}')
    write("jwt", "both", "\2" + header + "\0" + json.dumps(claims))
    write("jwt", "both_crit", '\2{"alg":"HS256","kid":"h","crit":["x"]}\0{}')
    pem = ("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n"
           "q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n-----END PUBLIC KEY-----\n")
    write("jwt", "keys", "\3" + json.dumps({"keys": [
        {"kid": "h", "alg": "HS256", "secret": url64(secret)}, {"kid": "e", "alg": "ES256", "pem": pem}]}))


def gateway_answer():
    """Answers of push gateways: who reads it (0 APNs, 1 FCM, 2 Web Push), the status, Retry-After, the body."""
    def answer(name, which, status, retry_after, body):
        write("gateway_answer", name, bytes([which]) + struct.pack(">H", status) + f"{retry_after}\0{body}".encode())

    answer("apns_gone", 0, 410, "", '{"reason":"Unregistered","timestamp":1700000000123}')
    answer("apns_busy", 0, 429, "7", '{"reason":"TooManyRequests"}')
    answer("apns_odd", 0, 400, "-1", '{"reason":["a"],"timestamp":-1}')
    answer("fcm_unregistered", 1, 404, "", '{"error":{"code":404,"status":"NOT_FOUND","details":'
           '[{"errorCode":"UNREGISTERED"}]}}')
    answer("fcm_quota", 1, 429, "Fri, 15 Jan 2027 08:01:00 GMT", '{"error":{"status":"RESOURCE_EXHAUSTED"}}')
    answer("fcm_odd", 1, 401, "x", '{"error":{"details":[7,null,{"errorCode":{}}]}}')
    answer("web_busy", 2, 503, "99999999999999999999999", "")


decode()
encode()
names()
jwt()
gateway_answer()
