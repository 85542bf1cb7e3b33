#!/usr/bin/env python3
"""What records say, as a table: conditions by plugin and IP version, with confidence intervals; targets that changed.

Usage: analyse.py RECORDS... [--csv TABLE.csv]

One file is one run. With several, the targets whose connectivity is not the same in all of them are listed.
DuckDB does the counting where it is installed (pip install duckdb), which is worth it from some million records on;
plain Python gives the same table otherwise.
"""

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from math import sqrt

try:
    import duckdb
except ImportError:
    duckdb = None

COLUMNS = ("file", "plugin", "ip", "condition", "targets", "of", "share", "low", "high")


def wilson(hits, total, z=1.96):
    """The 95 % confidence interval of a share (E. B. Wilson 1927): it holds for few targets, and for 0 and 1 too."""
    share = hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def records(name):
    """The records of a file."""
    with open(name, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                print(f"{name}:{number}: no record, left out", file=sys.stderr)


def count_plain(name):
    """``{(plugin, ip version, condition): targets}`` with plain Python."""
    counts = Counter()
    for record in records(name):
        version = 6 if ":" in str(record.get("dip")) else 4
        for condition in set(record.get("conditions") or ()):
            counts[condition.partition(".")[0], version, condition] += 1
    return counts


def count_duckdb(name):
    """The same with DuckDB, which reads the file with all cores."""
    rows = duckdb.execute("""
        SELECT split_part(condition, '.', 1), version, condition, count(*)
        FROM (SELECT DISTINCT line, CASE WHEN dip LIKE '%:%' THEN 6 ELSE 4 END AS version,
                     unnest(conditions) AS condition
              FROM (SELECT row_number() OVER () AS line, dip, conditions
                    FROM read_json(?, format = 'newline_delimited', ignore_errors = true,
                                   columns = {dip: 'VARCHAR', conditions: 'VARCHAR[]'})))
        GROUP BY ALL""", [name]).fetchall()
    return Counter({(plugin, version, condition): targets for plugin, version, condition, targets in rows})


def table(name, counts):
    """Rows as in ``COLUMNS``. A share is one of the targets for which a condition of the same kind was found."""
    kinds = Counter()
    for (plugin, version, condition), targets in counts.items():
        kinds[plugin, version, condition.rpartition(".")[0]] += targets
    for (plugin, version, condition), targets in sorted(counts.items()):
        total = kinds[plugin, version, condition.rpartition(".")[0]]
        low, high = wilson(targets, total)
        yield name, plugin, version, condition, targets, total, *(round(x, 4) for x in (targets / total, low, high))


def changed(names):
    """``(target, [verdict in each file])`` where the verdicts are not all the same."""
    seen = defaultdict(dict)
    for name in names:
        for record in records(name):
            for condition in record.get("conditions") or ():
                if ".connectivity." in condition:
                    seen[record.get("dip"), record.get("dp"), condition.partition(".")[0]][name] = condition
    for target, verdicts in seen.items():
        if len(verdicts) == len(names) and len(set(verdicts.values())) > 1:
            yield target, [verdicts[name] for name in names]


def main():
    parser = argparse.ArgumentParser(description="Conditions of PATHspider's records, counted and compared.")
    parser.add_argument("records", nargs="+", metavar="RECORDS")
    parser.add_argument("--csv", metavar="TABLE.csv", help="write the table there as well")
    parser.add_argument("--plain", action="store_true", help="do without DuckDB, though it is there")
    args = parser.parse_args()
    count = count_plain if duckdb is None or args.plain else count_duckdb
    rows = [row for name in args.records for row in table(name, count(name))]
    for name, _, version, condition, targets, total, share, low, high in rows:
        print(f"{name}  IPv{version}  {condition:40} {targets:8} of {total:8}  {share:7.2%}  [{low:.2%}, {high:.2%}]")
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])
    if len(args.records) > 1:
        for (dip, dp, _), verdicts in changed(args.records):
            print(f"changed: {dip} port {dp}: {' -> '.join(verdicts)}")


if __name__ == "__main__":
    main()
