"""Is a confirmed verdict true? Whole ``pspdr measure --confirm`` processes in the lab, behind losses and odd paths.

Clean targets with random loss in both directions, and each path where order, time or turns decide, must never be
``ecn.stable.connectivity.broken``; a true drop of ECN must be, in 99 of 100 cases, in spite of loss. Each row prints
the first words, the stable words, suspects, connections that rounds add to those of first pairs, and for how many
seconds the run goes on after the last first pair. The exit status is 1 where something does not hold.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/verdicts.py [NAME...] [--full] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.families.order import SCENARIOS
from pathspider.lab.scenarios import clean_jobs

ROUNDS, GAP = 4, 2.0
TIMEOUT = 4.0
"""Seconds for one connection: at least three SYNs."""
LATEST_END = ROUNDS * GAP + 10
"""Seconds from the last first pair to the run's end, at most, where connections of rounds are over at once. One that
times out holds up the next round."""


DROP = """
table inet benchmark {
    chain forward {
        type filter hook forward priority -200;
        ip daddr 10.127.0.0/16 tcp flags & (syn|ack|ecn|cwr) == (syn|ecn|cwr) drop
    }
}
"""
"""Targets to which ECN is dropped, whatever is done to others."""


@dataclass
class Run:
    """One row of the benchmark."""

    name: str
    targets: int
    """Clean targets, IPv4 and IPv6 in turn."""
    full: int = 0
    """How many with ``--full``; 0: as many."""
    behind: str = ""
    """The scenario whose path leads there."""
    loss: float = 0.0
    """Per cent of packets."""
    dropped: bool = False
    """Whether ECN is truly dropped there."""
    suspects: float = 0.0
    """The share of targets among them to which ECN is dropped."""
    rounds: int = ROUNDS

    @property
    def chance(self) -> float:
        """Of a target, to be confirmed as broken though it is not: where the source port chooses a backend, each
        connection comes to the worse one in one of two cases. Half of the targets are suspects."""
        kept = {"order-backend-dead-by-port": 1 / 4, "order-backend-drops-ecn-by-port": 1 / 2}.get(self.behind, 0)
        return kept ** ROUNDS / 2


RUNS = [
    *(Run(f"loss-{loss}", 2000, 100_000, loss=loss) for loss in (1, 5, 10)),
    *(Run(one.name, 200, behind=one.name) for one in SCENARIOS),
    Run("drop-loss-5", 500, behind="ecn-syn-dropped-tcp", loss=5, dropped=True),
    Run("reset-loss-5", 500, behind="ecn-syn-reset-tcp", loss=5, dropped=True),
    Run("suspects-1-percent", 5000, 100_000, suspects=0.01),
    Run("no-suspects", 5000, 100_000),
    Run("no-rounds", 5000, 100_000, rounds=0),
]


def measure(run: Run, count: int, workers: int, seed: int, servers: str) -> dict[str, Any]:
    """Do one run in a lab of its own; the figures."""
    with tempfile.TemporaryDirectory() as folder, Lab(servers, behind=run.behind, loss=run.loss) as lab:
        targets, output = Path(folder, "jobs"), Path(folder, "records")
        with targets.open("w") as stream:
            stream.writelines(json.dumps(job) + "\n" for job in jobs(run, count))
        drop = lab.run(["nft", "-f", "-"], data=DROP.encode(), room="router", capture_output=True)
        assert drop.returncode == 0, drop.stderr
        began = time.time()
        done = lab.run([
            sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "-w", str(workers), "--input", str(targets),
            "--output", str(output), "--confirm", str(run.rounds), "--confirm-gap", str(GAP), "--seed", str(seed),
            "ecn", "--connect", "tcp", "--timeout", str(TIMEOUT)], capture_output=True, timeout=3000)
        ended = time.time()
        figures = {"name": run.name, "targets": count, "seed": seed, "wall": ended - began, "status": done.returncode,
                   "messages": done.stderr.decode()[-2000:], **judge(output, ended)}
    figures["faults"] = list(faults(run, figures))
    return figures


def jobs(run: Run, count: int) -> Iterator[dict[str, Any]]:
    """The targets of a run, those to which ECN is dropped spread evenly among the others."""
    for number, job in enumerate(clean_jobs(count, "tcp")):
        dropped = int((number + 1) * run.suspects)
        if dropped > int(number * run.suspects):
            third, last = divmod(dropped, 250)
            yield {"dip": f"10.127.{third}.{last + 1}", "dp": 80, "dropped": True}
        else:
            yield job


def judge(output: Path, ended: float) -> dict[str, Any]:
    """What the records of a run say."""
    first: Counter[str] = Counter()
    stable: Counter[str] = Counter()
    records = suspects = extra = 0
    last = 0.0
    with output.open() as lines:
        for line in lines:
            record = json.loads(line)
            records += 1
            for condition in record["conditions"]:
                kind, _, word = condition.rpartition(".")
                if kind == "ecn.stable.connectivity":
                    stable[word] += 1
                elif kind == "ecn.connectivity":
                    first[word] += 1
                elif condition.startswith("pathspider."):
                    first[condition] += 1
            rounds = record.get("rounds", ())
            suspects += "rounds" in record
            extra += sum(len(one["order"]) for one in rounds)
            time_of_first = datetime.strptime(record["time"]["to"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            last = max(last, time_of_first.timestamp())
    return {"records": records, "first": dict(first), "stable": dict(stable), "suspects": suspects, "extra": extra,
            "end": ended - last}


def faults(run: Run, figures: dict[str, Any]) -> Iterator[str]:
    """What does not hold, in words."""
    count, first, stable = figures["targets"], figures["first"], figures["stable"]
    if figures["status"]:
        yield f"exit status {figures['status']}: {figures['messages']}"
    if figures["records"] != count:
        yield f"{figures['records']} records of {count} targets"
    if run.dropped:
        if first.get("works") or stable.get("works"):
            yield f"{first.get('works', 0)} + {stable.get('works', 0)} works where ECN is dropped"
        if stable.get("broken", 0) < 0.99 * count:
            yield f"{stable.get('broken', 0)} of {count} confirmed as broken"
    elif run.suspects:
        if first.get("broken") != run.suspects * count or stable != {"broken": run.suspects * count}:
            yield f"{run.suspects * count} of {count} are dropped"
        if figures["extra"] > 0.1 * 2 * count:
            yield f"{figures['extra']} connections in rounds are more than 10 %"
    elif stable.get("broken", 0) > (bound := run.chance * count + 4 * math.sqrt(run.chance * count) + 1):
        yield f"{stable['broken']} healthy targets confirmed as broken, bound {bound:.1f}"
    if figures["extra"] > 10 * 2 * figures["suspects"]:
        yield f"{figures['extra']} connections in rounds of {figures['suspects']} suspects"
    waits = 2 * TIMEOUT * ROUNDS
    if figures["end"] > LATEST_END + waits:
        yield f"the run ended {figures['end']:.1f} s after the last first pair"


def row(figures: dict[str, Any]) -> str:
    """The figures in one line."""
    words = ("works", "broken", "transient", "offline")
    first, stable = figures["first"], figures["stable"]
    shown = "/".join(str(first.get(word, 0)) for word in words)
    other = sum(count for word, count in first.items() if word not in words)
    confirmed = "/".join(str(stable.get(word, 0)) for word in ("broken", "transient", "works", "unstable"))
    return (f"{figures['name']:30} {figures['wall']:7.1f} {figures['targets']:7} {shown:>22} {other:5} "
            f"{figures['suspects']:8} {confirmed:>18} {figures['extra'] / (2 * figures['targets']):8.2%} "
            f"{figures['end']:6.1f}")


def main() -> int:
    """Run what is asked for; 1 if something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(run.name for run in RUNS))
    parser.add_argument("--full", action="store_true", help="100,000 targets for each loss")
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="do each N times, with seeds from 0")
    parser.add_argument("--parallel", type=int, default=2, metavar="N", help="labs side by side")
    parser.add_argument("--servers", default="nginx",
                        help="nginx (default), or builtin, which is too slow for more than some thousand targets")
    add_json(parser)
    args = parser.parse_args()
    if unknown := set(args.names) - {run.name for run in RUNS}:
        parser.error(f"no such run: {', '.join(unknown)}")
    chosen = [run for run in RUNS if not args.names or run.name in args.names]
    print(f"{'run':30} {'wall s':>7} {'targets':>7} {'works/brok/trans/offl':>22} {'other':>5} {'suspects':>8} "
          f"{'brok/trans/work/un':>18} {'extra':>8} {'end s':>6}")
    status = 0
    with ThreadPoolExecutor(args.parallel) as pool:
        for figures in pool.map(
            lambda one: measure(one[0], one[0].full if args.full and one[0].full else one[0].targets, args.workers,
                                one[1], args.servers), itertools.product(chosen, range(args.seeds))):
            print(row(figures), flush=True)
            for fault in figures["faults"]:
                print("    FAILS:", fault, flush=True)
                status = 1
            note(figures["name"], wall=figures["wall"], targets=figures["targets"], suspects=figures["suspects"],
                 confirmed=figures["stable"].get("broken", 0), extra=figures["extra"], end=figures["end"])
            write_figures(args.json)
    return status


if __name__ == "__main__":
    sys.exit(main())
