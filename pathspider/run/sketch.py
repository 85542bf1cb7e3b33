"""Counting a stream of targets in memory that does not grow with it: by address and network, by time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import pairwise
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple
from zlib import crc32

MOST_FREQUENT = 1000
"""Addresses, and networks, that are counted by themselves."""
PLACES = 1 << 16
"""Places of a sketch."""
MOST_SLICES = 160
FIRST_SLICE = 1 / 8
"""Seconds."""
TENTHS = 10


class Frequent:
    """The most frequent ones of a stream, in bounded memory; where there are more than that, each count is too low, by
    ``total / (most + 1)`` at most.

    J. Misra, D. Gries, Finding repeated elements, Science of Computer Programming 2 (1982), 143-152.
    """

    def __init__(self, most: int = MOST_FREQUENT) -> None:
        self.counts: dict[bytes, int] = {}
        self._most = most

    def add(self, key: bytes) -> None:
        if key in self.counts:
            self.counts[key] += 1
        elif len(self.counts) < self._most:
            self.counts[key] = 1
        else:
            self.counts = {known: count - 1 for known, count in self.counts.items() if count > 1}


class Slices:
    """Counts by time: slices of equal length, which doubles whenever they are too many.

    :param begin: UTC, without a zone; what was before is counted with the first slice
    :param columns: how many numbers each slice has; the first counts all
    """

    def __init__(self, begin: datetime, columns: int) -> None:
        self.begin = begin
        self.length = FIRST_SLICE
        self.counts = [[0] * columns for _ in range(MOST_SLICES)]

    def at(self, moment: datetime) -> list[int]:
        """The counts of a moment's slice, to be added to."""
        place = max(0, int((moment - self.begin).total_seconds() / self.length))
        while place >= MOST_SLICES:
            pairs = zip(self.counts[::2], self.counts[1::2], strict=True)
            self.counts = [[sum(both) for both in zip(*pair, strict=True)] for pair in pairs]
            self.counts += [[0] * len(self.counts[0]) for _ in range(MOST_SLICES // 2)]
            self.length *= 2
            place //= 2
        return self.counts[place]

    def tenths(self) -> list[Tenth]:
        """Ten parts of the time from the first that was counted to the last; fewer of a run that is shorter."""
        counts = [*self.counts]
        filled = [place for place, row in enumerate(counts) if row[0]]
        if not filled:
            return []
        first, size = filled[0], filled[-1] - filled[0] + 1
        edges = [first + size * number // TENTHS for number in range(TENTHS + 1)]
        return [Tenth(self.begin + timedelta(seconds=begin * self.length), (end - begin) * self.length,
                      [sum(column) for column in zip(*counts[begin:end], strict=True)])
                for begin, end in pairwise(edges) if begin < end]


class Tenth(NamedTuple):
    """A part of a run."""

    begin: datetime
    seconds: float
    counts: list[int]
    """Its columns."""

    @property
    def rate(self) -> float:
        """Targets a second."""
        return self.counts[0] / self.seconds


class Addresses:
    """How many targets an address and its network (/24, /48) have, and how many of those that say a word.

    The former is a sketch, at most too high, the latter at most too low: nothing is found that is not frequent.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.total = 0
        self._targets = array("L", bytes(PLACES * array("L").itemsize))
        self._saying = {word: (Frequent(), Frequent()) for word in words}

    def note(self, dip: object, words: Sequence[str]) -> None:
        """A target, and what is said of it."""
        try:
            address = inet_pton(AF_INET6 if ":" in dip else AF_INET, dip)  # type: ignore[operator, arg-type]
        except (OSError, TypeError, ValueError):
            return
        network = network_of(address)
        self.total += 1
        self._targets[crc32(address) % PLACES] += 1
        self._targets[crc32(network) % PLACES] += 1
        for word in words:
            if word in self._saying:
                addresses, networks = self._saying[word]
                addresses.add(address)
                networks.add(network)

    def targets(self, key: bytes) -> int:
        """How many targets an address or a network has, or somewhat more."""
        return min(self.total, self._targets[crc32(key) % PLACES])

    def frequent(self, word: str) -> tuple[dict[bytes, int], dict[bytes, int]]:
        """The addresses, and the networks, that say a word most often, and how often."""
        addresses, networks = self._saying[word]
        return {**addresses.counts}, {**networks.counts}


def network_of(address: bytes) -> bytes:
    """The first octets of an address: its /24, or its /48."""
    return address[:3] if len(address) == 4 else address[:6]


def name_of(key: bytes) -> str:
    """An address or a network as people write it."""
    if len(key) in (4, 16):
        return str(ip_address(key))
    return str(ip_network((key.ljust(4 if len(key) == 3 else 16, b"\0"), 8 * len(key))))
