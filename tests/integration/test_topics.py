"""protocol.md, "Topics": every topic, short form and access rule."""

import pytest

from harness.device import Device, raw_json
from harness.mqtt import V3, V5, Client
from harness.proto import from_json, pb, to_json

VERSIONS = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
NOT_AUTHORIZED = {V3: 0x80, V5: 0x87}


@VERSIONS
@pytest.mark.parametrize("topic", ["inbox/{uid}", "i", "json/inbox/{uid}", "tail/{uid}", "json/tail/{uid}",
                                   "presence/{uid}", "presence/{other}", "json/presence/{other}"])
def test_what_may_be_subscribed(device, user, version, topic):
    phone = device(user(), version=version).connect()
    assert phone.subscribe(topic.format(uid=phone.uid, other=user("other"))) == 0


DENIED = ["inbox/{other}", "json/inbox/{other}", "tail/{other}", "json/tail/{other}", "inbox/{uid}/x", "inbox/",
          "inbox", "#", "+", "+/+", "inbox/#", "inbox/+", "json/#", "json/inbox/+", "json/+/{uid}", "tail/+",
          "presence/+", "presence/#", "json/presence/+", "presence/+/phone", "presence/{uid}/phone",
          "presence/{uid}/+", "chat/send", "chat/#", "s", "a", "r", "$SYS/#", "$SYS/broker/uptime",
          "$share/g/inbox/{uid}", "$share/g/i", "$share/g/presence/{other}", "svc/#", "svc/store/+", "svc/store/1",
          "svc/store/#", "svc/again/#", "svc/again/1", "svc/persister", "svc/reply/x", "$share/store/svc/store/#", "nightjar/#", "other", "json/i", "/inbox/{uid}",
          "Inbox/{uid}"]


@VERSIONS
@pytest.mark.parametrize("topic", DENIED)
def test_everything_else_is_denied(device, user, version, topic):
    phone = device(user(), version=version).connect()
    assert phone.subscribe(topic.format(uid=phone.uid, other=user("other"))) == NOT_AUTHORIZED[version]
    assert phone.subscribe(phone.inbox_topic) == 0   # and nothing else is wrong


def test_several_filters_in_one_packet_are_judged_one_by_one(device, user):
    phone = device(user(), version=V5).connect()
    result = phone.paho.subscribe([(phone.inbox_topic, 0), ("inbox/someone", 0), (f"tail/{phone.uid}", 0)])
    assert phone._answered(result, "SUBACK") == [0, 0x87, 0]


@pytest.mark.parametrize("topic", ["inbox/{uid}", "i", "inbox/{other}", "json/inbox/{other}", "tail/{uid}",
                                   "tail/{other}", "presence/{uid}", "presence/{other}", "presence/{other}/phone",
                                   "json/presence/{other}", "chat", "chat/send/x", "chat/other", "svc/store/1",
                                   "svc/reply/x", "svc/persister", "$SYS/x", "other"])
def test_publishing_elsewhere_is_denied(device, user, topic):
    other = device(user("other")).online()
    phone = device(user(), version=V5).online()
    filled = topic.format(uid=phone.uid, other=other.uid)
    assert phone.publish(filled, pb.ServerFrame(seq=99).SerializeToString(), qos=1) == 0x87
    # MQTT 3.1.1 cannot say so: it is silent, and nothing arrives.
    old = device(phone.uid, "old", version=V3).online()
    old.publish(filled, b"{}", qos=1)
    old.say(other.uid, "marker")
    other.message("marker")
    assert other.kinds() == ["sync", "message"]
    assert phone.connected and old.connected


@VERSIONS
def test_publishing_on_ones_own_topics_is_acknowledged(device, user, version):
    phone = device(user(), version=version).online()
    send = pb.Send(client_msg_id=phone.next_id(), to=user("b"), text="hi")
    # 0x10: taken, and nobody subscribes to the topic.
    assert phone.publish("chat/send", send.SerializeToString(), qos=1) in (0, 0x10)
    phone.accepted(send.client_msg_id)


@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "json"])
@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
def test_short_and_long_forms(device, user, short, json):
    a, b = device(user("a"), short=short, json=json).online(), device(user("b"), short=short, json=json).online()
    accepted = a.say(b.uid, "hello")
    assert b.message("hello").msg_id == accepted.msg_id
    b.wait_acked()
    a.delivered(accepted.chat_id, b.uid, accepted.msg_id)
    topics = {arrival.topic for arrival in b.arrivals}
    assert topics == {f"json/inbox/{b.uid}"} if json else topics <= {"i", f"inbox/{b.uid}"}


@pytest.mark.parametrize("qos, granted", [(0, 0), (1, 1), (2, 1)])
@VERSIONS
def test_qos_of_subscriptions(device, user, version, qos, granted):
    a = device(user("a")).online()
    b = device(user("b"), version=version).connect()
    assert b.subscribe(b.inbox_topic, qos) == granted
    a.say(b.uid, "hello")
    b.message("hello")
    assert {arrival.qos for arrival in b.arrivals} == {granted}
    assert b.subscribe(f"tail/{b.uid}", qos) == granted
    assert b.subscribe(f"presence/{a.uid}", qos) == granted


def test_of_several_inbox_subscriptions_the_last_one_wins(device, user):
    a = device(user("a")).online()
    b = device(user("b")).online()
    b.json = True
    b.open_inbox()
    count = len(b.arrivals)
    a.say(b.uid, "hello")
    b.message("hello")
    b.wait_acked()
    assert {arrival.topic for arrival in b.arrivals[count:]} == {f"json/inbox/{b.uid}"}


def test_unsubscribing_ends_the_device_and_subscribing_again_starts_it(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    a.say(b.uid, "one")
    b.message("one")
    b.wait_acked()
    b.unsubscribe(b.inbox_topic)
    a.say(b.uid, "two")
    b.open_inbox()
    b.message("two")
    assert b.texts() == ["one", "two"] and not b.doubled


def test_the_short_inbox_is_one_subscription_to_its_client(device, user):
    a = device(user("a")).online()
    b = device(user("b"), version=V5).connect()
    assert b.subscribe("i", 1) == 1
    assert b.subscribe("i") == 0
    a.say(b.uid, "hello")
    assert b.wait_arrival("i").qos == 0
    subscribed, none = 0, 0x11
    assert b.unsubscribe("i") == [subscribed]
    assert b.unsubscribe("i") == [none]


@pytest.mark.parametrize("payload", ["proto", "json"])
def test_answers_to_a_client_without_an_inbox_come_in_the_form_it_sent(device, user, payload):
    b = device(user("b")).online()
    sender = device(user("a"), version=V5).connect()
    send = pb.Send(client_msg_id=sender.next_id(), to=b.uid, text="hello")
    sender.publish("chat/send", to_json(send) if payload == "json" else send.SerializeToString())
    accepted = sender.accepted(send.client_msg_id)
    assert b.message("hello").msg_id == accepted.msg_id
    arrival = sender.arrivals[0]
    assert arrival.topic == ("json/" if payload == "json" else "") + f"inbox/{sender.uid}"
    assert arrival.qos == 0
    # It was no device: nobody saw it come online, and its user has no device to acknowledge for.
    assert sender.ask_ok(whoami={}).acked == 0


def test_json_frames_print_everything_and_64_bits_as_strings(device, user):
    a, b = device(user("a"), json=True).online(), device(user("b"), json=True).online()
    sync = raw_json(b.arrivals[0])
    assert sync == {"seq": "0", "skipped": 0,
                    "sync": {"epoch": str(b.epoch), "start": "0", "head": "0", "resync": False}}
    accepted = a.say(b.uid, "hello")
    b.message("hello")
    arrival = next(x for x in b.arrivals if b'"message"' in x.payload)
    assert raw_json(arrival) == {"seq": "1", "skipped": 0, "message": {
        "msgId": str(accepted.msg_id), "chatId": accepted.chat_id, "author": a.uid, "text": "hello",
        "contentUrl": "", "contentType": "", "clientMsgId": "0", "device": "", "truncated": False}}


def test_json_takes_plain_numbers_unknown_fields_and_white_space(device, user):
    a, b = device(user("a"), json=True).online(), device(user("b")).online()
    cmid = a.next_id()
    a.publish("chat/send", ' \n\t{"clientMsgId": %d, "to": "%s", "text": "hi", "mood": {"x": [1]}}' % (cmid, b.uid))
    accepted = a.accepted(cmid)
    assert b.message("hi").msg_id == accepted.msg_id


def test_json_and_protobuf_mix_on_one_connection(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    cmid = a.next_id()
    a.publish("chat/send", '{"clientMsgId": "%d", "to": "%s", "text": "hi"}' % (cmid, b.uid))
    accepted = a.accepted(cmid)
    assert a.arrivals[-1].topic == a.inbox_topic   # frames go where the inbox subscription says
    assert b.message("hi").msg_id == accepted.msg_id


def test_retain_is_ignored(device, user):
    a, b = device(user("a")).online(), device(user("b")).online()
    send = pb.Send(client_msg_id=a.next_id(), to=b.uid, text="kept?")
    a.publish("chat/send", send.SerializeToString(), retain=True)
    a.accepted(send.client_msg_id)
    b.message("kept?")
    a.publish(f"presence/{a.uid}/{a.device}", b"x", retain=True, qos=1)
    watcher = device(user("w")).online()
    watcher.subscribe(f"presence/{a.uid}")
    watcher.wait_for(lambda: watcher.presence, "the present state")
    watcher.ask_ok(whoami={})
    assert not any(arrival.retain for arrival in watcher.arrivals + a.arrivals + b.arrivals)
    assert len([x for x in watcher.arrivals if x.topic.startswith("presence/")]) == 1


def test_service_tokens_may_use_service_topics(own_stack, user):
    stack, uid = own_stack(), user("svc")
    service = Client(stack, f"{uid}:x", uid, stack.token(uid, svc=True), version=V5).connect()
    assert service.subscribe("svc/store/#") == 0
    assert service.publish("svc/reply/nobody", b"rubbish", qos=1) in (0, 0x10)
    # Service or not: other people's inboxes are theirs, and so is the rest.
    for topic in ("inbox/other", "#", "+/#", "tail/other"):
        assert service.subscribe(topic) == 0x87
    # It may hear requests, and answers that are none do no harm.
    a = Device(stack, user("a")).online()
    a.ask_ok(list_chats={})
    request = service.wait_for(lambda: next((x for x in service.arrivals if x.topic.startswith("svc/store/")), None),
                               "the request")
    service.publish("svc/reply/" + request.topic, request.payload)
    assert a.ask_ok(list_chats={}) is not None


def test_presence_answers_in_the_encoding_asked_for(device, user):
    watcher, other = device(user("w")).online(), user("other")
    watcher.subscribe(f"json/presence/{other}")
    arrival = watcher.wait_arrival(f"json/presence/{other}")
    assert raw_json(arrival) == {"uid": other, "online": False, "lastActiveMs": "0"}
    assert from_json(arrival.payload.decode(), pb.Presence).uid == other
    watcher.subscribe(f"presence/{other}")
    plain = watcher.wait_arrival(f"presence/{other}")
    assert pb.Presence.FromString(plain.payload).uid == other


def test_frames_of_either_encoding_say_the_same(device, user):
    a, uid = device(user("a")).online(), user("b")
    proto, json = device(uid, "proto").online(), device(uid, "json", json=True).online()
    a.say(uid, "same", content_url="https://x/ü", content_type="image/png")
    first, second = proto.message("same"), json.message("same")
    assert first == second and first.content_url == "https://x/ü"
