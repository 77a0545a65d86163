"""Where things are, how to say things, how to fail."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
PRESETS = ("release", "dev", "asan", "tsan", "fuzz")
DEFAULT_DIR = os.path.join(ROOT, ".nightjar")


class Failed(Exception):
    """Ends nj with one line and an exit code. `detail` (log lines, say) follows the line."""

    def __init__(self, message, detail="", code=1):
        super().__init__(message)
        self.detail = detail
        self.code = code


def say(message=""):
    """Progress, for people: standard error, so that standard output stays what a command is for."""
    print(message, file=sys.stderr, flush=True)


def run(argv, what, **kwargs):
    """Runs argv with its output visible; Failed if it cannot be run or exits non-zero."""
    try:
        code = subprocess.run(argv, check=False, **kwargs).returncode
    except OSError as error:
        raise Failed(f"{what}: {error}") from None
    if code != 0:
        raise Failed(f"{what} failed ({exit_text(code)})")


def exit_text(code):
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write_file(path, text, mode=0o644):
    """Replaces the file in one step, so that a reader never sees half of it."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
