"""The commands about a stack: up, down, status, token, demo, bench."""

import os
import subprocess
import sys
import threading
import time

from nj import build, hbase, jwt, process, setup, stack
from nj.common import DEFAULT_DIR, ROOT, Failed, run, say


def setup_all(args):
    setup.setup(test=args.all, clang=args.all)
    if args.all:
        setup.setup_test_clients()
    if args.all or args.hbase:
        hbase.ready_to_run()
    say("setup: nothing is missing")


def up(args):
    running, started = stack.up(args)
    if not started:
        print(f"already up, since {since(running.processes[0])}")
    print_addresses(running)


def print_addresses(running):
    for broker in running.data["brokers"]:
        print(f"broker     mqtt://{broker['host']}:{broker['mqtt']}   ws://{broker['host']}:{broker['ws']}"
              + (f"   {broker['id']}" if len(running.data["brokers"]) > 1 else ""))
    print(f"redis      {running.data['redis']['host']}:{running.data['redis']['port']}")
    print(f"persister  {running.data['store']} in {running.path('store')}")
    print(f"logs       {running.path('log')}")


def down(args):
    if not stack.down(args.dir):
        say(f"down: nothing was running in {os.path.abspath(args.dir)}")


def since(entry):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.started_at(entry["start"])))


def status(args):
    shown = stack.Stack(args.dir)
    if not any(process.running(entry) for entry in shown.processes):
        print(f"nothing is up in {shown.folder}")
        return 1
    bad = 0
    for entry in shown.processes:
        why = shown.health(entry)
        bad += why is not None
        up_since = f"since {since(entry)}" if process.running(entry) else ""
        state = "healthy" if why is None else why
        print(f"{entry['name']:<10} pid {entry['pid']:<8} {up_since:<26} {state}")
    print_addresses(shown)
    return 1 if bad else 0


def token(args):
    keys = stack.Stack(args.dir).path("keys.json")
    print(jwt.sign(keys, args.uid, args.device, jwt.seconds(args.ttl), args.service))


def demo(args):
    setup.setup()
    build.build(args.preset, build.STACK)
    simulator = build.program(args.preset, "client-sim/nightjar-sim")
    running, started = stack.up(args)
    try:
        code = subprocess.run([simulator, "demo", "--stack", running.path("stack.json")],
                              check=False).returncode
        if code != 0:
            raise Failed(f"the demo's chat ended with exit code {code}; logs are in {running.path('log')}")
        if not args.once:
            stay(running, args)
    finally:
        if started:
            say()
            stack.down(args.dir)
    return 0


def stay(running, args):
    where = "" if os.path.abspath(args.dir) == DEFAULT_DIR else f" --dir {args.dir}"
    port = running.data["brokers"][0]["mqtt"]
    password = '-P "$(./nj token {}' + where + ')"'
    print(f"""
Join in by hand, from another terminal in {ROOT}:

  # be alice, and watch what comes in
  mosquitto_sub -p {port} -i alice:watch -u alice {password.format('alice')} -t json/tail/alice

  # be bob, and write to her
  mosquitto_pub -p {port} -i bob:phone -u bob {password.format('bob')} -t chat/send -m '{{"to":"alice","text":"hello"}}'

  # ask for bob's chats
  mosquitto_rr -p {port} -i bob:laptop -u bob {password.format('bob')} -t chat/req -e json/inbox/bob -m '{{"requestId":"1","listChats":{{}}}}'

Browsers: ws://127.0.0.1:{running.data['brokers'][0]['ws']}. Ctrl-C ends it all.""", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass


def bench(args):
    setup.setup()
    build.build("release", build.STACK)
    script = os.path.join(ROOT, "bench", "run.py")
    if not os.path.exists(script):
        raise Failed("bench/run.py is not there")
    command = [sys.executable, "-B", script, "--build", build.folder("release")]
    command += ["--quick"] if args.quick else []
    command += ["--json", os.path.abspath(args.json)] if args.json else []
    run(command, "bench", cwd=ROOT)
