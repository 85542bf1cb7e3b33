"""What is different between files, and where: clear differences first, the same targets as pairs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from pathspider.report import wording
from pathspider.report.answers import is_apart, listed_questions
from pathspider.report.confirmed import CONFIRMED
from pathspider.report.crossing import Crossed, features, versions
from pathspider.report.figures import points
from pathspider.report.findings import Finding, clearest, findings, path_dependent, path_dependent_in
from pathspider.report.hops import by_systems
from pathspider.report.markup import (
    Cell,
    columns,
    details,
    many,
    number,
    of_total,
    share,
    short,
    table,
    text_of,
    with_bounds,
)
from pathspider.report.pairs import Pairs
from pathspider.report.places import KINDS
from pathspider.report.plain import MOST_TARGETS, name_of
from pathspider.report.plot import Point, history
from pathspider.report.questions import parse
from pathspider.report.summary import UP, Compared, Report
from pathspider.report.targets import Changed
from pathspider.report.vantage import relation_of

MOST_MOVES = 200
"""Changes from one answer to another that are listed."""
MOST_CHANGES = 12
"""Rows and columns of answers that a matrix of before and after has."""
MOST_DIFFERENCES = 200
"""Differences that are listed, those that chance explains least."""
MOST_NAME = 200
"""Characters of a target's name that are shown."""
MOST_INTERVALS = 50


def heading(report: Report) -> str:
    """What is asked of several files."""
    relation = relation_of(report)
    return ("What changed, and where?" if relation.times
            else f"What differs between {relation.noun}, and where?")


def heading_of_targets(report: Report) -> str:
    """What is asked of targets with two answers."""
    if len(report.tallies) == 1:
        return "Which targets answered differently?"
    return "Which targets changed?" if relation_of(report).times else "Which targets differ?"


def compared(report: Report) -> Iterator[str]:
    """Where features came to break, or ceased to; then all differences."""
    relation = relation_of(report)
    for finding in findings(report):
        if len(finding.files) > 1:
            yield from _finding(finding, relation.times, relation.places)
    rows = sorted((pair for questions in listed_questions(report).values() for question in questions
                   if not is_apart(question, questions) for pair in report.compared(question)
                   if not (question.endswith(UP) and pair.first.answer.answer == "works")),
                  key=lambda pair: (not pair.clear, 1 if pair.adjusted is None else pair.adjusted,
                                    -abs(pair.difference.value)))
    clear = [pair for pair in rows if pair.clear]
    if clear:
        yield from _differences(report, "Clear differences", clear)
    elif rows:
        yield "<p>There is no clear difference.</p>\n"
    if rest := rows[len(clear):]:
        yield from details(f"What is not clearly different: {len(rest):,}",
                           _differences(report, "Differences that chance may have made", rest))


def _finding(finding: Finding, times: bool, places: bool) -> Iterator[str]:
    report = finding.report
    yield f"<h3>{text_of(wording.feature(finding.name))} <code>{text_of(finding.question)}</code></h3>\n"
    if times and len(finding.files) > 2:
        yield from history(f"Share that is broken, {finding.question}", [
            Point(tally.label, datetime.fromisoformat(tally.first), count.share)
            for file, count in finding.counts.items() if (tally := report.tallies[file]).first])
    if places and (dependent := path_dependent(finding)):
        question = finding.first_pair + (CONFIRMED if finding.confirmed else "")
        found = report.targets.points
        yield from table(f"{finding.name}: targets that at least two vantage points tell of", [
            "In all that tell", "Targets", "Share"], (
            [text, of_total(found[question, word], dependent[1]), share(found[question, word] / dependent[1])]
            for word, text in (("works", "works"), ("broken", "broken"),
                               ("path_dependent", f"path-dependent ({finding.name}.multipoint.path_dependent)"))))
        systems, known = path_dependent_in(report, question)
        if systems:
            yield from table(f"{finding.name}: path-dependent targets by AS", ["AS", "Targets", "Share of these"], (
                [name, number(targets), share(targets / known)] for name, targets in systems))
    best = clearest(finding)
    if best and best.pairs and best.pairs.gained + best.pairs.lost:
        yield from columns(_matrix(report, best.pairs), _where(finding, best.pairs))


def _matrix(report: Report, pairs: Pairs) -> Iterator[str]:
    """From which answers to which."""
    base = pairs.question.partition(" ")[0] + (CONFIRMED if "confirmed" in pairs.question else "")
    matrix = report.pairs.matrix(pairs.first, pairs.second, base)
    first, second = report.tallies[pairs.first].label, report.tallies[pairs.second].label
    words = sorted({", ".join(side) for way in matrix for side in way}, key=lambda word: (word != "broken", word))
    words = words[:MOST_CHANGES]
    cells = {(", ".join(before), ", ".join(after)): count for (before, after), count in matrix.items()}
    yield from table(f"{base}: targets by their answer in {first} (rows) and in {second} (columns)",
                     [f"{short(first)} ↓", *map(short, words)], (
        [before, *(_count(cells.get((before, after), 0), before != after) for after in words)]
        for before in words), most=6)


def _count(value: int, changed: bool) -> Cell:
    return Cell(f"{value:,}" if value else "·", value, "number hot" if changed and value else "number")


def _where(finding: Finding, pairs: Pairs) -> Iterator[str]:
    """By autonomous system, country and prefix: those with the most changes."""
    report = finding.report
    first, second = short(report.tallies[pairs.first].label), short(report.tallies[pairs.second].label)
    counts = {(count.file, count.group[1]): count for kind in ("as", "country", "ip") for count in
              report.of(finding.question, kind) if count.answer.answer == "broken"}
    told = False
    for kind, name in KINDS.items():
        change = report.pairs.where(kind, pairs)
        if not change.places:
            continue
        heads = [name[:1].upper() + name[1:], f"Broken in {second} alone", f"In {first} alone", "p, adjusted"]
        shown = [] if kind == "prefix" else [pairs.first, pairs.second]
        rows = table(f"{finding.question}: broken in one of both, by {name}",
                     [heads[0], *heads[1:3], *(short(report.tallies[file].label) for file in shown), heads[3]], (
            [place.name, number(place.gained), number(place.lost),
             *(with_bounds(one.share) if (one := counts.get((file, place.name))) else "" for file in shown),
             Cell(wording.chance(place.adjusted).removeprefix("p = ").removeprefix("p "), place.adjusted,
                  "number hot" if place.clear else "number")] for place in change.places))
        more = f": {len(change.places)} of {change.many}" if change.many > len(change.places) else ""
        if told:
            yield from details(f"By {name}{more}", rows)
        else:
            yield from rows
            if more:
                yield f'<p class="soft">The first {len(change.places)} of {change.many:,}.</p>\n'
        told = True


def _differences(report: Report, caption: str, rows: list[Compared]) -> Iterator[str]:
    def line(pair: Compared) -> list[Cell | str]:
        value, low, high = points(pair.difference)
        pairs = pair.pairs
        first, second = (report.tallies[one.file].label for one in (pair.first, pair.second))
        return [f"{pair.first.answer.question}: {pair.first.answer.answer}", f"{first}, {second}",
                with_bounds(pair.first.share), with_bounds(pair.second.share),
                Cell(value, pair.difference.value, "number share", f"({low} to {high})"),
                f"+{pairs.gained:,} -{pairs.lost:,} of {pairs.total:,}" if pairs else "other targets",
                "" if pair.adjusted is None else
                Cell(wording.chance(pair.adjusted).removeprefix("p = ").removeprefix("p "), pair.adjusted, "number")]

    yield from table(caption, ["Answer", "Results", "Share in the first", "Share in the second", "Difference, points",
                               "Same targets", "p, adjusted"], map(line, rows[:MOST_DIFFERENCES]))
    if len(rows) > MOST_DIFFERENCES:
        yield f"<p>The first {MOST_DIFFERENCES} of {len(rows):,}; JSON has them all.</p>\n"


def located(report: Report) -> Iterator[str]:
    """Between which hops it happens, grouped by the two autonomous systems."""
    groups = [(tally.label, *group) for tally in report.tallies for group in by_systems(tally.hops)]
    if not groups:
        return
    several = ["Results"] if len(report.tallies) > 1 else []
    yield ("<p>Between the last hop that saw a packet as it was sent and the first that did not: it happens at one of "
           "them, or at what lies between, and which of these does it is not known.</p>\n")
    yield from table("Intervals, by the autonomous systems of both ends", [
        "Feature", *several, "What", "From AS", "To AS", "Targets", "Intervals"], (
        [name, *([label] if several else []), word, low, high, number(count), number(len(found)) if low else ""]
        for label, (name, word, low, high), count, found in groups[:MOST_INTERVALS]))
    if found := [(label, one, count) for label, _, _, inner in groups for one, count in inner if one.low and one.high]:
        yield from details("Each interval, between two addresses", table("Intervals", [
            "Feature", *several, "What", "Last as it was sent", "First that is not", "Targets"], (
            [one.name, *([label] if several else []), one.word, str(one.low), str(one.high), number(count)]
            for label, one, count in found[:MOST_INTERVALS])))


def crossed(report: Report) -> Iterator[str]:
    """Several features, and both IP versions, of the same targets."""
    if found := features(report):
        yield "<h3>Do the features break the same targets?</h3>\n"
        yield from table("Targets of which two features are known", [
            "Features", "Targets", "Both broken", "The first alone", "The second alone", "Neither"], (
            [f"{one.one}, {one.other}", number(one.total), *map(number, one[2:])] for one in found))
    if dual := [*versions(report)]:
        yield "<h3>Is it the same over IPv4 and IPv6 of a name?</h3>\n"
        yield from table("Names that were asked over IPv4 and IPv6", [
            "Feature", "Results", "Names", "Both broken", "IPv4 alone", "IPv6 alone", "Neither", "p"], (
            [name, report.tallies[file].label, number(one.total), *map(number, one[2:]), _chance(one)]
            for file, name, one in dual))


def _chance(one: Crossed) -> Cell:
    return Cell(wording.chance(one.p).removeprefix("p = ").removeprefix("p "), one.p, "number")


def changed(report: Report) -> Iterator[str]:
    """Targets with two records that answer a question differently."""
    targets = report.targets
    if targets.pairs:
        yield from details("How many, question by question", table("Targets that answer a question in two files", [
            "Question", "First", "Second", "Changed", "Share"], (
            [pair.question, report.tallies[pair.first].label, report.tallies[pair.second].label,
             of_total(targets.changes[pair], count), share(targets.changes[pair] / count)]
            for pair, count in sorted(targets.pairs.items(), key=lambda item: (item[0].question, item[0])))))
    if targets.moves:
        listed_moves = sorted(targets.moves.items(), key=lambda item: (item[0].pair.question, item[0]))
        yield from details("From which answer to which", table("How targets changed", [
            "Question", "First", "Answer there", "Second", "Answer there", "Targets"], (
            [move.pair.question, report.tallies[move.pair.first].label, ", ".join(move.before),
             report.tallies[move.pair.second].label, ", ".join(move.after), number(count)]
            for move, count in listed_moves[:MOST_MOVES])))
        if len(listed_moves) > MOST_MOVES:
            yield f"<p>The first {MOST_MOVES} of {len(listed_moves):,} such changes; JSON has them all.</p>\n"
    listed = [*islice(targets.changed(), MOST_TARGETS)]
    if not listed:
        yield "<p>No target was found with two records that answer a question differently.</p>\n"
        return
    who = "1 target has" if targets.changed_targets == 1 else f"{targets.changed_targets:,} targets have"
    yield f"<p>{who} records that answer a question differently"
    if len(listed) < targets.changed_targets:
        yield f"; here are the first {len(listed)}, JSON and CSV have them all"
    yield ".</p>\n"
    yield from table("Targets with different answers", ["Target", "AS", "What was found"], (
        [name_of(one)[:MOST_NAME], " ".join(filter(None, (one.system, one.country))), many(_seen(report, one))]
        for one in listed), most=2)


def _seen(report: Report, target: Changed) -> str:
    """What was found of a target, file by file, as far as it is different; files that agree stand together."""
    asked = set(target.questions)
    found: dict[tuple[str, ...], list[str]] = {}
    for seen in target.seen:
        said = tuple(one for one in seen.conditions if parse(one).question in asked)
        again = f" ({seen.records} records)" if seen.records > 1 else ""
        found.setdefault(said or seen.conditions, []).append(report.tallies[seen.file].label + again)
    return "; ".join(f"{', '.join(labels)}: {' '.join(said)}" for said, labels in found.items())
