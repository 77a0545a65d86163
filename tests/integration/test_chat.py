"""nightjar-sim chat: two people at their terminals (through pipes), over a real stack."""

import os
import signal
import subprocess

import pytest

from harness.proto import ROOT
from harness.waiting import PRESET, SLOWNESS
from harness.tools import Program

SIM = os.path.join(ROOT, "build", PRESET, "client-sim", "nightjar-sim")


def chat_argv(stack, uid, *args, device="phone"):
    return [SIM, "chat", "--user", uid, "--device", device,
            "--stack", os.path.join(stack.folder, "stack.json"), *args]


@pytest.fixture
def chat(stack):
    """A function that seats somebody at a terminal."""
    open_chats = []

    def start(uid, *args, on=None, device="phone"):
        person = Program(chat_argv(on or stack, uid, *args, device=device))
        open_chats.append(person)
        person.line(f"connected as {uid} ({device})")
        return person

    yield start
    for person in open_chats:
        person.close()


def leave(person):
    """Ctrl-D; the exit code."""
    person.process.stdin.close()
    return person.wait()


def test_two_people_talk(chat, user):
    a, b = user("alice"), user("bob")
    alice, bob = chat(a, "--to", b), chat(b)
    alice.line(f"talking to {b}")
    alice.write("are you coming on friday?")
    alice.line("✓ are you coming on friday?")
    bob.line(f"[{a}] {a}: are you coming on friday?")
    alice.line(f"✓✓ {b} has: are you coming on friday?")
    bob.write(f"/to {a}")
    bob.line(f"{a}: are you coming on friday?")      # what was said before
    bob.write("yes! äöü 😀")
    alice.line(f"{b}: yes! äöü 😀")
    bob.line(f"✓✓ {a} has: yes!")
    alice.line(f"● {b} is online")
    assert leave(bob) == 0
    alice.line(f"○ {b} is offline", seconds=20)
    assert leave(alice) == 0


def test_a_group_and_its_commands(chat, user):
    a, b, c = user("alice"), user("bob"), user("carol")
    alice, bob = chat(a), chat(b)
    alice.write(f'/new "Night hike" {b}')
    alice.line('a new group "Night hike" of 2')
    alice.write("we start at nine")
    bob.line(f"[Night hike] {a}: we start at nine")
    alice.line(f"✓✓ {b} has: we start at nine")
    alice.write(f"/add {c}")
    bob.line(f'"Night hike": {a} added {c}')
    bob.write("/open Night hike")
    bob.line('in "Night hike"')
    bob.write("/members")
    bob.line(f"3 in this chat: {a}, {b}, {c}")
    bob.write("I bring the map")
    alice.line(f"{b}: I bring the map")
    bob.write("/history 5")
    bob.line("2 messages")
    bob.write("/mute 10")
    bob.line("muted")
    bob.write("/leave")
    bob.line('you left "Night hike"')
    alice.line(f'"Night hike": {b} left')
    bob.write("to nobody")
    bob.line("not sent: to whom?")
    bob.write(f"/who {a} {c}")
    bob.line(f"{c} is offline")
    alice.write("/chats")
    alice.line("  1  Night hike")
    carol = chat(c)
    carol.line("new in your inbox")
    carol.line(f"[Night hike] {b}: I bring the map")
    assert leave(carol) == 0


def test_a_script_through_a_pipe(stack, user):
    a, b = user("alice"), user("bob")
    script = f"/to {b}\n" + "".join(f"line {i}\n" for i in range(40)) + "/history 3\nlast, without an end"
    done = subprocess.run(chat_argv(stack, a), input=script, capture_output=True, text=True, timeout=30 * SLOWNESS,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ line 39" in done.stdout and "✓ last, without an end" in done.stdout
    assert "3 messages, and more before" in done.stdout


def test_lines_typed_without_a_connection_are_sent_later(chat, own_stack, user):
    stack = own_stack()
    a, b = user("alice"), user("bob")
    alice, bob = chat(a, "--to", b, on=stack), chat(b, on=stack)
    alice.write("before")
    bob.line("before")
    stack.kill("b1")
    alice.line("not connected")
    for i in range(20):
        alice.write(f"meanwhile {i}")
    alice.line("20 to be sent")
    stack.start("b1")
    alice.line("✓ meanwhile 19", seconds=30)
    bob.line("meanwhile 19", seconds=30)
    got = [line.rsplit(" ", 1)[1] for line in bob.lines if "meanwhile" in line]
    assert got == [str(i) for i in range(20)]
    assert leave(alice) == 0


def test_what_cannot_be_sent_is_told(chat, own_stack, user):
    stack = own_stack()
    alice = chat(user("alice"), "--to", user("bob"), "--wait", "1", on=stack)
    stack.kill("b1")
    alice.line("not connected")
    alice.write("into the void")
    alice.line("1 to be sent")
    assert leave(alice) == 1
    alice.line("not known to be sent: into the void")


def test_the_same_device_twice(chat, user):
    a = user("alice")
    first, second = chat(a), chat(a)
    first.line("open somewhere else as well", seconds=30)
    second.process.send_signal(signal.SIGINT)
    assert second.wait() == 0
    first.write(f"/to {a}")
    first.write("at last")
    first.line("✓ at last")


@pytest.mark.parametrize("args, word", [
    (["--user", "no/uid", "--port", "1"], "--user"), (["--user", "a", "--device", "x y", "--port", "1"], "--device"),
    (["--user", "a"], "--stack"), (["--user", "a", "--port", "1"], "--token"),
    (["--user", "a", "--stack", "/none"], "/none"), (["--device", "x"], "--user"),
])
def test_bad_use_is_one_line(args, word):
    done = subprocess.run([SIM, "chat", *args], capture_output=True, text=True, timeout=10 * SLOWNESS, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and word in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_nobody_there_and_nothing_to_say():
    done = subprocess.run([SIM, "chat", "--user", "a", "--port", "1", "--token", "x"], capture_output=True, text=True,
                          timeout=30 * SLOWNESS, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "there never was a connection" in done.stdout, done.stdout + done.stderr


def test_a_bad_token_says_so(stack, user):
    with Program(chat_argv(stack, user(), "--token", "x.y.z")) as person:
        person.line("refused by the broker")
