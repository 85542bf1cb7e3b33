"""Which targets have come by, in bounded room for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence

from pathspider.records import Job
from pathspider.targets.problems import TARGET_KEYS, identity


class CompactSet:
    """A set of 64-bit numbers in some 9 octets each: sorted arrays, one for each value of the low bits.

    A Python set of as many numbers takes 80 octets each. Adding takes 1.5 microseconds (3 million), a set 0.6.
    """

    BUCKETS = 1 << 12

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(self.BUCKETS)]

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def _find(self, number: int) -> tuple[array[int], int, bool]:
        """The bucket of a number, its place there, and whether it is there."""
        bucket = self._buckets[number % self.BUCKETS]
        place = bisect_left(bucket, number)
        return bucket, place, place < len(bucket) and bucket[place] == number

    def __contains__(self, number: int) -> bool:
        return self._find(number)[2]

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        bucket, place, there = self._find(number)
        if not there:
            bucket.insert(place, number)
        return not there

    def discard(self, number: int) -> None:
        """Take a number out, if it is there."""
        bucket, place, there = self._find(number)
        if there:
            del bucket[place]


class TargetFilter:
    """Remembers which targets have come by; a hash of each.

    :param default_port: the port of a job that names none
    :param keys: the keys of a job that tell its target from others
    """

    def __init__(self, default_port: int | None = None, keys: Sequence[str] = TARGET_KEYS) -> None:
        self._seen = CompactSet()
        self._default_port = default_port
        self._keys = keys

    def target(self, job: Job) -> int:
        """A number for the job's target, in this process alone."""
        named = {"dp": self._default_port} | {key: value for key, value in job.items() if value is not None}
        return hash(tuple(map(repr, identity(named, self._keys)))) % (1 << 64)

    def __len__(self) -> int:
        """How many targets have come by."""
        return len(self._seen)

    def repeats(self, job: Job) -> bool:
        """True if this target has come before; from now on it has."""
        return not self._seen.add(self.target(job))

    def forget(self, target: int) -> None:
        """As if this target had not come by."""
        self._seen.discard(target)


class KeyFilter(TargetFilter):
    """Remembers what targets have come by, by something that they have in common with others.

    :param key: that; None where a job has none: it is no repeat then
    """

    def __init__(self, key: Callable[[Job], str | None]) -> None:
        super().__init__()
        self._key = key
        self.without = 0
        """Jobs that have none."""

    def repeats(self, job: Job) -> bool:
        """True if one with the same key has come before; from now on it has."""
        value = self._key(job)
        self.without += value is None
        return value is not None and not self._seen.add(hash(value) % (1 << 64))
