"""The worker: takes chunks, has them measured, gives their results."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.exchange import Exchange
from pathspider.campaign.measuring import KilledError, Measuring, StoppedError

log = logging.getLogger("pathspider")

MOST_KILLS = 3
"""Processes that a chunk may kill before it is given up."""

AGAIN = 1.0
"""Seconds between the death of a process and the next one."""

MOST_STARTS, LONGEST = 10, 60.0
"""Runs of a chunk that could not be begun, and seconds between two of them at most: an interface comes back."""


class Worker:
    """Measures what an exchange has, until there is no more or :meth:`finish` is called.

    :param words: those of ``pspdr measure`` for a chunk
    :param survives: a run that cannot be begun is one chunk's trouble: others may ask for something else
    """

    def __init__(self, exchange: Exchange, measuring: Measuring, words: Callable[[Chunk], Sequence[str]],
                 vantage: str, *, survives: bool = False) -> None:
        self._troubles = (KilledError, CampaignError) if survives else (KilledError,)
        self.exchange = exchange
        self.measuring = measuring
        self.words = words
        self.vantage = vantage
        self.chunk: Chunk | None = None
        """What is under way."""
        self.errors = 0
        """Chunks that were not measured."""
        self._kills: Counter[str] = Counter()
        self._finish = threading.Event()
        self.told: Callable[[], None] = lambda: None
        """Called when a chunk has begun, or is over."""

    def run(self) -> None:
        """Measure."""
        try:
            while not self._finish.is_set() and (chunk := self.exchange.take()) is not None:
                self.chunk = chunk
                self.told()
                self._measure(chunk)
                self.chunk = None
                self.told()
        except StoppedError:
            pass
        finally:
            self.measuring.close()

    def finish(self) -> None:
        """Take no more chunks: what is under way is finished."""
        self._finish.set()

    def stop(self) -> None:
        """Give back what is under way, at once."""
        self._finish.set()
        self.measuring.stop()

    def _measure(self, chunk: Chunk) -> None:
        while True:
            try:
                result = self.measuring.measure(chunk, self.words(chunk), self.vantage)
            except StoppedError:
                self.exchange.give_back(chunk, "broken off on demand", given_up=False)
                raise
            except self._troubles as error:
                self._kills[chunk.key] += 1
                self.errors += 1
                times = self._kills[chunk.key]
                begun = isinstance(error, KilledError)
                given_up = times >= (MOST_KILLS if begun else MOST_STARTS)
                log.error("%s, chunk %d: %s%s", chunk.slot, chunk.number, error,
                          f"; {times} times now: the chunk is given up" if given_up else "; once more")
                if given_up:
                    self.exchange.give_back(chunk, str(error), given_up=True)
                    return
                if self._finish.wait(AGAIN if begun else min(AGAIN * 2 ** times, LONGEST)):
                    self.exchange.give_back(chunk, str(error), given_up=False)
                    return
            else:
                self.exchange.done(chunk, result)
                self._kills.pop(chunk.key, None)
                return
