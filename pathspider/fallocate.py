"""Room for what a file will hold, by fallocate(2); Python's ``os.posix_fallocate()`` changes the size too."""

from __future__ import annotations

import ctypes
import os

FALLOC_FL_KEEP_SIZE = 0x01  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)


def reserve(descriptor: int, begin: int, length: int) -> None:
    """Have room for so many octets of a file from ``begin`` on; its size stays. fallocate(2)

    :raises OSError: if there is none, or the file system does not do this
    """
    if _libc.fallocate64(descriptor, FALLOC_FL_KEEP_SIZE, ctypes.c_int64(begin), ctypes.c_int64(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
