"""Several lists as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from pathspider.records import Job
from pathspider.targets.reading import JobReader
from pathspider.targets.shuffling import LineIndex, Permutation
from pathspider.writing import json_line

MOST = 1 << 31
"""Octets of a job, as it is kept while a list is shuffled; what is read is shorter."""


class Union:
    """The jobs of some lists, one list after the other; as :class:`~pathspider.targets.reading.JobReader`."""

    def __init__(self, readers: Sequence[JobReader]) -> None:
        self._readers = readers
        self._current = readers[0]

    def __iter__(self) -> Iterator[Job]:
        for reader in self._readers:
            self._current = reader
            yield from reader

    @property
    def name(self) -> str:
        """That of the list that is read now."""
        return self._current.name

    @property
    def line(self) -> int:
        """The number of the line, in that list, that the last job stands in."""
        return self._current.line

    @property
    def jobs(self) -> int:
        """How many were read so far."""
        return sum(reader.jobs for reader in self._readers)

    @property
    def skipped(self) -> int:
        """Lines that were not jobs."""
        return sum(reader.skipped for reader in self._readers)

    @property
    def broken_off(self) -> str:
        """Why not all of a list could be read."""
        return next((reader.broken_off for reader in self._readers if reader.broken_off), "")

    @property
    def all_were_jobs(self) -> bool:
        """Whether all was read so far, and all lines were jobs."""
        return all(reader.all_were_jobs for reader in self._readers)


def shuffled(jobs: Iterable[Job], seed: int) -> Iterator[Job]:
    """Jobs in an order that is drawn from a seed. They wait in a temporary file, with 8 octets more for each."""
    with LineIndex() as lines:
        for job in jobs:
            lines.add(json_line(job), 0)
        lines.whole()
        for place in Permutation(len(lines), seed):
            yield cast(Job, json.loads(lines.read(place, MOST)[0]))


class Rules:
    """The jobs of a list that all of some rules let through; those that they do not are counted.

    :param rules: what it is that is left out, and whether a job stays
    """

    def __init__(self, source: Iterable[Job], rules: Sequence[tuple[str, Callable[[Job], bool]]]) -> None:
        self._source = source
        self._rules = rules
        self.left_out = dict.fromkeys((what for what, _ in rules), 0)

    def __iter__(self) -> Iterator[Job]:
        for job in self._source:
            for what, stays in self._rules:
                if not stays(job):
                    self.left_out[what] += 1
                    break
            else:
                yield job
