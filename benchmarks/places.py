"""Is a place that was found true? Each path of eight hops in the lab is measured by its plugin with ``--locate``.

Prints, by plugin and connection mode: paths, those with the true place or the right reason for having none, places that
are as near as can be, and probes sent for a target. The exit status is 1 where a word is not true, or fewer than 95 in
100 places are as near as can be.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/places.py [PLUGIN...] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys

from figures import add_json, note, write_figures

NEAR_ENOUGH = 0.95
"""Share of intervals that must be as small as can be."""
SENT = re.compile(r"located: (\d+) targets, with (\d+) packets")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plugins", nargs="*", metavar="PLUGIN")
    add_json(parser)
    args = parser.parse_args()
    done = subprocess.run([sys.executable, "-m", "pathspider", "lab", "check", "--hops", "8", "--json", *args.plugins],
                          stdout=subprocess.PIPE, check=False)
    if not done.stdout:
        return done.returncode
    found = json.loads(done.stdout)
    print(f"{'measured':26} {'paths':>5} {'true':>5} {'places':>6} {'near':>5} {'probes':>7} {'s':>6}")
    places = near = 0
    for run in found["runs"]:
        paths = [one for one in found["results"] if one["measure"] == run["measure"]]
        ours = [one for one in paths if one["hop"] and one["found"] and any(".hop." in each for each in one["found"])]
        smallest = sum(one["smallest"] for one in ours)
        places, near = places + len(ours), near + smallest
        sent = SENT.search(run["errors"])
        probes = f"{int(sent[2]) / int(sent[1]):.1f}" if sent and int(sent[1]) else "-"
        note(" ".join(run["measure"]), paths=len(paths), right=sum(one["right"] for one in paths), places=len(ours),
             near=smallest, seconds=run["seconds"])
        print(f"{' '.join(run['measure']):26} {len(paths):5} {sum(one['right'] for one in paths):5} {len(ours):6} "
              f"{smallest:5} {probes:>7} {run['seconds']:6.1f}")
    write_figures(args.json)
    wrong = [one for one in found["results"] if not one["right"]]
    for one in wrong:
        print(f"    FAILS: {one['scenario']} {one['address']}: {one['hop']} is true, found was {one['found']}")
    if near < NEAR_ENOUGH * places:
        print(f"    FAILS: {near} of {places} places are as near as can be")
    return 1 if wrong or near < NEAR_ENOUGH * places else 0


if __name__ == "__main__":
    sys.exit(main())
