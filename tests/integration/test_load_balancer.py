"""A real HAProxy with the sample haproxy.cfg in front of three brokers (docs/operations.md)."""

import json
import os
import signal
import subprocess

import pytest

from harness import tools
from harness.balancer import Balancer
from harness.device import Device
from harness.mqtt import Client, Refused
from harness.stack import process
from harness.talker import Talker, judge
from harness.waiting import poll
from test_broker_failures import FAST, SIM
from test_kill import accepted, chat_of


@pytest.fixture(scope="module")
def balancer(three, tmp_path_factory):
    """In front of the stack that tests of several brokers share: nobody is hurt."""
    running = Balancer(three, tmp_path_factory.mktemp("balancer"))
    yield running
    running.close()


@pytest.fixture
def own_balancer(own_stack, tmp_path):
    started = []

    def start(**options):
        stack = own_stack(options={**FAST, **options}, brokers=3)
        started.append(Balancer(stack, tmp_path / "balancer"))
        return stack, started[-1]

    yield start
    for running in started:
        running.close()


TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@TLS
@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_clients(balancer, user, tls, version):
    alice, bob, stack = user("alice"), user("bob"), balancer.through(tls)
    trust = ["--cafile", balancer.ca] if tls else []
    with tools.mosquitto_sub(stack, alice, "phone", f"json/inbox/{alice}", args=trust, version=version) as phone:
        phone.line("sync")
        done = tools.mosquitto_pub(stack, bob, "phone", "chat/send", json.dumps({"to": alice, "text": "hello"}), *trust,
                                   version=version)
        assert done.returncode == 0, done.stderr
        assert bob in phone.line('"hello"')


@TLS
def test_websockets(balancer, user, tls):
    alice, bob, stack = user("alice"), user("bob"), balancer.through(tls)
    ca = balancer.ca if tls else None
    with tools.mqtt_js(stack, alice, "web", ca=ca) as a, tools.mqtt_js(stack, bob, "web", ca=ca) as b:
        for client, uid in ((a, alice), (b, bob)):
            client.line('"connect"')
            client.write(f"sub json/inbox/{uid}")
            client.line("sync")
        a.write("pub chat/send " + json.dumps({"clientMsgId": "1", "to": bob, "text": "over the balancer"}))
        a.line("accepted")
        b.line("over the balancer")


def test_everybody_gets_a_share(balancer, user):
    before = {name: int(row["stot"]) for name, row in balancer.servers().items()}
    devices = [Device(balancer.through(), user()).online() for _ in range(9)]
    gained = {name: int(row["stot"]) - before[name] for name, row in balancer.servers().items()}
    assert sum(gained.values()) == 9 and all(gained.values()), gained
    devices[0].say(devices[-1].uid, "from one to the other")
    devices[-1].message("from one to the other")


def test_its_checks_leave_no_lines(balancer):
    """One a second and broker, for ever; what else is refused is still told."""
    with pytest.raises(Refused):
        Client(balancer.through(), "nobody", "nobody", "wrong").connect()
    told = [balancer.stack.log(name) for name in balancer.stack.brokers]
    assert any("client nobody" in log for log in told) and not any("client check" in log for log in told)


def test_who_drains_gets_nobody_and_keeps_what_it_has(own_balancer, user):
    stack, balancer = own_balancer(drain_per_s=1)
    devices = [Device(balancer.through(), user("d")).online() for _ in range(15)]
    process.send(stack.entry("b1"), signal.SIGTERM)
    balancer.wait_state({"b1": "NOLB"})
    assert balancer.connections("b1") > 0, "moved by the broker, not cut by the balancer"
    late = [Device(balancer.through(), user("late")).online() for _ in range(6)]     # each at its first try
    poll(lambda: balancer.connections("b1") == 0, "the last one to be moved", 30)
    moved = [device for device in devices if not device.connected]
    assert len(moved) == 5
    for device in moved:
        device.notice("SHUTTING_DOWN")
        assert device.again().online().connected
    assert all(device.connected for device in late)
    assert process.wait_gone(stack.entry("b1"), 20)
    balancer.wait_state({"b1": "DOWN", "b2": "UP", "b3": "UP"})
    stack.start("b1")
    balancer.wait_state({"b1": "UP"})


def test_who_is_stuck_is_cut_off(own_balancer, user):
    """Its sockets are open and its kernel answers, but nobody is at home."""
    stack, balancer = own_balancer()
    devices = [Device(balancer.through(), user("d")).online() for _ in range(6)]
    stack.pause("b2")
    try:
        balancer.wait_state({"b2": "DOWN"})
        poll(lambda: sum(not device.connected for device in devices) == 2, "its clients to be told")
        back = [device.again().online() for device in devices if not device.connected]
        back[0].say(back[1].uid, "both are elsewhere")
        back[1].message("both are elsewhere")
    finally:
        stack.resume("b2")
    balancer.wait_state({"b2": "UP"}, 30)


def test_one_is_drained_and_one_killed_while_people_chat(own_balancer, user):
    stack, balancer = own_balancer(drain_per_s=50)
    through = balancer.through()
    chat, uids = chat_of(through, user, 12)
    talkers = [Talker(through, uid, 300, chat=chat).start() for uid in uids[:3]]
    with load(stack, balancer, "--profile", "pairs", "--users", "200", "--rate", "100", "--seconds", "25") as crowd:
        poll(lambda: accepted(talkers) >= 100 or any(t.failure for t in talkers), "some of the chat", 60)
        process.send(stack.entry("b1"), signal.SIGTERM)
        balancer.wait_state({"b1": "NOLB"})
        assert process.wait_gone(stack.entry("b1"), 40)
        stack.start("b1")
        balancer.wait_state({"b1": "UP"})
        stack.kill("b2")
        balancer.wait_state({"b2": "DOWN"})
        stack.start("b2")
        balancer.wait_state({"b2": "UP"})
        output = crowd.communicate(timeout=180)[0]
    print(output)
    assert crowd.returncode == 0, output
    for talker in talkers:
        talker.join()
    judge(talkers, chat, [Device(through, uid).online() for uid in uids[3:]])


def load(stack, balancer, *args):
    return subprocess.Popen(
        [SIM, "load", "--host", "127.0.0.1", "--port", str(balancer.ports[1883]), "--key-file",
         os.path.join(stack.folder, "keys.json"), "--warm-up", "1", *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
