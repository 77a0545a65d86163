"""protocol.md, "Connecting": who gets in, and what ends a connection."""

import time

import jwt
import pytest

from harness import keys
from harness.device import Device
from harness.mqtt import V3, V5, Client, Refused
from harness.proto import kind_of, pb
from harness.waiting import poll

VERSIONS = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
# Bad user name or password, not authorized, identifier not valid: in MQTT 5's numbers.
CREDENTIALS = {134, 135}
REFUSALS = CREDENTIALS | {133}


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_a_good_token_gets_in(device, user, version, transport):
    phone = device(user(), version=version, transport=transport).online()
    assert phone.ask_ok(whoami={}).uid == phone.uid


@VERSIONS
@pytest.mark.parametrize("client_id", [
    "{uid}", "{uid}:", ":phone", "other:phone", "{uid}:bad device", "{uid}:" + "d" * 33, "{uid}:ph:one",
    "{uid}:ph.one", "{uid}/phone", "{uid}:phöne", "{upper}:phone"])
def test_other_client_ids_are_refused(stack, user, version, client_id):
    uid = user()
    client = Client(stack, client_id.format(uid=uid, upper=uid.upper()), uid, stack.token(uid), version=version)
    with pytest.raises(Refused) as refused:
        client.connect()
    assert refused.value.code in REFUSALS


@pytest.mark.parametrize("uid", ["a b", "", "x" * 65, "ü", "a/b", "a+b", "a#", "a:b"])
def test_user_names_outside_the_alphabet_are_refused(stack, uid):
    with pytest.raises(Refused):
        Client(stack, f"{uid}:phone", uid, stack.token(uid)).connect()


def test_the_longest_names_are_fine(device):
    phone = device("U" * 60 + "_.-9", "D" * 30 + "_-").online()
    identity = phone.ask_ok(whoami={})
    assert (identity.uid, identity.device) == (phone.uid, phone.device)


@VERSIONS
def test_clean_session_is_required(stack, user, version):
    uid = user()
    with pytest.raises(Refused):
        Client(stack, f"{uid}:phone", uid, stack.token(uid), version=version, clean=False).connect()


@pytest.mark.parametrize("login", ["nothing", "user only", "empty password", "someone else's user name"])
def test_credentials_are_required(stack, user, login):
    uid, token = user(), stack.token(user("other"))
    name, password = {"nothing": (None, None), "user only": (uid, None), "empty password": (uid, ""),
                      "someone else's user name": (uid, token)}[login]
    with pytest.raises(Refused) as refused:
        Client(stack, f"{uid}:phone", name, password).connect()
    assert refused.value.code in CREDENTIALS


def tampered(token):
    head, body, signature = token.split(".")
    return f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{signature}"


BAD_TOKENS = {
    "expired": lambda stack, uid: stack.token(uid, ttl=-10),
    "without exp": lambda stack, uid: stack.token(uid, exp=None),
    "without sub": lambda stack, uid: stack.token(uid, sub=None),
    "exp is no number": lambda stack, uid: jwt.encode({"sub": uid, "exp": "soon"}, stack.keys[0].private, "HS256",
                                                      headers={"kid": "k1"}),
    "another key": lambda stack, uid: keys.Key("k1", "HS256").sign(uid),
    "unknown kid": lambda stack, uid: keys.Key("k9", "HS256").sign(uid),
    "no kid, several keys": lambda stack, uid: stack.keys[0].sign(uid, headers={}),
    "kid of another key": lambda stack, uid: stack.keys[0].sign(uid, headers={"kid": "k2"}),
    "tampered": lambda stack, uid: tampered(stack.token(uid)),
    "alg none": lambda stack, uid: keys.unsigned(uid),
    "alg NONE": lambda stack, uid: keys.unsigned(uid, "NONE"),
    "public key as HMAC secret": lambda stack, uid: forged(stack.keys[1], uid),
    "public key as HMAC secret, RS256": lambda stack, uid: forged(stack.keys[2], uid),
    "HS512 with the right secret": lambda stack, uid: jwt.encode(
        {"sub": uid, "exp": int(time.time()) + 60}, stack.keys[0].private, "HS512", headers={"kid": "k1"}),
    "no token at all": lambda stack, uid: "secret",
    "two dots": lambda stack, uid: "..",
    "huge": lambda stack, uid: "x" * 40000,
    "a huge claim": lambda stack, uid: stack.token(uid, pad="x" * 30000),
    "trailing part": lambda stack, uid: stack.token(uid) + ".x",
}


def forged(key, uid):
    """Algorithm confusion: HS256 over what everybody knows, the PEM of a public key."""
    import base64
    import hashlib
    import hmac
    import json
    head = keys.b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": key.kid}).encode())
    body = keys.b64(json.dumps({"sub": uid, "exp": int(time.time()) + 60}).encode())
    signature = hmac.new(key.pem.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert base64
    return f"{head}.{body}.{keys.b64(signature)}"


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_bad_tokens_are_refused(stack, user, name):
    uid = user()
    with pytest.raises(Refused) as refused:
        Client(stack, f"{uid}:phone", uid, BAD_TOKENS[name](stack, uid)).connect()
    assert refused.value.code in CREDENTIALS


@pytest.mark.parametrize("index", [0, 1, 2], ids=["HS256", "ES256", "RS256"])
def test_algorithms(stack, device, user, index):
    uid = user()
    device(uid, token=stack.keys[index].sign(uid)).online()


def test_dev_pins_the_device(stack, device, user):
    uid = user()
    token = stack.token(uid, dev="phone")
    device(uid, "phone", token=token).online()
    with pytest.raises(Refused):
        device(uid, "laptop", token=token).connect()


def test_the_key_file_is_reloaded_without_a_restart(own_stack, user):
    stack, uid = own_stack(options={"key_check_ms": 100}), user()
    path = stack.inner.data["key_file"]
    phone = Device(stack, uid).online()
    fresh = keys.Key("k7", "HS256")
    with pytest.raises(Refused):
        Client(stack, f"{uid}:new", uid, fresh.sign(uid)).connect()
    keys.write_key_file(path, [fresh])
    stack.wait_for_token(lambda: fresh.sign(uid), uid)
    with pytest.raises(Refused):
        Client(stack, f"{uid}:old", uid, stack.token(uid)).connect()
    assert phone.ask_ok(whoami={}).uid == uid   # who is in stays in
    with open(path, "w", encoding="utf-8") as file:
        file.write("{ not json")    # an operator's slip: said in the log, and the old keys stay
    before = len(stack.log("b1"))
    poll(lambda: "key" in stack.log("b1")[before:], "a word about the key file in the log")
    Client(stack, f"{uid}:new", uid, fresh.sign(uid)).connect()


def test_sighup_reads_the_keys_too_and_keeps_everybody(own_stack, user):
    stack, uid = own_stack(options={"key_check_ms": 3_600_000}), user()
    phone = Device(stack, uid).online()
    fresh = keys.Key("k7", "HS256")
    keys.write_key_file(stack.inner.data["key_file"], [*stack.keys, fresh])
    stack.hang_up("b1")
    stack.wait_for_token(lambda: fresh.sign(uid), uid)
    assert phone.ask_ok(whoami={}).uid == uid


@VERSIONS
def test_a_token_that_expires_ends_the_connection(device, user, version):
    phone = device(user(), ttl=2, version=version).online()
    phone.notice("TOKEN_EXPIRED")
    phone.wait_gone()


def test_an_expired_token_without_an_inbox_is_closed_too(stack, user):
    uid = user()
    client = Client(stack, f"{uid}:watch", uid, stack.token(uid, ttl=2)).connect()
    assert client.subscribe(f"json/tail/{uid}") == 0
    client.wait_gone()


@VERSIONS
def test_a_takeover_closes_the_old_connection(device, user, version):
    uid = user()
    old = device(uid, version=version).online()
    new = device(uid, version=version).online()
    old.wait_gone()     # Mosquitto itself closes it, before a word from the plugin could reach it
    assert new.ask_ok(whoami={}).device == "phone" and "notice" not in new.kinds()


def test_a_takeover_before_subscribing(device, user):
    uid = user()
    old = device(uid).connect()
    new = device(uid).online()
    old.wait_gone()
    assert new.connected


def test_a_takeover_goes_on_where_the_old_connection_was(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    b.say(a.uid, "one")
    a.message("one")
    a.wait_acked()
    again = device(a.uid, memory=a).online()
    b.say(a.uid, "two")
    again.message("two")
    assert again.texts() == ["one", "two"] and not again.doubled


@pytest.mark.parametrize("topic", ["chat/send", "s", "inbox/{peer}", "presence/{peer}/phone", "will"])
def test_a_will_elsewhere_does_nothing(device, user, topic):
    peer = device(user("peer")).online()
    uid = user("w")
    will = pb.Send(client_msg_id=1, to=peer.uid, text="from the grave").SerializeToString()
    dying = device(uid, will=(topic.format(peer=peer.uid), will)).connect()
    dying.cut()
    sender = device(uid, "other").online()
    sender.say(peer.uid, "alive")
    peer.message("alive")
    assert peer.texts() == ["alive"]


def test_a_packet_beyond_the_limit_ends_the_connection(device, user):
    phone = device(user()).online()
    phone.publish("chat/send", b"x" * (70 * 1024))
    phone.wait_gone()


def test_uids_are_compared_as_bytes(device, user):
    uid = user("Case")
    upper, lower = device(uid.upper()).online(), device(uid.lower()).online()
    lower.say(upper.uid, "hello")
    assert upper.message("hello").author == lower.uid
    assert [kind_of(f) for f in lower.entries] == []
