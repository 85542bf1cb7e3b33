"""Counting one result file, record by record, in memory that grows neither with the records nor with what they say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pathspider.report.digest import MAX_LENGTH, Digest
from pathspider.report.hops import Interval, note
from pathspider.report.questions import INCONCLUSIVE, NO_CONDITION, Answer, parse, telling, verdict

MAX_VERDICTS = 20_000
"""Different sets of conditions that are told apart; of more, the values after a colon are left out."""
MAX_CONDITIONS = 20_000
"""Different conditions that are told apart, and"""
MAX_ANSWERS = 5_000
"""of those, the ones that answer the same question."""
MAX_SIZE = 500_000
"""Conditions that all sets together may have."""
FOLDED = "…"
"""Stands for what is not told apart."""
MAX_SOURCES = 20
MAX_TIMES = 100_000
"""Minutes that are told apart, and then hours."""

Group = tuple[str, str]
"""A part of the records: ``("all", "")``, ``("ip", "IPv4")``, ``("as", "AS64496")``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a set of conditions says."""

    conditions: tuple[str, ...]
    answers: tuple[Answer, ...]
    questions: tuple[str, ...]
    """Each once."""
    reasons: tuple[str, ...]
    """Why something was not concluded, or nothing at all."""


class Verdicts:
    """Gives each set of conditions a number, across files; a number is all that a record costs."""

    def __init__(self) -> None:
        self.found: list[Verdict] = []
        self.folded = 0
        """Records whose conditions were not told apart in full."""
        self._numbers: dict[tuple[str, ...], int] = {}
        self._known: dict[tuple[str, ...], int] = {}
        self._conditions: dict[str, Answer] = {}
        self._width: Counter[str] = Counter()
        self._size = 0

    def number(self, conditions: Iterable[str], records: int = 1) -> int:
        """The number of what these conditions say, which so many records have."""
        key = tuple(conditions)
        number = self._known.get(key)
        if number is None:
            number = self._new(key, records)
        return number

    def _new(self, key: tuple[str, ...], records: int) -> int:
        told = {one: self._told(one) for one in verdict(key)}
        found = verdict(answer.condition for answer in told.values())
        folded = any(answer.condition != one for one, answer in told.items())
        if found not in self._numbers and self._is_full(found, MAX_VERDICTS):
            folded = True
            found = verdict(f"{one.partition(':')[0]}:{FOLDED}" if ":" in one else one for one in found)
            if found not in self._numbers and self._is_full(found, 2 * MAX_VERDICTS):
                found = (f"{FOLDED}.{FOLDED}",)
        if found not in self._numbers:
            self._numbers[found] = len(self.found)
            self._size += len(found)
            self.found.append(self._verdict(found))
        if folded:
            self.folded += records
        elif len(self._known) < 2 * MAX_VERDICTS and sum(map(len, key)) < 1000:
            self._known[key] = self._numbers[found]
        return self._numbers[found]

    def _is_full(self, found: tuple[str, ...], most: int) -> bool:
        return len(self.found) >= most or self._size + len(found) > MAX_SIZE

    def _told(self, condition: str) -> Answer:
        """The condition, or what it is counted as if it is too long, or one of too many."""
        answer = self._conditions.get(condition)
        if answer is not None:
            return answer
        answer = parse(condition if len(condition) <= MAX_LENGTH else condition[:MAX_LENGTH] + FOLDED)
        if len(self._conditions) >= MAX_CONDITIONS or self._width[answer.question] >= MAX_ANSWERS:
            place = answer.question if answer.question in self._width else FOLDED
            sign = ":" if ":" in answer.condition else "."
            return parse(f"{place}{sign}{FOLDED}")
        if answer.condition not in self._conditions:
            self._conditions[answer.condition] = answer
            self._width[answer.question] += 1
        return answer

    def _verdict(self, found: tuple[str, ...]) -> Verdict:
        answers = tuple(self._conditions.get(one) or parse(one) for one in telling(found))
        reasons = tuple(one for one in found if one.startswith(INCONCLUSIVE)) or (() if answers else (NO_CONDITION,))
        return Verdict(found, answers, tuple(dict.fromkeys(answer.question for answer in answers)), reasons)


class Tally:
    """What one result file holds."""

    def __init__(self, label: str, name: str, verdicts: Verdicts) -> None:
        self.label = label
        self.name = name
        self.verdicts = verdicts
        self.records = 0
        self.bad_lines = 0
        self.bad: list[tuple[int, str]] = []
        """The first lines that are no records: their numbers, and what is wrong with them."""
        self.broken_off = ""
        """Why the file could not be read to its end."""
        self.first = self.last = ""
        self.sources: Counter[str] = Counter()
        """The vantage point's addresses, with its AS where that was looked up, as the paths begin."""
        self.runs: Counter[str] = Counter()
        """Records by the id of their run."""
        self.passive = 0
        """Records of pspdr observe: of flows that others made."""
        self.facts: list[dict[str, Any]] = []
        """What is known of these runs; :mod:`pathspider.run.metadata` knows what that may be."""
        self.times: Counter[str] = Counter()
        """Records by the time at which their measurement began, ``YYYY-MM-DD HH:MM``: to the minute, or the hour, or
        the year, where times are too many."""
        self.hops: Counter[Interval] = Counter()
        """Records by where on the path something happens."""
        self._versions: Counter[tuple[int, str]] = Counter()

    def take(self, found: Digest) -> list[int]:
        """Count some records of the file; the number of each verdict that they have, in the digest's order."""
        records: Counter[int] = Counter()
        for (place, _), count in found.versions.items():
            records[place] += count
        numbers = [self.verdicts.number(conditions, records[place]) for conditions, place in found.verdicts.items()]
        self.records += found.records
        self.passive += found.passive
        for (place, version), count in found.versions.items():
            self._versions[numbers[place], version] += count
        if found.first:
            self.first = min(self.first or found.first, found.first)
            self.last = max(self.last, found.last)
        for when, count in found.times.items():
            self._note_time(when, count)
        for mine, its in ((self.runs, found.runs), (self.sources, found.sources)):
            for text, count in its.items():
                if (one := text[:MAX_LENGTH]) in mine or len(mine) < MAX_SOURCES:
                    mine[one] += count
        for interval, count in found.hops.items():
            note(self.hops, interval, count)
        return numbers

    def _note_time(self, minute: str, count: int) -> None:
        for when, most in ((minute, MAX_TIMES), (minute[:13] + ":00", 2 * MAX_TIMES)):
            if when in self.times or len(self.times) < most:
                self.times[when] += count
                return
        self.times[minute[:4] + "-01-01 00:00"] += count

    @property
    def concluded(self) -> int:
        """Records that answer a question."""
        return sum(count for (number, _), count in self._versions.items() if self.verdicts.found[number].answers)

    def groups(self) -> Iterator[tuple[Group, Mapping[int, int]]]:
        """All records, and those of each IP version, with how often there was which verdict."""
        everything: Counter[int] = Counter()
        versions: dict[str, Counter[int]] = defaultdict(Counter)
        for (number, version), count in self._versions.items():
            everything[number] += count
            versions[version][number] += count
        yield ("all", ""), everything
        yield from ((("ip", version), counts) for version, counts in sorted(versions.items()))


def counted(found: list[Verdict], numbers: Mapping[int, int]) -> tuple[Counter[Answer], Counter[str], Counter[str]]:
    """Of records with these verdicts: how many have each answer, how many answer each question, and how many say each
    reason why there is no verdict.

    :param found: as in :class:`Verdicts`
    :param numbers: how many records have the verdict of that number
    """
    given: Counter[Answer] = Counter()
    asked: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for number, count in numbers.items():
        one = found[number]
        for answer in one.answers:
            given[answer] += count
        for question in one.questions:
            asked[question] += count
        for reason in one.reasons:
            without[reason] += count
    return given, asked, without
