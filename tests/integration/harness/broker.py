"""A Mosquitto with the plugin but without ./nj up: for starts that are meant to fail."""

import os
import socketserver
import threading

from harness import keys
from harness.stack import PRESET, nj_stack, process
from harness.waiting import SLOWNESS
from nj import build, files, ports, sanitizers


class Broker:
    """Runs until it ends by itself; `options` replace or, with None, remove the usual ones."""

    def __init__(self, folder, redis_port, options):
        self.folder = str(folder)
        reserved = ports.Reserved()
        mqtt, ws = reserved.take(), reserved.take()
        reserved.release()
        key_file = os.path.join(self.folder, "keys.json")
        self.key = keys.Key("k1", "HS256")
        keys.write_key_file(key_file, [self.key])
        unix = os.path.join(self.folder, "b.sock")
        usual = {"redis": f"127.0.0.1:{redis_port}", "key_file": key_file, "broker_id": "b1", "wake_socket": unix,
                 "hub_start_wait_ms": "500"}
        wanted = {name: value for name, value in {**usual, **options}.items() if value is not None}
        conf = os.path.join(self.folder, "mosquitto.conf")
        binary = nj_stack.mosquitto_binary()
        files.mosquitto_conf(conf, mqtt, ws, unix, build.program(PRESET, "plugin/nightjar_plugin.so", "plugin/*.so"),
                             wanted, nj_stack.mosquitto_version(binary))
        self.broker = {"mqtt": mqtt, "ws": ws}
        self.entry = {"name": "b1", "argv": [binary, "-c", conf], "cwd": self.folder,
                      "env": process.environment(sanitizers.preloaded(PRESET, leaks=False)),
                      "log": os.path.join(self.folder, "b1.log")}
        process.spawn(self.entry)

    def token(self, uid, ttl=3600):
        return self.key.sign(uid, ttl)

    def ended(self, seconds=20):
        """The exit code, once it has ended."""
        assert process.wait_gone(self.entry, seconds * SLOWNESS), "the broker runs:\n" + self.log()
        return process.exit_code(self.entry)

    def log(self):
        with open(self.entry["log"], encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        process.stop(self.entry, 10 * SLOWNESS)
        assert not sanitizers.reports_in(self.entry["log"]), self.log()


class OldRedis(socketserver.ThreadingTCPServer):
    """Answers as a Redis of another version would, as far as anyone asks."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, version):
        self.info = f"# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n".encode()
        super().__init__(("127.0.0.1", 0), OldRedisHandler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class OldRedisHandler(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line.startswith(b"*"):
                return
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].upper())
            if words[0] == b"PING":
                self.wfile.write(b"+PONG\r\n")
            elif words[0] == b"INFO":
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(self.server.info), self.server.info))
            elif words[0] in (b"AUTH", b"SELECT", b"CLIENT"):
                self.wfile.write(b"+OK\r\n")
            else:
                self.wfile.write(b"-ERR unknown command\r\n")
