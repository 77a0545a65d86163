"""Processes in the background: started, recognised for sure, and stopped.

A process is known by its pid and the instant it started, so that a pid that the system has given to
somebody else is never taken for ours.
"""

import contextlib
import os
import resource
import select
import signal
import subprocess
import time

from nj.common import Failed


AGAIN_SECONDS = 0.2     # between one SIGTERM and the next


def start_ticks(pid, dead_too=False):
    """When `pid` started (clock ticks since boot), or None if it does not run (any more). With
    `dead_too` also of a process whose first thread has ended: others may still hold its files."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" and not dead_too else int(fields[19])


def started_at(ticks):
    """Unix time of an instant in clock ticks since boot."""
    with open("/proc/uptime", encoding="utf-8") as file:
        uptime = float(file.read().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def environment(extra=None):
    """What every process of a stack gets: little, so that a restart elsewhere is the same."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LANG": "C.UTF-8",
           "HOME": os.environ.get("HOME", "/")}
    return {**env, **(extra or {})}


def spawn(entry):
    """Starts what {name, argv, cwd, env, log} says, detached; adds pid and start to it."""
    with open(entry["log"], "ab") as log:
        try:
            child = subprocess.Popen(entry["argv"], cwd=entry["cwd"], env=entry["env"], stdout=log,
                                     stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                     preexec_fn=settle_child)
        except OSError as error:
            raise Failed(f"{entry['name']} cannot be started: {error}") from None
    entry["pid"] = child.pid
    entry["start"] = start_ticks(child.pid) or 0
    _children[child.pid] = child
    return entry


INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM}


@contextlib.contextmanager
def uninterrupted():
    """Interruptions wait until this is over: what has been started must be noted before anybody stops everything."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_child():
    """In the child: interruptible whatever its parent is, and with as many files as the system lets us have, since a
    broker has one per connection."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


_children = {}   # so that a child of this very process leaves no zombie


def running(entry):
    child = _children.get(entry["pid"])
    if child is not None:
        child.poll()
    ticks = start_ticks(entry["pid"])
    return ticks is not None and ticks == entry["start"]


def exit_code(entry):
    """Of a child of this process that has ended; else None."""
    child = _children.get(entry["pid"])
    return None if child is None else child.poll()


def send(entry, number):
    """Signals the process if it still is the one we started. True if it was."""
    try:
        fd = os.pidfd_open(entry["pid"])
    except ProcessLookupError:
        return False
    try:
        if not running(entry):
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def wait_gone(entry, seconds):
    """True as soon as the process has ended with all its threads, so that its ports and files are
    free; False if it has not after `seconds`."""
    try:
        fd = os.pidfd_open(entry["pid"])
    except ProcessLookupError:
        return True
    try:
        if start_ticks(entry["pid"], dead_too=True) != entry["start"]:
            return True
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        ended = bool(poller.poll(seconds * 1000))
        running(entry)   # reaps
        return ended
    finally:
        os.close(fd)


def stop(entry, seconds):
    """SIGTERM, and SIGKILL after `seconds`. Returns "gone", "stopped" or "killed"."""
    if not send(entry, signal.SIGTERM):
        wait_gone(entry, seconds)   # it may be ending just now
        return "gone"
    send(entry, signal.SIGCONT)   # a paused one could not hear it
    if wait_gone(entry, seconds):
        return "stopped"
    send(entry, signal.SIGKILL)
    wait_gone(entry, 10)
    return "killed"


def stop_at_once(entries, seconds):
    """As stop(), of several together, and without the time that a broker takes to move its clients
    away: the second SIGTERM tells it not to. Returns what became of each, in their order."""
    how = ["stopped" if send(entry, signal.SIGTERM) else "gone" for entry in entries]
    for entry in entries:
        send(entry, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    for number, entry in enumerate(entries):
        if how[number] == "gone":
            wait_gone(entry, seconds)   # it may be ending just now
        while how[number] == "stopped" and not wait_gone(entry, AGAIN_SECONDS):
            if time.monotonic() > deadline:
                send(entry, signal.SIGKILL)
                wait_gone(entry, 10)
                how[number] = "killed"
            else:
                for other in entries[number:]:
                    send(other, signal.SIGTERM)
    return how


def tail(path, lines=15):
    """The last lines of a log, indented; empty if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16384))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
