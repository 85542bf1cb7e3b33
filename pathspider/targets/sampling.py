"""Parts of a list that are drawn: by a hash of each target, so that neither order nor place in the list matters."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from hashlib import blake2b
from heapq import heappush, heappushpop
from typing import cast

from pathspider.records import Job
from pathspider.targets.problems import identity
from pathspider.writing import json_line

ALL = 1 << 64
"""Numbers that can be drawn."""

PLACES = 48
"""Bits of a job's place in the list."""


def drawn(job: Job, key: str) -> int:
    """A number below :data:`ALL` for a target, the same everywhere and always.

    :param key: another one draws other numbers
    """
    return int.from_bytes(blake2b(repr(identity(job)).encode("utf-8", "surrogatepass"), key=key.encode()[:64],
                                  digest_size=8).digest(), "big")


def in_share(share: float, seed: int) -> Callable[[Job], bool]:
    """Whether a target is in a share (0 to 1) of all."""
    bound, key = round(share * ALL), f"share:{seed}"
    return lambda job: drawn(job, key) < bound


def in_shard(number: int, shards: int) -> Callable[[Job], bool]:
    """Whether a target is in the shard of this number, from 1 on: each is in one, whatever else is in the list."""
    return lambda job: drawn(job, "shard") * shards >> 64 == number - 1


def prefix_of(job: Job) -> str | None:
    """The prefix of a job's address, where its ``info`` has it."""
    info = job.get("info")
    prefix = info.get("prefix") if isinstance(info, dict) else None
    return prefix if isinstance(prefix, str) else None


class Sample:
    """So many of the jobs of each group, drawn, in their order; they come when all have been read.

    They are held in memory, some 300 octets each: as many as are drawn, not as many as there are. Repeated targets are
    drawn together: leave them out before.

    :param most: jobs of a group
    :param group: what jobs of a group have in common; None is a group too
    """

    def __init__(self, jobs: Iterable[Job], most: int, seed: int,
                 group: Callable[[Job], Hashable] = lambda job: None) -> None:
        self._jobs = jobs
        self._most = most
        self._key = f"sample:{seed}"
        self._group = group
        self.kept = 0
        self.ungrouped = 0
        """Jobs whose group is None."""

    def __iter__(self) -> Iterator[Job]:
        groups: dict[Hashable, list[tuple[int, bytes]]] = {}
        for place, job in enumerate(self._jobs):
            group = self._group(job)
            self.ungrouped += group is None
            heap = groups.setdefault(group, [])
            number = -(drawn(job, self._key) << PLACES | place)  # the greatest is at the heap's top
            if len(heap) < self._most:
                heappush(heap, (number, json_line(job)))
            elif number > heap[0][0]:
                heappushpop(heap, (number, json_line(job)))
        chosen = [entry for heap in groups.values() for entry in heap]
        groups.clear()
        chosen.sort(key=lambda entry: -entry[0] % (1 << PLACES))
        self.kept = len(chosen)
        for _, line in chosen:
            yield cast(Job, json.loads(line))
