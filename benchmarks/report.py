"""How fast is ``pspdr report``, and how much memory does it take? Beside parsing each line of the same file with json.

Makes result files of one measurement each (seeded: ECN records of IPv4 and IPv6 targets in sixty thousand autonomous
systems), of which all but the first have other verdicts for one target in a hundred. Prints wall time, peak memory,
and the ratio to a process that does nothing but ``json.loads`` on each line.

``make bench``, or ``.venv/bin/python benchmarks/report.py [--records N] [--files N] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

PARSE = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"
PSPDR = [sys.executable, "-P", "-m", "pathspider"]
MARKS = ("ect0", "ect1", "ce")


def record(number: int, rng: random.Random) -> dict[str, object]:
    """A record as the ecn plugin writes it."""
    high, low = number >> 16, number & 0xFFFF
    dip = f"2001:db8:{high:x}::{low:x}" if number % 3 == 0 else f"10.{high & 255}.{low >> 8}.{low & 255}"
    drawn = rng.random()
    if drawn < 0.95:
        conditions = ["ecn.connectivity.works", f"ecn.negotiation.{rng.choice(('succeeded', 'succeeded', 'failed'))}",
                      *(f"ecn.ipmark.{mark}.{rng.choice(('seen', 'not_seen'))}" for mark in MARKS)]
    elif drawn < 0.99:
        conditions = [f"ecn.connectivity.{rng.choice(('broken', 'offline', 'transient'))}",
                      *(f"ecn.ipmark.{mark}.not_seen" for mark in MARKS)]
    else:
        conditions = ["pathspider.not_observed", "pathspider.missed_flows:1"]
    asn = rng.randrange(1, 60_000)
    when = f"2026-11-{1 + number // 500_000:02d} {number // 20_834 % 24:02d}:{number // 348 % 60:02d}:07.000000"
    return {"dip": dip, "dp": 80, "domain": f"www{number}.example.com", "rank": number, "dip_asn": asn,
            "path": ["192.0.2.1", "*", f"AS{asn}", dip], "conditions": conditions, "time": {"from": when, "to": when}}


def make(folder: Path, count: int, files: int) -> list[Path]:
    """The result files."""
    rng = random.Random(7)
    paths = [folder / f"{number}.ndjson" for number in range(files)]
    with ExitStack() as stack:
        streams = [stack.enter_context(path.open("w", encoding="ascii")) for path in paths]
        for number in range(count):
            value = record(number, rng)
            same = json.dumps(value) + "\n"
            value["conditions"] = ["ecn.connectivity.broken", *(f"ecn.ipmark.{mark}.not_seen" for mark in MARKS)]
            other = json.dumps(value) + "\n"
            for place, stream in enumerate(streams):
                stream.write(other if place and rng.random() < 0.01 else same)
    return paths


def timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of a file (default: a million)")
    parser.add_argument("--files", type=int, default=2, help="files that are compared, at least two (default: 2)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        first, *others = make(Path(name), args.records, max(args.files, 2))
        base = timed([sys.executable, "-c", PARSE, str(first)])[0]
        print(f"json.loads on each of {args.records} lines: {base:.1f} s")
        figures: dict[str, dict[str, float]] = {"json.loads": {"wall": base}}
        for what, options in (("one file, html", [first]), ("one file, csv", [first, "--format", "csv"]),
                              (f"{1 + len(others)} files, html", [first, *others])):
            wall, memory = timed([*PSPDR, "report", *map(str, options)])
            files = sum(isinstance(option, Path) for option in options)
            figures[what] = {"wall": wall, "memory": memory, "ratio": wall / base / files}
            print(f"report, {what}: {wall:.1f} s, {wall / base / files:.1f} x json.loads, {memory:.0f} MiB")
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
