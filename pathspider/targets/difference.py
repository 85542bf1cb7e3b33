"""The targets of a list, to take them out of another."""

from __future__ import annotations

from collections import defaultdict

from pathspider.records import Job
from pathspider.targets.problems import TARGET_KEYS, identity
from pathspider.targets.repeats import CompactSet


class Difference:
    """What is to be taken away, in 9 octets for each; ``job in difference`` tells whether it is.

    An entry stands for all targets that are like it in what it says: an address alone for all with that address, a name
    for all with that name, an address with a port and a name for that one.
    """

    def __init__(self) -> None:
        self._entries: defaultdict[tuple[str, ...], CompactSet] = defaultdict(CompactSet)

    def add(self, job: Job) -> None:
        """Add an entry; one without an address and a name stands for nothing."""
        keys = tuple(key for key in TARGET_KEYS if job.get(key) is not None)
        if "dip" in keys or "domain" in keys:
            self._entries[keys].add(_number(job, keys))

    def __contains__(self, job: Job) -> bool:
        return any(_number(job, keys) in entries for keys, entries in self._entries.items()
                   if all(job.get(key) is not None for key in keys))

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))


def _number(job: Job, keys: tuple[str, ...]) -> int:
    return hash(tuple(map(repr, identity(job, keys)))) % (1 << 64)
