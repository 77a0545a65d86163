"""The command line of ./nj."""

import argparse
import os
import signal
import sys

from nj import build, chaos, commands, lint, setup, sim, stack, test
from nj.common import DEFAULT_DIR, PRESETS, Failed


def option_pair(text):
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def part_env(text):
    part, colon, rest = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not PART:NAME=VALUE")
    return (part, *option_pair(rest))


def port(text):
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def count_of(what, most):
    def parse(text):
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {what} (1 to {most})")
        return int(text)
    return parse


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_dir(parser):
    parser.add_argument("--dir", default=DEFAULT_DIR, metavar="DIR",
                        help="the stack's folder (default: .nightjar beside nj)")


def add_preset(parser):
    parser.add_argument("--preset", default="release", choices=PRESETS, metavar="P",
                        help=f"{', '.join(PRESETS)} (default: release)")


def add_stack(parser):
    add_dir(parser)
    add_stack_options(parser)


def add_stack_options(parser):
    add_preset(parser)
    parser.add_argument("--brokers", type=count_of("brokers", 64), default=1, metavar="N",
                        help="how many brokers, b1 to bN, on one hub (default: 1)")
    parser.add_argument("--port", type=port, default=0, metavar="P",
                        help="MQTT over TCP, of b1; b2 has the next one (default: free ones)")
    parser.add_argument("--ws-port", type=port, default=0, metavar="P",
                        help="MQTT over WebSockets, likewise (default: free ones)")
    parser.add_argument("--store", default="rocksdb", choices=["rocksdb", "hbase"],
                        help="where messages are kept for good: the persister's own folder, or an HBase that is "
                        "started, too (the first time, its jars are downloaded)")
    parser.add_argument("--persisters", type=count_of("persisters", 16), default=1, metavar="N",
                        help="how many persisters on one HBase (default: 1)")
    parser.add_argument("--redis", default="one", choices=stack.REDIS_MODES,
                        help="one Redis (default), a master with two replicas and three Sentinels, or a Cluster of "
                        "three masters with a replica each")
    parser.add_argument("--redis-memory", default="1gb", metavar="SIZE", help="Redis's maxmemory (default: 1gb)")
    parser.add_argument("--plugin-opt", type=option_pair, action="append", default=[], metavar="NAME=VALUE",
                        help="a plugin option (docs/configuration.md); may be repeated")
    parser.add_argument("--env", type=part_env, action="append", default=[], metavar="PART:NAME=VALUE",
                        help="an environment variable for redis, b1 (b2, ...) or persister; may be repeated")


def parser():
    top = Parser(prog="./nj", description="The one entry to Nightjar.",
                 epilog="NIGHTJAR_MOSQUITTO=PATH in the environment: another mosquitto than Debian's. "
                 "./nj COMMAND --help tells a command's options.")
    commands_ = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def command(name, run, help_text, *adders):
        sub = commands_.add_parser(name, help=help_text, description=help_text)
        sub.set_defaults(run=run)
        for add in adders:
            add(sub)
        return sub

    sub = command("setup", commands.setup_all,
                  "install every missing Debian package that building and running need")
    sub.add_argument("--all", action="store_true", help="also what test, fmt, lint and fuzz need")
    sub.add_argument("--hbase", action="store_true", help="also what up --store hbase needs: JDK, Maven, HBase's jars")
    sub = command("build", lambda args: build.build(args.preset, args.target),
                  "build everything into build/PRESET", add_preset)
    sub.add_argument("target", nargs="*", help="only these targets")
    sub = command("demo", commands.demo, "set up, build, start a stack, and let people chat before your eyes",
                  add_stack)
    sub.add_argument("--once", action="store_true",
                     help="end after the chat; exit 0 only if everything accepted was delivered")
    command("up", commands.up, "start Redis, Mosquitto with the plugin, and the persister, on 127.0.0.1",
            add_stack)
    command("down", commands.down, "stop a stack; its data stays", add_dir)
    command("status", commands.status, "what runs, since when, healthy or not (exit 0: all is well)", add_dir)
    sub = command("token", commands.token, "print a token (JWT) for a user of a stack, and nothing else", add_dir)
    sub.add_argument("uid", metavar="UID")
    sub.add_argument("--device", metavar="D", help="valid for this device only")
    sub.add_argument("--ttl", default="24h", metavar="TIME", help="30s, 15m, 24h, 7d (default: 24h)")
    sub.add_argument("--service", action="store_true", help="a service account: may use svc/...")
    sub = command("test", test.test, "set up, build, and run the tests", add_preset)
    sub.add_argument("--only", choices=test.KINDS, metavar="KIND", help=", ".join(test.KINDS))
    sub.add_argument("--redis", choices=stack.REDIS_MODES, default="one",
                     help="what stacks of integration tests stand on that do not name it (default: one)")
    sub.add_argument("filter", nargs="?", metavar="FILTER",
                     help="only tests whose name contains it (ctest: a regular expression; pytest: as -k)")
    sub = command("sim", sim.sim, "run whole simulated worlds with faults on virtual time, by seed "
                  "(exit 1: a promise was broken; the seeds are named)", add_preset)
    sub.add_argument("--seeds", type=positive, default=1000, metavar="N", help="how many worlds (default: 1000)")
    sub.add_argument("--seed", type=positive, default=1, metavar="FIRST", help="the first one's seed (default: 1)")
    sub.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="J",
                     help="threads (default: one a core)")
    sub.add_argument("--replay", type=positive, metavar="SEED", help="this world alone, exactly as it was")
    sub.add_argument("--trace", action="store_true",
                     help="with --replay: every event, call and packet of it, in order")
    sub.add_argument("--points", action="store_true", help="how often each rare path was passed")
    sub.add_argument("--mutant", metavar="NAME", help="plant this fault (tests/worlds/mutant.h), to see it found")
    sub = command("bench", commands.bench, "measure cost and latency against bare Mosquitto")
    sub.add_argument("--quick", action="store_true", help="within 3 minutes")
    sub.add_argument("--json", metavar="FILE", help="write the figures there, too")
    sub = command("chaos", chaos.chaos, "kill, pause and restart a stack's processes while people chat on it, and judge "
                  "(exit 0: every promise held; 2: one was broken)", add_stack_options)
    sub.add_argument("--seconds", type=chaos.seconds_of, default=30, metavar="N",
                     help="how long (default: 30; in 120 every process is killed at least ten times)")
    sub.add_argument("--seed", type=chaos.seed_of, metavar="S", help="of people, messages and faults (default: any)")
    sub.add_argument("--keep", action="store_true", help="keep the stack's folder also when all is well")
    sub = command("fmt", lint.fmt, "format the C++ sources that differ from the last commit")
    sub.add_argument("--all", action="store_true", help="all of them")
    sub.add_argument("--check", action="store_true", help="change nothing; exit 1 if something would change")
    sub = command("lint", lint.lint, "clang-tidy and the rules of the house", add_preset)
    sub.add_argument("--fast", action="store_true", help="the rules of the house only")
    sub = command("clean", lambda args: build.clean(args.all), "remove what was built")
    sub.add_argument("--all", action="store_true", help="all of build/, the test clients too")
    sub = command("help", lambda args: top.print_help() if not args.about else
                  top.parse_args([args.about, "--help"]), "this list, or a command's options")
    sub.add_argument("about", nargs="?", metavar="COMMAND", choices=list(commands_.choices))
    return top


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))   # as Ctrl-C: what was started is stopped
    top = parser()
    args = top.parse_args()
    if args.command is None:
        top.print_help()
        sys.exit(2)
    os.environ.setdefault("LANG", "C.UTF-8")
    try:
        code = args.run(args)
    except Failed as failure:
        print(f"nj: {failure}", file=sys.stderr)
        if failure.detail:
            print(failure.detail, file=sys.stderr)
        code = failure.code
    except KeyboardInterrupt:
        print("nj: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = 141
    sys.exit(code or 0)
