"""Wrong clocks for single processes."""

import os
import struct
import subprocess

from harness.proto import GENERATED

HERE = os.path.dirname(os.path.abspath(__file__))
SHIM = os.path.join(GENERATED.name, "clock_shim.so")


class Clock:
    """A wall clock that a process sees; set() moves it while the process runs."""

    def __init__(self, path, hours=0):
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", SHIM, os.path.join(HERE, "clock_shim.c")], check=True)
        self.path = str(path)
        self.set(hours)

    def set(self, hours):
        data = struct.pack("=q", int(hours * 3600))
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(fd, data, 0)
        os.close(fd)

    def env(self, part):
        """For Stack(env=...)."""
        return [(part, "LD_PRELOAD", SHIM), (part, "NIGHTJAR_CLOCK_FILE", self.path)]
