"""How fast is ``pspdr report``, and how much memory does it take? Beside parsing each line of the same file with json.

Makes result files of one measurement each (seeded: ECN records of IPv4 and IPv6 targets in sixty thousand autonomous
systems), of which all but the first have other verdicts for one target in a hundred. Prints wall and CPU time, peak
memory (of all processes together, what they share counted once), and the ratio to a process that does nothing but
``json.loads`` on each line. The limits for files of a million records, on two cores that do nothing else, are 40 s and
150 MB for two files, and 240 s and 500 MB for seven; ``--check`` ends with status 1 beyond these.

``make bench``, or ``.venv/bin/python benchmarks/report.py [--records N] [--files N] [--json FILE] [--check]``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from figures import PSPDR, add_json, note, timed, write_figures

PARSE = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"
LIMITS = {2: (40, 150), 7: (240, 500)}
"""Seconds and MB that a report of so many files may take."""
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of a file (default: a million)")
    parser.add_argument("--files", type=int, default=2, help="files that are compared, at least two (default: 2)")
    parser.add_argument("--check", action="store_true", help="fail where the comparison takes more than it may")
    add_json(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        first, *others = make(Path(name), args.records, max(args.files, 2))
        base = timed([sys.executable, "-c", PARSE, first])
        note(f"json.loads on each of {args.records:,} lines", **base)
        print(f"json.loads on each of {args.records} lines: {base['wall']:.1f} s")
        for what, options in (("one file, html", [first]), ("one file, csv", [first, "--format", "csv"]),
                              (f"{1 + len(others)} files, html", [first, *others])):
            found = timed([*PSPDR, "report", *options])
            files = sum(isinstance(option, Path) for option in options)
            ratio = found["cpu"] / base["cpu"] / files
            note(f"report, {what}", **found, ratio=ratio)
            print("report, {}: {wall:.1f} s, {cpu:.1f} s CPU, {} x json.loads, {memory:.0f} MiB".format(
                what, f"{ratio:.1f}", **found), flush=True)
    write_figures(args.json)
    seconds, megabytes = LIMITS.get(1 + len(others), (float("inf"), float("inf")))
    too_much = found["wall"] > seconds or found["memory"] * 1.048576 > megabytes
    return int(args.check and too_much)


if __name__ == "__main__":
    sys.exit(main())
