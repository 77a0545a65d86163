"""Is it there and does it work? The few bytes of RESP and MQTT 3.1.1 that take to ask."""

import json
import os
import socket
import struct

TIMEOUT = 4.0   # seconds for one answer; the plugin gives a store request up after 3


def redis_asked(port, command):
    """A connection that the command was sent over."""
    request = b"*%d\r\n" % len(command)
    for word in command:
        data = word.encode()
        request += b"$%d\r\n%s\r\n" % (len(data), data)
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    try:
        sock.settimeout(TIMEOUT)
        sock.sendall(request)
    except BaseException:
        sock.close()
        raise
    return sock


def redis(port, *command):
    """Redis's answer to one command as bytes (first line only). OSError if there is none."""
    with redis_asked(port, command) as sock:
        return sock.makefile("rb").readline().strip()


def redis_text(port, *command):
    """Redis's answer that is one string, as text; None for nil. OSError if there is none."""
    with redis_asked(port, command) as sock:
        file = sock.makefile("rb")
        head = file.readline()
        if not head.startswith(b"$"):
            raise OSError(head.decode(errors="replace").strip() or "closed")
        size = int(head[1:])
        return file.read(size).decode() if size >= 0 else None


def redis_list(port, *command):
    """Redis's answer that is a list of strings; empty for nil. OSError if there is none."""
    with redis_asked(port, command) as sock:
        file = sock.makefile("rb")
        head = file.readline()
        if not head.startswith(b"*"):
            raise OSError(head.decode(errors="replace").strip() or "closed")
        return [file.read(int(file.readline()[1:]) + 2)[:-2] for _ in range(max(0, int(head[1:])))]


def redis_ready(port):
    try:
        return redis(port, "PING") == b"+PONG"
    except OSError:
        return False


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(head, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([(rest & 0x7F) | (0x80 if rest > 0x7F else 0)])
        rest >>= 7
        if not rest:
            return bytes([head]) + length + body


def read_packet(file):
    head = file.read(1)
    if not head:
        raise OSError("closed by the broker")
    length = shift = 0
    while True:
        byte = file.read(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return head[0], file.read(length)


class Mqtt:
    """One short connection that asks and hears. It never subscribes, so it counts as no device."""

    def __init__(self, port, uid, token):
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        try:
            self.sock.settimeout(TIMEOUT)
            self.file = self.sock.makefile("rb")
            body = text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 30)
            self.sock.sendall(packet(0x10, body + text(f"{uid}:nj-{os.getpid()}") + text(uid) + text(token)))
            head, answer = read_packet(self.file)
            if head != 0x20 or answer[1:] != b"\0":
                raise OSError(f"refused with code {answer[1] if len(answer) > 1 else '?'}")
        except BaseException:
            self.close()
            raise

    def ask(self, request):
        """The `response` of a request of client.proto, in JSON's words."""
        body = json.dumps({"requestId": "nj", **request}).encode()
        self.sock.sendall(packet(0x30, text("chat/req") + body))
        while True:
            head, answer = read_packet(self.file)
            if head >> 4 == 3:
                (size,) = struct.unpack(">H", answer[:2])
                frame = json.loads(answer[2 + size + (2 if head & 6 else 0):])
                if "response" in frame:
                    return frame["response"]

    def close(self):
        self.sock.close()


PROBE_UID = "nj.probe"   # a user nobody writes to


def ask(port, token, request):
    """None if all is well, else why it is not."""
    try:
        connection = Mqtt(port, PROBE_UID, token)
        try:
            response = connection.ask(request)
        finally:
            connection.close()
    except (OSError, ValueError, IndexError, struct.error) as error:
        return str(error) or type(error).__name__
    error = response.get("error") or {}
    return error.get("message") or error.get("code")


def broker(port, token):
    """The broker accepts a real token and reaches the hub."""
    return ask(port, token, {"whoami": {}})


def history(port, token):
    """A persister answers reads."""
    return ask(port, token, {"listChats": {}})
