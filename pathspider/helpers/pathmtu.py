"""The largest packet that a path takes: which sizes are tried, and what follows from each. :rfc:`1191`, :rfc:`8899`"""

from __future__ import annotations

import socket
import struct
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from fcntl import ioctl

SIZES = (576, 1006, 1280, 1300, 1340, 1360, 1380, 1400, 1420, 1440, 1450, 1460, 1472, 1476, 1480, 1492, 1500)
"""Octets of an IP packet: what links and tunnels take that there are. The first two are of :rfc:`1191`, section 7.1,
1280 is the least of IPv6, 1420 WireGuard's, 1450 VXLAN's, 1476 GRE's, 1480 that of IP in IP, 1492 PPPoE's."""

LEAST = {4: 68, 6: 1280}
"""What each link takes. :rfc:`791`, :rfc:`8200`"""
LARGEST = 65535
"""Of an IP packet."""
DEFAULT_MSS = {4: 536, 6: 1220}
"""Of who does not say it. :rfc:`9293`, section 3.7.1"""

MOST_TOLD = 5
"""So many messages are followed: links become smaller along a path."""

SIOCGIFMTU = 0x8921
"""netdevice(7)"""


class Outcome(Enum):
    """What became of a packet; a number in its place is the size that a router said it takes."""

    PASSED = "passed"
    VANISHED = "vanished"
    """It was sent several times, and not answered; the same in smaller packets was."""
    TOO_BIG = "too_big"
    """A router said that it was too large, and not what it takes."""
    UNCLEAR = "unclear"
    """It was not answered, nor was the same in smaller packets; or it cannot be tried."""


@dataclass
class Found:
    """What is known at the end; sizes in octets of IP packets."""

    passed: int | None = None
    """The largest that passed."""
    told: int | None = None
    """What a router said last, where that can be; 0: that a packet was too large alone."""
    invalid: int | None = None
    """What one said that cannot be."""
    silent: int | None = None
    """The smallest that vanished without a message."""
    unclear: int | None = None
    """One of which nothing follows: the search ended there, or no other passed."""

    @property
    def works(self) -> bool:
        """Whether a host finds the size by what it is told."""
        return self.silent is None and self.unclear is None and self.passed is not None


def search(sizes: Sequence[int]) -> Generator[int, Outcome | int, Found]:
    """Yields sizes that are to be tried, the largest first, and is sent what became of each. Where nobody tells what is
    taken, the interval is halved.

    :param sizes: in their order
    """
    found, size, messages = Found(), sizes[-1], 0
    failed = size + 1
    """The smallest that did not pass."""
    while True:
        outcome = yield size
        if outcome is Outcome.UNCLEAR:
            found.unclear = size
            return found
        if outcome is Outcome.PASSED:
            found.passed = size
            if found.told == size:
                return found
        else:
            failed = size
            if outcome is Outcome.VANISHED:
                found.silent = size
            elif not isinstance(outcome, Outcome):
                messages += 1
                found.told = outcome
                if outcome > (found.passed or 0) and messages <= MOST_TOLD:
                    size = outcome
                    continue
        between = [one for one in sizes if (found.passed or 0) < one < failed]
        if not between:
            if found.passed is None and found.silent is None:
                found.unclear = failed
            return found
        size = between[len(between) // 2]


def heed(told: int, size: int, version: int) -> Outcome | int | None:
    """What a host makes of a router's word about a packet of this size: the size that it names; that it was too large,
    where over IPv4 it names none (:rfc:`1191`, section 5) or less than there can be; None for what is no reason to send
    smaller ones. So does Linux."""
    if LEAST[version] <= told < size:
        return told
    return Outcome.TOO_BIG if version == 4 and told < size else None


def interface_mtu(name: str) -> int | None:
    """What an interface takes; None if it is not there. netdevice(7)"""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = ioctl(sock, SIOCGIFMTU, struct.pack("16si12x", name.encode(), 0))
        return int(struct.unpack_from("i", answer, 16)[0])
    return None
