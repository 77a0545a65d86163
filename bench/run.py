#!/usr/bin/env python3
"""Measures Nightjar against a bare Mosquitto under the same talk (bench/README.md).

./nj bench runs it. Starts its own servers on free ports and stops them again, whatever happens:
only processes that it started.
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATIO_RATE = 2000  # messages a second at which the last line's figures are taken
QUICK = {"rates": [2000, 5000], "seconds": 10, "idle": 2000}
FULL = {"rates": [500, 1000, 2000, 5000, 8000], "seconds": 20, "idle": 5000}
SETTLE_SECONDS = 6  # that idle clients sit before memory is read
TARGETS = {"broker_ratio": 1.2, "total_ratio": 2.5, "p99_ms": 10.0, "idle_bytes": 2048}


class BenchError(Exception):
    """Something did not come up or did not finish; the message is for people."""


def main():
    args = parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("bench: stopped"))
    build = (ROOT / args.build).resolve()
    sim = build / "client-sim" / "nightjar-sim"
    if not sim.exists():
        sys.exit(f"bench: {sim} is missing (./nj build)")
    plan = QUICK if args.quick else FULL
    work = Path(tempfile.mkdtemp(prefix="nj-bench-"))
    try:
        report = measure(Bench(sim, args.preset or build.name, work, plan))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    print_report(report)
    if not report["complete"]:
        sys.exit("bench: not every message came through")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rates, under 3 minutes")
    parser.add_argument("--json", metavar="FILE",
                        help="write all figures there (schema: bench/README.md)")
    parser.add_argument("--build", default="build/release", metavar="DIR",
                        help="default: build/release")
    parser.add_argument("--preset", metavar="P",
                        help="what ./nj up starts (default: --build's last part)")
    return parser.parse_args()


class Bench:
    """What all steps need: programs, a scratch folder, the plan."""

    def __init__(self, sim, preset, work, plan):
        self.sim, self.preset, self.work, self.plan = sim, preset, work, plan
        self.started = 0

    @contextlib.contextmanager
    def bare(self):
        """A Mosquitto without the plugin: (connection arguments, {name: pid})."""
        port = free_port()
        conf = self.work / "bare.conf"
        conf.write_text((ROOT / "bench" / "bare.conf").read_text().replace("PORT", str(port)))
        mosquitto = os.environ.get("NIGHTJAR_MOSQUITTO") or shutil.which(
            "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        with open(self.work / "bare.log", "wb") as log:
            process = subprocess.Popen([mosquitto, "-c", conf], stdout=log, stderr=log)
        try:
            wait_for_port(port, process, self.work / "bare.log")
            yield ["--bare", "--port", str(port)], {"mosquitto": process.pid}
        finally:
            stop(process)

    @contextlib.contextmanager
    def nightjar(self):
        """A whole stack by ./nj up: (connection arguments, {name: pid})."""
        self.started += 1
        folder = self.work / f"stack{self.started}"
        up = subprocess.run([ROOT / "nj", "up", "--preset", self.preset, "--dir", folder],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90)
        try:
            if up.returncode != 0:
                raise BenchError("the stack did not come up:\n" + up.stdout)
            stack = json.loads((folder / "stack.json").read_text())
            pids = {"mosquitto": stack["brokers"][0]["pid"], "redis": stack["redis"]["pid"],
                    "persister": stack["persister"]["pid"]}
            yield ["--port", str(stack["brokers"][0]["mqtt"]),
                   "--key-file", stack["key_file"]], pids
        finally:
            subprocess.run([ROOT / "nj", "down", "--dir", folder], timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def load(self, arguments, pids, extra, limit):
        """Runs nightjar-sim load; its report."""
        out = self.work / "load.json"
        out.unlink(missing_ok=True)
        # The judge is left out: it is no part of the talk, and costs CPU of the same machine.
        command = [self.sim, "load", "--profile", "pairs", "--judge", "no", "--prefix", "u",
                   *arguments,                   "--json", out, *extra]
        for name, pid in pids.items():
            command += ["--watch", f"{name}={pid}"]
        try:
            done = subprocess.run(command, timeout=limit, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"the load run did not end within {limit} s") from error
        print(done.stdout, end="", flush=True)
        if not out.exists():
            raise BenchError("the load run failed")
        return json.loads(out.read_text())


def measure(bench):
    begun = time.monotonic()
    sides = {}
    for side, start in (("bare", bench.bare), ("nightjar", bench.nightjar)):
        print(f"== {side}: {bench.plan['idle']} idle connections", flush=True)
        with start() as (arguments, pids):
            extra = ["--users", str(bench.plan["idle"]), "--rate", "0",
                     "--seconds", str(SETTLE_SECONDS), "--keep-alive", "600"]
            idle = bench.load(arguments, pids, extra, 120)
        print(f"== {side}: 1,000 users in 500 pairs", flush=True)
        with start() as (arguments, pids):  # anew: nothing of the idle ones counts here
            seconds, rates = bench.plan["seconds"], bench.plan["rates"]
            extra = ["--users", "1000", "--text", "100", "--seconds", str(seconds), "--warm-up", "3",
                     "--rate", ",".join(map(str, rates)), "--keep-alive", "600"]
            talk = bench.load(arguments, pids, extra, 100 + len(rates) * (seconds + 15))
        sides[side] = {"idle": idle["idle"], "runs": [figures(phase) for phase in talk["phases"]],
                       "troubles": idle.get("troubles", []) + talk.get("troubles", [])}
    return {
        "schema": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "cpu": cpu_model(), "memory_bytes": memory_bytes(),
                    "kernel": platform.release()},
        "commit": commit(),
        "took_s": round(time.monotonic() - begun, 1),
        "bare": sides["bare"],
        "nightjar": sides["nightjar"],
        "ratios": [ratios(a, b) for a, b in zip(sides["bare"]["runs"], sides["nightjar"]["runs"])],
        "targets": TARGETS,
        "complete": all(run["complete"] for side in sides.values() for run in side["runs"]),
    }


def figures(phase):
    """One rate of a load report, per message."""
    counts, handled = phase["counts"], max(phase["handled"], 1)
    cpu = {name: us / handled for name, us in phase["cpu_us"].items()}
    run = {
        "rate": round(phase["rate"]), "seconds": phase["seconds"], "messages": counts["intended"],
        **{key: counts[key] for key in ("accepted", "received", "delivered")},
        "complete": all(counts[key] == counts["intended"]
                        for key in ("accepted", "received", "delivered")),
        "handled_per_s": phase["handled"] / phase["seconds"],
        "others_cpu_share": phase["others_share"],
        "cpu_us_per_message": cpu, "cpu_us_per_message_sum": sum(cpu.values()),
        "load_cpu_us_per_message": phase["load_cpu_us"] / handled,
        "tcp_bytes_per_message": (phase["bytes_up"] + phase["bytes_down"]) / handled,
        "counts": {**counts.get("others", {}), "sent": counts["sent"]},
    }
    for what in ("accepted", "received", "delivered"):
        run["send_" + what] = {key: phase[what][key] for key in
                               ("count", "p50_ms", "p99_ms", "p999_ms", "max_ms")}
    return run


def ratios(bare, nightjar):
    """Nightjar's cost at one rate as multiples of the bare broker's in the same session."""
    yardstick = bare["cpu_us_per_message_sum"] or float("nan")
    return {"rate": bare["rate"],
            "broker_ratio": round(nightjar["cpu_us_per_message"]["mosquitto"] / yardstick, 3),
            "total_ratio": round(nightjar["cpu_us_per_message_sum"] / yardstick, 3),
            "p99_ms": round(nightjar["send_received"]["p99_ms"], 3)}


def print_report(report):
    machine = report["machine"]
    print(f"\n{machine['cores']} cores ({machine['cpu']}), {report['date']}, "
          f"commit {report['commit']}, {report['took_s']:.0f} s")
    print("\nCPU us per message (send, accepted, delivery, receipt):")
    print("    rate   bare |  broker    redis  persister     sum | broker/bare  sum/bare")
    rows = zip(report["bare"]["runs"], report["nightjar"]["runs"], report["ratios"])
    for bare, ours, ratio in rows:
        cpu = ours["cpu_us_per_message"]
        print(f"{bare['rate']:>8} {bare['cpu_us_per_message_sum']:>6.1f} | "
              f"{cpu['mosquitto']:>7.1f} {cpu['redis']:>8.1f} {cpu['persister']:>10.1f} "
              f"{ours['cpu_us_per_message_sum']:>7.1f} | "
              f"{ratio['broker_ratio']:>11.2f} {ratio['total_ratio']:>9.2f}")
    print("\nlatency from the intended send time, ms (p50 / p99 / p99.9):")
    for side in ("bare", "nightjar"):
        for run in report[side]["runs"]:
            row = "   ".join(f"send->{what} " + " / ".join(
                f"{run['send_' + what][q]:.2f}" for q in ("p50_ms", "p99_ms", "p999_ms"))
                for what in ("accepted", "received"))
            note = "" if run["complete"] else "   NOT ALL CAME THROUGH"
            if run["others_cpu_share"] > 0.1:
                note += f"   (other programs used {run['others_cpu_share']:.0%} of the machine)"
            print(f"{side:>10} {run['rate']:>6}/s   {row}{note}")
    idle = {side: report[side]["idle"]["rss_bytes_per_connection"] for side in ("bare", "nightjar")}
    own = idle["nightjar"]["mosquitto"] - idle["bare"]["mosquitto"]
    print(f"\nidle connection: bare {idle['bare']['mosquitto']:.0f} bytes, broker with plugin "
          f"{idle['nightjar']['mosquitto']:.0f} ({own:+.0f}), "
          f"in Redis {idle['nightjar']['redis']:.0f}")
    chosen = next(r for r in report["ratios"] if r["rate"] == RATIO_RATE)
    print(f"targets: broker <= {TARGETS['broker_ratio']}, total <= {TARGETS['total_ratio']}, p99 < "
          f"{TARGETS['p99_ms']:.0f} ms, idle <= {TARGETS['idle_bytes']} bytes beside bare")
    print(f"\nat {RATIO_RATE:,} messages/s (ratios of CPU to bare Mosquitto, p99 send->received):")
    print(f"broker_ratio={chosen['broker_ratio']:.2f} total_ratio={chosen['total_ratio']:.2f} "
          f"p99_ms={chosen['p99_ms']:.2f}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, log, limit=10):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError("the bare broker did not start:\n" + log.read_text()[-2000:])
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise BenchError("the bare broker does not listen")


def stop(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
