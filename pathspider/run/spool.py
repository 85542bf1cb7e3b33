"""A queue without a bound that holds little in memory: first in, first out."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import deque
from typing import IO, Generic, TypeVar

Item = TypeVar("Item")

IN_MEMORY = 2000
"""Items that are held in memory; those that came later wait in a file."""


class Spool(Generic[Item]):
    """Items in the order in which they came; beyond :data:`IN_MEMORY`, in a file without a name, for which
    ``tempfile`` finds the room (``TMPDIR``). Not thread-safe.

    An item that cannot be written, since the disk is full or it holds what ``pickle`` cannot take, stays in memory,
    and so do those after it until the file is empty.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._first: deque[Item] = deque()
        self._file: IO[bytes] | None = None
        self._filed = 0
        """Items that wait in the file."""
        self._read = 0
        """Octets of the file that have been read."""
        self._last: deque[Item] = deque()
        """Those that came when the file could take no more."""

    def __len__(self) -> int:
        return len(self._first) + self._filed + len(self._last)

    def put(self, item: Item) -> None:
        """Add an item at the end."""
        if len(self) == len(self._first) < self._in_memory:
            self._first.append(item)
        elif self._last or not self._write(item):
            self._last.append(item)

    def peek(self) -> Item:
        """The item that comes next; ``IndexError`` if there is none."""
        if not self._first:
            self._load()
        return self._first[0]

    def get(self) -> Item:
        """Take the item that came first; ``IndexError`` if there is none."""
        self.peek()
        return self._first.popleft()

    def _write(self, item: Item) -> bool:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - for as long as we live
            pickled = pickle.dumps(item)
            end = self._file.seek(0, os.SEEK_END)
            if self._file.write(pickled) < len(pickled):
                self._file.truncate(end)
                return False
        except Exception:  # no room, or a plugin's value that cannot be written
            return False
        self._filed += 1
        return True

    def _load(self) -> None:
        if self._file is not None and self._filed:
            self._file.seek(self._read)
            with open(self._file.fileno(), "rb", closefd=False) as stream:
                for _ in range(min(self._filed, self._in_memory)):
                    self._first.append(pickle.load(stream))
                    self._filed -= 1
                self._read = stream.tell()
            if not self._filed:
                self._file.truncate(0)
                self._read = 0
        elif self._last:
            self._first, self._last = self._last, deque()
