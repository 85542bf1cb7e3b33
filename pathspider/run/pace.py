"""Hold back: so many new connections per second and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets one caller go at a time; the next one as much later as this one's connections take.

    Nobody has a moment ahead of time: those that nobody used, since nobody came or this process was stopped, are not
    saved up. So there is never a burst but for the connections of one job, which belong together.

    :param rate: connections per second
    :param clock: seconds, never going back
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not rate > 0:
            raise ValueError(f"a rate of {rate} per second: it must be over 0")
        self._interval = 1 / rate
        self._clock = clock
        self._turn = threading.Lock()
        """Held by the one whose turn it is."""
        self._state = threading.Lock()
        self._next = clock()

    def wait(self, connections: int, stop: threading.Event) -> bool:
        """Wait until so many connections may be made right after each other; False if ``stop`` was set before."""
        with self._turn:
            while (delay := self._next - self._clock()) > 0:
                if stop.wait(min(delay, threading.TIMEOUT_MAX)):
                    return False
            self.made(connections)
        return not stop.is_set()

    def made(self, connections: int) -> None:
        """So many connections are made now, whatever the pace; whoever comes next waits for them."""
        with self._state:
            self._next = max(self._next, self._clock()) + connections * self._interval
