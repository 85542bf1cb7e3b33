"""A campaign on this machine alone: the folder is the exchange."""

from __future__ import annotations

from collections.abc import Iterator

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.folder import Campaign


class LocalExchange:
    """The :class:`~pathspider.campaign.exchange.Exchange` between a campaign's folder and the one process that
    measures."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._left = campaign.left()
        self._epochs = campaign.epochs()
        self._done: list[tuple[str, int]] = []

    def take(self) -> Chunk | None:
        """The next chunk in the order that has no results."""
        place = next(self._left, None)
        if place is None or self.campaign.cancelled:
            return None
        self.campaign.journal.record("begin", slot=place[0], chunk=place[1])
        return self.campaign.chunk(*place, self._epochs.get(place, 0))

    def done(self, chunk: Chunk, result: bytes) -> None:
        """Have the results in the folder."""
        self.campaign.store(chunk.slot, chunk.number, result)
        self.campaign.journal.record("done", slot=chunk.slot, chunk=chunk.number)
        self._done.append((chunk.slot, chunk.number))

    def give_back(self, chunk: Chunk, why: str, *, given_up: bool) -> None:
        """Note why a chunk has no results; where it is not given up, the next run measures it."""
        self.campaign.journal.record("dead" if given_up else "failed", slot=chunk.slot, chunk=chunk.number, why=why)

    def collect(self) -> Iterator[tuple[str, int]]:
        """Those that have come since the last time."""
        while self._done:
            yield self._done.pop(0)
