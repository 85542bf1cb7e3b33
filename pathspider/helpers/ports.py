"""Source ports that were used lately: none is used again to one address for 30 seconds.

A reply that comes late, and what a middlebox remembers of a flow, would else be taken for the next connection's. The
kernel does not see to that for UDP, and not for ports that it never connected (forged packets). For the kernel's own
TCP connections ``TIME_WAIT`` and the order in which it gives ports do.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

REST = 30.0
"""Seconds for which a port is not used again to one address, at least; at most twice as long."""

BITS = 1 << 23

ATTEMPTS = 64
"""How many ports are tried."""

Holder = TypeVar("Holder", bound=socket.socket)


class AllUsed(OSError):  # noqa: N818
    """No port is left that was not used lately."""


class Ledger:
    """Which (address, port) was used lately, in two generations of :data:`REST` seconds each.

    A generation is a field of bits, one for each hash: 1 MiB, however much is claimed. Two pairs may share a bit, so
    that now and then a port is refused that was not used: one of 50 at 5,000 claims a second.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._young, self._old = bytearray(BITS // 8), bytearray(BITS // 8)
        self._began = clock()
        self.claimed = self.refused = 0

    def claim(self, address: str, port: int) -> bool:
        """Take a port for a connection to ``address``; False if it was used to it in the last 30 seconds."""
        place, bit = divmod(hash((address, port)) % BITS, 8)
        mask = 1 << bit
        with self._lock:
            age = self._clock() - self._began
            if age >= REST:
                self._old = self._young if age < 2 * REST else bytearray(BITS // 8)
                self._young = bytearray(BITS // 8)
                self._began += age
            if (self._young[place] | self._old[place]) & mask:
                self.refused += 1
                self._young[place] |= mask
                return False
            self._young[place] |= mask
            self.claimed += 1
            return True


def unused(ledger: Ledger, address: str, make: Callable[[], Holder]) -> Holder:
    """A socket on a port that was not used to ``address`` lately.

    :param make: makes a socket on a port that the kernel chooses, and raises ``OSError``
    :raises AllUsed: ``EADDRNOTAVAIL``, if :data:`ATTEMPTS` ports in turn were used
    """
    refused: list[Holder] = []
    try:
        for _ in range(ATTEMPTS):
            holder = make()
            if ledger.claim(address, holder.getsockname()[1]):
                return holder
            refused.append(holder)  # kept for the while, so that the kernel chooses another one
    finally:
        for holder in refused:
            holder.close()
    raise AllUsed(errno.EADDRNOTAVAIL, f"{ATTEMPTS} ports were all used to {address} in the last {REST:.0f} seconds")


UDP, FORGED_TCP = Ledger(), Ledger()
"""The process's ledgers. Forged UDP shares that of UDP; what the kernel connects by TCP is its own affair."""
