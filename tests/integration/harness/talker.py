"""People who chat through whatever happens, by protocol.md's rules: repeat until answered, reconnect,
acknowledge. And the judge of what they saw."""

import threading
import time

from harness.device import Device
from harness.mqtt import Refused
from harness.proto import code, kind_of
from harness.waiting import SLOWNESS, Late

RETRY = {code("RESOURCE_EXHAUSTED"), code("UNAVAILABLE")}


class Talker:
    """Sends `count` messages into `chat` (or to a uid) from one device, each until it is answered."""

    def __init__(self, stack, uid, count, *, chat=None, to=None, seconds=120):
        self.stack, self.uid, self.count = stack, uid, count
        self.target = {"chat": chat} if chat else {"to": to}
        self.deadline = time.monotonic() + seconds * SLOWNESS
        self.sent = []          # texts, from before their first try on
        self.accepted = {}      # text -> msg_id
        self.put_off = 0        # rejected for now, by code and word
        self.failure = None
        self.device = Device(stack, uid).online()
        self.thread = threading.Thread(target=self._run, name=uid, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def join(self):
        self.thread.join(max(0.0, self.deadline - time.monotonic()) + 5)
        assert not self.thread.is_alive(), f"{self.uid} is stuck after {len(self.accepted)} messages"
        if self.failure:
            raise self.failure

    def stay_connected(self):
        """A connected device with what the last one knew."""
        while not self.device.connected:
            if time.monotonic() > self.deadline:
                raise Late(f"{self.uid} cannot connect")
            fresh = self.device.again()
            try:
                self.device = fresh.online()
            except (OSError, Refused, Late, AssertionError):
                fresh.close()
                threading.Event().wait(0.1)     # as a client backs off before it dials again
        return self.device

    def _run(self):
        try:
            for i in range(self.count):
                self._one(f"{self.uid} {i}", Device.next_id())
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def _one(self, text, cmid):
        self.sent.append(text)
        while True:
            if time.monotonic() > self.deadline:
                raise Late(f"no answer to {text}")
            device = self.stay_connected()
            after = len(device.frames)
            device.send(text=text, cmid=cmid, chat=self.target.get("chat"), to=self.target.get("to"))
            frame = self._answer(device, cmid, after)
            if frame is None:
                continue
            if kind_of(frame) == "accepted":
                self.accepted[text] = frame.accepted.msg_id
                return
            assert frame.rejected.error.code in RETRY, f"finally refused: {frame.rejected}"
            self.put_off += 1
            threading.Event().wait(frame.rejected.error.retry_after_ms / 1000)

    @staticmethod
    def _answer(device, cmid, after):
        """The answer, or None if the connection ended or nothing came for 15 s."""
        def find():
            for frame in device.frames[after:]:
                kind = kind_of(frame)
                if kind in ("accepted", "rejected") and getattr(frame, kind).client_msg_id == cmid:
                    return frame
            return "gone" if device.gone else None
        try:
            frame = device.wait_for(find, "an answer", 15)
        except Late:
            return None
        return None if frame == "gone" else frame


def messages(device, chat):
    with device.board:
        return [e.message for e in device.entries if kind_of(e) == "message" and e.message.chat_id == chat]


def whole_history(device, chat):
    seen, after = [], 1      # from the very beginning
    while True:
        page = device.ask_ok(history={"chat_id": chat, "after_msg_id": after, "limit": 200})
        seen += page.messages
        if not page.more:
            return seen
        after = page.messages[-1].msg_id


def judge(talkers, chat, readers=()):
    """Everything accepted is in every inbox and in the history exactly once, in one order."""
    accepted = {text: msg_id for talker in talkers for text, msg_id in talker.accepted.items()}
    assert len(accepted) == sum(talker.count for talker in talkers)
    assert len(set(accepted.values())) == len(accepted), "one id for two messages"
    for talker in talkers:
        device = talker.stay_connected()
        others = {text: i for text, i in accepted.items() if text not in talker.accepted}
        check_inbox(device, chat, others)
    for reader in readers:
        check_inbox(reader, chat, accepted)
    history = whole_history(talkers[0].stay_connected(), chat)
    assert [m.msg_id for m in history] == sorted(accepted.values())
    assert {m.text: m.msg_id for m in history} == accepted


def check_inbox(device, chat, wanted):
    device.wait_for(lambda: wanted.keys() <= {m.text for m in messages(device, chat)},
                    f"{device.uid} to have everything", 30)
    got = messages(device, chat)
    strangers = [m.text for m in got if m.author != device.uid and wanted.get(m.text) != m.msg_id]
    assert not strangers, f"{device.uid} has what was never accepted so: {strangers}"
    ids = [m.msg_id for m in got]
    assert len(ids) == len(set(ids)), "doubled"
    # One's own come late, if at all: those told Accepted are skipped until a reconnect.
    others = [m.msg_id for m in got if m.author != device.uid]
    assert others == sorted(others), "out of order"
