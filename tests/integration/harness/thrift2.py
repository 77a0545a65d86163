"""An operator's word to HBase through its Thrift2 server: tables taken out of service, and dropped."""

import socket
import struct

TABLES = ("messages", "chats", "users")


def _text(field, text):
    data = text.encode()
    return struct.pack(">bhi", 11, field, len(data)) + data


def order(port, what, table):
    """`what` is disableTable, enableTable or deleteTable; back when HBase has done it."""
    name = what.encode()
    call = struct.pack(">hhi", -0x7fff, 1, len(name)) + name + struct.pack(">i", 0)   # binary, a call, number 0
    call += struct.pack(">bh", 12, 1) + _text(1, "nightjar") + _text(2, table) + b"\0" + b"\0"
    with socket.create_connection(("127.0.0.1", port), 60) as line:
        line.sendall(call)
        answer = b""
        while len(answer) < 12 + len(name) + 1:
            data = line.recv(4096)
            assert data, f"{what} {table}: the line was closed"
            answer += data
    kind, stop = answer[3], answer[12 + len(name)]
    assert (kind, stop) == (2, 0), f"{what} {table}: {answer!r}"   # a reply, with no exception in it
