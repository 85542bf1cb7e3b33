"""Hold back: so many new connections per second and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Gives each caller a moment of its own; the next one's is as much later as this one's connections take.

    Moments that nobody asked for are not saved up, so there is never a burst but for the connections of one job, which
    belong together.

    :param rate: connections per second
    :param clock: seconds, never going back
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not rate > 0:
            raise ValueError(f"a rate of {rate} per second: it must be over 0")
        self._interval = 1 / rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock()

    def delay(self, connections: int = 1) -> float:
        """Take the next moment, for so many connections; the seconds until it comes."""
        with self._lock:
            now = self._clock()
            moment = max(self._next, now)
            self._next = moment + connections * self._interval
            return moment - now
