"""How fast, how complete and how right is a measurement? Whole ``pspdr measure`` processes in the lab, against nginx.

Each run prints wall time, CPU time, peak memory, records, right conclusions, missed flows, packets lost by the capture
and connections per second; beside it, in the same lab, the time that bare connections take (``connect_tcp`` by as many
threads, nothing observed, nothing judged), as the ratio of the two.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/measure.py [NAME…] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address

BLACK_HOLES = "10.127.0.0/16"
"""Addresses that the router drops packets to, for these runs."""

TIMED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
status = subprocess.run(sys.argv[1:]).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"wall": time.monotonic() - began, "cpu": usage.ru_utime + usage.ru_stime,
                  "memory": usage.ru_maxrss / 1024, "status": status}), file=sys.stderr)
"""

BARE = """
import json, sys, threading, queue
from pathspider.helpers.tcp import connect_tcp
jobs = queue.SimpleQueue()
for line in open(sys.argv[1]):
    jobs.put(json.loads(line))
def work():
    while True:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return
        for _ in range(int(sys.argv[2])):
            rec = connect_tcp((sys.argv[3], None), job, 5)
            if "client" in rec:
                rec["client"].close()
threads = [threading.Thread(target=work) for _ in range(100)]
for t in threads: t.start()
for t in threads: t.join()
"""


@dataclass
class Run:
    """One row of the benchmark."""

    name: str
    plugin: list[str]
    targets: int
    conditions: list[str]
    """What a live target must give; a condition that starts with one of these counts."""
    dead: int = 0
    dead_conditions: list[str] = field(default_factory=list)
    connections: int = 2
    bound: float = 12.0
    """Seconds that it may take."""


RUNS = [
    Run("ecn-http", ["ecn", "--connect", "http"], 5000, ["ecn.connectivity.works", "ecn.negotiation.succeeded"]),
    Run("mss-tcp", ["mss", "--connect", "tcp"], 5000, ["mss.connectivity.online"], connections=1),
    Run("h2-http", ["h2", "--connect", "http"], 5000, ["h2.connectivity.works"]),
    Run("ecn-black-holes", ["ecn", "--connect", "tcp"], 1000, ["ecn.connectivity.works"], 32,
        ["ecn.connectivity.offline"], bound=110),
    Run("h2-black-holes", ["h2", "--connect", "http"], 1000, ["h2.connectivity.works"], 32,
        ["h2.connectivity.offline"], bound=20),
    Run("ecn-tcp-1000", ["ecn", "--connect", "tcp"], 1000, ["ecn.connectivity.works", "ecn.negotiation.succeeded"]),
    Run("ecn-tcp-100000", ["ecn", "--connect", "tcp"], 100_000, ["ecn.connectivity.works", "ecn.negotiation.succeeded"],
        bound=100),
]


def jobs(run: Run) -> list[dict[str, object]]:
    """The targets of a run, the dead ones spread evenly among the live."""
    live = [{"dip": clean_address(number, 4), "dp": 80, "domain": "www.example.com"}
            for number in range(run.targets - run.dead)]
    for number in range(run.dead):
        place = number * run.targets // run.dead
        live.insert(place, {"dip": f"10.127.1.{number + 1}", "dp": 80, "dead": True})
    return live


def measure(lab: Lab, run: Run, workers: int, folder: Path) -> dict[str, object]:
    """Do one run; the figures."""
    targets = folder / "jobs"
    targets.write_text("".join(json.dumps(job) + "\n" for job in jobs(run)))
    records = folder / "records"
    command = [sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "-w", str(workers), "--input", str(targets),
               "--output", str(records), *run.plugin]
    outcome = lab.run([sys.executable, "-c", TIMED, *command], capture_output=True, timeout=600)
    *messages, last = outcome.stderr.decode().strip().splitlines()
    figures = json.loads(last)
    right, missed, count = 0, 0, 0
    found: Counter[str] = Counter()
    with records.open() as lines:
        for line in lines:
            record = json.loads(line)
            count += 1
            expected = run.dead_conditions if record.get("dead") else run.conditions
            right += set(expected) <= set(record["conditions"])
            missed += sum(int(c.split(":")[1]) for c in record["conditions"] if c.startswith("pathspider.missed_flows"))
            found.update(condition for condition in record["conditions"] if condition not in expected)
    lost = re.search(r"(\d+) lost", "\n".join(messages))
    figures |= {"name": run.name, "targets": run.targets, "records": count, "right": right, "missed": missed,
                "lost": int(lost.group(1)) if lost else None, "rate": run.connections * count / figures["wall"],
                "others": dict(found.most_common(6)), "bound": run.bound}
    if not run.dead:
        bare = lab.run([sys.executable, "-c", TIMED, sys.executable, "-c", BARE, str(targets), str(run.connections),
                        "10.0.0.2"], capture_output=True, timeout=600)
        figures["bare"] = json.loads(bare.stderr.decode().strip().splitlines()[-1])["wall"]
    return figures


def main() -> int:
    """Run what is asked for; 1 if a run lost something or took longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(run.name for run in RUNS))
    parser.add_argument("--workers", "-w", type=int, default=100)
    parser.add_argument("--servers", default="nginx", help="nginx (default) or builtin")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too, ndjson")
    args = parser.parse_args()
    chosen = [run for run in RUNS if not args.names or run.name in args.names]
    print(f"{'run':16} {'wall s':>7} {'cpu s':>6} {'MB':>5} {'records':>8} {'right':>7} {'missed':>6} {'lost':>5} "
          f"{'conn/s':>7} {'/bare':>6}")
    status = 0
    with Lab(servers=args.servers) as lab, tempfile.TemporaryDirectory() as folder:
        drop = ("add table inet benchmark\n"
                "add chain inet benchmark forward { type filter hook forward priority -200; }\n"
                f"add rule inet benchmark forward ip daddr {BLACK_HOLES} drop\n")
        lab.run(["nft", "-f", "-"], data=drop.encode(), room="router")
        for run in chosen:
            figures = measure(lab, run, args.workers, Path(folder))
            ratio = f"{figures['wall'] / figures['bare']:6.2f}" if "bare" in figures else "     -"  # type: ignore[operator]
            row = ("{name:16} {wall:7.2f} {cpu:6.1f} {memory:5.0f} {records:8} {right:7} {missed:6} {lost!s:>5} "
                   "{rate:7.0f} ")
            print(row.format(**figures) + ratio, flush=True)
            if figures["others"]:
                print("    other conditions:", figures["others"])
            if figures["right"] != run.targets or figures["wall"] > run.bound:  # type: ignore[operator]
                status = 1
            if args.json:
                with Path(args.json).open("a") as stream:
                    stream.write(json.dumps(figures) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
