#!/usr/bin/env python3
"""What it costs that somebody with many watchers comes and goes, by where the watchers are (docs/capacity.md).

    ./nj up --brokers 3 --dir DIR --plugin-opt online_after_ms=200 --plugin-opt offline_after_ms=300
    bench/presence.py DIR [--watchers 1000] [--changes 20]

For each layout: messages that the hub's functions published a change (Redis's own count of SPUBLISH), CPU time of each
server a change (without what they use when nothing happens), and how long it took until the last watcher had it. Prints
one line each. Watchers only subscribe to the presence, so that they are no devices themselves.
"""
import argparse
import os
import re
import selectors
import socket
import struct
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from nj import probe, stack as nj_stack  # noqa: E402  pylint: disable=wrong-import-position

PUBLISH = 3
LATE = 30.0     # seconds until a change that not every watcher has seen ends the run
IDLE = 5.0      # seconds of doing nothing, to know what that costs


class Line:
    """One MQTT connection that counts the publications it gets."""

    def __init__(self, stack, broker, uid, device, topic):
        self.sock = socket.create_connection(("127.0.0.1", broker["mqtt"]), probe.TIMEOUT)
        body = probe.text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 600)
        self.sock.sendall(probe.packet(0x10, body + probe.text(f"{uid}:{device}") + probe.text(uid) +
                                       probe.text(stack.token(uid))))
        file = self.sock.makefile("rb")
        head, answer = probe.read_packet(file)
        if head != 0x20 or answer[1]:
            sys.exit(f"refused: {answer!r}")
        self.sock.sendall(probe.packet(0x82, b"\0\1" + probe.text(topic) + b"\0"))
        while probe.read_packet(file)[0] >> 4 != PUBLISH:     # SUBACK, then what there is to know at once
            pass
        self.sock.setblocking(False)
        self.rest = b""

    def publications(self):
        """Those that have come since the last call."""
        self.rest += self.sock.recv(65536)
        count = 0
        while len(self.rest) > 1:
            size, at, shift = 0, 1, 0
            while at < len(self.rest):
                size |= (self.rest[at] & 0x7F) << shift
                shift += 7
                at += 1
                if self.rest[at - 1] < 0x80:
                    break
            if len(self.rest) < at + size:
                break
            count += self.rest[0] >> 4 == PUBLISH
            self.rest = self.rest[at + size:]
        return count


class Crowd:
    def __init__(self, stack, brokers, uid, count):
        self.selector = selectors.DefaultSelector()
        self.lines = [Line(stack, brokers[i % len(brokers)], f"w{i}.{uid}", "d", f"presence/{uid}") for i in range(count)]
        for line in self.lines:
            self.selector.register(line.sock, selectors.EVENT_READ, line)

    def wait(self, count):
        """Until `count` publications more have come to all of them together."""
        until = time.monotonic() + LATE
        while count > 0:
            if time.monotonic() > until:
                sys.exit(f"{count} publications are missing after {LATE} s")
            for key, _ in self.selector.select(1):
                count -= key.data.publications()

    def close(self):
        for line in self.lines:
            line.sock.close()


def cpu(stack):
    """{server: CPU seconds of all its threads}, to the nanosecond."""
    used = {}
    for entry in stack.processes:
        folder = f"/proc/{entry['pid']}/task"
        used[entry["name"]] = 0
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/schedstat", encoding="ascii") as file:
                used[entry["name"]] += int(file.read().split()[0]) / 1e9
    return used


def published(stack):
    found = re.search(r"cmdstat_spublish:calls=(\d+)", probe.redis_text(stack.data["redis"]["port"], "INFO", "commandstats"))
    return int(found[1]) if found else 0


def measure(stack, name, brokers, watchers, changes):
    uid = f"star.{name.replace(' ', '')}.{os.getpid()}"
    crowd = Crowd(stack, brokers, uid, watchers)
    time.sleep(1)
    before, idle = cpu(stack), {}
    time.sleep(IDLE)
    idle = {server: (used - before[server]) / IDLE for server, used in cpu(stack).items()}
    before, messages, started, took = cpu(stack), published(stack), time.monotonic(), []
    star = None
    for change in range(changes):
        begun = time.monotonic()
        if change % 2 == 0:
            star = Line(stack, stack.data["brokers"][0], uid, "phone", f"inbox/{uid}")
        else:
            star.sock.sendall(probe.packet(0xE0, b""))
            star.sock.close()
        crowd.wait(watchers)
        took.append((time.monotonic() - begun) * 1000)
    messages, passed, after = published(stack) - messages, time.monotonic() - started, cpu(stack)
    crowd.close()
    spent = {server: (after[server] - before[server] - idle[server] * passed) * 1000 / changes for server in after}
    print(f"{name}: {messages / changes:.2f} relay messages a change; CPU ms a change: " +
          ", ".join(f"{server} {ms:.2f}" for server, ms in sorted(spent.items())) +
          f"; seen by the last after {sorted(took)[len(took) // 2]:.0f} ms (median; the times before it shows included)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of a stack with at least three brokers")
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=20)
    args = parser.parse_args()
    stack = nj_stack.Stack(args.folder)
    b1, b2, b3 = stack.data["brokers"][:3]
    measure(stack, "nobody watches but one", [b1], 1, args.changes)
    measure(stack, "all on the same broker", [b1], args.watchers, args.changes)
    measure(stack, "all on another broker", [b2], args.watchers, args.changes)
    measure(stack, "spread over three", [b1, b2, b3], args.watchers, args.changes)


if __name__ == "__main__":
    main()
