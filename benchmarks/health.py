"""Is a run fooled by its own machine? It is stopped at random moments, and it shares its cores with busy loops.

Prints how often each condition was given. The exit status is 1 where a live path was blamed: of it, a run may say
that it works, or that our own machine was at fault (``pathspider.local_error``), and nothing else.

Needs root: ``sudo .venv/bin/python benchmarks/health.py [stop] [busy] [--seed N] [--rounds N]``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from figures import add_json, note, write_figures
from measure import Run, drop_black_holes, jobs

from pathspider.lab import Lab

RUNS = {"stop": [Run("stop-h2", "h2", "http", 1000), Run("stop-ecn", "ecn", "tcp", 1000)],
        "busy": [Run("busy-h2", "h2", "http", 10_000, 3000, 900), Run("busy-ecn", "ecn", "tcp", 10_000, 3000, 900)]}
BUSY_LOOPS = 8
LONGEST = 300
"""Seconds after which a busy loop, or a run, is ended whatever happens."""

SENT = "/sys/class/net/lab0/statistics/tx_packets"


def sent(lab: Lab) -> int:
    """How many packets left the client so far."""
    return int(lab.run(["cat", SENT], capture_output=True).stdout)


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Eight loops beside us, which end with the block, or by themselves."""
    loop = f"import time\nend = time.monotonic() + {LONGEST}\nwhile time.monotonic() < end: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(BUSY_LOOPS)]
    try:
        yield
    finally:
        for process in loops:
            process.kill()
            process.wait()


def measure(lab: Lab, run: Run, folder: Path, stop: tuple[int, float] | None = None) -> tuple[Counter[str], int]:
    """Conditions of the live targets, and how many verdicts are wrong.

    ``stop``: after how many packets that left, and for how many seconds.
    """
    targets, output = folder / "jobs", folder / "records"
    targets.write_text("".join(json.dumps(job) + "\n" for job in jobs(run)))
    output.unlink(missing_ok=True)
    before = sent(lab)
    process = lab.popen([sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "-w", str(run.workers), "--input",
                         str(targets), "--output", str(output), run.plugin, "--connect", run.mode],
                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if stop is not None:
        wait = f"until [ $(cat {SENT}) -ge {before + stop[0]} ]; do :; done"
        lab.run(["timeout", "60", "sh", "-c", wait])
        process.send_signal(signal.SIGSTOP)
        time.sleep(stop[1])
        if process.poll() is not None:
            print("    (it had ended before it was stopped)")
        process.send_signal(signal.SIGCONT)
    process.wait(LONGEST)
    found: Counter[str] = Counter()
    wrong = count = 0
    for line in output.read_text().splitlines():
        record = json.loads(line)
        count += 1
        if record.get("dead"):
            wrong += any(one.endswith((".works", ".broken", ".transient")) for one in record["conditions"])
            continue
        said = record["conditions"]
        found.update(said)
        own = any(one.startswith("pathspider.local_error") for one in said)
        wrong += not (own or f"{run.prefix}.connectivity.works" in said)
        wrong += any(one.endswith((".broken", ".transient", ".offline")) for one in said)
    return found, wrong + (run.targets - count)


def main() -> int:
    """Run what is asked for; 1 if a path was blamed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="stop, busy (Default: both)")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=10, help="how often each run is stopped (Default: 10)")
    add_json(parser)
    args = parser.parse_args()
    chance, total = random.Random(args.seed), 0
    with Lab(servers="nginx") as lab, tempfile.TemporaryDirectory() as folder:
        drop_black_holes(lab)

        def report(label: str, found: Counter[str], wrong: int) -> None:
            nonlocal total
            total += wrong
            note(label, wrong=wrong, conditions=found.total())
            print(f"{label:34} {wrong:5} wrong  {dict(found.most_common())}", flush=True)

        if "stop" in (args.names or RUNS):
            for run in RUNS["stop"]:
                before = sent(lab)
                report(run.name, *measure(lab, run, Path(folder)))
                packets = sent(lab) - before
                for _ in range(args.rounds):
                    when, how_long = chance.uniform(0.02, 0.95), chance.uniform(2, 8)
                    found, wrong = measure(lab, run, Path(folder), (int(packets * when), how_long))
                    report(f"{run.name} at {when:.0%} for {how_long:.1f} s", found, wrong)
        if "busy" in (args.names or RUNS):
            for run in RUNS["busy"]:
                with busy():
                    found, wrong = measure(lab, run, Path(folder))
                report(f"{run.name}, {BUSY_LOOPS} loops on {os.cpu_count()} cores", found, wrong)
    write_figures(args.json)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
