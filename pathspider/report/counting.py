"""Counting one result file, record by record, in memory that does not grow with the number of records."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from pathspider.base import target_asn
from pathspider.records import Record
from pathspider.report.questions import INCONCLUSIVE, Answer, answers, parse, verdict

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", re.ASCII)

MAX_VERDICTS = 20_000
"""Different sets of conditions that are told apart; of more, the values after a colon are left out."""
FOLDED = "…"
"""Stands for what is not told apart."""
MAX_AS = 200_000
"""Autonomous systems that are told apart: more than there are in use."""
MAX_SOURCES = 20

Group = tuple[str, str]
"""A part of the records: ``("all", "")``, ``("ip", "IPv4")``, ``("as", "AS64496")``."""


class Verdicts:
    """Gives each set of conditions a number, across files; a number is all that a record costs."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._known: dict[tuple[str, ...], int] = {}
        self.found: list[tuple[str, ...]] = []
        self.folded = 0
        """Records whose conditions were not told apart in full."""

    def number(self, conditions: list[str]) -> int:
        """The number of what these conditions say."""
        key = tuple(conditions)
        number = self._known.get(key)
        if number is None:
            number = self._new(key)
        return number

    def _new(self, key: tuple[str, ...]) -> int:
        found = verdict(key)
        if found not in self._numbers and len(self.found) >= MAX_VERDICTS:
            self.folded += 1
            short = verdict(f"{one.partition(':')[0]}:{FOLDED}" if ":" in one else one for one in found)
            found = short if short in self._numbers or len(self.found) < 2 * MAX_VERDICTS else (f"{FOLDED}.{FOLDED}",)
        if found not in self._numbers:
            self._numbers[found] = len(self.found)
            self.found.append(found)
        if len(self._known) < 4 * MAX_VERDICTS:
            self._known[key] = self._numbers[found]
        return self._numbers[found]


class Tally:
    """What one result file holds."""

    def __init__(self, label: str, name: str, verdicts: Verdicts) -> None:
        self.label = label
        self.name = name
        self.verdicts = verdicts
        self.records = 0
        self.bad_lines = 0
        self.first = self.last = ""
        self.sources: Counter[str] = Counter()
        """The vantage point's addresses, as the paths begin."""
        self.minutes: Counter[str] = Counter()
        """Records by the minute in which their measurement began."""
        self._versions: Counter[tuple[int, str]] = Counter()
        self.systems: dict[str, dict[int, int]] = {}
        """By autonomous system: how often it had which verdict."""

    def add(self, record: Record) -> int:
        """Count a record; the number of its verdict."""
        number = self.verdicts.number(record["conditions"])
        self.records += 1
        dip = record.get("dip")
        version = ("IPv6" if ":" in dip else "IPv4") if isinstance(dip, str) else "no address"
        self._versions[number, version] += 1
        if asn := target_asn(record):
            self._count_system(f"AS{asn}", number)
        self._note_time(record.get("time"))
        path = record.get("path")
        if isinstance(path, list) and path and isinstance(path[0], str) \
                and (path[0] in self.sources or len(self.sources) < MAX_SOURCES):
            self.sources[path[0]] += 1
        return number

    def _count_system(self, name: str, number: int) -> None:
        counts = self.systems.get(name)
        if counts is None:
            if len(self.systems) >= MAX_AS:
                name = f"AS{FOLDED}"
            counts = self.systems.setdefault(name, {})
        counts[number] = counts.get(number, 0) + 1

    def _note_time(self, time: object) -> None:
        if not isinstance(time, dict):
            return
        begun, ended = time.get("from"), time.get("to")
        if not (isinstance(begun, str) and isinstance(ended, str) and TIME.fullmatch(begun) and TIME.fullmatch(ended)):
            return
        self.first = min(self.first, begun) if self.first else begun
        self.last = max(self.last, ended)
        self.minutes[begun[:16] if len(self.minutes) < 100_000 else begun[:13] + ":00"] += 1

    def groups(self) -> Iterator[tuple[Group, Mapping[int, int]]]:
        """All records, and those of each IP version, with how often there was which verdict."""
        everything: Counter[int] = Counter()
        versions: dict[str, Counter[int]] = defaultdict(Counter)
        for (number, version), count in self._versions.items():
            everything[number] += count
            versions[version][number] += count
        yield ("all", ""), everything
        yield from ((("ip", version), counts) for version, counts in sorted(versions.items()))

    def counted(self, numbers: Mapping[int, int]) -> tuple[Counter[Answer], Counter[str], Counter[str]]:
        """Of the records with these verdicts: how many have each answer, how many answer each question, and how many
        say each reason why there is no verdict."""
        given: Counter[Answer] = Counter()
        asked: Counter[str] = Counter()
        without: Counter[str] = Counter()
        for number, count in numbers.items():
            found = self.verdicts.found[number]
            for condition in found:
                if condition.startswith(INCONCLUSIVE):
                    without[condition] += count
                else:
                    given[parse(condition)] += count
            for question in answers(found):
                asked[question] += count
        return given, asked, without
