"""The lines of a list in an order that is drawn, of any length: neither they nor their order are held in memory."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import blake2b
from types import TracebackType
from typing import IO

OFFSETS = struct.Struct("<2Q")
BATCH = 1 << 13
"""Offsets written at once."""


class Permutation:
    """The numbers from 0 to ``size - 1``, each once, in an order drawn from ``seed``.

    A balanced Feistel network of four rounds over the next even power of two, walked until it is within the size
    (Black and Rogaway, *Ciphers with Arbitrary Finite Domains*, 2002). The same seed gives the same order everywhere
    and always. What a round draws depends on half the bits of a number, and is drawn once: that is memory for some
    8,000 numbers where there are a million.
    """

    ROUNDS = 4

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._bits = max(1, ((size - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._bits) - 1
        self._rounds: list[tuple[blake2b, dict[int, int]]] = [
            (blake2b(b"%d:%d" % (seed, number), digest_size=8), {}) for number in range(self.ROUNDS)]
        """For each round, what is drawn from, and what was drawn so far."""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int) -> int:
        """The number at a place."""
        if not 0 <= place < self._size:
            raise IndexError(place)
        while True:
            place = self._encrypt(place)
            if place < self._size:
                return place

    def __iter__(self) -> Iterator[int]:
        return (self[place] for place in range(self._size))

    def _encrypt(self, number: int) -> int:
        left, right = number >> self._bits, number & self._mask
        for key, known in self._rounds:
            drawn = known.get(right)
            if drawn is None:
                hashed = key.copy()
                hashed.update(right.to_bytes(8, "little"))
                drawn = known[right] = int.from_bytes(hashed.digest(), "little") & self._mask
            left, right = right, left ^ drawn
        return left << self._bits | right


class LineIndex:
    """Lines by number, from 0: where each of them is in the file, in an unnamed temporary file of 8 octets a line.

    :param source: the descriptor of the file; None to keep the lines, too, in such a file
    :param begins: where in that file the first line is
    """

    def __init__(self, source: int | None = None, begins: int = 0) -> None:
        self._files = ExitStack()
        self._offsets = self._file()
        self._spool = self._file() if source is None else None
        self._source = source
        self._begins = begins
        self._lines = 0
        self._waiting = [0]

    def _file(self) -> IO[bytes]:
        return self._files.enter_context(tempfile.TemporaryFile())

    def add(self, line: bytes, octets: int) -> None:
        """Add the next line.

        :param octets: how many of the file it takes: more than are in ``line`` where that is a beginning alone
        """
        if self._spool is not None:
            octets = self._spool.write(line)
        self._waiting.append(self._waiting[-1] + octets)
        self._lines += 1
        if len(self._waiting) > BATCH:
            self._offsets.write(struct.pack(f"<{BATCH}Q", *self._waiting[:BATCH]))
            del self._waiting[:BATCH]

    def whole(self) -> None:
        """All lines have been added."""
        self._offsets.write(struct.pack(f"<{len(self._waiting)}Q", *self._waiting))
        self._offsets.flush()
        if self._spool is not None:
            self._spool.flush()
            self._source = self._spool.fileno()

    def __len__(self) -> int:
        return self._lines

    def read(self, number: int, most: int) -> tuple[bytes, int]:
        """A line, at most its first so many octets, and how many the whole has."""
        assert self._source is not None
        begin, end = OFFSETS.unpack(os.pread(self._offsets.fileno(), OFFSETS.size, 8 * number))
        return os.pread(self._source, min(end - begin, most), self._begins + begin), end - begin

    def __enter__(self) -> LineIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._files.close()
