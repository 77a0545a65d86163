"""A small, honest client of protocol.md on top of harness.mqtt: numbers its sends, holds, acknowledges."""

import itertools
import json
import threading
import time

from harness.mqtt import Client
from harness.proto import code, from_json, kind_of, pb, to_json
from harness.waiting import SECONDS, poll


class Device(Client):
    """A device of a user, with the memory a real one keeps: held, epoch, and what it has read.

    auto_ack: acknowledge each frame at once (a real client would batch; this one is easier to watch).
    json / short: which topics and encoding it uses.
    `memory`: another Device, whose state this one goes on with (a reconnect).
    """

    _numbers = itertools.count(1)
    _ids = itertools.count(int(time.time() * 1000))

    def __init__(self, stack, uid, device="phone", *, json=False, short=False, auto_ack=True, token=None,
                 sub_qos=0, pub_qos=0, memory=None, ttl=3600, **kwargs):
        super().__init__(stack, f"{uid}:{device}", uid, token or stack.token(uid, ttl), **kwargs)
        self.uid, self.device = uid, device
        self.json, self.short = json, short
        self.auto_ack, self.sub_qos, self.pub_qos = auto_ack, sub_qos, pub_qos
        self.held = memory.held if memory else 0
        self.epoch = memory.epoch if memory else 0
        self.entries = memory.entries if memory else []     # inbox frames in seq order, each once
        self.seen = memory.seen if memory else set()        # (chat_id, msg_id) of messages and changes
        self.doubled = memory.doubled if memory else []     # entries whose message was already there
        self.frames = []        # everything of this connection, in order, repeats too
        self.syncs = []
        self.repeats = 0
        self.gaps = 0
        self.presence = []      # Presence messages, in order
        self.tail = []          # frames from the tail

    # ---- topics

    @property
    def inbox_topic(self):
        if self.short and not self.json:
            return "i"
        return ("json/" if self.json else "") + f"inbox/{self.uid}"

    def topic(self, name):
        return name[0] if self.short else f"chat/{name}"

    # ---- up and down

    def online(self):
        """Connects and subscribes to the inbox; back when `sync` is here."""
        self.connect()
        return self.open_inbox()

    def open_inbox(self):
        count = len(self.syncs)
        granted = self.subscribe(self.inbox_topic, self.sub_qos)
        assert granted == min(self.sub_qos, 1), f"inbox subscription: {granted}"
        self.wait_for(lambda: len(self.syncs) > count, "sync")
        return self

    def again(self, **kwargs):
        """The same device on a new connection, not yet connected. The old one is cut if it is there."""
        if self.connected:
            self.cut()
        options = {"json": self.json, "short": self.short, "auto_ack": self.auto_ack,
                   "sub_qos": self.sub_qos, "pub_qos": self.pub_qos, "version": self.version,
                   "transport": self.transport, **kwargs}
        return Device(self.stack, self.uid, self.device, memory=self, **options)

    # ---- sending

    @classmethod
    def next_id(cls):
        """Grows over all devices of this run, and starts as the protocol advises."""
        return next(cls._ids)

    def put(self, name, message):
        """Publishes a Send, an Ack or a Request in this device's encoding."""
        payload = to_json(message).encode() if self.json else message.SerializeToString()
        return self.publish(self.topic(name), payload, self.pub_qos)

    def send(self, to=None, text="", *, chat=None, cmid=None, **fields):
        """Publishes a Send; its client_msg_id. Does not wait for the answer."""
        cmid = self.next_id() if cmid is None else cmid
        message = pb.Send(client_msg_id=cmid, text=text, **fields)
        if to is not None:
            message.to = to
        if chat is not None:
            message.chat_id = chat
        self.put("send", message)
        return cmid

    def answer(self, cmid, after=0, seconds=SECONDS):
        """The Accepted or Rejected frame for a send, the first one at or after frames[after]."""
        def find():
            for frame in self.frames[after:]:
                kind = kind_of(frame)
                if kind in ("accepted", "rejected") and getattr(frame, kind).client_msg_id == cmid:
                    return frame
            return None
        frame = self.wait_for(find, f"an answer to send {cmid}", seconds)
        assert frame.seq == 0 and frame.skipped == 0
        return frame

    def accepted(self, cmid, after=0, seconds=SECONDS):
        frame = self.answer(cmid, after, seconds)
        assert kind_of(frame) == "accepted", f"rejected: {frame.rejected}"
        return frame.accepted

    def rejected(self, cmid, expected, after=0):
        frame = self.answer(cmid, after)
        assert kind_of(frame) == "rejected", f"accepted: {frame.accepted}"
        assert frame.rejected.error.code == code(expected), frame.rejected
        assert frame.rejected.error.message, "an error says why"
        return frame.rejected

    def say(self, to=None, text="", **kwargs):
        """Sends and waits; the Accepted."""
        after = len(self.frames)
        return self.accepted(self.send(to, text, **kwargs), after)

    def say_patiently(self, to=None, text="", *, cmid=None, **kwargs):
        """As a client does at the rate limit: waits as long as it is told to, and repeats the send."""
        cmid = self.next_id() if cmid is None else cmid
        while True:
            after = len(self.frames)
            frame = self.answer(self.send(to, text, cmid=cmid, **kwargs), after)
            if kind_of(frame) == "accepted":
                return frame.accepted
            error = frame.rejected.error
            assert error.code == code("RESOURCE_EXHAUSTED") and error.retry_after_ms > 0, error
            threading.Event().wait(error.retry_after_ms / 1000)

    def refuse(self, expected, to=None, text="", **kwargs):
        after = len(self.frames)
        return self.rejected(self.send(to, text, **kwargs), expected, after)

    # ---- acknowledging

    def ack(self, seq=None, resend=False, epoch=None, max_frame=0):
        self.put("ack", pb.Ack(seq=self.held if seq is None else seq, resend=resend,
                               epoch=self.epoch if epoch is None else epoch, max_frame=max_frame))

    def announce(self, max_frame):
        """Says how large frames may be; back when that is in force."""
        self.ack(max_frame=max_frame)
        self.ask_ok(whoami={})

    # ---- asking

    def ask(self, seconds=SECONDS, **body):
        """Sends a Request, as in ask(whoami={}); the Response."""
        request = pb.Request(request_id=f"r{next(self._numbers)}")
        for name, value in body.items():
            field = getattr(request, name)
            field.SetInParent()
            field.MergeFrom(type(field)(**value) if isinstance(value, dict) else value)
        after = len(self.frames)
        self.put("req", request)
        return self.response(request.request_id, seconds, after)

    def response(self, request_id, seconds=SECONDS, after=0):
        def find():
            return next((frame.response for frame in self.frames[after:] if kind_of(frame) == "response"
                         and frame.response.request_id == request_id), None)
        return self.wait_for(find, f"the response to {request_id}", seconds)

    def ask_ok(self, **body):
        response = self.ask(**body)
        assert response.WhichOneof("result") != "error", response.error
        return getattr(response, response.WhichOneof("result"))

    def ask_error(self, expected, **body):
        response = self.ask(**body)
        assert response.WhichOneof("result") == "error", response
        assert response.error.code == code(expected), response.error
        assert response.error.message
        return response.error

    def create_group(self, members, title="group"):
        return self.ask_ok(create_chat={"title": title, "members": members}).chat_id

    def wait_head(self, head):
        """Until so many entries are in the user's inbox: who is told Accepted cannot know (a task, another partition)."""
        poll(lambda: self.ask_ok(whoami={}).head == head, f"{self.uid}'s inbox to have {head} entries")

    # ---- reading

    def notice(self, kind, seconds=SECONDS, after=0):
        wanted = pb.Notice.Kind.Value(kind)
        return self.wait_for(
            lambda: next((f.notice for f in self.frames[after:]
                          if kind_of(f) == "notice" and f.notice.kind == wanted), None),
            f"notice {kind}", seconds)

    def texts(self, chat=None):
        """Texts of the messages read so far, in the order they came."""
        with self.board:
            return [entry.message.text for entry in self.entries if kind_of(entry) == "message"
                    and (chat is None or entry.message.chat_id == chat)]

    def message(self, text, seconds=SECONDS):
        """The Message with this text, once it is here."""
        return self.wait_for(
            lambda: next((e.message for e in self.entries
                          if kind_of(e) == "message" and e.message.text == text), None),
            f"message {text[:40]!r}", seconds)

    def change(self, kind, chat=None, seconds=SECONDS, after=0):
        """The chat_change of a kind (and chat) from entries[after] on."""
        wanted = pb.ChatChange.Kind.Value(kind)
        return self.wait_for(
            lambda: next((e.chat_change for e in self.entries[after:] if kind_of(e) == "chat_change"
                          and e.chat_change.kind == wanted
                          and chat in (None, e.chat_change.chat.chat_id)), None),
            f"change {kind}", seconds)

    def delivered(self, chat, uid, msg_id, seconds=SECONDS):
        """Waits until a delivered hint says that uid has everything of the chat up to msg_id."""
        return self.wait_for(
            lambda: any(mark.uid == uid and mark.msg_id >= msg_id
                        for frame in self.frames if kind_of(frame) == "delivered"
                        and frame.delivered.chat_id == chat for mark in frame.delivered.marks),
            f"delivered by {uid}", seconds)

    def kinds(self, after=0):
        with self.board:
            return [kind_of(frame) for frame in self.frames[after:]]

    def wait_acked(self, seconds=SECONDS):
        """Until the hub says that this device has acknowledged all it holds; its Identity."""
        def acked():
            identity = self.ask_ok(whoami={})
            return identity if identity.acked >= self.held else None
        return poll(acked, f"acknowledgement of {self.held}", seconds)

    # ---- what comes in (under the board's lock, on paho's thread)

    def heard(self, arrival):
        topic, as_json = arrival.topic, arrival.topic.startswith("json/")
        plain = topic[5:] if as_json else topic
        if plain.startswith("presence/"):
            self.presence.append(self._decode(arrival.payload, as_json, pb.Presence))
            return
        if topic == "i":
            as_json = arrival.payload[:1] == b"{"
        frame = self._decode(arrival.payload, as_json, pb.ServerFrame)
        if plain.startswith("tail/"):
            self.tail.append(frame)
        else:
            self.frames.append(frame)
            self._take(frame)

    @staticmethod
    def _decode(payload, as_json, kind):
        if as_json:
            return from_json(payload.decode(), kind)
        message = kind()
        message.ParseFromString(payload)
        return message

    def _take(self, frame):
        if kind_of(frame) == "sync":
            self.syncs.append(frame.sync)
            if frame.sync.epoch != self.epoch:
                self.seen.clear()
            self.epoch, self.held = frame.sync.epoch, frame.sync.start
        elif frame.seq == 0:
            pass
        elif frame.seq <= self.held:
            self.repeats += 1
        elif frame.seq - frame.skipped - 1 <= self.held:
            self.held = frame.seq
            self._keep(frame)
            if self.auto_ack:
                self.ack()
        else:
            self.gaps += 1
            self.ack(resend=True)

    def _keep(self, frame):
        kind = kind_of(frame)
        if kind == "message":
            key = (frame.message.chat_id, frame.message.msg_id)
        elif kind == "chat_change":
            key = (frame.chat_change.chat.chat_id, frame.chat_change.msg_id)
        else:
            return
        if key in self.seen:
            self.doubled.append(frame)
        else:
            self.seen.add(key)
            self.entries.append(frame)


def raw_json(arrival):
    """A JSON arrival as it stands, with strings where the server printed strings."""
    return json.loads(arrival.payload)
