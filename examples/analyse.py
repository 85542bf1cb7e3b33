#!/usr/bin/env python3
"""Do the same targets break two features? Do they break a feature again a week later?

A table of the verdicts on connectivity in one results file against those in another one, over the targets that both
have, by address, port and name as these are written. For shares, confidence intervals and the targets that changed,
there is `pspdr report`.

Usage: analyse.py FIRST SECOND [--csv TABLE.csv]

Files may be compressed (.gz). DuckDB does the work where it is installed (pip install duckdb): it uses all cores and
needs little memory. Plain Python gives the same table otherwise.
"""

import argparse
import csv
import gzip
import json
import sys
from collections import Counter

try:
    import duckdb
except ImportError:
    duckdb = None

FAILURES = (OSError, EOFError) if duckdb is None else (OSError, EOFError, duckdb.Error)

RECORDS = """
    SELECT lower(dip) AS dip, dp, domain, conditions
    FROM read_json(?, format = 'newline_delimited', ignore_errors = true,
                   columns = {dip: 'VARCHAR', dp: 'VARCHAR', domain: 'VARCHAR', conditions: 'VARCHAR[]'})"""

VERDICTS = f"""
    SELECT DISTINCT dip, dp, domain, verdict
    FROM (SELECT dip, dp, domain, unnest(conditions) AS verdict FROM ({RECORDS}) WHERE dip IS NOT NULL)
    WHERE contains(verdict, '.connectivity.')"""

CROSS = f"""
    SELECT one.verdict, other.verdict, count(*)
    FROM ({VERDICTS}) AS one JOIN ({VERDICTS}) AS other
        ON one.dip = other.dip AND one.dp IS NOT DISTINCT FROM other.dp AND one.domain IS NOT DISTINCT FROM other.domain
    GROUP BY ALL"""


def with_duckdb(first, second):
    """``{(verdict in the first file, verdict in the second): targets}``."""
    for name in (first, second):
        tell_left_out(name, *duckdb.execute(f"SELECT count(*) FROM ({RECORDS}) WHERE conditions IS NULL",
                                            [name]).fetchone())
    rows = duckdb.execute(CROSS, [first, second]).fetchall()
    return Counter({(one, other): targets for one, other, targets in rows})


def with_python(first, second):
    """The same, with one file in memory."""
    there = {}
    for target, verdicts in verdicts_of(first):
        there.setdefault(target, set()).update(verdicts)
    pairs = {(target, one, other) for target, verdicts in verdicts_of(second)
             for other in verdicts for one in there.get(target, ())}
    return Counter((one, other) for _, one, other in pairs)


def verdicts_of(name):
    """Each record's target, and what was found of its connectivity."""
    left_out = 0
    with (gzip.open if name.endswith(".gz") else open)(name, "rb") as lines:
        for line in filter(bytes.strip, lines):
            try:
                record = json.loads(line)
                verdicts = {one for one in record["conditions"] if ".connectivity." in one}
                target = tuple(map(in_words, map(record.get, ("dip", "dp", "domain"))))
            except (ValueError, TypeError, KeyError, AttributeError):
                left_out += 1
                continue
            if target[0] is not None:
                yield (target[0].lower(), *target[1:]), verdicts
    tell_left_out(name, left_out)


def in_words(value):
    """A value as text, as DuckDB has it; None stays."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def tell_left_out(name, lines):
    """Say how many lines of a file are no records."""
    if lines:
        print(f"{name}: {lines} {'line is no record' if lines == 1 else 'lines are no records'}, left out",
              file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="The verdicts on connectivity in two results files, crossed.")
    parser.add_argument("first", metavar="FIRST")
    parser.add_argument("second", metavar="SECOND")
    parser.add_argument("--csv", metavar="TABLE.csv", help="write the table there as well")
    parser.add_argument("--plain", action="store_true", help="do without DuckDB, though it is there")
    args = parser.parse_args()
    try:
        cross = (with_python if duckdb is None or args.plain else with_duckdb)(args.first, args.second)
    except FAILURES as error:
        sys.exit(f"analyse.py: {str(error).partition(chr(10))[0]}")
    rows, columns = (sorted({pair[side] for pair in cross}) for side in (0, 1))
    table = [["", *columns], *([row, *(cross[row, column] for column in columns)] for row in rows)]
    widths = [max(len(str(cell)) for cell in column) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(str(cell).ljust(width) if place == 0 else str(cell).rjust(width)
                        for place, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip())
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(table)


if __name__ == "__main__":
    main()
