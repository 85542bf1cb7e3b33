"""A report as one HTML page that holds all it needs: no other file, no network, no library."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import islice
from typing import NamedTuple

from pathspider.conditions import DOCUMENTED, matches
from pathspider.report.plain import MOST_TARGETS, name_of, percent
from pathspider.report.plot import shares, text_of, timeline
from pathspider.report.questions import natural
from pathspider.report.statistics import LEVEL
from pathspider.report.summary import OTHERS, Compared, Count, Report

MOST_ANSWERS = 16
"""Answers to a question that are listed, the most frequent ones; the other formats have all."""
MOST_PLOTTED = 24
"""Rows of a plot."""
MOST_QUESTIONS = 100
"""Questions that are listed, those with the most records."""
MOST_NAME = 200
"""Characters of a target's name that are shown."""


class Cell(NamedTuple):
    """A cell: its text, and the number by which its column is sorted."""

    text: str
    value: float | None = None


def as_html(report: Report) -> Iterator[str]:
    """The page, piece by piece."""
    style, script = (files("pathspider.report").joinpath(name).read_text(encoding="utf-8")
                     for name in ("page.css", "page.js"))
    policy = (f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
              "base-uri 'none'; form-action 'none'")
    yield (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
           f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
           f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
           f"<title>{text_of(report.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n")
    yield '<a class="skip" href="#main">To the results</a>\n<header>\n'
    yield f"<h1>{text_of(report.title)}</h1>\n"
    yield f'<p class="soft">Made by PATHspider {text_of(report.version)} on {report.made[:16]} UTC.</p>\n</header>\n'
    kept = _kept_questions(report)
    plugins = [plugin for plugin in report.plugins if kept.intersection(report.questions(plugin))]
    yield '<nav aria-label="Contents"><ul>\n<li><a href="#files">What was measured</a></li>\n'
    yield from (f'<li><a href="#plugin{number}">{_named(plugin)}</a></li>\n' for number, plugin in enumerate(plugins))
    yield '<li><a href="#without">Without a verdict</a></li>\n<li><a href="#changed">Targets that changed</a></li>\n'
    yield '<li><a href="#reading">How to read this</a></li>\n</ul></nav>\n<main id="main">\n'
    yield from _files(report)
    for number, plugin in enumerate(plugins):
        yield f'<section>\n<h2 id="plugin{number}">{_named(plugin)}</h2>\n'
        for question in report.questions(plugin):
            if question in kept:
                yield from _question(report, question)
        yield "</section>\n"
    yield from _without(report)
    yield from _changed(report)
    yield from _reading()
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _kept_questions(report: Report) -> set[str]:
    """The questions that are listed."""
    asked: Counter[str] = Counter()
    for plugin in report.plugins:
        for question in report.questions(plugin):
            asked[question] = sum({count.file: count.total for count in report.of(question, "all")}.values())
    return {question for question, _ in asked.most_common(MOST_QUESTIONS)}


def _named(name: str) -> str:
    """A heading: it cannot be empty."""
    return text_of(name) or "(no name)"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _table(caption: str, heads: list[str], rows: Iterable[list[Cell | str]], long: int | None = None) -> Iterator[str]:
    """A table that can be sorted and, where it is too wide, scrolled; the first column names the row."""
    name = text_of(caption)
    yield f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table class="sortable">\n'
    yield f"<caption>{name}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr></thead>\n<tbody>\n"
    for row in rows:
        yield "<tr>"
        for column, cell in enumerate(row):
            text, value = cell if isinstance(cell, Cell) else (cell, None)
            kind = ' class="number"' if value is not None else ' class="long"' if column == long else ""
            data = f' data-value="{value!r}"' if value is not None else ""
            yield f'<th scope="row">{text_of(text)}</th>' if column == 0 else f"<td{kind}{data}>{text_of(text)}</td>"
        yield "</tr>\n"
    yield "</tbody>\n</table></div>\n"


def _number(value: int) -> Cell:
    return Cell(f"{value:,}", value)


def _share(value: float) -> Cell:
    return Cell(percent(value), value)


def _files(report: Report) -> Iterator[str]:
    yield '<section>\n<h2 id="files">What was measured</h2>\n'
    yield from _table("The result files", ["Results", "File", "Records", "Targets", "With a verdict", "Without",
                                           "Bad lines", "From (UTC)", "To (UTC)", "Measured from"], (
        [tally.label, tally.name, _number(tally.records), _number(report.targets.targets[number]),
         _number(tally.concluded), _number(tally.records - tally.concluded), _number(tally.bad_lines),
         tally.first[:19], tally.last[:19], ", ".join(address for address, _ in tally.sources.most_common(4))]
        for number, tally in enumerate(report.tallies)))
    yield from _missing(report)
    for tally in report.tallies:
        plot = [*timeline(f"Records of {tally.label} over time", tally.times)]
        if plot:
            yield f"<h3>When: {text_of(tally.label)}</h3>\n"
            yield from plot
    yield "</section>\n"


def _missing(report: Report) -> Iterator[str]:
    """What a reader has to know before the counts: what is not in them, or not apart."""
    for tally in report.tallies:
        if tally.broken_off:
            yield (f"<p><strong>{text_of(tally.label)} breaks off</strong> ({text_of(tally.broken_off)}); "
                   "the counts are of what stands before.</p>\n")
        if tally.bad:
            yield f"<details><summary>Bad lines of {text_of(tally.label)}: {tally.bad_lines:,}</summary>\n<ul>\n"
            yield from (f"<li>line {line}: {text_of(why[:MOST_NAME])}</li>\n" for line, why in tally.bad)
            yield "</ul>\n"
            if len(tally.bad) < tally.bad_lines:
                yield f"<p>These are the first {len(tally.bad)}; the others are named on standard error.</p>\n"
            yield "</details>\n"
    if folded := report.targets.verdicts.folded:
        yield (f"<p><strong>{folded:,} records</strong> have conditions that are too many, or too long, to be told "
               "apart; what was left out of them shows as …</p>\n")
    count = sum(len(report.questions(plugin)) for plugin in report.plugins)
    if count > MOST_QUESTIONS:
        yield (f"<p>Here are the {MOST_QUESTIONS} questions with the most records, of {count:,}; JSON and CSV have "
               "them all.</p>\n")


def _question(report: Report, question: str) -> Iterator[str]:
    everything = report.of(question, "all")
    given: Counter[str] = Counter()
    for count in everything:
        given[count.answer.answer] += count.number
    kept = {answer for answer, _ in given.most_common(MOST_ANSWERS)}
    yield f"<h3>{_named(question)}</h3>\n"
    if meanings := [*_meanings(everything, kept)]:
        yield "<ul>\n" + "".join(meanings) + "</ul>\n"
    if len(given) > len(kept):
        yield f"<p>The {len(kept)} most frequent of {len(given)} answers; JSON and CSV have them all.</p>\n"
    listed = [count for count in everything if count.answer.answer in kept]
    several = len(report.tallies) > 1
    order = sorted(listed, key=lambda count: (natural(count.answer.answer), count.file))
    plotted = {answer for answer, _ in given.most_common(max(MOST_PLOTTED // len(report.tallies), 1))}
    if len(plotted) < len(kept):
        yield f"<p>The plot has the {len(plotted)} most frequent, the table all that are listed.</p>\n"
    yield from shares(f"Shares of the answers to {question}, with intervals", [
        (f"{count.answer.answer}{f', {report.tallies[count.file].label}' if several else ''}", count.file, count.share,
         percent(count.share.value)) for count in order if count.answer.answer in plotted])
    yield from _counts(report, f"{question}: all records", [(count, "") for count in order], "")
    versions = [count for count in report.of(question, "ip") if count.answer.answer in kept]
    if len({count.group for count in versions}) > 1:
        by_version = [(count, count.group[1]) for count in versions]
        yield from _counts(report, f"{question}: by IP version", by_version, "Addresses")
    yield from _systems(report, question, kept)
    if compared := [pair for pair in report.compared(question) if pair.first.answer.answer in kept]:
        yield from _compared(report, question, compared)


def _meanings(counts: list[Count], kept: set[str]) -> Iterator[str]:
    """What the documentation says of each answer."""
    answers = {count.answer for count in counts if count.answer.answer in kept}
    seen = set()
    for answer in sorted(answers, key=lambda one: natural(one.answer)):
        for documented, meaning in DOCUMENTED.get(answer.plugin, {}).items():
            if documented not in seen and matches(answer.condition, documented):
                seen.add(documented)
                name = documented if ":" in documented else answer.answer
                yield f"<li><b>{text_of(name)}</b>: {text_of(meaning)}</li>\n"


def _counts(report: Report, caption: str, counts: list[tuple[Count, str]], group: str) -> Iterator[str]:
    """A table of counts; ``group`` heads the column that tells the records' group, where there is one."""
    heads = ["Answer", *([group] if group else []), "Results", "Count", "Of", "Share", "From", "To"]
    yield from _table(caption, heads, (
        [count.answer.answer, *([name] if group else []), report.tallies[count.file].label, _number(count.number),
         _number(count.total), _share(count.share.value), _share(count.share.low), _share(count.share.high)]
        for count, name in counts))


def _systems(report: Report, question: str, kept: set[str]) -> Iterator[str]:
    """The counts by autonomous system, those with the most records first."""
    counts = [count for count in report.of(question, "as") if count.answer.answer in kept]
    if not counts:
        return
    listed, known = len(report.largest), report.targets.system_count
    more = f" ({listed} of {known}; JSON and CSV have them all)" if listed < known else ""
    yield f"<details><summary>By autonomous system{more}</summary>\n"
    place = {name: number for number, name in enumerate([*report.largest, OTHERS[1]])}
    rows = sorted(((count, count.group[1]) for count in counts), key=lambda row: place[row[1]])
    yield from _counts(report, f"{question}: by autonomous system", rows, "AS")
    yield "</details>\n"


def _compared(report: Report, question: str, compared: list[Compared]) -> Iterator[str]:
    base = report.tallies[compared[0].first.file].label
    yield from _table(f"{question}: compared with {base}, in percentage points", [
        "Answer", "Results", f"Share in {text_of(base)}", "Share here", "Difference", "From", "To", "Clear?"], (
        [pair.first.answer.answer, report.tallies[pair.second.file].label, _share(pair.first.share.value),
         _share(pair.second.share.value), *(Cell(f"{value * 100:+.2f}", value) for value in pair.difference),
         "yes" if pair.difference.clear else "no"] for pair in compared))


def _without(report: Report) -> Iterator[str]:
    yield '<section>\n<h2 id="without">Without a verdict</h2>\n'
    yield ("<p>Records that tell why something was not concluded: this is no behaviour of the path. They count above "
           "only for questions that they answer all the same, which no plugin of PATHspider's own does.</p>\n")
    if not report.without:
        yield "<p>There are none.</p>\n</section>\n"
        return
    yield from _table("Reasons", ["Reason", "Results", "Records", "Of", "Share"], (
        [one.condition, report.tallies[one.file].label, _number(one.number), _number(report.tallies[one.file].records),
         _share(one.number / report.tallies[one.file].records)] for one in report.without))
    yield "</section>\n"


def _changed(report: Report) -> Iterator[str]:
    targets = report.targets
    listed = [*islice(targets.changed(), MOST_TARGETS)]
    yield '<section>\n<h2 id="changed">Targets that changed</h2>\n'
    if targets.pairs:
        yield from _table("Targets that answer a question in two files", [
            "Question", "First", "Second", "Targets", "Changed", "Share"], (
            [pair.question, report.tallies[pair.first].label, report.tallies[pair.second].label, _number(number),
             _number(targets.changes[pair]), _share(targets.changes[pair] / number)]
            for pair, number in sorted(targets.pairs.items(), key=lambda item: (item[0].question, item[0]))))
    if listed:
        many = targets.changed_targets
        yield f"<p>{many:,} targets have records that answer a question differently"
        if len(listed) < many:
            yield f"; here are the first {len(listed)}, JSON and CSV have them all"
        yield ".</p>\n"
        heads = ["Target", "Results", "Records", "Questions", "Conditions"]
        yield from _table("Targets with different answers", heads, (
            [name_of(one)[:MOST_NAME], report.tallies[seen.file].label, _number(seen.records), " ".join(one.questions),
             " ".join(seen.conditions)] for one in listed for seen in one.seen), long=4)
    else:
        yield "<p>No target was found with two records that answer a question differently.</p>\n"
    yield "</section>\n"


def _reading() -> Iterator[str]:
    yield f"""<section>
<h2 id="reading">How to read this</h2>
<p>A share is that of the records with this answer among those that answer the question at all. A target without a
verdict, because a packet was not observed or our own machine failed, is in neither number.</p>
<p>From and To bound a share's {LEVEL:.0%} interval (Wilson 1927); those of a difference follow Newcombe (1998, method
10), as if the targets of the two files were drawn independently. A difference is clear if its interval leaves out 0.
With many rows, one in twenty is clear by chance alone.</p>
<p>Each record counts. Where a file has more records than targets, the same targets were measured again: then the
intervals are too narrow, since what a target answers twice is no news.</p>
<p>Some questions are answered for targets that did not come up too: ecn.ipmark says not_seen where nothing came back.
Take such shares beside those of connectivity.</p>
<p>The intervals tell what chance does to a sample of targets. They do not tell whether the targets stand for the
Internet, nor what the vantage point's own network does to all of them.</p>
</section>
"""
