"""What does a single pair of connections say where something counts connections, or loses them, and what do rounds say?

The figures of docs/plugins/index.rst. Each way is a rule of nftables on the lab's router; the targets are sound but
where the feature is dropped. The exit status is 1 where rounds confirmed as broken what is not, of the ways of which
this is promised.

Needs root: ``sudo .venv/bin/python benchmarks/confirm.py [WORD …]``; words choose ways whose names have one of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address

COMMAND = [sys.executable, "-m", "pathspider", "measure", "-q", "-i", "lab0", "--confirm", "4"]
SYN = "tcp flags & (fin | syn | rst | ack) == syn"
ECN_SYN = "tcp flags & (syn | ack | ecn | cwr) == (syn | ecn | cwr)"
FLOW = "jhash ip daddr . tcp sport mod {} seed 0x1234567 0"
"""One flow in so many, by its port: whatever it sends again meets the same."""
EVERY = 370
"""Of the targets of a way that drops the feature of some, the first and each so many further ones are those."""


@dataclass
class Way:
    """What is between the client and so many targets."""

    name: str
    targets: int
    rules: str
    remembers: int = 0
    """Seconds for which the router keeps an address."""
    real: str = "none"
    """The targets to which the feature is dropped: ``none``, ``some`` or ``all``."""
    sure: bool = True
    """Whether rounds confirm no others."""
    timeout: int = 2
    gap: int = 2
    order: str = "fixed"
    """Of the first connections."""


ONCE = f"{SYN} ip daddr @seen drop\n{SYN} add @seen {{ ip daddr }}"
RESIDUAL = f"{ECN_SYN} add @seen {{ ip daddr }}\n{SYN} ip daddr @seen drop"
WAYS = [
    Way("ban for 60 s after the first contact", 200, ONCE, 60),
    Way("the same ban, order drawn", 200, ONCE, 60, order="random"),
    Way("one new connection in 10 s", 200, ONCE, 10),
    Way("one new connection in 3 s", 200, ONCE, 3),
    Way("20 new connections a second for all targets", 1000, f"{SYN} limit rate over 20/second burst 20 packets drop"),
    Way("one of four backends is dead", 1000, f"{SYN} {FLOW.format(4)} drop", sure=False),
    Way("one of two backends is dead", 1000, f"{SYN} {FLOW.format(2)} drop", sure=False),
    Way("5 % of packets are lost, each way", 5000, "numgen random mod 100 < 5 drop", timeout=5),
    Way("10 % of packets are lost, each way", 5000, "numgen random mod 100 < 10 drop", timeout=5),
    Way("1 % of connections fail; 28 drop the feature", 10_000, f"{SYN} {FLOW.format(100)} drop\n"
        f"{ECN_SYN} ip daddr @real drop", real="some"),
    Way("the feature is dropped", 200, f"{ECN_SYN} drop", real="all"),
    Way("the feature is dropped on one flow in two", 1000, f"{ECN_SYN} {FLOW.format(2)} drop", sure=False),
    Way("the feature is dropped, then all for 4 s", 200, RESIDUAL, 4, real="all", gap=8),
]


def table(way: Way, real: list[str]) -> str:
    """The router's rules."""
    elements = f"elements = {{ {', '.join(real)} }};" if real else ""
    seconds = way.remembers or 1
    return (f"table inet confirm {{\nset seen {{ type ipv4_addr; flags dynamic, timeout; timeout {seconds}s; }}\n"
            f"set real {{ type ipv4_addr; {elements} }}\n"
            f"chain forward {{\ntype filter hook forward priority -300;\n{way.rules}\n}}\n}}\n")


def word(found: list[str], place: str) -> str:
    """The last word of the condition that begins so, if there is one."""
    return next((one.rpartition(".")[2] for one in found if one.startswith(place)), "")


def measured(way: Way, folder: Path) -> bool:
    """Measure targets behind a way and print what was said; whether nothing was confirmed that is not so."""
    targets = [clean_address(number, 4) for number in range(way.targets)]
    real: list[str] = {"none": [], "some": targets[::EVERY], "all": targets}[way.real]
    jobs, output = folder / "jobs", folder / "records"
    jobs.write_text("".join(json.dumps({"dip": dip, "dp": 80}) + "\n" for dip in targets))
    with Lab() as lab:
        rules = table(way, real if way.real == "some" else [])
        lab.run(["nft", "-f", "-"], data=rules.encode(), room="router").check_returncode()
        began = time.monotonic()
        done = lab.run([*COMMAND, "--confirm-gap", str(way.gap), "--order", way.order, "--input", str(jobs), "-f", "-o",
                        str(output), "ecn", "--connect", "tcp", "--timeout", str(way.timeout)], stderr=subprocess.PIPE)
        took = time.monotonic() - began
        done.check_returncode()
    records = [json.loads(line) for line in output.read_text().splitlines()]
    said = Counter((word(one["conditions"], "ecn.connectivity."), word(one["conditions"], "ecn.stable.connectivity."))
                   for one in records)
    first, rounds = Counter[str](), Counter[str]()
    for (one, other), count in said.items():
        first[one] += count
        rounds[other] += count
    wrong = [one["dip"] for one in records if "ecn.stable.connectivity.broken" in one["conditions"]
             and one["dip"] not in real]
    print(f"{way.name}: {way.targets} targets, {took:.0f} s; first connections: {first['broken']} broken, "
          f"{first['transient']} transient, {first['offline']} offline; rounds: {rounds['broken']} broken "
          f"({len(wrong)} that are not), {rounds['transient']} transient, {rounds['unstable']} unstable, "
          f"{rounds['works']} works", flush=True)
    note(way.name, targets=way.targets, seconds=took, broken=first["broken"], confirmed=rounds["broken"],
         wrong=len(wrong), transient=rounds["transient"], unstable=rounds["unstable"], works=rounds["works"])
    for line in done.stderr.decode().splitlines():
        print(f"    {line}", flush=True)
    return not (way.sure and wrong)


def main() -> int:
    """Measure the ways that were asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="ways in whose names one of these is (Default: all)")
    add_json(parser)
    args = parser.parse_args()
    ways = [way for way in WAYS if not args.words or any(one in way.name for one in args.words)]
    with tempfile.TemporaryDirectory() as folder:
        right = [measured(way, Path(folder)) for way in ways]
    write_figures(args.json)
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
