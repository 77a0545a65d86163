"""Wrong clocks for single processes."""

import os
import struct

from harness.shims import built


class Clock:
    """A wall clock that a process sees; set() moves it while the process runs."""

    def __init__(self, path, hours=0):
        self.library = built("clock_shim")
        self.path = str(path)
        self.set(hours)

    def set(self, hours):
        data = struct.pack("=q", int(hours * 3600))
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(fd, data, 0)
        os.close(fd)

    def env(self, part):
        """For Stack(env=...)."""
        return [(part, "LD_PRELOAD", self.library), (part, "NIGHTJAR_CLOCK_FILE", self.path)]
