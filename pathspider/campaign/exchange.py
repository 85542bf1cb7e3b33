"""Where chunks come from and where their results go, whether or not there is a broker between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pathspider.campaign.chunks import Chunk


class Exchange(Protocol):
    """A worker takes chunks and gives results; the coordinator collects them."""

    def take(self) -> Chunk | None:
        """The next chunk to be measured; waits for one. None: there are no more, or shall be none."""

    def done(self, chunk: Chunk, result: bytes) -> None:
        """The results of a chunk. When this returns they will not get lost, whatever is killed."""

    def give_back(self, chunk: Chunk, why: str, *, given_up: bool) -> None:
        """A chunk was not measured.

        :param given_up: it shall not be, by anybody: it has killed whoever measured it
        """

    def collect(self) -> Iterator[tuple[str, int]]:
        """Slot and number of each chunk whose results have come into the campaign's folder, as they do."""
