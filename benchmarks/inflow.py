"""Do probes within connections of the kernel's cost these connections anything? What their server got is compared.

Each connection sends twelve octets one by one, with a TTL that ends at a hop of the lab, then the rest of its request.
Prints how many probes hops have quoted, and how many connections their server got octet by octet. The exit status is 1
where one lost or gained an octet, or fewer than nine in ten probes were quoted.

Needs root: ``sudo .venv/bin/python benchmarks/inflow.py [--connections N]``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.scenarios import HOPS_FILE
from tests.helpers.inflow import PROBES, run

ENOUGH = 0.9


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, metavar="N", help="half of them IPv6")
    add_json(parser)
    args = parser.parse_args()
    count = args.connections
    addresses = [clean_address(number // 2, (4, 6)[number % 2]) for number in range(count)]
    began = time.monotonic()
    with Lab(scenarios=[HOPS_FILE]) as lab:
        sent, got, quoted = run(lab, addresses)
    whole = sum(got.get(place) == request for place, request in sent.items())
    took = time.monotonic() - began
    note("probes within connections", connections=count, probes=count * PROBES, quoted=quoted, whole=whole,
         seconds=took)
    write_figures(args.json)
    print(f"{count} connections over eight hops, {PROBES} probes in each: {quoted} of {count * PROBES} probes were "
          f"quoted, {whole} requests came whole; {took:.1f} s")
    return int(whole != count or len(got) != count or quoted < ENOUGH * count * PROBES)


if __name__ == "__main__":
    sys.exit(main())
