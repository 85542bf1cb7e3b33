"""What was found and compared, as flat rows for JSON, and for the tables of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pathspider.report.beside import beside
from pathspider.report.crossing import features, versions
from pathspider.report.findings import Finding, clearest, evidence, findings, lead, others, path_dependent_in, plain
from pathspider.report.hops import End, by_systems
from pathspider.report.places import KINDS
from pathspider.report.summary import Compared, Report
from pathspider.report.targets import PATH_DEPENDENT
from pathspider.report.vantage import relation_of


def found(report: Report) -> Iterator[dict[str, Any]]:
    """Each finding: the sentences, and the numbers in them."""
    for one in findings(report):
        yield {"name": one.name, "question": one.question, "confirmed": one.confirmed,
               "text": [plain(sentence) for sentence in lead(one)], "evidence": [*evidence(one)],
               "in_files": [_in_file(one, file) for file in one.files]}
    for question, sentence in others(report):
        yield {"name": question.partition(".")[0], "question": question, "confirmed": False,
               "text": [plain(sentence).strip()], "evidence": [], "in_files": []}


def _in_file(one: Finding, file: int) -> dict[str, Any]:
    count = one.counts[file]
    noise, suspects = one.noise(file), one.suspects(file)
    return {"file": one.report.tallies[file].label, "broken": count.number, "reachable": count.total,
            **count.share._asdict(),
            "noise": {"transient": noise.transient, "total": noise.total, **noise.share._asdict()} if noise else None,
            "suspects": suspects._asdict() if suspects else None}


def differing(report: Report) -> Iterator[dict[str, Any]]:
    """Each difference between two files."""
    for plugin in report.plugins:
        for question in report.questions(plugin):
            yield from (_difference(report, plugin, question, one) for one in report.compared(question))


def _difference(report: Report, plugin: str, question: str, one: Compared) -> dict[str, Any]:
    pairs = one.pairs
    return {"first": report.tallies[one.first.file].label, "second": report.tallies[one.second.file].label,
            "plugin": plugin, "question": question, "answer": one.first.answer.answer,
            "condition": one.first.answer.condition, **one.difference._asdict(), "clear": one.clear,
            **{f"{place}_{key}": value for place, count in zip(("first", "second"), one[:2], strict=True)
               for key, value in (("count", count.number), ("total", count.total), ("share", count.share.value))},
            "same_targets": pairs and {"both": pairs.both, "lost": pairs.lost, "gained": pairs.gained,
                                       "neither": pairs.neither, "p": pairs.p, "adjusted": one.adjusted}}


def places(report: Report) -> Iterator[dict[str, Any]]:
    """Where features came to break, or ceased to, between the two files that differ most."""
    for finding in findings(report):
        best = clearest(finding)
        if best is None or best.pairs is None:
            continue
        pairs = best.pairs
        for kind in KINDS:
            yield from ({"first": report.tallies[pairs.first].label, "second": report.tallies[pairs.second].label,
                         "question": pairs.question, "answer": pairs.answer, "kind": kind, **place._asdict()}
                        for place in report.pairs.where(kind, pairs).places)


def agreeing(report: Report) -> Iterator[dict[str, Any]]:
    """How many targets at least two vantage points say the same of, and how many not, by question."""
    if not relation_of(report).places:
        return
    points = report.targets.points
    for question in sorted({question for question, _ in points}):
        yield {"question": question, **{word: points[question, word] for word in ("works", "broken", PATH_DEPENDENT)},
               "path_dependent_by_as": dict(path_dependent_in(report, question)[0])}


def located(report: Report) -> Iterator[dict[str, Any]]:
    """Between which hops it happens, by file."""
    for tally in report.tallies:
        for (name, word, _, _), _, group in by_systems(tally.hops):
            yield from ({"file": tally.label, "name": name, "what": word, "low": _end(one.low), "high": _end(one.high),
                         "targets": count} for one, count in group)


def _end(end: End | None) -> dict[str, str | None] | None:
    return end and {"address": end.address, "as": end.system or None}


def alongside(report: Report) -> Iterator[dict[str, Any]]:
    """What stands beside connectivity, outside of its shares."""
    for finding in findings(report):
        yield from ({"file": report.tallies[one.file].label, "condition": one.condition, "count": one.number,
                     "total": one.total, **one.share._asdict(), "values": [*map(list, one.values)]}
                    for one in beside(report, finding.name))


def crossed(report: Report) -> Iterator[dict[str, Any]]:
    """Two features of the same targets."""
    yield from (one._asdict() for one in features(report))


def by_version(report: Report) -> Iterator[dict[str, Any]]:
    """IPv4 and IPv6 of the same names."""
    for file, name, one in versions(report):
        yield {"file": report.tallies[file].label, "name": name, "both": one.both, "ipv4_alone": one.one_alone,
               "ipv6_alone": one.other_alone, "neither": one.neither, "p": one.p}
