"""Free ports on 127.0.0.1."""

import random
import socket

from nj.common import Failed

# Below Linux's ephemeral range: a client's outgoing connection never sits on a port of a stack that
# is being restarted.
RANGE = range(15000, 32000)


class Reserved:
    """Holds ports bound until release(), so that they are all different and free when handed out."""

    def __init__(self):
        self.sockets = {}

    def take(self, wanted=0):
        """`wanted`, or any free one. Failed if `wanted` is taken."""
        if wanted:
            if not self.bind(wanted):
                raise Failed(f"port {wanted} on 127.0.0.1 is taken")
            return wanted
        for port in random.sample(RANGE, 500):
            if self.bind(port):
                return port
        raise Failed("no free port found on 127.0.0.1")

    def prefer(self, port):
        """`port` if it is free, else any: a stack that comes back likes its old address."""
        return port if port and self.bind(port) else self.take()

    def bind(self, port):
        if port in self.sockets:
            return False
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # As servers do it, so that connections that have just ended do not count.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sock.close()
            return False
        self.sockets[port] = sock
        return True

    def release(self):
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()
