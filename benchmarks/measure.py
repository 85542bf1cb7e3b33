"""How fast, how complete and how right is a measurement? Whole ``pspdr measure`` processes in the lab, against nginx.

Each row prints wall time, CPU time, peak memory, records, right conclusions, missed flows and packets lost by the
capture; then what ``programs/yardstick.py``, a plain libcurl multi loop, needs in the same lab for the same
connections, and the two ratios. The exit status is 1 where a conclusion is wrong, or a bound is passed.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/measure.py [NAME...] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import add_json, note, write_figures

from pathspider.helpers.modes import MODES
from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.families import accecn, ecn, ecnmarks, ipv6eh, l4s, pmtud, quic, tls

BLACK_HOLES = "10.127.0.0/16"
"""Addresses that the router drops packets to, for these runs."""

TIMED = """
import json, os, pathlib, resource, subprocess, sys, threading, time
def sample():
    while not over.wait(1):
        try:
            status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
            sizes.append((os.path.getsize(sys.argv[1]), resident))
        except (OSError, IndexError):
            pass
sizes, over, began = [], threading.Event(), time.monotonic()
run = subprocess.Popen(sys.argv[2:])
thread = threading.Thread(target=sample)
thread.start()
status = run.wait()
wall = time.monotonic() - began
over.set()
thread.join()
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
whole = os.path.getsize(sys.argv[1]) if os.path.exists(sys.argv[1]) else 0
at = [next((round(memory) for size, memory in sizes if size >= part * whole), None) for part in (0.1, 0.5)]
at.append(round(sizes[-1][1]) if sizes else None)
print(json.dumps({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024,
                  "status": status, "memory_at": at}), file=sys.stderr)
"""
"""Runs a command; as its last line: its times, and its memory when its output was at 10 %, 50 % and 100 %."""


@dataclass
class Run:
    """One row of the benchmark."""

    name: str
    plugin: str
    mode: str
    targets: int
    workers: int = 100
    dead: int = 0
    seconds: float | None = None
    """How long it may take."""
    ratio: float | None = None
    """How many times as long as the yardstick it may take."""
    cpu_ratio: float | None = None
    """How many times the yardstick's CPU time it may take."""
    gap: float | None = None
    """The median time, in seconds, that may pass between A and B of a live target."""
    memory_growth: float | None = None
    """How many times what it was at 10 % the memory may be at 100 %."""
    named_only: bool = False
    options: Sequence[str] = ()
    """Further ones of the plugin."""
    connections: int = 2
    """To each target."""
    exactly: Set[str] = frozenset()
    """All conditions of a live target, where more than a word of connectivity is asked."""
    version: int = 4
    """Of IP, for live targets."""

    @property
    def prefix(self) -> str:
        return "dscp.46" if self.plugin == "dscp" else self.plugin

    def conditions(self, dead: bool) -> set[str]:
        """What a live or dead target must give."""
        if dead:
            return {f"{self.prefix}.connectivity.offline"}
        if self.exactly:
            return {*self.exactly}
        found = {f"{self.prefix}.connectivity.{'online' if self.connections == 1 else 'works'}"}
        return found | ({"ecn.negotiation.succeeded"} if self.plugin == "ecn" else set())


RUNS = [
    Run("ecn-1000", "ecn", "tcp", 1000, dead=32, seconds=15, gap=0.05),
    Run("dscp-1000", "dscp", "tcp", 1000, dead=32, seconds=15, gap=0.05),
    *(Run(f"{plugin}-10000-w{workers}", plugin, mode, 10_000, workers, 900, ratio=1.5, cpu_ratio=2)
      for plugin, mode in (("ecn", "tcp"), ("h2", "http")) for workers in (1000, 3000)),
    Run("ecn-5000", "ecn", "http", 5000, seconds=3.5),
    Run("mss-5000", "mss", "tcp", 5000, seconds=1.2, connections=1),
    Run("h2-5000", "h2", "http", 5000, seconds=3.3),
    Run("accecn-5000", "accecn", "tcp", 5000, seconds=20, connections=4, exactly=accecn.CLASSIC),
    Run("l4s-5000", "l4s", "http", 5000, seconds=20, connections=4, exactly=l4s.CLEAN),
    Run("ipv6eh-5000", "ipv6eh", "tcp", 5000, seconds=20, connections=8, exactly=ipv6eh.truth("works"), version=6),
    Run("tls-5000", "tls", "https", 5000, seconds=20, connections=4, exactly=tls.truth()),
    Run("quic-5000", "quic", "https", 5000, seconds=60, exactly=quic.CLEAN),
    Run("feedback-5000", "ecn", "http", 5000, seconds=20, connections=3, options=["--feedback"],
        exactly={one for one in ecn.FINE | ecnmarks.CLEAN if "syn_ect" not in one}),
    Run("pmtud-5000", "pmtud", "http", 5000, seconds=20, exactly=pmtud.FINE),
    Run("million", "ecn", "tcp", 1_000_000, 500, seconds=600, memory_growth=1.25, named_only=True),
]


def jobs(run: Run) -> Iterator[dict[str, Any]]:
    """The targets of a run, the dead ones spread evenly among the live."""
    live, dead = itertools.count(), itertools.count()
    for number in range(run.targets):
        if (number + 1) * run.dead // run.targets > number * run.dead // run.targets:
            third, last = divmod(next(dead), 250)
            yield {"dip": f"10.127.{third + 1}.{last + 1}", "dp": MODES[run.mode].port, "dead": True}
        else:
            address = clean_address(next(live), run.version)
            yield {"dip": address, "dp": MODES[run.mode].port, "domain": "www.example.com"}


def timed(lab: Lab, output: Path, command: list[str]) -> tuple[dict[str, Any], str]:
    """Run a command in the lab; its figures, and what else it said."""
    outcome = lab.run([sys.executable, "-c", TIMED, str(output), *command], capture_output=True, timeout=1800)
    *messages, last = outcome.stderr.decode().strip().splitlines()
    return json.loads(last), "\n".join(messages)


def judge(run: Run, output: Path) -> dict[str, Any]:
    """What the records of a run say."""
    right = missed = count = 0
    gaps: list[float] = []
    others: Counter[str] = Counter()
    with output.open() as lines:
        for line in lines:
            record = json.loads(line)
            count += 1
            expected = run.conditions(bool(record.get("dead")))
            right += expected == set(record["conditions"]) if run.exactly else expected <= set(record["conditions"])
            missed += sum(int(c.split(":")[1]) for c in record["conditions"] if c.startswith("pathspider.missed_flows"))
            others.update(set(record["conditions"]) - expected)
            first = [flow["pkt_first"] for flow in record.get("flow_results", ()) if flow["observed"]]
            if len(first) == 2 and not record.get("dead"):
                gaps.append(first[1] - first[0])
    return {"records": count, "right": right, "missed": missed, "others": dict(others.most_common(6)),
            "gap": statistics.median(gaps) if gaps else None}


def measure(lab: Lab, run: Run, folder: Path) -> dict[str, Any]:
    """Do one run and its yardstick; the figures."""
    targets, output = folder / "jobs", folder / "records"
    with targets.open("w") as stream:
        stream.writelines(json.dumps(job) + "\n" for job in jobs(run))
    for left in (output, output.with_name(f"{output.name}.meta.json")):
        left.unlink(missing_ok=True)
    flows = ["--output-flows"] if run.gap is not None else []
    figures, messages = timed(lab, output, [
        sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "-w", str(run.workers), "--input", str(targets),
        "--output", str(output), *flows, run.plugin, "--connect", run.mode, *run.options])
    lost = re.search(r"(\d+) lost", messages)
    figures |= {"name": run.name, "lost": int(lost.group(1)) if lost else None, "messages": messages}
    figures |= judge(run, output)
    if run.named_only:  # it would take longer than the run itself
        figures |= dict.fromkeys(("yard_wall", "yard_cpu", "ratio", "cpu_ratio"), float("nan"))
        figures["faults"] = list(faults(run, figures, 0))
        return figures
    yard, _ = timed(lab, folder / "none", [
        sys.executable, str(Path(__file__).parent / "programs/yardstick.py"), str(targets), str(run.workers),
        run.mode, str(run.connections)])
    figures |= {"yard_wall": yard["wall"], "yard_cpu": yard["cpu"], "ratio": figures["wall"] / yard["wall"],
                "cpu_ratio": figures["cpu"] / yard["cpu"]}
    figures["faults"] = list(faults(run, figures, yard["status"]))
    return figures


def faults(run: Run, figures: dict[str, Any], yard_status: int) -> Iterator[str]:
    """What does not hold, in words."""
    if figures["status"] or yard_status:
        yield f"exit status {figures['status']}, the yardstick's {yard_status}"
    if (figures["records"], figures["right"]) != (run.targets, run.targets):
        yield f"{figures['right']} of {run.targets} right; other conditions: {figures['others']}"
    if figures["missed"] or figures["lost"]:
        yield f"{figures['missed']} flows missed, {figures['lost']} packets lost"
    for name, value, bound in (
        ("wall time", figures["wall"], run.seconds), ("times the yardstick's time", figures["ratio"], run.ratio),
        ("times the yardstick's CPU", figures["cpu_ratio"], run.cpu_ratio), ("s from A to B", figures["gap"], run.gap),
    ):
        if bound is not None and (value is None or value > bound):
            yield f"{name}: {value if value is None else round(value, 3)}, bound {bound}"
    if run.memory_growth is not None:
        first, _, last = figures["memory_at"]
        if first is None or last > run.memory_growth * first:
            yield f"memory {figures['memory_at']} MiB at 10, 50 and 100 %: not flat"


def main() -> int:
    """Run what is asked for; 1 if something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(run.name for run in RUNS))
    parser.add_argument("--servers", default="nginx", help="nginx (default) or builtin")
    add_json(parser)
    args = parser.parse_args()
    if unknown := set(args.names) - {run.name for run in RUNS}:
        parser.error(f"no such run: {', '.join(unknown)}")
    chosen = [run for run in RUNS if (run.name in args.names if args.names else not run.named_only)]
    print(f"{'run':16} {'wall s':>7} {'cpu s':>6} {'MiB':>5} {'records':>8} {'right':>8} {'missed':>6} {'lost':>4} "
          f"{'gap s':>7}   {'yardstick s':>11} {'cpu s':>6} {'time x':>6} {'cpu x':>5}")
    status = 0
    with Lab(servers=args.servers) as lab, tempfile.TemporaryDirectory() as folder:
        drop_black_holes(lab)
        for run in chosen:
            figures = measure(lab, run, Path(folder))
            gap = "-" if figures["gap"] is None else f"{figures['gap']:.4f}"
            print("{name:16} {wall:7.2f} {cpu:6.1f} {memory:5.0f} {records:8} {right:8} {missed:6} {lost!s:>4} "
                  "{0:>7}   {yard_wall:11.2f} {yard_cpu:6.1f} {ratio:6.2f} {cpu_ratio:5.2f}".format(gap, **figures),
                  flush=True)
            if run.memory_growth is not None:
                print(f"    memory at 10, 50 and 100 % of the records: {figures['memory_at']} MiB")
            for fault in figures["faults"]:
                print("    FAILS:", fault, flush=True)
                status = 1
            note(**{key: value for key, value in figures.items() if key != "messages"})
            write_figures(args.json)
    return status


def drop_black_holes(lab: Lab) -> None:
    """From here on the router drops what goes to BLACK_HOLES."""
    drop = ("add table inet benchmark\n"
            "add chain inet benchmark forward { type filter hook forward priority -200; }\n"
            f"add rule inet benchmark forward ip daddr {BLACK_HOLES} drop\n")
    lab.run(["nft", "-f", "-"], data=drop.encode(), room="router")


if __name__ == "__main__":
    sys.exit(main())
