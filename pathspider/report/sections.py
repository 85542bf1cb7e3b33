"""What the page tells of the files themselves: the finding first, the runs, what had no verdict, how to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pathspider.report.confirmed import AT_FIRST, CONFIRMED, UP_CONFIRMED
from pathspider.report.counting import Tally
from pathspider.report.findings import Sentence, evidence, findings, lead, located, others
from pathspider.report.markup import details, many, number, of_total, share, table, text_of
from pathspider.report.plot import timeline
from pathspider.report.questions import BASELINE_UP
from pathspider.report.remarks import origin, remarks
from pathspider.report.runs import HEADS, cells
from pathspider.report.statistics import LEVEL
from pathspider.report.summary import Report

MOST_FINDINGS = 12
"""Features of which the page begins with a sentence."""
MOST_NAME = 200
"""Characters of a bad line's error that are shown."""
MOST_SAID = 2
"""Files of which each one's evidence is told on top."""
FIGURE = ' class="figure"'
"""Of what is not broken between lines, and"""
MOST_UNBROKEN = 24
"""how many characters that may be."""
UNBROKEN = re.compile(r"p (?:=|&lt;) [^\s,)]+|[0-9.]+ %")
"""Chances (:func:`~pathspider.report.wording.chance`) and shares in a sentence, in HTML: not broken either."""
MOST_EACH = 8
"""Files of which each one's facts are told on top."""


def finding(report: Report) -> Iterator[str]:
    """The first screen: what was found, in sentences, and what a reader has to know of it."""
    found, without_feature = findings(report), [*others(report)]
    several = len(found) + len(without_feature) > 1
    begin, end = ("<div>\n", "</div>\n") if several else ("", "")
    yield '<div class="finds">\n' if several else ""
    for one in found[:MOST_FINDINGS]:
        first, *rest = lead(one)
        yield begin
        yield f'<p class="find">{_marked(first)} {" ".join(map(_marked, rest))}</p>\n'
        parts = [*evidence(one)]
        if len(parts) <= MOST_SAID:
            yield "".join(f'<p class="sub">{_unbroken(part)}</p>\n' for part in parts)
        else:
            yield from details("IP versions, noise floor and further rounds, file by file",
                               ["<ul>\n", *(f"<li>{text_of(part)}</li>\n" for part in parts), "</ul>\n"])
        if where := located(one):
            yield f'<p class="sub">On the path: {text_of(where)}. <a href="#where">More</a></p>\n'
        yield end
    yield from (f'{begin}<p class="find">{_marked(sentence)}</p>\n{end}' for _, sentence in without_feature)
    yield end
    if len(found) > MOST_FINDINGS:
        yield f"<p>These are {MOST_FINDINGS} of {len(found)} features.</p>\n"
    yield from _facts(report)
    yield from (f'<p class="news"><strong>{text_of(one.what)}</strong>{text_of(one.meaning)}</p>\n'
                for one in remarks(report) if one.warning)


def _marked(sentence: Sentence) -> str:
    return "".join(f"<b{FIGURE if len(text) <= MOST_UNBROKEN else ''}>{text_of(text)}</b>" if bold else _unbroken(text)
                   for text, bold in sentence)


def _unbroken(text: str) -> str:
    return UNBROKEN.sub(rf"<span{FIGURE}>\g<0></span>", text_of(text))


def _facts(report: Report) -> Iterator[str]:
    """What was measured, with what, from where, in a line or two."""
    facts: dict[str, None] = {}
    records = sum(tally.records for tally in report.tallies)
    targets = report.targets.targets
    many_files = len(report.tallies) > 1
    counts = " to ".join(f"{value:,}" for value in sorted({min(targets.values(), default=0),
                                                          max(targets.values(), default=0)}))
    facts[f"<b>{counts}</b> targets{' in each of ' + str(len(report.tallies)) + ' files' if many_files else ''}"] = None
    for tally in report.tallies[:MOST_EACH]:
        if sources := [address for address, _ in tally.sources.most_common(2)]:
            facts[f"from <b>{text_of(', '.join(sources))}</b>"] = None
        for run in tally.facts[:2]:
            facts.update(dict.fromkeys(_of_run(run)))
    without = records - sum(tally.concluded for tally in report.tallies)
    facts[f"<b>{without:,}</b> records without a verdict"] = None
    if bad := sum(tally.bad_lines for tally in report.tallies):
        facts[f"<b>{bad:,}</b> bad lines"] = None
    days = sorted({text[:16] for tally in report.tallies for text in (tally.first, tally.last) if text})
    if days:
        facts[f"{days[0]} to {days[-1]} UTC"] = None
    yield '<p class="facts">' + "\n".join(f"<span>{fact}</span>" for fact in facts) + "</p>\n"


def _of_run(facts: dict[str, object]) -> Iterator[str]:
    """Version, options, vantage point and kernel, as the metadata tells them."""
    options = facts.get("options")
    measure = options.get("measure") if isinstance(options, dict) else None
    plugin = facts.get("plugin")
    name = plugin.get("name", "") if isinstance(plugin, dict) else plugin or ""
    words = [str(name), *(f"--connect {facts['connect']}" for _ in (0,) if facts.get("connect"))]
    if isinstance(measure, dict) and measure.get("confirm") is not None:
        words.append(f"--confirm {measure['confirm']}")
    if facts.get("pathspider"):
        yield f"PATHspider <b>{text_of(str(facts['pathspider']))}</b>"
    if name:
        yield f"<code>{text_of(' '.join(words))}</code>"
    vantage = facts.get("vantage")
    if isinstance(vantage, dict) and (place := vantage.get("name") or vantage.get("host")):
        yield f"at <b>{text_of(str(place))}</b>"
    if isinstance(kernel := facts.get("kernel"), str):
        yield text_of(" ".join(kernel.split(" ")[:2]))


def measured(report: Report) -> Iterator[str]:
    """The files, and the runs that they are of."""
    yield from table("The result files", ["Results", "Records", "Targets", "With a verdict", "Without", "Bad lines",
                                          "First (UTC)", "Last (UTC)"], (
        [tally.label, number(tally.records), number(report.targets.targets[place]), number(tally.concluded),
         number(tally.records - tally.concluded), number(tally.bad_lines), tally.first[:19], tally.last[:19]]
        for place, tally in enumerate(report.tallies)))
    yield "<ul>\n" + "".join(f"<li><b>{text_of(tally.label)}</b>: {text_of(origin(report, place))}</li>\n"
                             for place, tally in enumerate(report.tallies)) + "</ul>\n"
    if any(tally.facts for tally in report.tallies):
        yield from table("The runs", HEADS, (
            [*row[:-2], many(row[-2]), many(row[-1])] for tally in report.tallies for row in cells(tally)))
    for tally in report.tallies:
        yield from _bad_lines(tally)
    plots = [(tally, plot) for place, tally in enumerate(report.tallies)
             if (plot := [*timeline(f"Records of {tally.label} over time", tally.times)])]
    if plots:
        yield '<div class="two even">\n'
        for tally, plot in plots:
            yield f"<div><h3>When was {text_of(tally.label)} measured?</h3>\n"
            yield from plot
            yield "</div>\n"
        yield "</div>\n"


def _bad_lines(tally: Tally) -> Iterator[str]:
    """Lines that are no records."""
    if tally.bad:
        lines = "".join(f"<li>line {line}: {text_of(why[:MOST_NAME])}</li>\n" for line, why in tally.bad)
        more = (f"<p>These are the first {len(tally.bad)}; standard error names more of them.</p>\n"
                if len(tally.bad) < tally.bad_lines else "")
        yield from details(f"Bad lines of {text_of(tally.label)}: {tally.bad_lines:,}", [f"<ul>\n{lines}</ul>\n{more}"])


def without(report: Report) -> Iterator[str]:
    """Records that conclude nothing, and why."""
    yield ("<p>Records that tell why something was not concluded: this is no behaviour of the path. They count above "
           "only for questions that they answer all the same: of what was not confirmed, there is what the first "
           "connections said.</p>\n")
    if not report.without:
        yield "<p>There are none.</p>\n"
        return
    yield from table("Reasons", ["Reason", "Results", "Records", "Share"], (
        [one.condition, report.tallies[one.file].label, of_total(one.number, report.tallies[one.file].records),
         share(one.number / report.tallies[one.file].records)] for one in report.without))


def reading() -> Iterator[str]:
    """What the numbers mean, and what they do not."""
    first = AT_FIRST.format("broken")
    yield f"""<p>A share is that of the records with this answer among those that answer the question at all. A target
without a verdict, because a packet was not observed or our own machine failed, is in neither number. A record may have
several answers to a question, such as the codepoints of several replies: then shares add up to more than 100 %.</p>
<p>Behind a share stands its interval, at {LEVEL:.0%} (Wilson 1927). Reachable targets are those of which connections
without the feature came up: works and broken; others tell nothing of whether the feature breaks a
connection (the questions whose names end with{BASELINE_UP} or{UP_CONFIRMED}).</p>
<p>The noise floor is the mirror image: of the targets that work with the feature, the share that failed only without
it. The feature cannot have done that, so chance, loss and busy servers did, and as much of what is called broken may be
theirs. Confirmed is what was found in every further round, too; what rounds rejected shows how much of the first
connections' word was chance.</p>
<p>Files that have most of their targets in common are compared as pairs: targets that changed one way against those
that changed the other way (McNemar's test, exact); the difference's interval follows Newcombe (1998, paired, method
10). Where many are compared, p-values are adjusted (Benjamini and Hochberg 1995), and at most 0.05 is clear.
Other files count as independent samples (Newcombe 1998, method 10): clear is a difference whose interval leaves out 0;
of many such rows, one in twenty is so by chance.</p>
<p>Questions about connectivity are of the first two connections to a target. Where suspects were measured again,
what ends with{first} tells how many of the broken ones were so in every round;{CONFIRMED} has for each target the word
of its rounds, or that of its first connections where those made no suspect. Unstable are those whose rounds differ: a
firewall that counts connections makes them, and so does chance.</p>
<p>Marks (ecn.ipmark) are counted only where a SYN-ACK came back.</p>
<p>The intervals tell what chance does to a sample of targets. They do not tell whether the targets stand for the
Internet, nor what the vantage point's own network does to all of them.</p>
"""
