"""What a reader has to know of the result files before any figure, in plain text, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from pathspider.report.confirmed import AT_FIRST, CONFIRMED
from pathspider.report.runs import differing, unfinished
from pathspider.report.summary import Report

MOST_NAMED = 3
"""Questions that a remark names."""
MOST_LISTED = 4
"""Addresses that are listed of those that were measured from."""


class Remark(NamedTuple):
    """What is the matter, and what that means."""

    what: str
    meaning: str
    warning: bool = True
    """Whether something is the matter, or it only has to be known."""


def remarks(report: Report) -> Iterator[Remark]:
    """Everything that makes figures less than they seem."""
    for tally in report.tallies:
        if tally.broken_off:
            yield Remark(f"{tally.label} breaks off", f" ({tally.broken_off}); the counts are of what stands before.")
    yield from not_finished(report)
    yield from seen_in_passing(report)
    yield from measured_differently(report)
    yield from measured_again(report)
    if any(report.confirmed):
        yield Remark("First connections and rounds are counted apart",
                     f": what ends with{AT_FIRST.format('broken')} or{AT_FIRST.format('transient')} has what rounds "
                     f"said of suspects; what ends with{CONFIRMED} has their word, and the first connections' where "
                     "those made no suspect. What is called stable is of suspects alone; all else, of the first "
                     "connections.", warning=False)
    if folded := report.targets.verdicts.folded:
        yield Remark(f"{folded:,} {'record has' if folded == 1 else 'records have'} conditions",
                     " that are too many, or too long, to be told apart. What was left out shows as …, and no "
                     "target is found to have changed there.")


def not_finished(report: Report) -> Iterator[Remark]:
    """Of each campaign whose targets are not all measured, as far as metadata tell."""
    for name, who in unfinished(report.tallies):
        yield Remark(f"The campaign {name} is not finished", f": {who}. The figures are of these targets alone.")


def seen_in_passing(report: Report) -> Iterator[Remark]:
    """Of each file with flows that others made."""
    for tally in report.tallies:
        if tally.passive:
            yield Remark(f"{tally.label} has {tally.passive:,} {'flow' if tally.passive == 1 else 'flows'} of others",
                         ", seen in passing: only what a flow itself proves is told, and each flow counts. A share of "
                         "100 % means nothing where there is no other answer to be told, as of tfo.cookie.")


def measured_differently(report: Report) -> Iterator[Remark]:
    """Of files that were not measured alike, as far as their metadata tells."""
    found = list(islice(differing(report.tallies), MOST_NAMED + 1))
    for files, what in found[:MOST_NAMED]:
        yield Remark(f"{files}: runs that were not made alike",
                     f": {what}. What differs between their records may come from that.")
    if len(found) > MOST_NAMED:
        yield Remark("More runs", " were not made alike; the table of the runs tells their options.")


def measured_again(report: Report) -> Iterator[Remark]:
    """Of each file that has targets which answer a question more than once."""
    for file, group in groupby(report.repeated, key=attrgetter("file")):
        found = list(group)
        named = [f"{one.question} has {one.records:,} records of {one.targets:,} "
                 f"{'target' if one.targets == 1 else 'targets'}" for one in found[:MOST_NAMED]]
        more = [f"so it is with {len(found) - MOST_NAMED} more questions"] if len(found) > MOST_NAMED else []
        yield Remark(f"{report.tallies[file].label} has targets that were measured more than once",
                     f": {', '.join([*named, *more])}. Each record counts: the intervals there are too narrow, since "
                     "what a target answers twice is no news.")


def origin(report: Report, file: int) -> str:
    """A file's name, where it was measured from, and whose conditions it has."""
    tally = report.tallies[file]
    name = "standard input" if tally.name == "-" else tally.name
    sources = [address for address, _ in tally.sources.most_common(MOST_LISTED)]
    if len(tally.sources) > MOST_LISTED:
        sources.append("others")
    plugins = ", ".join(f"{plugin} ({count:,})" for plugin, count in sorted(report.given_by[file].items()))
    return (name + (f", measured from {', '.join(sources)}" if sources else "")
            + (f"; records with a verdict of {plugins}" if plugins else "; without any verdict"))
