"""How far a measurement or an observation is, on standard error: a line drawn over and over on a terminal, one a minute
in a log."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Self, TextIO

from pathspider.terminal import REDRAWN, width

if TYPE_CHECKING:
    from pathspider.observer import Observer, Stats
    from pathspider.run.pipeline import Pipeline
    from pathspider.targets.reading import JobReader
    from pathspider.targets.selection import Selection

log = logging.getLogger("pathspider")

LOG_INTERVAL = 60.0
"""Seconds between two lines where there is no terminal: a run that is shorter has none."""

RATE_SPAN = 60.0
"""Seconds over which the rate is taken."""


class Numbers(NamedTuple):
    """How far a measurement is."""

    done: int
    """Jobs that have their record."""
    total: int | None
    """Jobs of the whole run, an estimate until all is read; None where nothing tells."""
    under_way: int
    rate: float
    """Jobs per second in the last minute."""
    seconds_left: float | None
    missed_flows: int
    suspects: int
    """Jobs that wait to be measured again, to be confirmed."""


class Line:
    """Shows, while its body runs, the line that :meth:`line` makes, and in the end :meth:`last_line`.

    :param draws: whether it is drawn, if the stream is a terminal
    """

    def __init__(self, stream: TextIO | None = None, *, draws: bool = True) -> None:
        self.stream = stream or sys.stderr
        self._began = time.monotonic()
        self._done = threading.Event()
        self._draws = self.stream.isatty() and draws
        self._handlers: list[logging.Handler] = []
        """What writes messages where our line is."""
        self._thread = threading.Thread(target=self._draw if self._draws else self._log, name="progress", daemon=True)

    def line(self, now: float) -> str:
        """The line as it stands at this moment of the monotonic clock."""
        raise NotImplementedError

    def last_line(self, now: float) -> str:
        """The line that stays when all is over."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if self._draws:
            self._handlers = [handler for handler in logging.getLogger().handlers
                              if getattr(handler, "stream", None) is self.stream]
        for handler in self._handlers:
            handler.addFilter(self._make_way)
        with suppress(RuntimeError):  # no more threads may be; the measurement has its own
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        for handler in self._handlers:
            handler.removeFilter(self._make_way)
        if self._draws:
            self._show(self.last_line(time.monotonic()), "\n")

    def _make_way(self, _record: logging.LogRecord) -> bool:
        """Have a message begin where the line is. For a log handler."""
        self._show("")
        return True

    def _draw(self) -> None:
        while not self._done.wait(REDRAWN):
            self._show(self.line(time.monotonic()))

    def _log(self) -> None:
        while not self._done.wait(LOG_INTERVAL):
            log.info("%s", self.line(time.monotonic()))

    def _show(self, line: str, end: str = "") -> None:
        # In the last column the cursor would go on to the next line, and the line could not be drawn over any more.
        with suppress(OSError):  # the terminal has gone
            self.stream.write("\r" + line[:width(self.stream) - 1] + "\x1b[K" + end)
            self.stream.flush()

class Progress(Line):
    """Tells jobs done, under way, the rate of the last minute, and the time left (where the input's length is known)
    while its body runs.

    :param stopping: whether the user has asked for the end
    :param targets: those of the reader that are measured
    """

    def __init__(self, run: Pipeline, reader: JobReader, stream: TextIO | None = None, *,
                 stopping: Callable[[], object] = lambda: False, targets: Selection | None = None) -> None:
        super().__init__(stream, draws=not reader.is_terminal())  # not over what the user is typing
        self.run = run
        self.reader = reader
        self.stopping = stopping
        self.targets = targets
        self._samples = deque([(self._began, 0)])
        """Moments of the last minute, and the jobs done by then."""
        self._sampling = threading.Lock()

    def line(self, now: float) -> str:
        """The line as it stands at this moment of the monotonic clock."""
        numbers = self.numbers(now)
        if self.stopping():
            parts = [f"stopping, {numbers.under_way:,} under way"]
        else:
            parts = [self._done_of(numbers.done), f"{numbers.under_way:,} under way", per_second(numbers.rate)]
            if numbers.seconds_left is not None:
                parts.append(f"about {rough(numbers.seconds_left)} left")
        if numbers.suspects:
            parts.insert(2, f"{numbers.suspects:,} to be confirmed")
        return ", ".join(parts + self._missed())

    def numbers(self, now: float) -> Numbers:
        """How it stands at this moment of the monotonic clock. Any thread may ask."""
        done = self.run.jobs_done
        rate, total = self._rate(now, done), self._total()
        left = None if total is None or rate <= 0 else max(total - done, 0) / rate
        suspects = self.run.suspects
        return Numbers(done, total, max(self.run.jobs_under_way - suspects, 0), rate, left, self.run.flows_missed,
                       suspects)

    def last_line(self, now: float) -> str:
        """The line that stays when all is over."""
        spent = max(now - self._began, 1e-9)
        done = self.run.jobs_done
        return ", ".join([f"{self._done_of(done)} in {duration(spent)}", per_second(done / spent), *self._missed()])

    def _missed(self) -> list[str]:
        return [f"{self.run.flows_missed:,} flows missed"] if self.run.flows_missed else []

    def _done_of(self, done: int) -> str:
        total = self._total()
        if total is None:
            return f"{done:,} done"
        if self._all_read():
            return f"{done:,} of {total:,} done"
        digits = len(str(total))  # of an estimate, two say something
        return f"{done:,} of about {round(total, min(0, 2 - digits)):,} done"

    def _rate(self, now: float, done: int) -> float:
        """Jobs per second in the last minute."""
        with self._sampling:
            self._samples.append((now, done))
            while self._samples[1][0] <= now - RATE_SPAN:
                self._samples.popleft()
            then, done_then = self._samples[0]
        return (done - done_then) / max(now - then, 1e-9)

    def _all_read(self) -> bool:
        length = self.reader.length
        return self._left() == 0 or (length is not None and self.reader.position >= length)

    def _left(self) -> int | None:
        """How many targets more will be taken at most; None where nothing bounds them."""
        return None if self.targets is None else self.targets.left

    def _total(self) -> int | None:
        """Jobs of the whole run: those taken, and, for the rest of the input, as many to an octet as before."""
        taken, read, length, left = self.run.jobs.accepted, self.reader.position, self.reader.length, self._left()
        if left == 0:
            return taken
        if length is None or not read:
            return None
        coming = round(self.reader.jobs * max(length - read, 0) / read)
        return taken + (coming if left is None else min(coming, left))


class Reading(Line):
    """Tells how much of its files an observer has read, while its body runs."""

    def __init__(self, observer: Observer, stream: TextIO | None = None, *, draws: bool = True) -> None:
        super().__init__(stream, draws=draws)
        self.observer = observer

    def line(self, now: float) -> str:
        """As :meth:`Line.line`."""
        read, total = self.observer.position() or (0, 0)
        spent = max(now - self._began, 1e-9)
        parts = [f"{size(read)} of {size(total)} read", *self._counts(), f"{size(read / spent)}/s"]
        if read and spent > REDRAWN:
            parts.append(f"about {rough(spent * (total - read) / read)} left")
        return ", ".join(parts)

    def last_line(self, now: float) -> str:
        """As :meth:`Line.last_line`."""
        read, total = self.observer.position() or (0, 0)
        return ", ".join([f"{size(read)} of {size(total)} read in {duration(now - self._began)}", *self._counts()])

    def _counts(self) -> list[str]:
        stats = self.observer.stats
        return [f"{stats.packets:,} packets", f"{stats.flows:,} flows"]


@contextmanager
def every(seconds: float, tell: Callable[[], object]) -> Iterator[None]:
    """Calls a function each so many seconds, in a thread, while the body runs."""
    over = threading.Event()

    def go() -> None:
        while not over.wait(seconds):
            tell()

    thread = threading.Thread(target=go, name="stats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def interval_line(before: Stats, after: Stats, seconds: float) -> str:
    """What an observer saw in so many seconds: packets, the flows that began, and what was lost."""
    packets = after.packets - before.packets
    lost = after.dropped_kernel + after.dropped_ring - before.dropped_kernel - before.dropped_ring
    return (f"{seconds:.1f} s: {packets:,} packets, {per_second(packets / max(seconds, 1e-9))}, "
            f"{after.flows - before.flows:,} flows begun, {after.open:,} open, {lost:,} packets lost")


def size(octets: float) -> str:
    """A number of bytes as one would say it: ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 999.5:
            return f"{octets:.0f} {unit}" if unit == "B" or octets >= 99.95 else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:.1f} TB"


def per_second(rate: float) -> str:
    """A rate with the digits that say something."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rough(seconds: float) -> str:
    """A time as one would say it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 57.5:
        return f"{round(seconds) if seconds < 10 else round(seconds / 5) * 5} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes / 10) * 10, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
