"""What grows with the records: targets with other verdicts elsewhere or later, and autonomous systems. Kept on disk."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations, groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple

from pathspider.records import Record
from pathspider.report.counting import FOLDED, Verdicts
from pathspider.report.questions import natural_key
from pathspider.targets.problems import TARGET_KEYS, identity, target_asn

BATCH = 10_000
MOST_MOVES = 10_000
MOST_KEPT = 16
"""Findings of a target of which it is remembered how they compare: most targets have the same few."""

TABLES = """
    pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;
    pragma temp_store = file; pragma cache_size = -32000;
    create table seen (target text, file integer, verdict integer);
    create table carried (system integer, file integer, verdict integer, records integer);
    create table changed (target text, questions text, seen text);
    begin
"""

SETTLE = """
    create table target as select target, file, verdict, count(*) as records, min(rowid) as first
        from seen group by target, file, verdict order by target, file, verdict;
    drop table seen;
    create table system as select system, file, verdict, sum(records) as records
        from carried group by system, file, verdict order by system, file, verdict;
    drop table carried;
    create table large as select system, sum(records) as records from system group by system
        order by records desc, system
"""


class Seen(NamedTuple):
    """What was found of a target in a file, and how many of its records say so."""

    file: int
    conditions: tuple[str, ...]
    records: int


class Changed(NamedTuple):
    """A target of which at least two records answer a question differently."""

    target: dict[str, Any]
    questions: list[str]
    """Those that are answered differently."""
    seen: list[Seen]
    """File by file, in the order in which it was first found."""


class Paired(NamedTuple):
    """Targets that answer a question in two files, by the first record of each that answers it."""

    first: int
    second: int
    question: str


class Move(NamedTuple):
    """How targets that answer a question in two files changed; where there are several answers to it, all of them."""

    pair: Paired
    before: tuple[str, ...]
    after: tuple[str, ...]


class Targets:
    """Remembers each record's target, AS and verdict, in a temporary file that is gone with the process.

    ``sqlite3.Error`` where the file cannot be written, such as on a full disk.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self._table = sqlite3.connect("", isolation_level=None)  # no name: sqlite's own temporary file
        self._table.executescript(TABLES)
        self._rows: list[tuple[str, int, int]] = []
        self._carried: Counter[tuple[int, int, int]] = Counter()
        self.targets: Counter[int] = Counter()
        """By file; this and what follows is known from :meth:`settle` on."""
        self.pairs: Counter[Paired] = Counter()
        self.changes: Counter[Paired] = Counter()
        """Of :attr:`pairs`, those with another answer."""
        self.moves: Counter[Move] = Counter()
        """Of :attr:`changes`, what they were; the answers are ``…`` where moves are too many to be told apart."""
        self.again: Counter[tuple[int, str]] = Counter()
        """By file and question: records that answer it for a target that has answered it before."""
        self.changed_targets = 0
        self.system_count = 0

    def __enter__(self) -> Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._table.close()

    def add(self, file: int, record: Record, verdict: int) -> None:
        """Note what was found of a record's target; what has no address is none."""
        if record.get("dip") is not None:
            self._rows.append((json.dumps(identity(record)), file, verdict))
        asn = target_asn(record)
        if asn and len(asn) <= 10 and (system := int(asn)) < 1 << 32:
            self._carried[system, file, verdict] += 1
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        self._table.executemany("insert into seen values (?, ?, ?)", self._rows)
        self._rows.clear()
        if len(self._carried) >= BATCH:
            self._flush_systems()

    def _flush_systems(self) -> None:
        self._table.executemany("insert into carried values (?, ?, ?, ?)",
                                ((*key, records) for key, records in self._carried.items()))
        self._carried.clear()

    def settle(self) -> None:
        """All records are there: compare the targets."""
        self._flush()
        self._flush_systems()
        for statement in SETTLE.split(";"):
            self._table.execute(statement)
        (self.system_count,), = self._table.execute("select count(*) from large")
        rows = self._table.execute("select target, file, verdict, records, first from target order by rowid")
        for target, group in groupby(rows, key=itemgetter(0)):
            found = [row[1:] for row in group]
            if any(records > 1 for _, _, records, _ in found) or len({file for file, _, _, _ in found}) < len(found):
                self._note_again(found)
            if len(found) == 1:
                self.targets[found[0][0]] += 1
            else:
                self._compare(target, found)

    def _note_again(self, found: list[tuple[int, int, int, int]]) -> None:
        answering: Counter[tuple[int, str]] = Counter()
        for file, verdict, records, _ in found:
            for question in self.verdicts.found[verdict].questions:
                answering[file, question] += records
        self.again.update({key: records - 1 for key, records in answering.items() if records > 1})

    def _compare(self, target: str, found: list[tuple[int, int, int, int]]) -> None:
        found.sort(key=itemgetter(0, 3))
        self.targets.update({file for file, _, _, _ in found})
        few = len(found) <= MOST_KEPT
        pairs_of, questions_of = (self._paired, self._questions) if few else (self._pairs_of, self._questions_of)
        for move in pairs_of(tuple((file, verdict) for file, verdict, _, _ in found)):
            self.pairs[move.pair] += 1
            if move.before != move.after:
                self.changes[move.pair] += 1
                known = move in self.moves or len(self.moves) < MOST_MOVES
                self.moves[move if known else Move(move.pair, (FOLDED,), (FOLDED,))] += 1
        if questions := questions_of(frozenset(verdict for _, verdict, _, _ in found)):
            self.changed_targets += 1
            self._table.execute("insert into changed values (?, ?, ?)",
                                (target, json.dumps(questions), json.dumps([row[:3] for row in found])))

    @lru_cache(maxsize=10_000)  # noqa: B019 - there is one of these in a process
    def _answers(self, number: int) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for answer in self.verdicts.found[number].answers:
            if answer.condition.endswith(FOLDED):
                continue  # nobody knows whether two of these are the same
            found.setdefault(answer.question, set()).add(answer.answer)
        return {question: frozenset(values) for question, values in found.items()}

    def _pairs_of(self, found: tuple[tuple[int, int], ...]) -> list[Move]:
        """For each question that two files answer, by each one's first verdict that does: what each says."""
        first: dict[str, dict[int, frozenset[str]]] = {}
        for file, verdict in found:
            for question, given in self._answers(verdict).items():
                first.setdefault(question, {}).setdefault(file, given)
        return [Move(Paired(one, other, question), _in_order(files[one]), _in_order(files[other]))
                for question, files in first.items() for one, other in combinations(sorted(files), 2)]

    def _questions_of(self, numbers: frozenset[int]) -> list[str]:
        """The questions that not all of these verdicts answer alike, of those that do answer them."""
        first: dict[str, frozenset[str]] = {}
        differing = set()
        for number in numbers:
            for question, answers in self._answers(number).items():
                if first.setdefault(question, answers) != answers:
                    differing.add(question)
        return sorted(differing)

    _paired, _questions = lru_cache(maxsize=4096)(_pairs_of), lru_cache(maxsize=4096)(_questions_of)

    def changed(self) -> Iterator[Changed]:
        """The targets that changed, in the order of their text."""
        for target, questions, seen in self._table.execute("select * from changed order by rowid"):
            values = zip(TARGET_KEYS, json.loads(target), strict=True)
            yield Changed({key: value for key, value in values if value is not None}, json.loads(questions),
                          [Seen(file, self.verdicts.found[verdict].conditions, records)
                           for file, verdict, records in json.loads(seen)])

    def largest(self, most: int) -> list[int]:
        """The autonomous systems with the most records."""
        return [system for system, in self._table.execute("select system from large order by rowid limit ?", (most,))]

    def of_systems(self) -> Iterator[tuple[int, int, dict[int, int]]]:
        """Each system and file: how many records have which verdict."""
        rows = self._table.execute("select system, file, verdict, records from system order by rowid")
        for (system, file), group in groupby(rows, key=itemgetter(0, 1)):
            yield system, file, {verdict: records for _, _, verdict, records in group}

    def of_other_systems(self, most: int) -> Iterator[tuple[int, dict[int, int]]]:
        """Each file: how many records have which verdict, in all systems but the largest."""
        rows: Iterable[Any] = self._table.execute(
            "select file, verdict, sum(records) from system where system in (select system from large where rowid > ?) "
            "group by file, verdict order by file, verdict", (most,))
        for file, group in groupby(rows, key=itemgetter(0)):
            yield file, {verdict: records for _, verdict, records in group}


def _in_order(answers: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(answers, key=natural_key))
