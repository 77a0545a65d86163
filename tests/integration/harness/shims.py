"""Libraries of the tests that are preloaded into a process under test (clock.py has another)."""

import os
import subprocess

from harness.proto import GENERATED

HERE = os.path.dirname(os.path.abspath(__file__))


def built(name):
    """The library made of NAME.c."""
    library = os.path.join(GENERATED.name, f"{name}.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, os.path.join(HERE, f"{name}.c")], check=True)
    return library


class Disk:
    """A disk that a process sees, and that can be full while the process runs."""

    def __init__(self, path):
        self.library = built("disk_shim")
        self.path = str(path)

    def fill(self):
        with open(self.path, "w", encoding="ascii"):
            pass

    def make_room(self):
        os.unlink(self.path)

    def env(self, part):
        """For Stack(env=...)."""
        return [(part, "LD_PRELOAD", self.library), (part, "NIGHTJAR_FULL_FILE", self.path)]


def stops_itself(env, at):
    """The environment of a process that stops (SIGSTOP) before it writes to a server for the `at`th time."""
    preload = ":".join(filter(None, [env.get("LD_PRELOAD"), built("stop_shim")]))
    return {**env, "LD_PRELOAD": preload, "NIGHTJAR_STOP_AT": str(at)}
