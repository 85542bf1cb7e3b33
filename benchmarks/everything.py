"""All benchmarks, each with a size and a time that are bounded: half an hour in all, at most.

Writes ``benchmarks/results/NAME.json`` of each that ends in time and with figures; ``docs/figures.rst`` is of these.
What a benchmark prints goes to the terminal. The exit status is 1 where one of them found a limit broken, failed, or
took too long: its figures of an earlier day stay then, with their date.

``sudo make bench``, or ``sudo .venv/bin/python benchmarks/everything.py [NAME...]``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"

BENCHMARKS: dict[str, tuple[int, list[str]]] = {
    "observe": (240, ["--packets", "500000", "--runs", "3"]),
    "live": (60, ["--seconds", "5", "--runs", "1"]),
    "measure": (240, ["ecn-5000", "mss-5000", "h2-5000", "dscp-1000"]),
    "verdicts": (150, ["drop-loss-5", "no-suspects"]),
    "confirm": (120, ["is dead"]),
    "health": (90, ["stop", "--rounds", "1"]),
    "wire": (90, ["both"]),
    "tbit": (90, ["--targets", "100"]),
    "locate": (60, ["--targets", "20"]),
    "places": (90, ["ecn"]),
    "inflow": (30, ["--connections", "200"]),
    "targets": (60, ["--prefixes", "200000", "--lines", "200000"]),
    "resolve": (120, ["--names", "20000"]),
    "campaign": (60, ["overhead", "--targets", "2000"]),
    "report": (180, []),
    "export": (120, []),
}
"""Of each, the seconds that it may take, and its size."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    args = parser.parse_args()
    if unknown := {*args.names} - {*BENCHMARKS}:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in args.names or BENCHMARKS:
        seconds, options = BENCHMARKS[name]
        print(f"== {name}: {seconds} s at most", flush=True)
        try:
            done = subprocess.run([sys.executable, HERE / f"{name}.py", *options, "--json", RESULTS / f"{name}.json"],
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            print(f"== {name} took longer than {seconds} s, and was ended")
            failed.append(name)
        else:
            failed += [name] if done.returncode else []
    if failed:
        print(f"failed, or found a limit broken: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
