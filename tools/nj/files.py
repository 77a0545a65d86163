"""The configuration files that ./nj up writes into a stack's folder."""

import getpass
import os

from nj.common import ROOT, read_text, write_file


def redis_conf(path, port, data, maxmemory):
    write_file(path, f"""# Written by ./nj up.
bind 127.0.0.1
port {port}
protected-mode yes
daemonize no
dir {data}
# Accepted means that the journal is on disk: every write is synced before Redis answers.
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-use-rdb-preamble yes
save ""
# Full means refused, never lost.
maxmemory {maxmemory}
maxmemory-policy noeviction
""", mode=0o600)


def mosquitto_conf(path, mqtt, ws, unix, plugin, options, version):
    """The sample mosquitto.conf with addresses, plugin and options of this stack."""
    lines = [line.strip() for line in read_text(os.path.join(ROOT, "mosquitto.conf")).splitlines()]
    if version >= (2, 1):
        lines = [line.lstrip("#") if line.startswith("#packet_buffer_size ") else line for line in lines]
    lines = [line for line in lines if line and line[0] != "#" and not line.startswith("plugin_opt_")]
    for start, line in (("listener 1883 ", f"listener {mqtt} 127.0.0.1"), ("listener 8083 ", f"listener {ws} 127.0.0.1"),
                        ("listener 0 ", f"listener 0 {unix}"), ("plugin ", f"plugin {plugin}")):
        (at,) = [number for number, old in enumerate(lines) if old.startswith(start)]
        lines[at] = line
    lines.insert(0, f"user {getpass.getuser()}")
    lines += [f"plugin_opt_{name} {value}" for name, value in options.items()]
    write_file(path, "# Written by ./nj up from the sample at the top of the repository.\n" + "\n".join(lines) + "\n",
               mode=0o600)


def unix_socket(folder, made):
    """A path for the broker's private socket: in the folder if it is short enough for the kernel."""
    path = os.path.join(folder, "broker.sock")
    return path if len(path.encode()) < 100 else os.path.join(made(), "broker.sock")
