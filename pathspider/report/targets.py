"""What grows with the records: targets with other verdicts elsewhere or later, and autonomous systems. Kept on disk."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, groupby, pairwise, repeat
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple

from pathspider.report.confirmed import CONFIRMED, UNFINISHED, is_connectivity, were_confirmed, words_of
from pathspider.report.counting import FOLDED, Verdicts
from pathspider.report.digest import Digest
from pathspider.report.places import Places
from pathspider.report.questions import natural_key
from pathspider.targets.problems import TARGET_KEYS

MOST_MOVES = 10_000
MOST_KEPT = 16
"""Findings of a target of which it is remembered how they compare: most targets have the same few."""
MOST_SIGNATURES = 5_000
"""Different findings of targets that are counted before it is looked at what they mean."""

MARKS = 1 << 22
"""Octets that tell which names may have targets of both IP versions, and"""
NAMELESS = {hash(""), hash("null]")}
"""what targets without a name have in its place."""

PATH_DEPENDENT = "path_dependent"
"""What is said of a target that works from one vantage point, and is broken from another."""

Signature = tuple[tuple[int, int], ...]
"""The findings of a target: file and verdict, in the order in which they were first found."""
Found = tuple[int, int, int]
"""File, verdict, and records that say so."""

TABLES = """
    pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;
    pragma temp_store = file; pragma cache_size = -32000;
    create table seen (target text, file integer, verdict integer, system integer, country text);
    create table carried (system integer, file integer, verdict integer, records integer);
    create table changed (target text, questions text, seen text, system integer, country text);
    begin
"""

SETTLE = """
    create table target (target text, file integer, verdict integer, records integer, first integer, system integer,
        country text, primary key (target, file, verdict)) without rowid;
    insert into target select target, file, verdict, count(*), min(rowid), coalesce(max(system), 0), max(country)
        from seen group by target, file, verdict order by target, file, verdict;
    create table system as select system, file, verdict, sum(records) as records from
        (select system, file, verdict, 1 as records from seen where system is not null union all select * from carried)
        group by system, file, verdict order by system, file, verdict;
    drop table seen;
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
    system: str = ""
    """The target's AS, as ``AS64496``, where that is known."""
    country: str = ""


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


def disagreement(question: str) -> Move:
    """As what :attr:`Targets.places` knows that a target works in one of all files, and is broken in another."""
    return Move(Paired(-1, -1, question), (), (PATH_DEPENDENT,))


class Targets:
    """Remembers each record's target, AS and verdict, in a temporary file that is gone with the process.

    ``sqlite3.Error`` where the file cannot be written, such as on a full disk.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self._table = sqlite3.connect("", isolation_level=None)  # no name: sqlite's own temporary file
        self._table.executescript(TABLES)
        self.places = Places(self._table)
        """Where targets changed."""
        self.targets: Counter[int] = Counter()
        """By file; this and what follows is known from :meth:`settle` on."""
        self.pairs: Counter[Paired] = Counter()
        self.changes: Counter[Paired] = Counter()
        """Of :attr:`pairs`, those with another answer."""
        self.moves: Counter[Move] = Counter()
        """Of :attr:`changes`, what they were; the answers are ``…`` where moves are too many to be told apart."""
        self.kept: Counter[Move] = Counter()
        """The rest of :attr:`pairs`: before and after are the same."""
        self.points: Counter[tuple[str, str]] = Counter()
        """Of targets whose connectivity at least two files tell, by question: ``works`` or ``broken`` in all that say
        either, or ``path_dependent``."""
        self.countries: Counter[tuple[str, int, int]] = Counter()
        """Records by country, file and verdict; this is known at any time."""
        self._signatures: Counter[Signature] = Counter()
        self._named = bytearray(MARKS)
        """By their hashes, which names have targets of IPv4 (1) and of IPv6 (2)."""
        self._confirmed: set[str] = set()
        self.again: Counter[tuple[int, str]] = Counter()
        """By file and question: records that answer it for a target that has answered it before."""
        self.changed_targets = 0
        self.system_count = 0

    def __enter__(self) -> Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._table.close()

    def take(self, file: int, found: Digest, numbers: Sequence[int]) -> None:
        """Note what was found of the targets of some records of a file.

        :param numbers: of the verdicts, in the digest's order
        """
        self._table.executemany("insert into seen values (?, ?, ?, ?, ?)", zip(
            found.targets, repeat(file), [numbers[place] for place in found.numbers], found.ases, found.places,
            strict=False))
        self._table.executemany("insert into carried values (?, ?, ?, ?)", (
            (system, file, numbers[place], count) for (system, place), count in found.systems.items()))
        for (country, place), count in found.countries.items():
            self.countries[country, file, numbers[place]] += count

    def settle(self) -> None:
        """All records are there: compare the targets."""
        for statement in SETTLE.split(";"):
            self._table.execute(statement)
        self._confirmed = were_confirmed(one.conditions for one in self.verdicts.found)[0]
        (self.system_count,), = self._table.execute("select count(*) from large")
        self._look_at_all()
        self._drain()
        self.places.settle()

    def _look_at_all(self) -> None:
        """Target after target; most have one record in each file, and the same few findings."""
        rows = self._table.execute(
            "select target, group_concat(file || ' ' || verdict), max(records), max(system), max(country) from target "
            "group by target order by target")
        known: dict[str, tuple[Signature, list[str]] | None] = {}
        for target, text, most, system, country in rows:
            six, number = _version_and_name(target)
            if number not in NAMELESS:
                self._named[number % MARKS] |= 1 << six
            if text not in known:
                if len(known) >= MOST_SIGNATURES:
                    known.clear()
                known[text] = self._once(text)
            if most > 1 or (one := known[text]) is None:
                self._compare(target, system, country)
                continue
            signature, questions = one
            self._note(signature)
            if questions:
                self._note_change(target, questions, [(*found, 1) for found in signature], system, country)

    def _once(self, text: str) -> tuple[Signature, list[str]] | None:
        """Findings of a target, and the questions that they answer differently; None if some are of the same file."""
        signature = tuple((int(file), int(verdict)) for file, verdict in map(str.split, text.split(",")))
        if len(signature) > MOST_KEPT or len({file for file, _ in signature}) < len(signature):
            return None
        return signature, self._questions(frozenset(verdict for _, verdict in signature))

    def _compare(self, target: str, system: int, country: str) -> None:
        """A target that was measured again, or found to be otherwise in one file."""
        found = self._table.execute("select file, verdict, records from target where target = ? order by file, first",
                                    (target,)).fetchall()
        self._note_again(found)
        signature = tuple((file, verdict) for file, verdict, _ in found)
        self._note(signature)
        questions_of = self._questions if len(found) <= MOST_KEPT else self._questions_of
        if questions := questions_of(frozenset(verdict for _, verdict in signature)):
            self._note_change(target, questions, found, system, country)

    def _note_again(self, found: list[Found]) -> None:
        answering: Counter[tuple[int, str]] = Counter()
        for file, verdict, records in found:
            for question in self.verdicts.found[verdict].questions:
                answering[file, question] += records
        self.again.update({key: records - 1 for key, records in answering.items() if records > 1})

    def _note(self, signature: Signature) -> None:
        self._signatures[signature] += 1
        if len(self._signatures) >= MOST_SIGNATURES or len(signature) > MOST_KEPT:
            self._drain()

    def _note_change(self, target: str, questions: list[str], found: list[Found], system: int, country: str) -> None:
        self.changed_targets += 1
        self._table.execute("insert into changed values (?, ?, ?, ?, ?)",
                            (target, json.dumps(questions), json.dumps(found), system, country))
        if len(found) <= MOST_KEPT:
            self.places.note(target, system, country, self._moved(tuple((file, verdict) for file, verdict, _ in found)))

    def _drain(self) -> None:
        """Most targets have the same few findings: what these mean is looked at once for all of them."""
        for signature, count in self._signatures.items():
            self.targets.update(dict.fromkeys((file for file, _ in signature), count))
            for move in self._pairs_of(signature):
                self.pairs[move.pair] += count
                counters = self.kept
                if move.before != move.after:
                    self.changes[move.pair] += count
                    counters = self.moves
                known = move in counters or len(counters) < MOST_MOVES
                counters[move if known else Move(move.pair, (FOLDED,), (FOLDED,))] += count
            for question, files in self._first(signature).items():
                said = {word for words in files.values() for word in words if word in ("works", "broken")}
                if len(files) > 1 and said and is_connectivity(question):
                    self.points[question, said.pop() if len(said) == 1 else PATH_DEPENDENT] += count
        self._signatures.clear()

    @lru_cache(maxsize=10_000)  # noqa: B019 - there is one of these in a process
    def _answers(self, number: int) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for answer in self.verdicts.found[number].answers:
            if answer.condition.endswith(FOLDED):
                continue  # nobody knows whether two of these are the same
            found.setdefault(answer.question, set()).add(answer.answer)
        for question, first, rounds in words_of(self.verdicts.found[number].conditions):
            if question in self._confirmed and rounds != UNFINISHED:
                found[question + CONFIRMED] = {rounds or first}
        return {question: frozenset(values) for question, values in found.items()}

    def _first(self, found: Signature) -> dict[str, dict[int, frozenset[str]]]:
        """What each file's first verdict that answers a question says, question by question."""
        first: dict[str, dict[int, frozenset[str]]] = {}
        for file, verdict in found:
            for question, given in self._answers(verdict).items():
                first.setdefault(question, {}).setdefault(file, given)
        return first

    def _pairs_of(self, found: Signature) -> list[Move]:
        """For each question that two files answer, by each one's first verdict that does: what each says."""
        return [Move(Paired(one, other, question), _in_order(files[one]), _in_order(files[other]))
                for question, files in self._first(found).items() for one, other in combinations(sorted(files), 2)]

    def _moves_of(self, found: Signature) -> list[Move]:
        """Those of the first file to each other, and of each file to the next, that are changes; and what the files
        disagree on."""
        files = sorted({file for file, _ in found})
        near = {(files[0], file) for file in files} | set(pairwise(files))
        return [*(move for move in self._pairs_of(found) if move.before != move.after and move.pair[:2] in near),
                *(disagreement(question) for question, answers in self._first(found).items() if len(answers) > 1
                  and is_connectivity(question) and {"works", "broken"} <= frozenset().union(*answers.values()))]

    def _questions_of(self, numbers: frozenset[int]) -> list[str]:
        """The questions that not all of these verdicts answer alike, of those that do answer them."""
        first: dict[str, frozenset[str]] = {}
        differing = set()
        for number in numbers:
            for question, answers in self._answers(number).items():
                if first.setdefault(question, answers) != answers:
                    differing.add(question)
        return sorted(differing)

    _moved, _questions = lru_cache(maxsize=4096)(_moves_of), lru_cache(maxsize=4096)(_questions_of)

    def changed(self) -> Iterator[Changed]:
        """The targets that changed, in the order of their text."""
        for target, questions, seen, system, country in self._table.execute("select * from changed order by rowid"):
            values = zip(TARGET_KEYS, json.loads(target), strict=True)
            yield Changed({key: value for key, value in values if value is not None}, json.loads(questions),
                          [Seen(file, self.verdicts.found[verdict].conditions, records)
                           for file, verdict, records in json.loads(seen)], f"AS{system}" if system else "", country)

    def combined(self, kinds: Mapping[int, int]) -> Counter[tuple[int, ...]]:
        """What is said of targets in all files and by all plugins: how many have these kinds of verdicts. Targets are
        told apart by address and name alone here, for plugins ask different ports.

        :param kinds: the kind of each verdict that counts, by its number
        """
        found: Counter[tuple[int, ...]] = Counter()
        rows = self._table.execute("select target, verdict from target order by target, file, verdict")
        for _, group in groupby(rows, key=lambda row: row[0].partition('", ')[0]):
            names: dict[str, dict[int, None]] = {}
            for target, verdict in group:
                if verdict in kinds:
                    names.setdefault(_name_in(target), {})[kinds[verdict]] = None
            found.update(tuple(verdicts) for verdicts in names.values())
        return found

    def dual(self, kinds: Mapping[int, int]) -> Counter[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """Names that have targets of both IP versions: the file, the kinds of verdicts over IPv4 and over IPv6."""
        self._table.execute("create table if not exists named (name integer, six integer, target text)")
        self._table.execute("delete from named")
        self._table.executemany("insert into named values (?, ?, ?)", self._named_twice())
        found: Counter[tuple[int, tuple[int, ...], tuple[int, ...]]] = Counter()
        rows = self._table.execute(f"""
            select distinct file, name, six, verdict from named join target using (target) where name in
                (select name from named group by name having min(six) < max(six))
            and verdict in ({",".join(map(str, kinds))}) order by file, name""")
        for (file, _), group in groupby(rows, key=itemgetter(0, 1)):
            sides: tuple[set[int], set[int]] = (set(), set())
            for _, _, six, verdict in group:
                sides[six].add(kinds[verdict])
            if all(sides):
                found[file, tuple(sorted(sides[0])), tuple(sorted(sides[1]))] += 1
        return found

    def _named_twice(self) -> Iterator[tuple[int, bool, str]]:
        """Targets whose names may have some of both IP versions, before each its name's hash: most names have not, and
        need not be sorted."""
        for target, in self._table.execute("select distinct target from target") if 3 in self._named else ():
            six, number = _version_and_name(target)
            if number not in NAMELESS and self._named[number % MARKS] == 3:
                yield number, six, target

    def largest(self, most: int) -> list[int]:
        """The autonomous systems with the most records."""
        return [system for system, in self._table.execute("select system from large order by rowid limit ?", (most,))]

    def of_systems(self, only: Iterable[int] | None = None) -> Iterator[tuple[int, int, dict[int, int]]]:
        """Each system, or each of some, and file: how many records have which verdict."""
        which = "" if only is None else f"where system in ({','.join(map(str, only))})"
        rows = self._table.execute(f"select system, file, verdict, records from system {which} order by rowid")
        for (system, file), group in groupby(rows, key=itemgetter(0, 1)):
            yield system, file, {verdict: records for _, _, verdict, records in group}

    def of_other_systems(self, most: int) -> Iterator[tuple[int, dict[int, int]]]:
        """Each file: how many records have which verdict, in all systems but the largest."""
        rows: Iterable[Any] = self._table.execute(
            "select file, verdict, sum(records) from system where system not in (select system from large where "
            "rowid <= ?) group by file, verdict order by file, verdict", (most,))
        for file, group in groupby(rows, key=itemgetter(0)):
            yield file, {verdict: records for _, verdict, records in group}


def _name_in(target: str) -> str:
    """A target's name as JSON; ``null`` where it has none."""
    return target.partition('", ')[2].partition(", ")[2][:-1]


def _version_and_name(target: str) -> tuple[bool, int]:
    """Whether a target's address is one of IPv6, and its name's hash."""
    address, _, others = target.partition('", ')
    return ":" in address, hash(others.partition(", ")[2])


def _in_order(answers: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(answers, key=natural_key))
