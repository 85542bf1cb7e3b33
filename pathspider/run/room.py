"""Room on the disk for the records of jobs that are under way: no target is contacted whose record has none."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pathspider.fallocate import reserve

if TYPE_CHECKING:
    from pathspider.writing import RecordWriter

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that say that a file cannot grow."""

AHEAD = 1 << 20
"""Octets that are reserved at once, beyond what is needed."""
MARGIN = 2
"""How many times as long as records are on average a further one may be."""
LEAST = 512
"""Octets for a record at least."""
FEW = 10
"""Jobs that are done before their records tell how long records are."""

class Room:
    """Keeps room reserved at the end of the file that records are written to; does nothing where that is no file.

    :param expected: octets of a record, until some are known
    """

    def __init__(self, writer: RecordWriter, expected: int = 1024) -> None:
        self._writer = writer
        self._expected = expected
        self._lock = threading.Lock()
        self._reserved = 0
        """The octet up to which there is room."""
        self._descriptor = -1
        with suppress(OSError, AttributeError):  # io.UnsupportedOperation is one
            descriptor = writer.stream.fileno()
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                self._appends = bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
                self._descriptor = descriptor
                self._begin = self._end()

    def ensure(self, jobs: int, done: int) -> None:
        """Have room for the records of so many jobs.

        :param done: jobs whose records were written
        :raises OSError: if there is no more
        """
        if self._descriptor < 0:
            return
        with self._lock:
            end = self._end()
            average = self._writer.octets / done if done >= FEW else self._expected / MARGIN
            needed = jobs * max(LEAST, round(MARGIN * average))
            if end + needed <= self._reserved:
                return
            for more in (AHEAD, 0):
                try:
                    reserve(self._descriptor, end, needed + more)
                except OSError as error:
                    if error.errno not in NO_ROOM:  # this file system does not do it
                        self._descriptor = -1
                        return
                    if not more:
                        raise
                else:
                    self._reserved = end + needed + more
                    return

    def release(self) -> None:
        """Give back what was not needed, unless somebody else writes to the file too."""
        with self._lock, suppress(OSError):
            if self._reserved and self._begin + self._writer.octets == os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, self._begin + self._writer.octets)
            self._reserved = 0

    def _end(self) -> int:
        """Where the next record will be written."""
        if self._appends:
            return os.fstat(self._descriptor).st_size
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)
