"""How far this machine's clock may be off, as the kernel has it from whoever sets it (NTP). adjtimex(2)"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

TIME_ERROR = 5
STA_UNSYNC, STA_NANO = 0x40, 0x2000


class _Timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long),
                ("maxerror", ctypes.c_long), ("esterror", ctypes.c_long), ("status", ctypes.c_int),
                ("constant", ctypes.c_long), ("precision", ctypes.c_long), ("tolerance", ctypes.c_long),
                ("time", ctypes.c_long * 2), ("tick", ctypes.c_long), ("ppsfreq", ctypes.c_long),
                ("jitter", ctypes.c_long), ("shift", ctypes.c_int), ("stabil", ctypes.c_long),
                ("jitcnt", ctypes.c_long), ("calcnt", ctypes.c_long), ("errcnt", ctypes.c_long),
                ("stbcnt", ctypes.c_long), ("tai", ctypes.c_int), ("reserved", ctypes.c_int * 11)]


class Clock(NamedTuple):
    """What the kernel knows of its clock."""

    synchronized: bool
    """Somebody sets it."""
    offset: float
    """Seconds that it is still off, as was measured last."""
    error: float
    """Seconds that it may be off at most."""


def clock() -> Clock:
    """The clock's state, now."""
    found = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    unit = 1e-9 if found.status & STA_NANO else 1e-6
    return Clock(state not in (-1, TIME_ERROR) and not found.status & STA_UNSYNC, found.offset * unit,
                 found.maxerror * 1e-6)
