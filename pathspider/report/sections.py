"""What the page tells, section by section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from pathspider.installed import declared
from pathspider.report.confirmed import AT_FIRST, CONFIRMED, UP_CONFIRMED
from pathspider.report.counting import Tally
from pathspider.report.figures import points
from pathspider.report.markup import Cell, details, heading_of, many, number, share, table, text_of
from pathspider.report.plain import MOST_TARGETS, name_of
from pathspider.report.plot import Row, shares, timeline
from pathspider.report.questions import natural_key
from pathspider.report.remarks import origin, remarks
from pathspider.report.runs import HEADS, cells
from pathspider.report.statistics import LEVEL
from pathspider.report.summary import BASELINE_UP, Compared, Count, Report

MOST_ANSWERS = 16
"""Answers to a question that are listed, the most frequent ones; the other formats have all."""
MOST_PLOTTED = 24
"""Rows of a plot."""
MOST_QUESTIONS = 100
"""Questions that are listed, those with the most records."""
MOST_MOVES = 200
"""Changes from one answer to another that are listed."""
MOST_NAME = 200
"""Characters of a target's name, or of a bad line's error, that are shown."""

BOUNDS = [f"Low ({LEVEL:.0%})", f"High ({LEVEL:.0%})"]
"""What an interval's columns are called."""


def listed_questions(report: Report) -> dict[str, list[str]]:
    """The questions that are listed, by plugin."""
    asked: Counter[str] = Counter()
    for plugin in report.plugins:
        for question in report.questions(plugin):
            asked[question] = sum({count.file: count.total for count in report.of(question, "all")}.values())
    kept = {question for question, _ in asked.most_common(MOST_QUESTIONS)}
    listed = {plugin: [one for one in report.questions(plugin) if one in kept] for plugin in report.plugins}
    return {plugin: questions for plugin, questions in listed.items() if questions}


def measured(report: Report) -> Iterator[str]:
    """The files, and what a reader has to know of them before anything else."""
    yield from table("The result files", ["Results", "Records", "Targets", "With a verdict", "Without", "Bad lines",
                                          "First (UTC)", "Last (UTC)"], (
        [tally.label, number(tally.records), number(report.targets.targets[place]), number(tally.concluded),
         number(tally.records - tally.concluded), number(tally.bad_lines), tally.first[:19], tally.last[:19]]
        for place, tally in enumerate(report.tallies)))
    yield "<ul>\n" + "".join(f"<li><b>{text_of(tally.label)}</b>: {text_of(origin(report, place))}</li>\n"
                             for place, tally in enumerate(report.tallies)) + "</ul>\n"
    yield from (f"<p><strong>{text_of(one.what)}</strong>{text_of(one.meaning)}</p>\n" for one in remarks(report))
    if any(tally.facts for tally in report.tallies):
        yield from table("The runs", HEADS, (
            [*row[:-2], many(row[-2]), many(row[-1])] for tally in report.tallies for row in cells(tally)))
    for tally in report.tallies:
        yield from _bad_lines(tally)
    count = sum(len(report.questions(plugin)) for plugin in report.plugins)
    if count > MOST_QUESTIONS:
        yield (f"<p>Here are the {MOST_QUESTIONS} questions with the most records, of {count:,}; JSON and CSV have "
               "them all.</p>\n")
    for tally in report.tallies:
        if plot := [*timeline(f"Records of {tally.label} over time", tally.times)]:
            yield f"<h3>When: {text_of(tally.label)}</h3>\n"
            yield from plot


def _bad_lines(tally: Tally) -> Iterator[str]:
    """Lines that are no records."""
    if tally.bad:
        lines = "".join(f"<li>line {line}: {text_of(why[:MOST_NAME])}</li>\n" for line, why in tally.bad)
        more = (f"<p>These are the first {len(tally.bad)}; standard error names more of them.</p>\n"
                if len(tally.bad) < tally.bad_lines else "")
        yield from details(f"Bad lines of {text_of(tally.label)}: {tally.bad_lines:,}", [f"<ul>\n{lines}</ul>\n{more}"])


def answers(report: Report, questions: list[str]) -> Iterator[str]:
    """A plugin's questions."""
    for question in questions:
        yield f"<h3>{heading_of(question)}</h3>\n"
        yield from _question(report, question)


def _question(report: Report, question: str) -> Iterator[str]:
    everything = report.of(question, "all")
    given: Counter[str] = Counter()
    for count in everything:
        given[count.answer.answer] += count.number
    kept = {answer for answer, _ in given.most_common(MOST_ANSWERS)}
    if meanings := [*_meanings(everything, kept)]:
        yield "<ul>\n" + "".join(meanings) + "</ul>\n"
    if unanswered := report.unanswered(question):
        yield f"<p>No answers in {text_of(', '.join(tally.label for tally in unanswered))}.</p>\n"
    if len(given) > len(kept):
        yield f"<p>The {len(kept)} most frequent of {len(given)} answers; JSON and CSV have them all.</p>\n"
    listed = [count for count in everything if count.answer.answer in kept]
    plotted = {answer for answer, _ in given.most_common(max(MOST_PLOTTED // len(report.tallies), 1))}
    if len(plotted) < len(kept):
        yield f"<p>The plot has the {len(plotted)} most frequent, the table all that are listed.</p>\n"
    yield from shares(f"Shares of the answers to {question}, with intervals", [
        Row(count.answer.answer, report.tallies[count.file].label if len(report.tallies) > 1 else "", count.file,
            count.share) for count in listed if count.answer.answer in plotted])
    yield from _counts(report, f"{question}: all records", listed)
    versions = [count for count in report.of(question, "ip") if count.answer.answer in kept]
    if len({count.group for count in versions}) > 1:
        yield from _counts(report, f"{question}: by IP version", versions, "Addresses")
    yield from _systems(report, question, kept)
    if compared := [pair for pair in report.compared(question) if pair.first.answer.answer in kept]:
        yield from _compared(report, question, compared)


def _meanings(counts: list[Count], kept: set[str]) -> Iterator[str]:
    """What each answer means, as its plugin declares it."""
    given = {count.answer for count in counts if count.answer.answer in kept}
    seen = set()
    for answer in sorted(given, key=lambda one: natural_key(one.answer)):
        text, meaning = declared(answer.condition, answer.plugin) or ("", "")
        if meaning and text not in seen:
            seen.add(text)
            name = text if ":" in text else answer.answer
            yield f"<li><b>{text_of(name)}</b>: {text_of(meaning)}</li>\n"


def _counts(report: Report, caption: str, counts: list[Count], group: str = "") -> Iterator[str]:
    """A table of counts; ``group`` heads the column that tells the records' group, where there is one."""
    heads = ["Answer", *([group] if group else []), "Results", "Count", "Of", "Share", *BOUNDS]
    yield from table(caption, heads, (
        [count.answer.answer, *([count.group[1]] if group else []), report.tallies[count.file].label,
         number(count.number), number(count.total), *map(share, count.share)] for count in counts))


def _systems(report: Report, question: str, kept: set[str]) -> Iterator[str]:
    """The counts by autonomous system, those with the most records first."""
    counts = [count for count in report.of(question, "as") if count.answer.answer in kept]
    if counts:
        listed, known = len(report.largest), report.targets.system_count
        more = f" ({listed} of {known}; JSON and CSV have them all)" if listed < known else ""
        yield from details(f"By autonomous system{more}",
                           _counts(report, f"{question}: by autonomous system", counts, "AS"))


def _compared(report: Report, question: str, compared: list[Compared]) -> Iterator[str]:
    base = report.tallies[compared[0].first.file].label
    yield from table(f"{question}: compared with {base}, in percentage points", [
        "Answer", "Results", f"Share in {base}", "Share here", "Difference", *BOUNDS, "Clear?"], (
        [pair.first.answer.answer, report.tallies[pair.second.file].label, share(pair.first.share.value),
         share(pair.second.share.value),
         *(Cell(text, value, "number") for text, value in zip(points(difference), difference, strict=True)),
         "yes" if difference.clear else "no"] for pair in compared for difference in [pair.difference]))


def without(report: Report) -> Iterator[str]:
    """Records that conclude nothing, and why."""
    yield ("<p>Records that tell why something was not concluded: this is no behaviour of the path. They count above "
           "only for questions that they answer all the same: of what was not confirmed, there is what the first "
           "connections said.</p>\n")
    if not report.without:
        yield "<p>There are none.</p>\n"
        return
    yield from table("Reasons", ["Reason", "Results", "Records", "Of", "Share"], (
        [one.condition, report.tallies[one.file].label, number(one.number), number(report.tallies[one.file].records),
         share(one.number / report.tallies[one.file].records)] for one in report.without))


def changed(report: Report) -> Iterator[str]:
    """Targets with two records that answer a question differently."""
    targets = report.targets
    if targets.pairs:
        yield from table("Targets that answer a question in two files", [
            "Question", "First", "Second", "Targets", "Changed", "Share"], (
            [pair.question, report.tallies[pair.first].label, report.tallies[pair.second].label, number(count),
             number(targets.changes[pair]), share(targets.changes[pair] / count)]
            for pair, count in sorted(targets.pairs.items(), key=lambda item: (item[0].question, item[0]))))
    if targets.moves:
        listed_moves = sorted(targets.moves.items(), key=lambda item: (item[0].pair.question, item[0]))
        yield from table("How targets changed", [
            "Question", "First", "Answer there", "Second", "Answer there", "Targets"], (
            [move.pair.question, report.tallies[move.pair.first].label, ", ".join(move.before),
             report.tallies[move.pair.second].label, ", ".join(move.after), number(count)]
            for move, count in listed_moves[:MOST_MOVES]))
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
    yield from table("Targets with different answers", ["Target", "Results", "Records", "Questions", "Conditions"], (
        [name_of(one)[:MOST_NAME], report.tallies[seen.file].label, number(seen.records),
         many(" ".join(one.questions)), many(" ".join(seen.conditions))] for one in listed for seen in one.seen))


def reading() -> Iterator[str]:
    """What the numbers mean, and what they do not."""
    low, high = BOUNDS
    yield f"""<p>A share is that of the records with this answer among those that answer the question at all. A target
without a verdict, because a packet was not observed or our own machine failed, is in neither number. A record may have
several answers to a question, such as the codepoints of several replies: then shares add up to more than 100 %.</p>
<p>{low} and {high} bound a share's interval (Wilson 1927); those of a difference follow Newcombe (1998, method 10), as
if the targets of the two files were drawn independently. A difference is clear if its interval leaves out 0. With many
rows, one in twenty is clear by chance alone.</p>
<p>Questions that end with{BASELINE_UP} leave out all targets but those that say works or broken: how often does the
feature break what comes up without it?</p>
<p>Questions about connectivity are of the first two connections to a target. Where suspects were measured again,
what ends with{AT_FIRST.format("broken")} tells how many of the broken ones were so in every round;{CONFIRMED} has for
each target the word of its rounds, or that of its first connections where those made no suspect;{UP_CONFIRMED} leaves
out all but works and broken of these. Unstable are those whose rounds differ: a firewall that counts connections makes
them, and so does chance.</p>
<p>Marks (ecn.ipmark) are counted only where a SYN-ACK came back.</p>
<p>The intervals tell what chance does to a sample of targets. They do not tell whether the targets stand for the
Internet, nor what the vantage point's own network does to all of them.</p>
"""
