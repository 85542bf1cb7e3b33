"""A report as JSON, CSV or Markdown, written piece by piece."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from pathspider.report import rows as told
from pathspider.report.figures import percent, points
from pathspider.report.remarks import origin, remarks
from pathspider.report.runs import HEADS, cells, differing
from pathspider.report.statistics import LEVEL
from pathspider.report.summary import Compared, Count, Report
from pathspider.report.targets import Changed, Move, Paired
from pathspider.text import harmless, printable

MOST_TARGETS = 100
"""Targets that a page lists; JSON and CSV have all."""


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """One flat row for each count."""
    for count in report.counts():
        share = count.share
        yield {"file": report.tallies[count.file].label, "group": count.group[0], "value": count.group[1],
               "plugin": count.answer.plugin, "question": count.answer.question, "answer": count.answer.answer,
               "condition": count.answer.condition, "count": count.number, "total": count.total,
               "share": share.value, "low": share.low, "high": share.high}


def changed_row(report: Report, changed: Changed) -> dict[str, Any]:
    """A target that changed."""
    seen = [{"file": report.tallies[one.file].label, "conditions": list(one.conditions), "records": one.records}
            for one in changed.seen]
    place = {"as": changed.system or None, "country": changed.country or None}
    return {**changed.target, **place, "questions": changed.questions, "seen": seen}


def as_json(report: Report) -> Iterator[str]:
    """One JSON object; docs/report.rst describes it."""
    head = {
        "title": report.title, "made": report.made, "pathspider": report.version,
        "interval": {"level": LEVEL, "share": "Wilson score", "difference": "Newcombe hybrid score (method 10)"},
        "files": [{"label": tally.label, "file": tally.name, "records": tally.records,
                   "targets": report.targets.targets[number], "with_verdict": tally.concluded,
                   "bad_lines": tally.bad_lines, "broken_off": tally.broken_off or None,
                   "bad": [{"line": line, "why": why} for line, why in tally.bad],
                   "from": tally.first or None, "to": tally.last or None, "sources": dict(tally.sources),
                   "run_ids": dict(tally.runs), "runs": tally.facts,
                   "plugins": dict(sorted(report.given_by[number].items())),
                   "measured_again": [{"question": one.question, "records": one.records, "targets": one.targets}
                                      for one in report.repeated if one.file == number]}
                  for number, tally in enumerate(report.tallies)],
        "differing": [{"files": files, "what": what} for files, what in differing(report.tallies)],
        "folded_records": report.tallies[0].verdicts.folded,
    }
    moves: dict[Paired, list[tuple[Move, int]]] = defaultdict(list)
    for move, moved in sorted(report.targets.moves.items()):
        moves[move.pair].append((move, moved))
    yield json.dumps(head)[:-1]
    yield from _array("findings", told.found(report))
    yield from _array("counts", rows(report))
    yield from _array("without_verdict", (
        {"file": report.tallies[one.file].label, "condition": one.condition, "count": one.number,
         "total": report.tallies[one.file].records} for one in report.without))
    yield from _array("differences", told.differing(report))
    for name, values in (("places", told.places), ("agreement", told.agreeing), ("hops", told.located),
                         ("beside", told.alongside), ("features", told.crossed), ("ip_versions", told.by_version)):
        yield from _array(name, values(report))
    yield from _array("changed_targets", (changed_row(report, changed) for changed in report.targets.changed()))
    yield from _array("paired", (
        {"first": report.tallies[pair.first].label, "second": report.tallies[pair.second].label,
         "question": pair.question, "targets": count, "changed": report.targets.changes[pair],
         "changes": [{"before": list(move.before), "after": list(move.after), "targets": moved}
                     for move, moved in moves[pair]]}
        for pair, count in sorted(report.targets.pairs.items())))
    yield "}\n"


def _array(name: str, values: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f',\n{json.dumps(name)}: ['
    for place, value in enumerate(values):
        yield f"{',' if place else ''}\n{json.dumps(value)}"
    yield "]"


def as_csv(report: Report) -> Iterator[str]:
    """The counts, one a line."""
    yield from _csv(rows(report), ["file", "group", "value", "plugin", "question", "answer", "condition", "count",
                                   "total", "share", "low", "high"])


def targets_as_csv(report: Report) -> Iterator[str]:
    """The targets that changed, a line for each of their records."""
    yield from _csv(({**changed.target, "as": changed.system, "country": changed.country,
                      "questions": " ".join(changed.questions),
                      "file": report.tallies[one.file].label, "conditions": " ".join(one.conditions),
                      "records": one.records} for changed in report.targets.changed() for one in changed.seen),
                    ["dip", "dp", "domain", "as", "country", "questions", "file", "conditions", "records"])


def _csv(values: Iterable[dict[str, Any]], columns: list[str]) -> Iterator[str]:
    """:rfc:`4180`. A text that a spreadsheet would take for a formula has an apostrophe before it."""
    line = io.StringIO()
    writer = csv.DictWriter(line, columns)
    writer.writeheader()
    for value in values:
        writer.writerow({key: harmless(one) if isinstance(one, str) else one for key, one in value.items()})
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def as_markdown(report: Report) -> Iterator[str]:
    """Tables for a text that people read."""
    yield f"# {_cell(report.title)}\n\nMade by PATHspider {report.version} at {report.made[:16]} UTC. "
    yield (f"Intervals: {LEVEL:.0%}, Wilson score (Wilson 1927); of differences, Newcombe 1998, method 10, of the same "
           "targets or of independent samples; p-values: McNemar, exact, adjusted (Benjamini and Hochberg 1995).\n\n")
    yield from _found(report)
    yield from _table(("Results", "Records", "Targets", "With a verdict", "Bad lines", "First (UTC)", "Last (UTC)"),
                      ((tally.label, tally.records, report.targets.targets[number], tally.concluded, tally.bad_lines,
                        tally.first[:19], tally.last[:19]) for number, tally in enumerate(report.tallies)), "lrrrrll")
    yield "\n"
    yield from (f"* {_cell(tally.label)}: {_cell(origin(report, file))}\n" for file, tally in enumerate(report.tallies))
    if any(tally.facts for tally in report.tallies):
        yield "\n"
        yield from _table(tuple(HEADS), (tuple(row) for tally in report.tallies for row in cells(tally)),
                          "l" * len(HEADS))
    yield from (f"\n**{_cell(one.what)}**{_cell(one.meaning)}\n" for one in remarks(report))
    for plugin in report.plugins:
        yield f"\n## {_cell(plugin)}\n"
        for question in report.questions(plugin):
            yield from _question(report, question)
    if report.without:
        yield "\n## Without a verdict\n\n"
        yield from _table(("Results", "Reason", "Count", "Of"),
                          ((report.tallies[one.file].label, one.condition, one.number, report.tallies[one.file].records)
                           for one in report.without), "llrr")
    yield from _changed(report)
    for tally in report.tallies:
        if tally.bad:
            yield f"\n## Bad lines of {_cell(tally.label)}\n\n"
            yield from (f"* line {line}: {_cell(why)}\n" for line, why in tally.bad)
            if len(tally.bad) < tally.bad_lines:
                yield f"\nThese are the first {len(tally.bad)} of {tally.bad_lines}.\n"


def _found(report: Report) -> Iterator[str]:
    """What was found, in sentences, and where it is different."""
    for one in told.found(report):
        yield f"**{_cell(' '.join(one['text']))}**\n\n"
        yield from (f"* {_cell(text)}\n" for text in one["evidence"])
        yield "\n"
    for heads, align, lines in (
            (("Question", "First", "Second", "Place", "Gained", "Lost", "p, adjusted"), "llllrrr", (
                (row["question"], row["first"], row["second"], row["name"], row["gained"], row["lost"],
                 f"{row['adjusted']:.2g}") for row in told.places(report))),
            (("Results", "Feature", "What", "Last as it was sent", "First that is not", "Targets"), "lllllr", (
                (row["file"], row["name"], row["what"], _end(row["low"]), _end(row["high"]), row["targets"])
                for row in islice(told.located(report), MOST_TARGETS))),
            (("Features", "Both broken", "First alone", "Second alone", "Neither"), "lrrrr", (
                (f"{row['one']}, {row['other']}", row["both"], row["one_alone"], row["other_alone"], row["neither"])
                for row in told.crossed(report))),
            (("Results", "Feature", "Both broken", "IPv4 alone", "IPv6 alone", "Neither"), "llrrrr", (
                (row["file"], row["name"], row["both"], row["ipv4_alone"], row["ipv6_alone"], row["neither"])
                for row in told.by_version(report)))):
        if rows_of := [*lines]:
            yield from _table(heads, rows_of, align)
            yield "\n"


def _end(end: dict[str, str | None] | None) -> str:
    return "" if end is None else " ".join(filter(None, end.values()))


def _question(report: Report, question: str) -> Iterator[str]:
    yield f"\n### {_cell(question)}\n\n"
    if unanswered := report.unanswered(question):
        yield f"No answers in {_cell(', '.join(tally.label for tally in unanswered))}.\n\n"
    counts = [count for kind in ("all", "ip", "country", "as") for count in report.of(question, kind)]
    yield from _table(("Results", "Records", "Answer", "Count", "Of", "Share", "Interval"),
                      (count_cells(report, count) for count in counts), "lllrrrl")
    if compared := [*report.compared(question)]:
        yield "\n"
        yield from _table(("Answer", "First", "Second", "Difference in percentage points", "Interval", "Same targets",
                           "p, adjusted", "Clear?"), (difference_cells(report, one) for one in compared), "lllrllrl")


def _changed(report: Report) -> Iterator[str]:
    targets = report.targets
    if targets.pairs:
        yield "\n## Targets in two files\n\n"
        yield from _table(("Question", "First", "Second", "Targets", "Changed"), (
            (pair.question, report.tallies[pair.first].label, report.tallies[pair.second].label, count,
             targets.changes[pair]) for pair, count in sorted(targets.pairs.items())), "lllrr")
    if targets.moves:
        yield "\n"
        yield from _table(("Question", "First", "Answer there", "Second", "Answer there", "Targets"), (
            (move.pair.question, report.tallies[move.pair.first].label, ", ".join(move.before),
             report.tallies[move.pair.second].label, ", ".join(move.after), count)
            for move, count in sorted(targets.moves.items())), "lllllr")
    if listed := [*islice(targets.changed(), MOST_TARGETS)]:
        many = targets.changed_targets
        yield f"\n## Targets that changed\n\n{many} {'target' if many == 1 else 'targets'}"
        yield f", the first {len(listed)} of them:\n\n" if len(listed) < many else ":\n\n"
        yield from _table(("Target", "AS", "Results", "Records", "Conditions"), (
            (name_of(one), one.system, report.tallies[seen.file].label, seen.records, " ".join(seen.conditions))
            for one in listed for seen in one.seen), "lllrl")


def name_of(changed: Changed) -> str:
    """A target in a line."""
    return " ".join(str(value) for value in changed.target.values())


def count_cells(report: Report, count: Count) -> tuple[str, str, str, int, int, str, str]:
    """A count as people read it."""
    share = count.share
    return (report.tallies[count.file].label, count.group[1] or "all", count.answer.answer, count.number, count.total,
            percent(share.value), f"{percent(share.low)} to {percent(share.high)}")


def difference_cells(report: Report, one: Compared) -> tuple[str, ...]:
    """A difference as people read it."""
    difference = one.difference
    value, low, high = points(difference)
    return (one.first.answer.answer, report.tallies[one.first.file].label, report.tallies[one.second.file].label, value,
            f"{low} to {high}",
            f"{one.pairs.total}: {one.pairs.gained} gained, {one.pairs.lost} lost" if one.pairs else "",
            "" if one.adjusted is None else f"{one.adjusted:.2g}", "yes" if one.clear else "no")


def _table(heads: tuple[str, ...], lines: Iterable[tuple[Any, ...]], align: str) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |\n|{'|'.join('---:' if one == 'r' else '---' for one in align)}|\n"
    for line in lines:
        yield f"| {' | '.join(_cell(str(one)) for one in line)} |\n"


def _cell(text: str) -> str:
    """Text in which nothing is markup, and no cell ends."""
    text = printable(text)
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#!" else letter for letter in text)


FORMATS: dict[str, Callable[[Report], Iterator[str]]] = {"json": as_json, "csv": as_csv, "md": as_markdown}
