"""``--status-file``: how far a measurement is, for other programs, once a second."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathspider.cmd.progress import Progress
    from pathspider.run.measurement import Measurement
    from pathspider.writing import JSONFile

log = logging.getLogger("pathspider")

INTERVAL = 1.0
"""Seconds between two writings."""


class StatusFile:
    """Keeps the file up to date while its body runs; whoever ends the measurement has the final state written.

    :param progress: knows the numbers
    """

    def __init__(self, file: JSONFile, measurement: Measurement, progress: Progress) -> None:
        self._file = file
        self._measurement = measurement
        self._progress = progress
        self._over = threading.Event()
        self._failed = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="status", daemon=True)

    def __enter__(self) -> StatusFile:
        self.write()
        with suppress(RuntimeError):  # no more threads may be; the measurement has its own
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(INTERVAL):
            self.write()

    def write(self) -> None:
        """Write how it stands now."""
        with self._writing:
            try:
                self._file.write(self.state())
                self._failed = False
            except OSError as error:
                if not self._failed:
                    log.warning("status file: %s", error.strerror)
                self._failed = True

    def state(self) -> dict[str, Any]:
        """How it stands; docs/usage.rst describes it."""
        from pathspider.run.metadata import now  # noqa: PLC0415

        run = self._measurement
        over = run.status is not None
        numbers = self._progress.numbers(time.monotonic())
        return {
            "run": run.spider.options.run,
            "time": now(),
            "state": "ended" if over else "stopping" if run.signals else "running",
            **numbers._asdict(),
            "rate": round(numbers.rate, 3),
            "seconds_left": None if over or numbers.seconds_left is None else round(numbers.seconds_left, 1),
            "records": run.counts.lines,
            "local_errors": dict(run.counts.local_errors),
            "ended": run.ended._asdict() if over else None,
            "status": run.status,
        }


def is_status(stream: IO[bytes]) -> bool:
    """Whether a file holds the status of a run: that of the next one takes its place."""
    try:
        found = json.load(stream)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"run", "state", "done", "under_way"} <= found.keys()
