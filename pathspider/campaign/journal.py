"""What has happened in a campaign, a line of JSON for each event; whatever dies, what was noted stays."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathspider.run.metadata import now

Event = dict[str, Any]
"""``time`` and ``event``, and what belongs to it."""


class Journal:
    """Appends events to a file, each on the disk when :meth:`record` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._known: list[Event] = []
        self._read = 0
        """Octets of the file that :attr:`_known` is of."""
        self._reading = threading.Lock()

    def record(self, event: str, **what: Any) -> None:
        """Add an event.

        :raises OSError: if it cannot be written
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._descriptor).st_size
        torn = size and os.pread(self._descriptor, 1, size - 1) != b"\n"  # its writer was killed in the midst of it
        line = json.dumps({"time": now(), "event": event, **what}).encode() + b"\n"
        data = b"\n" + line if torn else line
        while data:
            data = data[os.write(self._descriptor, data):]
        os.fdatasync(self._descriptor)

    def events(self) -> Sequence[Event]:
        """All events so far, also those of other processes; a torn line is passed over."""
        with self._reading, suppress(FileNotFoundError), self._path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size < self._read:
                self._known, self._read = [], 0
            stream.seek(self._read)
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read += len(line)
                with suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict) and "event" in event:
                        self._known.append(event)
        return self._known

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
