"""What does it cost to locate, and is an interval ever found where nothing happens? And the same hops as scamper's?

Clean targets of the lab, behind eight hops, are forced through ``--locate``: prints words, packets and seconds a
target, and how long all took. The exit status is 1 where there is an interval, or where more than 20 packets or 30 s
a target were needed (median), or more than 15 minutes for 1,000 targets at default rates.

With ``--scamper PROGRAM`` (Debian's, unpacked or installed; it is not run as a service) the hops of some paths are
compared with those that its ``trace`` finds.

Needs root: ``sudo .venv/bin/python benchmarks/locate.py [--targets N] [--rate N] [--scamper PROGRAM]``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.scenarios import HOPS_FILE

ROOT = Path(__file__).parents[1]
MOST_PACKETS, MOST_SECONDS, MOST_MINUTES = 20, 30, 15
RATE = 50


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=1000, metavar="N", help="clean targets, half of them IPv6")
    parser.add_argument("--rate", type=float, default=RATE, metavar="N", help="--locate-rate (50)")
    parser.add_argument("--scamper", metavar="PROGRAM", help="compare hops with what this program finds")
    add_json(parser)
    args = parser.parse_args()
    with Lab(scenarios=[HOPS_FILE]) as lab:
        good = forced(lab, args.targets, args.rate)
        if args.scamper:
            good &= compared(lab, args.scamper)
    write_figures(args.json)
    return int(not good)


def addresses(count: int) -> list[str]:
    """Clean addresses, IPv4 and IPv6 in turn."""
    return [clean_address(number // 2, (4, 6)[number % 2]) for number in range(count)]


def forced(lab: Lab, count: int, rate: float) -> bool:
    """Whether no clean target had an interval, and none cost too much."""
    jobs = "".join(json.dumps({"dip": address, "dp": 80}) + "\n" for address in addresses(count))
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        done = lab.run([sys.executable, str(ROOT / "benchmarks/programs/forced.py"), "measure", "-q", "-i", "lab0",
                        "--confirm", "0", f"--locate={count}", "--locate-rate", str(rate), "ecn", "--connect", "tcp"],
                       data=jobs.encode(), stdout=subprocess.PIPE, stderr=errors, cwd=ROOT)
        took = time.monotonic() - began
        errors.seek(0)
        said = errors.read().decode().splitlines()
    spent = json.loads(said[-1])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    words = Counter(one.partition(".hop.")[2] for record in records for one in record["conditions"] if ".hop." in one)
    intervals = sum(number for word, number in words.items() if word.startswith(("changed", "dropped", "first")))
    packets, seconds = (median(one[place] for one in spent) for place in (0, 1))
    print(f"{len(records)} clean targets forced through --locate --locate-rate {rate:g}: {intervals} intervals; "
          f"{', '.join(f'{number} {word}' for word, number in words.most_common())}")
    print(f"a target (median): {packets:g} packets, {seconds:.1f} s; all: {took / 60:.1f} minutes, "
          f"{sum(one[0] for one in spent)} packets")
    note(f"clean targets forced through --locate, {rate:g} a second", targets=count, intervals=intervals,
         packets=packets, seconds=seconds, minutes=took / 60)
    cheap = packets <= MOST_PACKETS and (rate != RATE or seconds <= MOST_SECONDS)
    quick = rate != RATE or took / 60 <= MOST_MINUTES * max(1, count / 1000)
    return not intervals and cheap and quick and words.total() == count


def compared(lab: Lab, scamper: str) -> bool:
    """Whether ``pspdr trace`` and scamper's trace find the same hops in the same order."""
    same = True
    targets = addresses(4)
    ours = lab.run([sys.executable, "-m", "pathspider", "trace", "-q", "-o", "-", "ecn", "--connect", "tcp", *targets],
                   stdout=subprocess.PIPE, cwd=ROOT)
    records = {record["dip"]: record for record in map(json.loads, ours.stdout.splitlines())}
    for target in targets:
        done = lab.run([scamper, "-O", "json", "-c", "trace -P TCP -d 80 -s 45678", "-i", target],
                       stdout=subprocess.PIPE)
        theirs = [hop["addr"] for line in done.stdout.splitlines() if (found := json.loads(line))["type"] == "trace"
                  for hop in sorted(found["hops"], key=lambda hop: hop["probe_ttl"])]
        path = records[target]["path"][1:]
        print(f"{target}\n  pspdr trace: {' '.join(path)}\n  scamper:     {' '.join(theirs)}")
        note(f"hops to {target}", hops=len(path), same=sum(map(str.__eq__, path, theirs)))
        same &= path == theirs
    return same


if __name__ == "__main__":
    sys.exit(main())
