"""The progress line of a measurement, on standard error, where that is a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pathspider.jobs import JobReader
    from pathspider.run.pipeline import Pipeline

INTERVAL = 0.5
"""Seconds between two drawings."""


class Progress:
    """Draws jobs done, rate, missed flows and the time left (where the input's length is known) while its body runs."""

    def __init__(self, run: Pipeline, reader: JobReader, stream: TextIO | None = None) -> None:
        self.run = run
        self.reader = reader
        self.stream = stream or sys.stderr
        self.length = input_length(reader)
        self._began = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self.stream.isatty():
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
            self.stream.write("\r" + self.line() + "\x1b[K\n")
            self.stream.flush()

    def _draw(self) -> None:
        while not self._done.wait(INTERVAL):
            self.stream.write("\r" + self.line() + "\x1b[K")
            self.stream.flush()

    def line(self) -> str:
        """The line as it stands now."""
        spent = max(time.monotonic() - self._began, 1e-9)
        done = self.run.jobs_done
        parts = [f"{done} done", f"{done / spent:.0f}/s", f"{self.run.flows_missed} flows missed"]
        if (left := self._seconds_left(done, spent)) is not None:
            parts.append(f"{duration(left)} left")
        return ", ".join(parts)

    def _seconds_left(self, done: int, spent: float) -> float | None:
        """Estimated from the share of the input that the jobs done so far took."""
        if not self.length or not done or not self.reader.jobs:
            return None
        share = self.reader.position / self.length * done / self.reader.jobs
        return max(0.0, spent / share - spent) if share else None


def input_length(reader: JobReader) -> int | None:
    """Bytes of the input, where it is a regular file; None where it is not."""
    lines: Any = reader._lines
    try:
        descriptor = lines.fileno()
        return os.fstat(descriptor).st_size if os.path.isfile(f"/proc/self/fd/{descriptor}") else None
    except (OSError, ValueError, AttributeError):
        return None


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
