"""The configuration files that ./nj up writes into a stack's folder. The samples at the top of the
repository (mosquitto.conf, redis.conf) explain each line to people who run Nightjar for real."""

import getpass
import os

from nj.common import write_file


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
    lines = f"""# Written by ./nj up.
per_listener_settings false
allow_anonymous false
persistence false
user {getpass.getuser()}
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
log_timestamp_format %Y-%m-%dT%H:%M:%S
allow_duplicate_messages true
set_tcp_nodelay true
max_packet_size 65536
max_inflight_messages 0
max_queued_messages 1000

listener {mqtt} 127.0.0.1

listener {ws} 127.0.0.1
protocol websockets

# The plugin wakes the broker through this one.
listener 0 {unix}

plugin {plugin}
"""
    if version >= (2, 1):
        lines = lines.replace("max_inflight", "packet_buffer_size 512\nmax_inflight", 1)
    lines += "".join(f"plugin_opt_{name} {value}\n" for name, value in options.items())
    write_file(path, lines, mode=0o600)


def unix_socket(folder, made):
    """A path for the broker's private socket: in the folder if it is short enough for the kernel."""
    path = os.path.join(folder, "broker.sock")
    return path if len(path.encode()) < 100 else os.path.join(made(), "broker.sock")
