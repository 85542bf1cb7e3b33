"""Which targets have another verdict in another file, or at another time: a table on disk, since targets are many."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pathspider.jobs import TARGET_KEYS
from pathspider.records import Record
from pathspider.report.counting import Verdicts
from pathspider.report.questions import answers

BATCH = 10_000


class Seen(NamedTuple):
    """One record of a target: the file's number and what was found."""

    file: int
    conditions: tuple[str, ...]


class Changed(NamedTuple):
    """A target and all its records, of which at least two answer a question differently."""

    target: dict[str, Any]
    questions: list[str]
    """Those that are answered differently."""
    seen: list[Seen]


class Paired(NamedTuple):
    """Of the targets that answer a question in two files, each once: how many, and how many differently."""

    first: int
    second: int
    question: str


class Targets:
    """Remembers each record's target and verdict, in a temporary file."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self._folder = tempfile.TemporaryDirectory(prefix="pspdr-report-")
        self._table = sqlite3.connect(Path(self._folder.name, "targets"), isolation_level=None)
        self._table.executescript("""
            pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -32000; pragma temp_store = file;
            create table seen (target text, file integer, verdict integer); begin""")
        self._rows: list[tuple[str, int, int]] = []
        self.pairs: Counter[Paired] = Counter()
        self.changes: Counter[Paired] = Counter()
        """Filled by :meth:`changed`: of :attr:`pairs`, those with another answer."""
        self.changed_targets = 0

    def __enter__(self) -> Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._table.close()
        self._folder.cleanup()

    def add(self, file: int, record: Record, verdict: int) -> None:
        """Note what was found of a record's target."""
        self._rows.append((json.dumps([record.get(key) for key in TARGET_KEYS]), file, verdict))
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        self._table.executemany("insert into seen values (?, ?, ?)", self._rows)
        self._rows.clear()

    def changed(self) -> Iterator[Changed]:
        """The targets that changed, in the order of their text; meanwhile pairs are counted. To be read to its end."""
        self._flush()
        different = lru_cache(maxsize=100_000)(self._different)
        rows = self._table.execute("select target, file, verdict from seen order by target, file, rowid")
        for target, group in groupby(rows, key=itemgetter(0)):
            seen = [(file, verdict) for _, file, verdict in group]
            if len(seen) == 1:
                continue
            self._count_pairs(seen, different)
            numbers = sorted({verdict for _, verdict in seen})
            questions = {question for place, one in enumerate(numbers) for other in numbers[place + 1:]
                         for question, differs in different(one, other) if differs}
            if questions:
                self.changed_targets += 1
                values = zip(TARGET_KEYS, json.loads(target), strict=True)
                yield Changed({key: value for key, value in values if value is not None}, sorted(questions),
                              [Seen(file, self.verdicts.found[verdict]) for file, verdict in seen])

    def _count_pairs(self, seen: list[tuple[int, int]], different: Any) -> None:
        """Compare the first record that each file has of a target with that of the first file."""
        once: dict[int, int] = {}
        for file, verdict in seen:
            once.setdefault(file, verdict)
        (first, base), *others = once.items()
        for file, verdict in others:
            for question, differs in different(base, verdict):
                pair = Paired(first, file, question)
                self.pairs[pair] += 1
                self.changes[pair] += differs

    def _different(self, one: int, other: int) -> list[tuple[str, bool]]:
        """The questions that both verdicts answer, and whether they do so differently."""
        first, second = answers(self.verdicts.found[one]), answers(self.verdicts.found[other])
        return [(question, first[question] != second[question]) for question in first if question in second]
