"""MQTT 3.1.1 by hand, for what no decent client does: reading slowly, not at all, or writing rubbish."""

import socket
import struct

from harness.stack import probe
from harness.waiting import SECONDS, SLOWNESS


class Raw:
    """One connection, everything synchronous. Without a login, just a socket."""

    def __init__(self, stack, client_id=None, user=None, password=None, *, receive_buffer=0, keepalive=60):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(SECONDS * SLOWNESS)
        self.sock.connect(("127.0.0.1", stack.broker["mqtt"]))
        if client_id is not None:
            body = probe.text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", keepalive)
            self.sock.sendall(probe.packet(0x10, body + probe.text(client_id) + probe.text(user)
                                           + probe.text(password)))
            head, answer = self.packet()
            assert (head, answer) == (0x20, b"\0\0"), (head, answer)

    def exactly(self, count, chunk=65536):
        data = b""
        while len(data) < count:
            part = self.sock.recv(min(chunk, count - len(data)))
            if not part:
                raise ConnectionError("closed by the broker")
            data += part
        return data

    def packet(self, chunk=65536):
        head = self.exactly(1)[0]
        length = shift = 0
        while True:
            byte = self.exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return head, self.exactly(length, chunk)

    def subscribe(self, topic, qos):
        self.sock.sendall(probe.packet(0x82, b"\0\1" + probe.text(topic) + bytes([qos])))
        head, answer = self.packet()
        assert (head, answer[:2]) == (0x90, b"\0\1") and answer[2] == min(qos, 1), (head, answer)

    def publish(self, topic, payload):
        self.sock.sendall(probe.packet(0x30, probe.text(topic) + payload))

    def next_publish(self, chunk=65536):
        """(topic, payload) of the next PUBLISH; acknowledges it if it asks for that."""
        while True:
            head, body = self.packet(chunk)
            if head >> 4 == 3:
                (size,) = struct.unpack(">H", body[:2])
                rest = body[2 + size:]
                if head & 6:
                    self.sock.sendall(probe.packet(0x40, rest[:2]))
                    rest = rest[2:]
                return body[2:2 + size].decode(), rest

    def wait_closed(self, seconds):
        """Reads nothing until the other side has closed or reset, then drains what was left."""
        import select
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        assert poller.poll(seconds * 1000), f"the connection still stands after {seconds} s"
        self.close()

    def close(self):
        self.sock.close()
