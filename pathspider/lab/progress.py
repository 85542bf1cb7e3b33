"""How far ``pspdr lab check`` is: a line drawn over and over on a terminal, one every few seconds in a log."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from pathspider.terminal import REDRAWN, width

if TYPE_CHECKING:
    from pathspider.lab.check import Run

LOG_INTERVAL = 5.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """Tells paths done, and which measurements are under way, from its beginning to its end.

    :param stream: where to; nowhere if it is None
    """

    def __init__(self, runs: Sequence[Run], stream: TextIO | None) -> None:
        self.runs = runs
        self.paths = sum(len(run.cases) for run in runs)
        self.stream = stream
        self._records: dict[int, int] = {}
        """By the ``id()`` of a run under way: how many records it has written."""
        self._done = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._draws = stream is not None and stream.isatty()
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self.say(f"measuring {self.paths} paths: " + ", ".join(dict.fromkeys(run.measure[0] for run in self.runs)))
        if self.stream is not None:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._draws:
            self._write("\r\x1b[K")

    def began(self, run: Run) -> None:
        """The measurement of a run begins."""
        with self._lock:
            self._records[id(run)] = 0

    def heard(self, run: Run) -> None:
        """A run has written one more record."""
        with self._lock:
            if id(run) in self._records:  # one that was called hung is over already
                self._records[id(run)] += 1

    def ended(self, run: Run, text: str) -> None:
        """A run is over, of which there is this to say."""
        with self._lock:
            del self._records[id(run)]
            self._done += len(run.cases)
        self.say(text)

    def line(self) -> str:
        """How it stands."""
        with self._lock:
            under_way = [(run, self._records[id(run)]) for run in self.runs if id(run) in self._records]
            done = self._done + sum(min(records, len(run.cases)) for run, records in under_way)
        which = ", ".join(f"{' '.join(run.measure)} {records}/{len(run.cases)}" for run, records in under_way)
        return f"{done} of {self.paths} paths done" + (f"; {which}" if which else "")

    def say(self, text: str) -> None:
        """Write a line that stays."""
        if self._draws:
            self._write(f"\r{text}\x1b[K\n{self._fitting()}")
        else:
            self._write(f"{text}\n")

    def _repeat(self) -> None:
        while not self._over.wait(REDRAWN if self._draws else LOG_INTERVAL):
            self._write(f"\r{self._fitting()}\x1b[K" if self._draws else f"{self.line()}\n")

    def _fitting(self) -> str:
        """The line, as far as the terminal is wide: from its last column one would come to the next line."""
        return self.line()[:width(self.stream) - 1] if self.stream is not None else ""

    def _write(self, text: str) -> None:
        if self.stream is not None:
            with suppress(OSError):  # the terminal has gone
                self.stream.write(text)
                self.stream.flush()
