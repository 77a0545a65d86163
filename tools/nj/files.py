"""The configuration files that ./nj up writes into a stack's folder."""

import getpass
import os

from nj.common import ROOT, read_text, write_file


def sample(name):
    """The lines of a sample at the top of the repository, without comments."""
    lines = (line.strip() for line in read_text(os.path.join(ROOT, name)).splitlines())
    return [line for line in lines if line and line[0] != "#"]


def replace(lines, start, line):
    """Puts `line` in place of the one line that starts so."""
    (at,) = [number for number, old in enumerate(lines) if old.startswith(start)]
    lines[at] = line


def write(path, name, lines):
    write_file(path, f"# Written by ./nj up from {name} at the top of the repository.\n" + "\n".join(lines) + "\n",
               mode=0o600)


def redis_conf(path, port, data, maxmemory, more=()):
    lines = sample("redis.conf")
    replace(lines, "port ", f"port {port}")
    replace(lines, "maxmemory ", f"maxmemory {maxmemory}")
    write(path, "redis.conf", [*lines, f'dir "{data}"', "daemonize no", *more])


def mosquitto_conf(path, mqtt, ws, unix, plugin, options, version):
    lines = [line for line in sample("mosquitto.conf") if not line.startswith("plugin_opt_")]
    replace(lines, "listener 1883 ", f"listener {mqtt} 127.0.0.1")
    replace(lines, "listener 8083 ", f"listener {ws} 127.0.0.1")
    replace(lines, "listener 0 ", f"listener 0 {unix}")
    replace(lines, "plugin ", f"plugin {plugin}")
    lines.insert(0, f"user {getpass.getuser()}")    # else root would become the user mosquitto
    if version >= (2, 1):
        lines.insert(0, "packet_buffer_size 512")
    write(path, "mosquitto.conf", lines + [f"plugin_opt_{name} {value}" for name, value in options.items()])


def socket_folder(folder, made):
    """Where the brokers' private sockets are: in the folder if its path is short enough for the kernel."""
    return folder if len(os.path.join(folder, "b00.sock").encode()) < 100 else made()
