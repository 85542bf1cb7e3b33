"""A clock that stands still while we could not look, and what it remembers of such times.

It is ``CLOCK_MONOTONIC`` without the time in which nobody looked: while the process was stopped, or starved of CPU or
of the interpreter. Whoever looks says until when he will look again (:meth:`AttendedClock.attend`); what the next look
is later than that, is *lag*.

A lag never counts against a connection's timeout; whether an answer that came within one was in time is judged by its
arrival (:meth:`AttendedClock.arrived`); and many of them within a connection make its failure doubtful
(:meth:`AttendedClock.disturbance`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from time import monotonic
from typing import NamedTuple

ALLOWANCE = 0.05
"""Seconds that a look may come late, or take, before it is called lag."""

NOTED = 0.05
"""Lags of so many seconds are remembered one by one."""

DISTURBING = 0.2
"""Seconds of lag within a connection's time that make its failure doubtful."""

DISTURBING_SHARE = 0.2
"""The same as a share of that time: a connection has all the attended time that it may take, so that a long one bears
more."""

REMEMBERED = 4096
"""How many lags are remembered."""

HALVES_IN = 1.0
"""Seconds in which :meth:`AttendedClock.lag` forgets half of what was."""

CPU_SAMPLE = 0.02
"""Seconds between two looks at the CPU time of the process: with 3,000 threads one look costs 0.1 ms."""

CORES = os.cpu_count() or 1
PAUSED, OVERLOADED = "paused", "overloaded"


class Lag(NamedTuple):
    """A time in which we could not look, in monotonic seconds."""

    began: float
    ended: float
    kind: str
    """``paused``, the process used no CPU, or ``overloaded``, it was starved of CPU or of the interpreter."""
    seconds: float
    before: float
    """The sum of the clock's lags before this one: a moment within it is told by that."""


class AttendedClock:
    """One thread looks; all may ask."""

    def __init__(self) -> None:
        self._time = (0.0, float("inf"))
        """All lags so far, and the monotonic moment up to which the clock goes on without another look."""
        self._looked = monotonic()
        self._lags: deque[Lag] = deque(maxlen=REMEMBERED)
        self._woken: deque[Lag] = deque(maxlen=REMEMBERED)
        """Lags that the clock does not know: workers that ran late, and the machine's sleep."""
        self._recent = (0.0, 0.0)
        self._cpu = (monotonic(), time.process_time())
        self._asleep_before = _suspended()

    @property
    def lags(self) -> float:
        """All lags so far, seconds."""
        return self._time[0]

    @property
    def due(self) -> float:
        """The monotonic moment up to which the clock goes on without another look."""
        return self._time[1]

    def now(self) -> float:
        """Monotonic seconds without the lag so far: what deadlines are told by."""
        total, horizon = self._time
        return min(monotonic(), horizon) - total

    def arrived(self, moment: float) -> float:
        """The moment on this clock that an arrival at a monotonic moment is judged by.

        A lag counts against an arrival within it, since the network went on; earlier lags do not.
        """
        offset = self._time[0]
        for lag in reversed(list(self._lags)):
            if moment >= lag.ended:
                break
            offset = lag.before
        return moment - offset

    def disturbance(self, began: float, ended: float) -> str | None:
        """What of our own disturbed the time between two monotonic moments: ``paused`` or ``overloaded``, by the worst.

        None if the lags within it (of more than :data:`NOTED` seconds each) are :data:`DISTURBING` seconds or less in
        all, or :data:`DISTURBING_SHARE` of it.
        """
        total = worst = 0.0
        kind = None
        if ended > (due := self._time[1]):  # not looked yet
            total = worst = max(monotonic() - due, 0.0)
            kind = OVERLOADED
        for lag in _overlapping(self._lags, began, ended):
            total += lag.seconds
            if lag.seconds > worst or (lag.kind == PAUSED and lag.seconds > worst / 2):
                worst, kind = lag.seconds, lag.kind
        for lag in _overlapping(self._woken, began, ended):
            total = max(total, lag.seconds)
            if lag.seconds > 2 * worst:
                worst, kind = lag.seconds, lag.kind
        return kind if total > max(DISTURBING, DISTURBING_SHARE * (ended - began)) else None

    def lag(self) -> float:
        """How late we are at present, in seconds: since the last look, or lately, half of it forgotten each second."""
        now = monotonic()
        at, recent = self._recent
        forgotten: float = 0.5 ** ((now - at) / HALVES_IN)
        return max(now - self._time[1], recent * forgotten, 0.0)

    def woken_late(self, began: float, seconds: float) -> None:
        """Remember a worker that ran late; of many that were late together, the worst."""
        ended = began + seconds
        self._note(ended, seconds)
        last = self._woken[-1] if self._woken else None
        if last is None or began > last.ended:
            self._woken.append(Lag(began, ended, OVERLOADED, seconds, 0.0))
        elif seconds > last.seconds:
            self._woken[-1] = Lag(began, ended, OVERLOADED, seconds, 0.0)

    def _note(self, now: float, seconds: float) -> None:
        """Keep the greatest lag of late."""
        at, recent = self._recent
        if seconds > recent * 0.5 ** ((now - at) / HALVES_IN):
            self._recent = (now, seconds)

    def attend(self, now: float, horizon: float) -> None:
        """We look: whatever we are late is lag; the next look is due at ``horizon``."""
        total, due = self._time
        if now > due:
            seconds = now - due
            self._remember(now, seconds, total)
            total += seconds
        self._time = (total, horizon)
        self._looked = now

    def _remember(self, now: float, seconds: float, before: float) -> None:
        """Remember a lag of the poller, from the last look until now."""
        self._note(now, seconds)
        if seconds > NOTED:
            began, (sampled, used) = self._looked, self._cpu
            idle = time.process_time() - used <= CORES * (began - sampled) + 0.1 * seconds
            self._lags.append(Lag(began, now, PAUSED if idle else OVERLOADED, seconds, before))

    def sample(self, now: float) -> None:
        """The CPU time so far, against which a lag is judged; and whether the machine was asleep."""
        if now - self._cpu[0] >= CPU_SAMPLE:
            self._cpu = (now, time.process_time())
        asleep = _suspended()
        if asleep - self._asleep_before > DISTURBING:  # the monotonic clock stood still
            self._note(now, asleep - self._asleep_before)
            self._woken.append(Lag(self._looked, now, PAUSED, asleep - self._asleep_before, 0.0))
        self._asleep_before = asleep


def _overlapping(lags: deque[Lag], began: float, ended: float) -> list[Lag]:
    return [lag for lag in list(lags) if lag.began < ended and lag.ended > began]


def _suspended() -> float:
    """Seconds that the machine has slept since it was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
