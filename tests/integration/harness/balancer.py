"""HAProxy in front of a stack's brokers, with the sample haproxy.cfg at the top of the repository: only
addresses, paths and bounds are replaced, each where it stands."""

import csv
import os
import socket
import subprocess

from harness.proto import ROOT
from harness.stack import At, nj_stack, process
from harness.waiting import SLOWNESS, poll
from nj import ports
from nj.common import read_text, write_file


class Balancer:
    """Runs until closed. `ports` are those of the sample's listeners, by its own numbers."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.ca = self.path("ca.pem")
        self.control = self.path("control.sock")
        self.make_certificate()
        reserved = ports.Reserved()
        self.ports = {number: reserved.take() for number in (1883, 8883, 8083, 443, 8404)}
        write_file(self.path("haproxy.cfg"), self.adapted(read_text(os.path.join(ROOT, "haproxy.cfg"))), mode=0o600)
        reserved.release()
        self.entry = {"name": "haproxy", "argv": [nj_stack.need("haproxy"), "-db", "-f", self.path("haproxy.cfg")],
                      "cwd": self.folder, "env": process.environment(), "log": self.path("haproxy.log")}
        process.spawn(self.entry)
        self.wait_state({name: "UP" for name in stack.brokers})

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.path("key.pem"), "-out", self.ca],
                       check=True, capture_output=True)
        write_file(self.path("site.pem"), read_text(self.ca) + read_text(self.path("key.pem")), mode=0o600)

    def adapted(self, text):
        def put(old, new):
            nonlocal text
            assert old in text, f"haproxy.cfg has no {old!r}"
            text = text.replace(old, new)
        for number, broker in enumerate(self.stack.inner.data["brokers"], 1):
            put(f" 10.0.0.{number}:1883\n", f" 127.0.0.1:{broker['mqtt']}\n")
            put(f" 10.0.0.{number}:8083 ", f" 127.0.0.1:{broker['ws']} ")
        for number, port in self.ports.items():
            where = "127.0.0.1" if number == 8404 else ""
            ending = " " if number in (8883, 443) else "\n"
            put(f"    bind {where}:{number}{ending}", f"    bind 127.0.0.1:{port}{ending}")
        put("/etc/nightjar/site.pem", self.path("site.pem"))
        put("/run/haproxy/nightjar.sock", self.control)
        put("    maxconn 27000\n", "    maxconn 2000\n")    # what `ulimit -n` of a test machine allows
        return text

    def through(self, tls=False):
        """The stack as a device sees it that connects to the balancer."""
        return Through(self, tls)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.control)
            sock.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def servers(self, backend="mqtt"):
        """{broker: row of `show stat`}; empty while it starts."""
        try:
            rows = csv.DictReader(self.ask("show stat").lstrip("# ").splitlines())
        except OSError:
            return {}
        return {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] in self.stack.brokers}

    def state(self, name, backend="mqtt"):
        """UP, DOWN, or NOLB: it keeps what it has and gets nothing new."""
        return self.servers(backend)[name]["status"].split()[0]

    def wait_state(self, wanted, seconds=20):
        """Both kinds of listeners."""
        def there():
            seen = [self.servers(backend) for backend in ("mqtt", "websockets")]
            return all(row.get(name, {"status": ""})["status"] == state for row in seen for name, state in wanted.items())
        try:
            poll(there, f"HAProxy to see {wanted}", seconds, every=0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{process.tail(self.entry['log'])}") from late

    def connections(self, name):
        return int(self.servers()[name]["scur"])

    def close(self):
        process.stop(self.entry, 10 * SLOWNESS)


class Through(At):
    def __init__(self, balancer, tls):
        super().__init__(balancer.stack, None)
        self._ports = {"mqtt": balancer.ports[8883 if tls else 1883], "ws": balancer.ports[443 if tls else 8083]}

    @property
    def broker(self):
        return self._ports
