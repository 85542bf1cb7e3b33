"""Which targets of a list are measured: of one IP version, each once, so many."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from pathspider.records import Job
from pathspider.targets.problems import TARGET_KEYS, is_address, key_advice
from pathspider.targets.repeats import TargetFilter

log = logging.getLogger(__name__)

IPVersion = Literal[4, 6]


class Jobs(Protocol):
    """What is read, as by :class:`~pathspider.targets.reading.JobReader`."""

    @property
    def name(self) -> str:
        """The file's name in messages."""

    @property
    def jobs(self) -> int:
        """How many were read so far."""

    def __iter__(self) -> Iterator[Job]: ...


class Stage:
    """Jobs on their way: those of a list, after something was done with them."""

    def __init__(self, source: Jobs, jobs: Iterable[Job]) -> None:
        self._source = source
        self._jobs = jobs

    @property
    def name(self) -> str:
        """The list's name in messages."""
        return self._source.name

    @property
    def jobs(self) -> int:
        """How many were read so far."""
        return self._source.jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)


class Advice:
    """Says, once for each kind of job, under which keys it should have what it has under others."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def give(self, source: Jobs, job: Job, keys: Sequence[str]) -> None:
        """Look at the job that was read last.

        :param keys: those that tell its target
        """
        for text in key_advice(job, keys):
            if text not in self._told:
                self._told.add(text)
                log.warning("%s, job %d: %s", source.name, source.jobs, text)


class Selection:
    """Iterates over the jobs of a list that are to be measured, and counts those that are not.

    Where jobs name what is needed by other keys, a message says so, once for each kind.

    :param seen: the targets that are not measured, or not again; None to leave nothing out for that
    :param version: only addresses of this IP version, and names
    :param most: so many targets of the list at most; those in ``seen`` count
    :param keys: the keys that tell a job's target; without any, no such message is given
    """

    def __init__(self, source: Jobs, seen: TargetFilter | None = None, *, version: IPVersion | None = None,
                 most: int | None = None, keys: Sequence[str] = TARGET_KEYS) -> None:
        self.source = source
        self.left: int | None = None if most is None else max(0, most - (0 if seen is None else len(seen)))
        """How many more will be let through, where that is bounded."""
        self.kept = 0
        self.repeated = 0
        self.other_version = 0
        self._most = most
        self._seen = seen
        self._version = version
        self._keys = keys
        self._advice = Advice()

    def __iter__(self) -> Iterator[Job]:
        if self.left == 0:
            log.info("--max-targets %d: so many have their records already", self._most)
            return
        for job in self.source:
            self._advice.give(self.source, job, self._keys)
            if self._version is not None and version_of(job) not in (self._version, None):
                self.other_version += 1
            elif self._seen is not None and self._seen.repeats(job):
                self.repeated += 1
            else:
                if self.left is not None:
                    self.left -= 1
                self.kept += 1
                yield job
                if self.left == 0:
                    log.info("these were %d targets (--max-targets): the rest of the list is not read", self._most)
                    return

    def left_out(self, before: str = "") -> str:
        """What was left out for its IP version, for a message, with something before it; empty if nothing was."""
        if not self.other_version:
            return ""
        return f"{before}{self.other_version} left out: IPv{4 if self._version == 6 else 6}"


def version_of(job: Job) -> IPVersion | None:
    """The IP version of a job's address; None if it has none, or none that is valid."""
    dip = job.get("dip")
    if dip is None or not is_address(dip):
        return None
    return 6 if ":" in dip else 4
