"""The same target asked otherwise: by several plugins, and over IPv4 and IPv6."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from pathspider.report.confirmed import CONFIRMED, words_of
from pathspider.report.exact import mcnemar
from pathspider.report.summary import EVERYTHING, Report

MOST_FEATURES = 12
"""Features that are set against each other."""


class Crossed(NamedTuple):
    """Targets of which two are known, by whether each is broken: two features, or the two IP versions of a feature."""

    one: str
    other: str
    both: int
    one_alone: int
    other_alone: int
    neither: int

    @property
    def total(self) -> int:
        return self.both + self.one_alone + self.other_alone + self.neither

    @property
    def p(self) -> float:
        return mcnemar(self.one_alone, self.other_alone)


def names_of(report: Report) -> list[str]:
    """The features that break something or nothing, by their names."""
    found = {words.question.removesuffix(".connectivity") for number in _verdicts(report)
             for words in words_of(report.targets.verdicts.found[number].conditions)}
    return sorted(found)[:MOST_FEATURES]


def _verdicts(report: Report) -> set[int]:
    return {number for tally in report.tallies for number in dict(tally.groups())[EVERYTHING]}


Said = list[dict[str, bool]]
"""For each kind of verdict the features of which it says works or broken, and whether it is the latter."""


def _kinds(report: Report) -> tuple[dict[int, int], Said]:
    """The kind of each verdict that says something of a feature."""
    confirmed = {question.removesuffix(CONFIRMED) for plugin in report.plugins for question in report.questions(plugin)
                 if question.endswith(CONFIRMED)}
    numbers: dict[frozenset[tuple[str, bool]], int] = {}
    kinds = {}
    for verdict in _verdicts(report):
        said = set()
        for question, first, rounds in words_of(report.targets.verdicts.found[verdict].conditions):
            word = rounds or first if question in confirmed else first
            if word in ("works", "broken"):
                said.add((question.removesuffix(".connectivity"), word == "broken"))
        if said:
            kinds[verdict] = numbers.setdefault(frozenset(said), len(numbers))
    return kinds, [dict(said) for said in numbers]


def features(report: Report) -> list[Crossed]:
    """Each two features, of the targets that both were asked of."""
    names = names_of(report)
    if len(names) < 2:
        return []
    kinds, broken = _kinds(report)
    cells: Counter[tuple[str, str, bool, bool]] = Counter()
    for found, targets in report.targets.combined(kinds).items():
        said: dict[str, bool] = {}
        for kind in found:
            for name, value in broken[kind].items():
                said.setdefault(name, value)
        for one, other in combinations(sorted(said.keys() & set(names)), 2):
            cells[one, other, said[one], said[other]] += targets
    return [Crossed(one, other, *(cells[one, other, *way] for way in WAYS)) for one, other in combinations(names, 2)
            if any(cells[one, other, *way] for way in WAYS)]


WAYS = ((True, True), (True, False), (False, True), (False, False))


def versions(report: Report) -> Iterator[tuple[int, str, Crossed]]:
    """By file and feature: names that were asked over IPv4 and over IPv6; broken where any of its addresses is."""
    if not {"IPv4", "IPv6"} <= {group[1] for tally in report.tallies for group, _ in tally.groups()}:
        return
    kinds, broken = _kinds(report)
    cells: dict[tuple[int, str], Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for (file, four, six), names in report.targets.dual(kinds).items():
        sides = [[broken[number] for number in side] for side in (four, six)]
        for name in {name for said in sides[0] for name in said} & {name for said in sides[1] for name in said}:
            way = tuple(any(said.get(name, False) for said in side) for side in sides)
            cells[file, name][way[0], way[1]] += names
    for (file, name), counts in sorted(cells.items()):
        yield file, name, Crossed("IPv4", "IPv6", *(counts[way] for way in WAYS))
