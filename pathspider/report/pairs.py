"""The same targets measured twice, compared as pairs: what was gained and lost, whether chance does that, and where."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from pathspider.report.confirmed import CONFIRMED, UP_CONFIRMED
from pathspider.report.counting import FOLDED
from pathspider.report.exact import LIMIT, adjusted, mcnemar, paired_difference
from pathspider.report.questions import BASELINE_UP
from pathspider.report.statistics import Difference
from pathspider.report.targets import Move, Paired, Targets

ENOUGH = 0.5
"""Two files are compared as pairs where at least this part of the smaller one's targets is in both."""
MOST_PLACES = 10
"""Places in which targets changed that are told."""
RESTRICTED = {BASELINE_UP: "", UP_CONFIRMED: CONFIRMED}
"""Questions that leave out all but works and broken, by their endings: of which question that is."""


class Pairs(NamedTuple):
    """Targets that answer a question in two files, by whether they have an answer."""

    first: int
    second: int
    question: str
    answer: str
    both: int
    lost: int
    gained: int
    neither: int

    @property
    def total(self) -> int:
        return self.both + self.lost + self.gained + self.neither

    @property
    def p(self) -> float:
        return mcnemar(self.gained, self.lost)

    @property
    def difference(self) -> Difference:
        """Of the shares of the targets that are in both."""
        return paired_difference(self.both, self.lost, self.gained, self.neither)


class Place(NamedTuple):
    """A part of the targets: how many of it gained an answer, how many lost it."""

    name: str
    gained: int
    lost: int
    adjusted: float
    """The p-value, adjusted for the many places that are looked at."""

    @property
    def clear(self) -> bool:
        return self.adjusted <= LIMIT


class Change(NamedTuple):
    """Where the targets are that gained or lost an answer."""

    kind: str
    places: list[Place]
    """Those with the most changes."""
    many: int
    """All in which something changed."""
    known: int
    """Targets that changed of which the place is known."""


class Comparisons:
    """All that the pairs of targets say; nothing is looked at twice."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._totals: dict[tuple[int, int, str], int] = {}

    @cached_property
    def _moves(self) -> dict[Paired, Counter[tuple[tuple[str, ...], tuple[str, ...]]]]:
        """For each two files and question, how many targets went from which answers to which, or stayed."""
        found: dict[Paired, Counter[tuple[tuple[str, ...], tuple[str, ...]]]] = defaultdict(Counter)
        for moves in (self._targets.moves, self._targets.kept):
            for move, count in moves.items():
                if FOLDED not in (*move.before, *move.after):
                    found[move.pair][move.before, move.after] += count
        return found

    def matrix(self, first: int, second: int, question: str) -> Counter[tuple[tuple[str, ...], tuple[str, ...]]]:
        """How many targets have which answers in the first file, and which in the second."""
        base, only = _base(question)
        moves = self._moves.get(Paired(first, second, base), Counter())
        return Counter({way: count for way, count in moves.items() if not only or (way[0] in only and way[1] in only)})

    @cached_property
    def _tables(self) -> dict[tuple[int, int, str, str], Pairs]:
        found = {}
        for first, second, base in self._moves:
            endings = [ending for ending, of in RESTRICTED.items()
                       if base.endswith(f".connectivity{of}") and ".stable." not in base]
            questions = [base, *(base.removesuffix(CONFIRMED) + ending for ending in endings)]
            for question in questions:
                for one in _tables(first, second, question, self.matrix(first, second, question)):
                    found[first, second, question, one.answer] = one
        return found

    def of(self, first: int, second: int, question: str, answer: str) -> Pairs | None:
        """The pairs of an answer; None where no target answers the question in both files."""
        found = self._tables.get((first, second, question, answer))
        if found is None and (total := self._total(first, second, question)):
            return Pairs(first, second, question, answer, 0, 0, 0, total)
        return found

    def _total(self, first: int, second: int, question: str) -> int:
        """Targets that answer a question in both files."""
        key = first, second, question
        if key not in self._totals:
            self._totals[key] = self.matrix(first, second, question).total()
        return self._totals[key]

    @cached_property
    def _adjusted(self) -> dict[float, float]:
        return adjusted(Counter(one.p for one in self._tables.values()))

    def adjusted(self, pairs: Pairs) -> float:
        """The p-value, adjusted for all that is compared in this report."""
        return self._adjusted.get(pairs.p, 1.0)

    def where(self, kind: str, pairs: Pairs) -> Change:
        """The places in which these pairs changed."""
        base, _ = _base(pairs.question)
        ways = {Move(Paired(pairs.first, pairs.second, base), *way): (pairs.answer in way[1]) - (pairs.answer in way[0])
                for way in self.matrix(pairs.first, pairs.second, pairs.question)}
        ways = {move: way for move, way in ways.items() if way}
        kept: list[tuple[str, int, int]] = []
        tests: Counter[float] = Counter()
        known = many = 0
        rows = self._targets.places.of(kind, ways)
        for name, gained, lost in rows:
            if len(kept) < MOST_PLACES:
                kept.append((name, gained, lost))
            tests[mcnemar(gained, lost)] += 1
            known += gained + lost
            many += 1
        found = adjusted(tests)
        return Change(kind, [Place(*one, found[mcnemar(*one[1:])]) for one in kept], many, known)

    def changed_systems(self, questions: Iterable[tuple[str, str]], files: int) -> Iterator[int]:
        """The autonomous systems in which answers to these questions changed most."""
        for question, answer in questions:
            for second in range(1, files):
                if (pairs := self.of(0, second, question, answer)) and pairs.gained + pairs.lost:
                    change = self.where("as", pairs)
                    yield from (int(one.name[2:]) for one in islice(change.places, MOST_PLACES))


def _base(question: str) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The question by which answers are remembered, and those that count if not all do."""
    for ending, of in RESTRICTED.items():
        if question.endswith(f".connectivity{ending}"):
            return question.removesuffix(ending) + of, (("broken",), ("works",))
    return question, ()


def _tables(first: int, second: int, question: str,
            matrix: Counter[tuple[tuple[str, ...], tuple[str, ...]]]) -> Iterator[Pairs]:
    total = matrix.total()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    both: Counter[str] = Counter()
    for (one, other), count in matrix.items():
        before.update(dict.fromkeys(one, count))
        after.update(dict.fromkeys(other, count))
        both.update(dict.fromkeys(set(one) & set(other), count))
    for answer in before.keys() | after.keys():
        lost, gained = before[answer] - both[answer], after[answer] - both[answer]
        yield Pairs(first, second, question, answer, both[answer], lost, gained, total - both[answer] - lost - gained)
