"""The judge of nightjar-sim finds faults: real devices and a real broker with a proxy in between that
spoils frames. What the protocol heals must heal; everything else must be found."""

import json
import os
import subprocess

import pytest

from harness.proto import ROOT, pb
from harness.proxy import FrameSpoiler, Proxy, Spoiler
from harness.waiting import PRESET, SLOWNESS

SIM = os.path.join(ROOT, "build", PRESET, "client-sim", "nightjar-sim")


def load(stack, proxy, folder, drain=15):
    """One short run of pairs through the proxy: (exit code, report, output)."""
    report = os.path.join(folder, "report.json")
    done = subprocess.run(
        [SIM, "load", "--profile", "pairs", "--host", "127.0.0.1", "--port", str(proxy.port),
         "--key-file", os.path.join(stack.folder, "keys.json"), "--users", "20", "--rate", "100",
         "--warm-up", "0", "--seconds", "3", "--drain", str(drain),
         "--json", report],
        capture_output=True, text=True, timeout=120 * SLOWNESS, check=False, stdin=subprocess.DEVNULL)
    with open(report, encoding="utf-8") as file:
        return done.returncode, json.load(file), done.stdout + done.stderr


def promises(report):
    return {violation["promise"] for violation in report["judge"]["violations"]}


def test_unspoiled_everything_is_kept(stack, tmp_path):
    with Proxy(stack.broker["mqtt"]) as proxy:
        code, report, output = load(stack, proxy, tmp_path)
    assert code == 0, output
    assert not report["judge"]["violations"]


# -- what the protocol heals ---------------------------------------------------------------------

def test_a_lost_frame_is_sent_again(stack, tmp_path):
    spoiler = FrameSpoiler("message", lambda frame, line: [])
    with Proxy(stack.broker["mqtt"], spoiler) as proxy:
        code, report, output = load(stack, proxy, tmp_path)
    assert spoiler.spoiled > 0
    assert code == 0, output
    assert int(report["judge"]["tally"]["gaps"]) > 0


def test_a_repeated_frame_is_dropped(stack, tmp_path):
    spoiler = FrameSpoiler("message", lambda frame, line: [frame, frame])
    with Proxy(stack.broker["mqtt"], spoiler) as proxy:
        code, report, output = load(stack, proxy, tmp_path)
    assert spoiler.spoiled > 0
    assert code == 0, output
    assert int(report["judge"]["tally"]["repeats"]) > 0


class LosesAcks(Spoiler):
    def from_client(self, topic, payload, line):
        return [] if topic in ("a", "chat/ack") and self.turn() else [payload]


def test_a_lost_acknowledgement_is_repeated(stack, tmp_path):
    spoiler = LosesAcks(every=10)
    with Proxy(stack.broker["mqtt"], spoiler) as proxy:
        code, _, output = load(stack, proxy, tmp_path, drain=40)
    assert spoiler.spoiled > 0
    assert code == 0, output


# -- what it does not ------------------------------------------------------------------------------

def hide(frame, line):
    """The message is gone, and the number goes on as if it were the device's own."""
    line.notes["hidden"] = line.notes.get("hidden", 0)
    empty = pb.ServerFrame(seq=frame.seq, skipped=frame.skipped)
    return [empty]


def forge(**fields):
    def change(frame, line):
        del line
        for name, value in fields.items():
            old = getattr(frame.message, name)
            setattr(frame.message, name, value(old) if callable(value) else value)
        return [frame]
    return change


def invent(frame, line):
    del line
    extra = pb.ServerFrame()
    extra.CopyFrom(frame)
    extra.seq += 1
    extra.skipped = 0
    extra.message.msg_id += 1
    extra.message.text = "nobody wrote this"
    return [frame, extra]


def forge_accepted(frame, line):
    del line
    frame.accepted.msg_id += 1
    return [frame]


def refuse(frame, line):
    del line
    answer = pb.ServerFrame()
    answer.rejected.client_msg_id = frame.accepted.client_msg_id
    answer.rejected.error.code = pb.INVALID_ARGUMENT
    return [answer]


def mark_more(frame, line):
    """Up to a message that nobody can have acknowledged."""
    del line
    for mark in frame.delivered.marks:
        mark.msg_id += 3_600_000 << 20
    return [frame]


class SwapsTexts(FrameSpoiler):
    """Two messages of one chat change places, the numbers stay: the wrong order."""

    def __init__(self):
        super().__init__("message", self.swap, every=1, most=10_000)
        self.swapped = 0

    def swap(self, frame, line):
        held = line.notes.pop("held", None)
        if held is None:
            if self.swapped < 3 and self.spoiled % 5 == 0:
                line.notes["held"] = frame
                return []
            return [frame]
        if held.message.chat_id != frame.message.chat_id or frame.seq != held.seq + 1:
            return [held, frame]
        self.swapped += 1
        first, second = pb.Message(), pb.Message()
        first.CopyFrom(held.message)
        second.CopyFrom(frame.message)
        held.message.CopyFrom(second)
        frame.message.CopyFrom(first)
        return [held, frame]


SPOILED = {
    "hidden": (lambda: FrameSpoiler("message", hide), {"G1", "G4"}),
    "text": (lambda: FrameSpoiler("message", forge(text=lambda old: old + "!")), {"G2"}),
    "author": (lambda: FrameSpoiler("message", forge(author="mallory")), {"G2"}),
    "id": (lambda: FrameSpoiler("message", forge(msg_id=lambda old: old + 1)), {"G1", "G2", "G3"}),
    "invented": (lambda: FrameSpoiler("message", invent), {"G2"}),
    "order": (SwapsTexts, {"G3"}),
    "accepted": (lambda: FrameSpoiler("accepted", forge_accepted), {"G1", "G2"}),
    "refused": (lambda: FrameSpoiler("accepted", refuse), {"G2"}),
    "marks": (lambda: FrameSpoiler("delivered", mark_more), {"G5"}),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_the_judge_finds(fault, stack, tmp_path):
    make, expected = SPOILED[fault]
    spoiler = make()
    with Proxy(stack.broker["mqtt"], spoiler) as proxy:
        code, report, output = load(stack, proxy, tmp_path, drain=4)
    assert spoiler.spoiled > 0
    assert code == 2, output
    assert promises(report) & expected, output
    assert all(violation["story"] for violation in report["judge"]["violations"])


class ForgesAcks(Spoiler):
    """A device that acknowledges what it never got: the server marks it as delivered."""

    def from_client(self, topic, payload, line):
        if topic not in ("a", "chat/ack"):
            return [payload]
        ack = pb.Ack()
        ack.ParseFromString(payload)
        line.notes["epoch"] = ack.epoch
        return [payload]

    def from_server(self, topic, payload, line):
        if topic.startswith("presence/"):
            return [payload]
        frame = pb.ServerFrame()
        frame.ParseFromString(payload)
        if frame.WhichOneof("body") != "message" or "epoch" not in line.notes or not self.turn():
            return [payload]
        # Acknowledged in the device's name, and never given to it.
        ack = pb.Ack(seq=frame.seq, epoch=line.notes["epoch"])
        line.inject("chat/ack", ack.SerializeToString())
        return []


def test_the_judge_finds_a_forged_acknowledgement(stack, tmp_path):
    spoiler = ForgesAcks()
    with Proxy(stack.broker["mqtt"], spoiler) as proxy:
        code, report, output = load(stack, proxy, tmp_path, drain=4)
    assert spoiler.spoiled > 0
    assert code == 2, output
    assert promises(report) & {"G1", "G4", "G5"}, output
