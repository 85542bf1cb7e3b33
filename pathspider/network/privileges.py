"""Give up what a run does not need: of root's capabilities only those that the plugin names stay. capabilities(7)

Called before threads are started, since each thread has capabilities of its own, and inherited by what is started
later: ``nft``, and the guard of borrowed settings.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_BPF": 39}
"""Bit numbers of linux/capability.h, for those that a measurement can use."""

OPTIONAL = frozenset({"CAP_BPF"})
"""A run can do without: kept where a plugin names it and the process has it."""

READING = "CAP_DAC_READ_SEARCH"
"""Stays: modules are loaded when they are first needed, perhaps from a folder that only its owner may read."""

VERSION_3 = 0x20080522
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_libc = ctypes.CDLL(None, use_errno=True)


def keep_only(names: Iterable[str]) -> None:
    """Give up, for good, every capability that is not named. Those that this process does not have stay missing.

    :param names: of :data:`CAPABILITIES`; ``ValueError`` for another
    """
    kept = 0
    for name in (*names, READING):
        if name not in CAPABILITIES:
            raise ValueError(f"{name}: only {', '.join(CAPABILITIES)} are known here")
        kept |= 1 << CAPABILITIES[name]
    number = 0
    while _libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if not kept >> number & 1:
            # Refused without CAP_SETPCAP; then exec gives nothing back anyway.
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    header, data = _Header(VERSION_3, 0), (_Data * 2)()
    _check(_libc.capget(ctypes.byref(header), data))
    for place, half in enumerate(data):
        mask = kept >> 32 * place & 0xFFFFFFFF
        half.effective &= mask
        half.permitted &= mask
        half.inheritable &= mask
    _check(_libc.capset(ctypes.byref(header), data))


def _check(outcome: int) -> None:
    if outcome:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
