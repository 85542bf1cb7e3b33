"""RIB dumps as RouteViews and RIPE RIS publish them: which AS originates a prefix.

Read are MRT files of type TABLE_DUMP_V2, :rfc:`6396` section 4.3, :rfc:`8050` for ADD-PATH; of those, the unicast
prefixes and the ends of the AS paths. A record at a time is in memory. An entry of a peer takes a microsecond.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

HEADER = struct.Struct(">LHHL")
"""Time, type, subtype, octets."""

TABLE_DUMP, TABLE_DUMP_V2, BGP4MP, BGP4MP_ET = 12, 13, 16, 17
OTHERS = {TABLE_DUMP: "a dump of the older type TABLE_DUMP: `bgpdump -m` makes text of it, which is read",
          BGP4MP: "updates (BGP4MP): a RIB is needed, as in a file named rib or bview",
          BGP4MP_ET: "updates (BGP4MP_ET): a RIB is needed, as in a file named rib or bview"}

UNICAST = {2: (socket.AF_INET, 8), 4: (socket.AF_INET6, 8), 8: (socket.AF_INET, 12), 10: (socket.AF_INET6, 12)}
"""By subtype: the address family, and the octets of an entry before its attributes: peer, time, with ADD-PATH a path
identifier, and length."""

LONGEST = 1 << 24
"""Octets of a record at most: a thousand peers with long paths have a tenth of that."""

AS_PATH, LONG = 2, 0x10
AS_SET, AS_SEQUENCE = 1, 2

Origin = int | tuple[int, ...]
"""An AS, or the set of those of which one is it."""


class MRTError(ValueError):
    """What is no RIB dump, or is cut off or damaged."""


class Route(NamedTuple):
    """A prefix, and who originates it."""

    family: socket.AddressFamily
    number: int
    """Its first bits."""
    length: int
    origins: list[Origin]
    """Those that most peers see are first."""


def looks_like_mrt(head: bytes) -> bool:
    """Whether a file that begins so is MRT, of whatever type."""
    if len(head) < HEADER.size:
        return False
    _, kind, subtype, octets = HEADER.unpack_from(head)
    return kind in (TABLE_DUMP, TABLE_DUMP_V2, BGP4MP, BGP4MP_ET) and subtype < 16 and octets <= LONGEST


def routes(read: Callable[[int], bytes]) -> Iterator[Route]:
    """The unicast prefixes of a dump.

    :param read: as that of a binary file
    :raises MRTError: for another type, and where the dump is cut off or damaged; what came before is good
    """
    position = 0
    while header := read(HEADER.size):
        if len(header) < HEADER.size:
            raise MRTError(f"the dump is cut off after octet {position}")
        _, kind, subtype, octets = HEADER.unpack(header)
        if kind in OTHERS:
            raise MRTError(f"this is {OTHERS[kind]}")
        if kind != TABLE_DUMP_V2 or octets > LONGEST:
            raise MRTError(f"at octet {position} there is no record of a RIB dump (type {kind}, {octets} octets)")
        body = read(octets)
        if len(body) < octets:
            raise MRTError(f"the dump is cut off after octet {position}")
        if subtype in UNICAST:
            try:
                yield _route(body, *UNICAST[subtype])
            except (IndexError, struct.error):
                raise MRTError(f"the record at octet {position} is damaged") from None
        position += HEADER.size + octets


def _route(body: bytes, family: socket.AddressFamily, before: int) -> Route:
    length = body[4]  # behind a sequence number
    place = 5 + (length + 7) // 8
    number = int.from_bytes(body[5:place], "big") >> (-length % 8)
    entries = int.from_bytes(body[place:place + 2], "big")
    if length > (32 if family == socket.AF_INET else 128) or len(body) < place + 2:
        raise IndexError
    place += 2
    seen: dict[Origin, int] = {}
    for _ in range(entries):
        begin = place + before
        place = begin + int.from_bytes(body[begin - 2:begin], "big")
        if not begin <= place <= len(body):
            raise IndexError
        origin = _origin(body, begin, place)
        if origin is not None:
            seen[origin] = seen.get(origin, 0) + 1
    return Route(family, number, length, sorted(seen, key=lambda origin: -seen[origin]))


def _origin(body: bytes, place: int, end: int) -> Origin | None:
    """The end of the AS path of an entry's attributes; None where there is none, as of what the peer itself has."""
    while place < end:
        long = body[place] & LONG
        kind = body[place + 1]
        begin = place + (4 if long else 3)
        place = begin + int.from_bytes(body[place + 2:begin], "big")
        if place > end:
            raise IndexError
        if kind == AS_PATH:
            return _last(body, begin, place)
    return None


def _last(body: bytes, place: int, end: int) -> Origin | None:
    last: Origin | None = None
    while place < end:
        kind, count = body[place], body[place + 1]
        begin, place = place + 2, place + 2 + 4 * count
        if place > end:
            raise IndexError
        if kind == AS_SEQUENCE and count:
            last = int.from_bytes(body[place - 4:place], "big")
        elif kind == AS_SET and count:
            last = as_set(struct.unpack_from(f">{count}L", body, begin))
    return last  # segments of a confederation do not count


def as_set(systems: tuple[int, ...]) -> Origin:
    """A set of AS, of which one may be all."""
    some = tuple(sorted({*systems}))
    return some if len(some) > 1 else some[0]
