"""The run's own health: whether we look in time, and how much may be under way while we do not.

What our own machine does to a measurement (the process was stopped, it got no processor, the interpreter was busy) is
never a property of the path. :mod:`pathspider.helpers.poller` notices it; here is what follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TOO_LATE = 0.5
"""Seconds of lag with which fewer jobs may be under way."""
IN_TIME = 0.1
"""Seconds of lag below which more may be, again."""
FEWER, MORE = 0.7, 1.2
"""By how much."""
FEWEST = 10
"""Jobs that may be under way however late we are."""
BETWEEN = 0.5
"""Seconds between two changes: what a change does is not seen at once."""


class Health:
    """How many jobs may be under way, and what disturbed a connection.

    :param workers: jobs that may be under way when all is well
    :param lag: the present lag in seconds
    :param disturbance: what disturbed us between two moments (monotonic seconds): ``paused``, ``overloaded`` or None
    :param clock: monotonic seconds
    """

    def __init__(self, workers: int, lag: Callable[[], float], disturbance: Callable[[float, float], str | None],
                 clock: Callable[[], float]) -> None:
        self.workers = workers
        self.allowed = float(workers)
        self.under_way = 0
        self.repeated = 0
        """Jobs that were measured again, since we were not well."""
        self.disturbance = disturbance
        self._lag = lag
        self._clock = clock
        self._changed = clock()
        self._room = threading.Condition()
        self._over = False
        self._held = 0
        """Jobs that wait for their turn."""
        self._attended = False
        """Whether one of them looks now and then: how we are changes with time, too."""

    @contextmanager
    def turn(self, *, rested: bool = False) -> Iterator[None]:
        """Run the body as one of those under way; waits while too many are.

        :param rested: this job is measured again: it begins when we are well, or when few others are under way
        """
        with self._room:
            self.repeated += rested
            self._adapt()
            if not self._may_begin(rested):
                self._wait(rested)
            self.under_way += 1
        try:
            yield
        finally:
            with self._room:
                self.under_way -= 1
                self._adapt()
                if self._held:
                    self._room.notify(2)

    def _may_begin(self, rested: bool) -> bool:
        well = not rested or self._lag() < IN_TIME
        return self.under_way < (self.allowed if well else FEWEST)

    def _wait(self, rested: bool) -> None:
        self._held += 1
        while not (self._over or self._may_begin(rested)):
            attends = not self._attended
            self._attended = True
            self._room.wait(BETWEEN if attends else None)
            self._attended = self._attended and not attends
            self._adapt()
        self._held -= 1
        self._room.notify()  # there may be room for the next one too, and somebody has to attend

    def _adapt(self) -> None:
        now = self._clock()
        if now - self._changed < BETWEEN:
            return
        lag = self._lag()
        if lag > TOO_LATE:
            self.allowed = max(min(self.under_way, self.allowed) * FEWER, min(FEWEST, self.workers))
        elif lag < IN_TIME and self.allowed < self.workers:
            self.allowed = min(self.allowed * MORE + 1, self.workers)
        else:
            return
        self._changed = now
        self._room.notify_all()

    def end(self) -> None:
        """Nobody waits any more."""
        with self._room:
            self._over = True
            self._room.notify_all()
