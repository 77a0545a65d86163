"""Stock command line clients: mosquitto_pub, mosquitto_sub, mosquitto_rr, and mqtt.js on node."""

import os
import subprocess

from harness.proto import ROOT
from harness.waiting import SECONDS, SLOWNESS, Board
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_MODULES = os.path.join(ROOT, "build", "test-env", "node", "node_modules")


class Program:
    """A program running beside the test; its output lines are noted as they come."""

    def __init__(self, argv, env=None):
        self.board = Board()
        self.lines = []
        self.ended = None
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=env)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.board:
                self.lines.append(line.rstrip("\n"))
        code = self.process.wait()
        with self.board:
            self.ended = code

    def line(self, contains, seconds=SECONDS):
        """The first line that contains this; fails at once if the program ends without one."""
        def find():
            found = next((line for line in self.lines if contains in line), None)
            assert found or self.ended is None, \
                f"it ended with {self.ended}, without {contains!r}: {self.lines[-20:]}"
            return found
        return self.board.wait(find, f"a line with {contains!r}", seconds)

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait(self, seconds=SECONDS):
        return self.board.wait(lambda: (self.ended is not None and (self.ended,)), "the program's end", seconds)[0]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(SECONDS * SLOWNESS)
        self.reader.join(SECONDS * SLOWNESS)
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def login(stack, uid, device, version="311"):
    return ["-h", "127.0.0.1", "-p", str(stack.broker["mqtt"]), "-V", version, "-i", f"{uid}:{device}",
            "-u", uid, "-P", stack.token(uid)]


def mosquitto_pub(stack, uid, device, topic, message, *args, version="311"):
    return subprocess.run(["mosquitto_pub", *login(stack, uid, device, version), "-t", topic, "-m", message,
                           *args], capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)


def mosquitto_sub(stack, uid, device, *topics, args=(), version="311"):
    """Prints `topic payload` lines."""
    filters = [part for topic in topics for part in ("-t", topic)]
    return Program(["stdbuf", "-oL", "mosquitto_sub", "-v", *login(stack, uid, device, version), *filters,
                    *args])


def mosquitto_rr(stack, uid, device, topic, answer_topic, message, version="311"):
    return subprocess.run(["mosquitto_rr", *login(stack, uid, device, version), "-t", topic, "-e", answer_topic,
                           "-m", message, "-W", "10"], capture_output=True, text=True, timeout=20 * SLOWNESS,
                          check=False)


def mqtt_js(stack, uid, device, version=4, ca=None):
    """mqtt.js over WebSockets, over TLS if it is told whom to trust. Write lines `sub TOPIC`, `pub TOPIC TEXT`, `end`;
    it prints what it hears."""
    url = f"{'wss' if ca else 'ws'}://127.0.0.1:{stack.broker['ws']}"
    return Program(["node", os.path.join(HERE, "mqtt_js.cjs"), url, f"{uid}:{device}", uid, stack.token(uid),
                    str(version)], env={**os.environ, "NODE_PATH": NODE_MODULES, **({"NODE_EXTRA_CA_CERTS": ca} if ca else {})})
