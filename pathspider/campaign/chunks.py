"""A chunk: some of a campaign's targets, for one slot, measured and told of together."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from pathspider.records import Job
from pathspider.targets.shuffling import Permutation

ANY = "any"
"""The slot of a campaign whose chunks are split between the vantage points: any of them measures them."""


class Chunk(NamedTuple):
    """What is measured at once."""

    campaign: str
    """The campaign's id."""
    slot: str
    """Whose it is: the vantage point's name, or :data:`ANY`."""
    number: int
    """From 0, in its slot."""
    epoch: int
    """How often it was asked for anew (``campaign retry``)."""
    jobs: list[Job]

    @property
    def key(self) -> str:
        """What tells this chunk from all others, good for a file's name."""
        return key(self.campaign, self.slot, self.number, self.epoch)


def key(campaign: str, slot: str, number: int, epoch: int) -> str:
    """What tells a chunk from all others; its parts have been checked."""
    return f"{campaign}.{slot}.{number}.{epoch}"


class Order:
    """The order in which a slot's targets are measured: another one for each slot, so that several vantage points do
    not come to one target together.

    :param targets: how many there are
    :param size: targets in a chunk
    """

    def __init__(self, targets: int, size: int, seed: int, slot: str) -> None:
        drawn = int.from_bytes(blake2b(f"{seed}:{slot}".encode(), digest_size=8).digest(), "big")
        self._order = Permutation(targets, drawn)
        self._size = size
        self.chunks = -(-targets // size)

    def targets(self, number: int) -> list[int]:
        """The places of a chunk's targets in the list; the last chunk may be a short one."""
        begin = number * self._size
        return [self._order[place] for place in range(begin, min(begin + self._size, len(self._order)))]
