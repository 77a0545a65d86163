"""A proxy between devices and a broker that spoils what passes: whole MQTT packets, so that nothing
but the chosen fault is wrong. For showing that the judge of nightjar-sim finds it.

One thread with selectors; runs until closed."""

import selectors
import socket
import struct
import threading

from harness.proto import kind_of, pb
from harness.stack import probe

PUBLISH = 3


def cut(data):
    """The first packet of the bytes as (head, body, whole size); None if it is not all there."""
    length = shift = 0
    for at in range(1, min(len(data), 5)):
        length |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            end = at + 1 + length
            return (data[0], bytes(data[at + 1:end]), end) if len(data) >= end else None
    return None


def open_publish(head, body):
    """(topic, packet id bytes, payload)."""
    (size,) = struct.unpack(">H", body[:2])
    at = 2 + size
    packet_id = body[at:at + 2] if head & 6 else b""
    return body[2:at].decode(), packet_id, body[at + len(packet_id):]


class Spoiler:
    """Lets everything pass. `from_server` and `from_client` return the payloads that take the place
    of this one; `spoiled` counts what was changed."""

    def __init__(self, every=20, most=5):
        self.every, self.most = every, most
        self.seen = self.spoiled = 0

    def turn(self):
        """True for one in `every`, `most` times: what is spoiled is rare, as faults are."""
        self.seen += 1
        if self.seen % self.every or self.spoiled >= self.most:
            return False
        self.spoiled += 1
        return True

    def from_server(self, topic, payload, line):  # pylint: disable=unused-argument
        return [payload]

    def from_client(self, topic, payload, line):  # pylint: disable=unused-argument
        return [payload]


class FrameSpoiler(Spoiler):
    """Calls `change(frame, line)` for one in `every` frames of a kind: the frames to send instead."""

    def __init__(self, kind, change, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.change = kind, change

    def from_server(self, topic, payload, line):
        if topic.startswith("presence/"):
            return [payload]
        frame = pb.ServerFrame()
        frame.ParseFromString(payload)
        if kind_of(frame) != self.kind or not self.turn():
            return [payload]
        return [f.SerializeToString() for f in self.change(frame, line)]


class Line:
    """One client's connection with its way to the broker; spoilers may keep notes in `notes`."""

    def __init__(self, client, broker):
        self.sockets = {"client": client, "server": broker}
        self.came = {"client": bytearray(), "server": bytearray()}
        self.out = {"client": bytearray(), "server": bytearray()}  # towards that end
        self.notes = {}

    def inject(self, topic, payload):
        """Sends this to the broker as if the device had."""
        self.out["server"] += probe.packet(0x30, probe.text(topic) + payload)


class Proxy:
    def __init__(self, broker_port, spoiler=None):
        self.spoiler = spoiler or Spoiler()
        self.broker_port = broker_port
        self.failure = None
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self.port = self._listener.getsockname()[1]
        self._ending = threading.Event()
        self._lines = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._ending.set()
        self._thread.join()
        for line in list(self._lines):
            self._close(line)
        self._listener.close()
        self._selector.close()
        assert self.failure is None, self.failure

    def _run(self):
        try:
            while not self._ending.is_set():
                for key, events in self._selector.select(0.1):
                    if key.data is None:
                        self._accept()
                    else:
                        self._serve(*key.data, events)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failure = error

    def _accept(self):
        client, _ = self._listener.accept()
        broker = socket.create_connection(("127.0.0.1", self.broker_port))
        line = Line(client, broker)
        self._lines.add(line)
        for end, sock in line.sockets.items():
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sock, selectors.EVENT_READ, (line, end))

    def _close(self, line):
        if line not in self._lines:
            return
        self._lines.discard(line)
        for sock in line.sockets.values():
            self._selector.unregister(sock)
            sock.close()

    def _serve(self, line, end, events):
        if line not in self._lines:
            return
        other = "server" if end == "client" else "client"
        try:
            if events & selectors.EVENT_READ:
                data = line.sockets[end].recv(65536)
                if not data:
                    return self._close(line)
                line.came[end] += data
                self._pass_on(line, end, other)
            for towards in ("client", "server"):
                self._flush(line, towards)
        except BlockingIOError:
            pass
        except OSError:
            self._close(line)

    def _flush(self, line, towards):
        out = line.out[towards]
        while out:
            try:
                del out[:line.sockets[towards].send(out)]
            except BlockingIOError:
                break
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if out else 0)
        self._selector.modify(line.sockets[towards], wanted, (line, towards))

    def _pass_on(self, line, end, other):
        came = line.came[end]
        while (packet := cut(came)) is not None:
            head, body, size = packet
            whole = bytes(came[:size])
            del came[:size]
            if head >> 4 != PUBLISH:
                line.out[other] += whole
                continue
            topic, packet_id, payload = open_publish(head, body)
            act = self.spoiler.from_server if end == "server" else self.spoiler.from_client
            instead = act(topic, payload, line)
            if instead == [payload]:
                line.out[other] += whole
                continue
            for changed in instead:
                line.out[other] += probe.packet(head, probe.text(topic) + packet_id + changed)
