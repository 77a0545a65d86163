"""Installs what is missing: Debian packages in one apt call, test clients in build/test-env."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess

from nj.common import BUILD, Failed, run, say

# Everything that building and running needs, and nothing else.
BASE = """
    ca-certificates ccache cmake g++ git make ninja-build pkg-config
    libboost-dev libcli11-dev libcurl4-openssl-dev libfmt-dev libgmock-dev libgtest-dev libhiredis-dev libmosquitto-dev
    libpaho-mqtt-dev libpaho-mqttpp-dev libprotobuf-dev librocksdb-dev libspdlog-dev libssl-dev
    libthrift-dev libtomlplusplus-dev nlohmann-json3-dev protobuf-compiler thrift-compiler
    mosquitto mosquitto-clients mosquitto-dev redis-server redis-tools
""".split()
# To run HBase: for ./nj up --store hbase and for tests. The jars come through Maven (nj/hbase.py).
HBASE = ["maven", "openjdk-17-jre-headless"]
# On top of it for ./nj test; node and npm only if there are none from elsewhere.
TEST = ["haproxy", "openssl", "python3-venv"]
TEST_COMMANDS = {"node": "nodejs", "npm": "npm"}
# For ./nj fmt, ./nj lint and the fuzz preset.
CLANG = "clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev".split()

# Clients that no one here wrote, and what speaks to them. protobuf 4.21 is the Python of protoc 3.21.
PYTHON_TEST = ["paho-mqtt==2.1.0", "protobuf==4.21.12", "PyJWT[crypto]==2.8.0", "pytest==8.3.4",
               "pytest-xdist==3.6.1", "http-ece==1.2.1", "py-vapid==1.9.6"]
NODE_TEST = ["mqtt@5.10.3"]

TEST_ENV = os.path.join(BUILD, "test-env")
TEST_PYTHON = os.path.join(TEST_ENV, "venv", "bin", "python")
NODE_MODULES = os.path.join(TEST_ENV, "node", "node_modules")


def missing_packages(names):
    """Those of `names` that are not installed. Asks dpkg only: no network, some milliseconds."""
    if shutil.which("dpkg-query") is None:
        raise Failed("setup needs Debian's package tools (dpkg-query, apt-get); this is no Debian")
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev}\n", *names],
                           capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0].split(":")[0] for line in shown.splitlines()
                 if line.split()[1:2] == ["ii"] or line.split()[1:2] == ["hi"]}
    return [name for name in names if name not in installed]


def setup(test=False, clang=False, hbase=False):
    """Installs the packages of the groups asked for. Quick and silent about it when none is missing."""
    names = BASE + (TEST if test else []) + (CLANG if clang else []) + (HBASE if hbase else [])
    if test:
        names += [package for command, package in TEST_COMMANDS.items() if shutil.which(command) is None]
    if not missing_packages(names):
        return
    with one_at_a_time("nightjar-setup"):
        missing = missing_packages(names)   # another setup may just have finished
        if missing:
            install(missing)


def install(missing):
    become = root_prefix(missing)
    say(f"setup: installing {len(missing)} Debian packages: {' '.join(missing)}")
    apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
           "-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0"]
    quiet = {"stdin": subprocess.DEVNULL}
    run([*apt, "update"], "apt-get update", **quiet)
    run([*apt, "install", "--no-install-recommends", *missing], "apt-get install", **quiet)
    still = missing_packages(missing)
    if still:
        raise Failed(f"setup: apt-get succeeded, but these are not installed: {' '.join(still)}")


def root_prefix(missing):
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True,
                                               check=False).returncode == 0:
        return ["sudo", "-n"]
    raise Failed("setup needs root or password-less sudo; or run this as root: "
                 f"apt-get update && apt-get install --no-install-recommends {' '.join(missing)}")


def setup_test_clients():
    """paho-mqtt, PyJWT, protobuf, pytest in a venv, mqtt.js in a node folder; both below build/."""
    os.makedirs(BUILD, exist_ok=True)
    with one_at_a_time("test-env", folder=BUILD):
        in_step("venv", PYTHON_TEST, make_venv)
        in_step("node", NODE_TEST, make_node)


def in_step(name, wanted, make):
    folder = os.path.join(TEST_ENV, name)
    stamp = os.path.join(folder, ".nightjar")
    mark = hashlib.sha256("\n".join([folder, *wanted]).encode()).hexdigest()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == mark:
                return
    say(f"setup: test clients: {' '.join(wanted)}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    make(folder, wanted)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(mark)


def make_venv(folder, wanted):
    python = "/usr/bin/python3"
    run([python, "-m", "venv", folder], "making a Python venv")
    run([os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", *wanted], "pip install")


def make_node(folder, wanted):
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *wanted],
        "npm install", stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def one_at_a_time(name, folder=None):
    """A lock between nj processes: of the machine, or of `folder`."""
    if folder is None:
        folder = "/run/lock" if os.access("/run/lock", os.W_OK) else "/tmp"
        name = f"{name}-{os.geteuid()}"
    path = os.path.join(folder, f".{name}.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("setup: waiting for another setup to finish")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
