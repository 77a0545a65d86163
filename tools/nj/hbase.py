"""A real HBase on 127.0.0.1: one process that is master, region server and ZooKeeper, and its Thrift2 servers.

The jars come from Maven Central through Maven, once: Maven keeps them in its own repository below the home folder,
and build/hbase-jars is a copy of what a class path needs.
"""

import hashlib
import os
import shutil
import socket
import struct
import subprocess
import time

from nj import process, setup
from nj.common import BUILD, Failed, exit_text, read_text, say, write_file

POM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hbase_jars", "pom.xml")
JARS = os.path.join(BUILD, "hbase-jars")
READY_SECONDS = 120      # 15 on an idle machine
STOP_SECONDS = 90        # it writes what it has in memory
SHOW_EVERY_SECONDS = 5   # of the download's progress

OPENS = ("java.lang", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.util", "java.util.concurrent",
         "jdk.internal.ref")
MODULES = [word for name in OPENS for word in ("--add-opens", f"java.base/{name}=ALL-UNNAMED")] + \
    ["--add-exports", "java.base/jdk.internal.misc=ALL-UNNAMED"]
# One core's worth of helpers each, and memory that does not grow with the machine.
SMALL = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:CICompilerCount=1", "-Xss512k"]

# How the two Thrift servers of a test run differ, so that both ways of speaking are used.
WAYS = {"thrift": [], "thrift-fc": ["-f", "-c"]}


def make_jars():
    """Copies the jars to build/hbase-jars, downloading what Maven does not have yet."""
    mark = hashlib.sha256(read_text(POM).encode()).hexdigest()
    stamp = os.path.join(JARS, ".nightjar")
    if os.path.exists(stamp) and read_text(stamp) == mark:
        return
    os.makedirs(BUILD, exist_ok=True)
    with setup.one_at_a_time("hbase-jars", folder=BUILD):
        if os.path.exists(stamp) and read_text(stamp) == mark:
            return
        shutil.rmtree(JARS, ignore_errors=True)
        say("setup: HBase's jars by Maven (about 110 MB the first time; Maven keeps them)")
        run_maven(["mvn", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={JARS}"])
        write_file(stamp, mark)


def run_maven(command):
    """Says how far the download is, rather than what Maven says of each file."""
    files, shown, last = 0, time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors="replace") as maven:
        for line in maven.stdout:
            if "Downloading" in line or "Progress" in line:
                continue
            if "Downloaded" in line:
                files += 1
                if time.monotonic() - shown > SHOW_EVERY_SECONDS:
                    shown = time.monotonic()
                    say(f"setup: HBase: {files} files so far, last {line.split()[-4].rpartition('/')[2]}")
                continue
            last = [*last[-14:], line.rstrip()]
    if maven.returncode != 0:
        raise Failed(f"setup: Maven could not fetch HBase ({exit_text(maven.returncode)})",
                     "\n".join("    " + line for line in last))


def ready_to_run():
    """JDK, Maven and the jars; quick if all is there."""
    setup.setup(hbase=True)
    make_jars()


def place(before, reserved, ways):
    """Ports, as before if they are free."""
    return {kind: reserved.prefer(before.get(kind)) for kind in ("zookeeper", "master", "region", *ways)}


def site(folder, placed):
    """hbase-site.xml: everything below `folder`, all of it on 127.0.0.1, nothing for browsers."""
    values = {
        "hbase.rootdir": f"file://{folder}/data", "hbase.tmp.dir": f"{folder}/tmp",
        "hbase.zookeeper.property.dataDir": f"{folder}/zookeeper",
        "hbase.zookeeper.property.clientPort": placed["zookeeper"], "hbase.zookeeper.quorum": "127.0.0.1",
        "hbase.zookeeper.property.clientPortAddress": "127.0.0.1", "hbase.zookeeper.property.admin.enableServer": "false",
        "hbase.master.port": placed["master"], "hbase.regionserver.port": placed["region"],
        "hbase.master.hostname": "localhost", "hbase.regionserver.hostname": "localhost",
        "hbase.master.ipc.address": "127.0.0.1", "hbase.regionserver.ipc.address": "127.0.0.1",
        "hbase.master.info.port": -1, "hbase.regionserver.info.port": -1,
        "hbase.cluster.distributed": "false", "hbase.unsafe.stream.capability.enforce": "false",
        "hbase.wal.provider": "filesystem",
        # What was acknowledged survives kill -9: this one flushes when it is told to.
        "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        # A small one: few threads, and answers rather than long waits when something is away.
        "hbase.regionserver.handler.count": 8, "hbase.master.handler.count": 8,
        "hbase.regionserver.metahandler.count": 4, "hfile.block.cache.size": "0.2",
        "hbase.client.retries.number": 5, "hbase.client.operation.timeout": 8000,
        "hbase.client.meta.operation.timeout": 8000, "hbase.rpc.timeout": 8000,
        "hbase.thrift.minWorkerThreads": 4,
    }
    rows = "\n".join(f"  <property><name>{name}</name><value>{value}</value></property>"
                     for name, value in values.items())
    return f'<?xml version="1.0"?>\n<!-- Written by ./nj. -->\n<configuration>\n{rows}\n</configuration>\n'


def write(folder, placed):
    for name in ("conf", "tmp", "zookeeper"):
        os.makedirs(os.path.join(folder, name), mode=0o700, exist_ok=True)
    write_file(os.path.join(folder, "conf", "hbase-site.xml"), site(folder, placed), mode=0o600)
    write_file(os.path.join(folder, "conf", "log4j2.properties"), "\n".join([
        "status = warn", "appender.out.type = Console", "appender.out.name = out",
        "appender.out.layout.type = PatternLayout", "appender.out.layout.pattern = %d %p [%t] %c{2}: %m%n",
        "rootLogger.level = WARN", "rootLogger.appenderRef.out.ref = out"]) + "\n")


def java(folder, megabytes, main, *args):
    return ["nice", "-n", "5", "java", f"-Xmx{megabytes}m", "-Xms32m", *SMALL, *MODULES,
            f"-Djava.io.tmpdir={folder}/tmp", "-cp", f"{folder}/conf:{JARS}/*", main, *args]


def server(folder):
    """The command of master, region server and ZooKeeper."""
    return java(folder, 400, "org.apache.hadoop.hbase.master.HMaster", "start")


def thrift(folder, placed, way="thrift"):
    return java(folder, 128, "org.apache.hadoop.hbase.thrift2.ThriftServer", "-b", "127.0.0.1", "-p",
                str(placed[way]), "--infoport", "-1", *WAYS[way], "start")


def accepts(port):
    """None if somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return None
    except OSError as error:
        return str(error)


def answers(port):
    """None if HBase answers through the Thrift server there (WAYS["thrift"]). It listens long before."""
    name = b"listNamespaceDescriptors"
    call = struct.pack(">II", 0x80010001, len(name)) + name + struct.pack(">Ib", 1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.settimeout(10)     # longer than HBase's client tries
            sock.sendall(call)
            reply = sock.makefile("rb").read(len(call) + 2)     # up to which field of the result is set
        return None if reply[-2:] == b"\0\0" else "HBase is not ready"
    except OSError as error:
        return str(error)


class Running:
    """An HBase for a test run, in a folder of its own, with a Thrift server for each way of speaking. start() returns
    at once; wait() when all of it answers."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = []
        self.placed = {}
        self.deadline = 0

    def start(self):
        from nj import ports   # pylint: disable=import-outside-toplevel
        ready_to_run()
        reserved = ports.Reserved()
        try:
            self.placed = place({}, reserved, WAYS)
            write(self.folder, self.placed)
        finally:
            reserved.release()
        self.spawn("hbase", server(self.folder))
        for way in WAYS:   # they wait for the master by themselves
            self.spawn(way, thrift(self.folder, self.placed, way))
        self.deadline = time.monotonic() + READY_SECONDS
        return self

    def spawn(self, name, argv):
        entry = {"name": name, "argv": argv, "cwd": self.folder, "env": process.environment(),
                 "log": os.path.join(self.folder, f"{name}.log")}
        self.entries.append(process.spawn(entry))

    def wait(self):
        for entry in self.entries:
            port = self.placed["master" if entry["name"] == "hbase" else entry["name"]]
            ready = answers if entry["name"] == "thrift" else accepts
            while ready(port) is not None:
                if not process.running(entry):
                    raise Failed(f"{entry['name']} did not start: it ended", process.tail(entry["log"]))
                if time.monotonic() > self.deadline:
                    raise Failed(f"{entry['name']} was not ready in time", process.tail(entry["log"]))
                time.sleep(0.1)
        return self

    def addresses(self):
        """How tests are told (tests/contract/store/store_under_test.h)."""
        return {"NIGHTJAR_HBASE": f"127.0.0.1:{self.placed['thrift']}",
                "NIGHTJAR_HBASE_FRAMED_COMPACT": f"127.0.0.1:{self.placed['thrift-fc']}"}

    def stop(self):
        """The data goes with the folder, so nothing need be written out."""
        for entry in reversed(self.entries):
            process.stop(entry, 0.5)
        shutil.rmtree(self.folder, ignore_errors=True)
