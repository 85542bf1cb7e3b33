"""What tells one list of targets from another: the SHA-256 of its octets."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import IO, Any


class HashingFile(io.FileIO):
    """A file of which what is read is hashed on the way, also where it can be read but once, as a pipe."""

    def __init__(self, file: int | str, *, closefd: bool = True) -> None:
        super().__init__(file, "rb", closefd=closefd)
        self.hash = hashlib.sha256()
        self.octets = 0
        """Octets that were read."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read into a buffer; the number of octets, as :meth:`io.RawIOBase.readinto` has it."""
        count = super().readinto(buffer)
        if count:
            self.hash.update(memoryview(buffer)[:count])
            self.octets += count
        return count


class HashingReader(io.BufferedReader):
    """As :func:`open_hashing` makes it."""

    raw: HashingFile


def open_hashing(file: int | str, *, closefd: bool = True) -> HashingReader:
    """A file opened for reading, which :class:`Digest` can tell of.

    :raises OSError: if it cannot be opened
    """
    return HashingReader(HashingFile(file, closefd=closefd))


class Digest:
    """SHA-256 and length of a list of targets: of an ordinary file from where it is read, as it is now; of a pipe when
    all of it was read.

    :param lines: opened by :func:`open_hashing`, and nothing read of it
    """

    def __init__(self, lines: IO[bytes]) -> None:
        raw: Any = getattr(lines, "raw", None)
        self._raw = raw if isinstance(raw, HashingFile) else None
        self._known: tuple[str, int] | None = None
        if self._raw is not None and stat.S_ISREG(os.fstat(self._raw.fileno()).st_mode):
            with Path(f"/proc/self/fd/{self._raw.fileno()}").open("rb") as again:
                begin = again.seek(self._raw.tell())  # as where a shell has read the first line of what it hands on
                found = hashlib.file_digest(again, "sha256").hexdigest()
                self._known = found, again.tell() - begin

    def found(self, *, complete: bool) -> tuple[str | None, int | None]:
        """SHA-256 (hexadecimal) and octets; None where they are not known.

        :param complete: whether all was read
        """
        if self._known is not None:
            return self._known
        if self._raw is None or not complete:
            return None, None
        return self._raw.hash.hexdigest(), self._raw.octets
