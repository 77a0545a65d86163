"""Clients as they come out of the box: mosquitto_pub, mosquitto_sub, mosquitto_rr, mqtt.js."""

import json

import pytest

from harness import tools
from harness.device import Device
from harness.proto import pb
from harness.waiting import SLOWNESS, poll

VERSIONS = pytest.mark.parametrize("version", ["311", "5"])


@VERSIONS
def test_the_chat_of_the_readme(stack, user, version):
    alice, bob = user("alice"), user("bob")
    with tools.mosquitto_sub(stack, alice, "watch", f"json/tail/{alice}", args=["-d"], version=version) as watch:
        watch.line("SUBACK")
        done = tools.mosquitto_pub(stack, bob, "phone", "chat/send", json.dumps({"to": alice, "text": "hello"}),
                                   version=version)
        assert done.returncode == 0, done.stderr
        shown = watch.line('"hello"')
    frame = json.loads(shown.split(" ", 1)[1])
    assert frame["message"]["author"] == bob and frame["message"]["text"] == "hello"


@VERSIONS
def test_asking_by_hand(stack, user, version):
    """mosquitto_rr ends at the first packet, which after subscribing to an inbox is sync."""
    bob = user("bob")
    done = tools.mosquitto_rr(stack, bob, "laptop", "chat/req", f"json/inbox/{bob}",
                              '{"requestId":"1","whoami":{}}', version=version)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["sync"]["epoch"].isdigit()


def test_mosquitto_sub_as_a_device(stack, user):
    """It never acknowledges, so what it saw is there for the next one that does."""
    alice, bob = user("alice"), Device(stack, user("bob")).online()
    with tools.mosquitto_sub(stack, alice, "phone", f"json/inbox/{alice}") as phone:
        assert "sync" in phone.line("sync")
        bob.say(alice, "to the inbox")
        phone.line("to the inbox")
    real = Device(stack, alice, "phone").online()
    assert real.message("to the inbox")


def test_mosquitto_pub_with_qos_1(stack, user):
    alice = Device(stack, user("alice")).online()
    done = tools.mosquitto_pub(stack, user("bob"), "phone", "s", json.dumps({"to": alice.uid, "text": "one"}), "-q", "1")
    assert done.returncode == 0, done.stderr
    alice.message("one")


def test_many_lines_of_mosquitto_pub(stack, user):
    alice, bob = Device(stack, user("alice")).online(), user("bob")
    lines = "\n".join(json.dumps({"clientMsgId": i + 1, "to": alice.uid, "text": f"l{i}"}) for i in range(50))
    with tools.Program(["mosquitto_pub", *tools.login(stack, bob, "phone"), "-t", "chat/send", "-l", "-q", "1"]) as pub:
        pub.write(lines)
        alice.message("l49")
    assert alice.texts() == [f"l{i}" for i in range(50)]


def test_wrong_tokens_and_topics_by_hand(stack, user):
    bob = user("bob")
    argv = tools.login(stack, bob, "phone")
    argv[argv.index("-P") + 1] = "wrong"
    import subprocess
    done = subprocess.run(["mosquitto_pub", *argv, "-t", "s", "-m", "{}"], capture_output=True, text=True,
                          timeout=20 * SLOWNESS, check=False)
    assert done.returncode != 0 and "not auth" in (done.stdout + done.stderr).lower().replace("authorised", "auth")
    with tools.mosquitto_sub(stack, bob, "phone", "inbox/someone-else") as sub:
        sub.wait()
        assert any("denied" in line or "rejected" in line for line in sub.lines), sub.lines


def say_js(client, **send):
    client.write("pub chat/send " + json.dumps(send))


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
def test_mqtt_js_over_websockets(stack, user, version):
    alice, bob = user("alice"), user("bob")
    with tools.mqtt_js(stack, alice, "web", version) as a, tools.mqtt_js(stack, bob, "web", version) as b:
        for client, uid in ((a, alice), (b, bob)):
            client.line('"connect"')
            client.write(f"sub json/inbox/{uid}")
            client.line("sync")
        say_js(a, clientMsgId="1", to=bob, text="from the browser")
        assert "accepted" in a.line("accepted")
        event = json.loads(b.line("from the browser"))
        frame = json.loads(event["text"])
        assert event["topic"] == f"json/inbox/{bob}" and frame["message"]["author"] == alice
        sync = json.loads(json.loads(b.line("sync"))["text"])["sync"]
        b.write("pub chat/ack " + json.dumps({"seq": frame["seq"], "epoch": sync["epoch"]}))
        a.line("delivered")
        b.write('pub chat/req {"requestId": "7", "openChat": {"to": "%s"}}' % alice)
        assert "from the browser" in b.line("chatView")


def test_mqtt_js_with_protobuf_and_presence(stack, user):
    alice, bob = user("alice"), Device(stack, user("bob")).online()
    with tools.mqtt_js(stack, alice, "web", 5) as web:
        web.line('"connect"')
        web.write("sub i")
        web.line('"message"')
        web.write(f"sub json/presence/{bob.uid}")
        web.line("lastActiveMs")
        web.write("hex s " + pb.Send(client_msg_id=3, to=bob.uid, text="bytes").SerializeToString().hex())
        assert bob.message("bytes").author == alice
        bob.say(alice, "back")
        poll(lambda: any(b"back" in bytes.fromhex(json.loads(line).get("hex", "")) for line in web.lines),
             "the answer")


def test_mqtt_js_with_a_wrong_token(stack, user):
    uid = user()
    program = tools.Program(["node", f"{tools.HERE}/mqtt_js.cjs", f"ws://127.0.0.1:{stack.broker['ws']}",
                             f"{uid}:web", uid, "wrong", "5"],
                            env={**__import__("os").environ, "NODE_PATH": tools.NODE_MODULES})
    with program:
        program.line('"error"')


def test_mqtt_js_denied_subscriptions(stack, user):
    uid = user()
    with tools.mqtt_js(stack, uid, "web", 5) as web:
        web.line('"connect"')
        web.write("sub inbox/other")
        answer = json.loads(web.line('"sub"'))
        assert answer["error"] or (answer["granted"] and answer["granted"][0] >= 128)
