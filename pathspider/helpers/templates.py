"""Forged SYNs as octets, faster than Scapy builds them: the second one of a kind is the first with other numbers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from scapy.fields import FlagValue
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrSegmentRouting,
    Pad1,
    PadN,
)
from scapy.packet import NoPayload, Packet

from pathspider.chains.tcp import TO_EOL, TO_TS
from pathspider.helpers.segments import HEADER, ones_complement_sum, timestamp_at, transport_offset

MOST_KINDS = 512
"""Kept at once; dscpclass has 64 for each IP version."""

EXTENSIONS = {IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrSegmentRouting}

NUMBERS = {
    IP: {"src", "dst", "id"},
    IPv6: {"src", "dst", "fl"},
    IPv6ExtHdrFragment: {"id"},
    IPv6ExtHdrSegmentRouting: {"addresses"},
    TCP: {"sport", "dport", "seq"},
}
"""Fields in which SYNs of a kind differ; and the time in their option."""

COMPUTED = {"chksum", "len", "ihl", "dataofs", "plen"}
"""Fields that Scapy fills in, unless a plugin does."""

TIMESTAMP = "Timestamp"
HIDE_TIME = {"EOL", TO_EOL, TO_TS}
"""Options beside which it is not looked for."""
PLAIN = (int, str, bytes, type(None))
"""Types of values that are what they say; others may be drawn when they are looked at."""
START, TIMES = struct.Struct("!HHI"), struct.Struct("!II")
"""Of a TCP header: ports and sequence number; of the option for timestamps: both."""

SKIPPED = (Pad1, PadN, HBHOptUnknown)
"""Options of extension headers that change nothing of the checksum."""


class Template:
    """The octets of a packet that has a kind (``kind_of``), for all others of that kind."""

    def __init__(self, packet: Packet) -> None:
        self._raw = bytes(packet)
        self._at = transport_offset(self._raw)
        self._time_at = HEADER.size + timestamp_at(self._raw[self._at + HEADER.size:])

    def octets(self, packet: Packet) -> bytes:
        """``bytes(packet)``."""
        *headers, tcp = layers(packet)
        octets, segment = bytearray(self._raw[:self._at]), bytearray(self._raw[self._at:])
        START.pack_into(segment, 0, number(tcp, "sport"), number(tcp, "dport"), number(tcp, "seq"))
        for kind, value in tcp.fields.get("options", ()):
            if kind == TIMESTAMP:
                TIMES.pack_into(segment, self._time_at, *value)
        addresses = packed(packet, "src", "dst")
        segment[16:18] = b"\0\0"
        total = ones_complement_sum(addresses + bytes(segment), socket.IPPROTO_TCP + len(segment))
        segment[16:18] = (0xFFFF - total).to_bytes(2, "big")
        if type(packet) is IP:
            octets[4:6] = number(packet, "id").to_bytes(2, "big")
            octets[10:] = b"\0\0" + addresses
            octets[10:12] = (0xFFFF - ones_complement_sum(bytes(octets))).to_bytes(2, "big")
        else:
            label = number(packet, "fl")
            octets[1:4] = ((octets[1] & 0xF0) << 16 | label).to_bytes(3, "big")
            octets[8:40] = addresses
            if len(headers) > 1:
                extend(octets, headers[1:])
        return bytes(octets + segment)


def extend(octets: bytearray, extensions: Sequence[Packet]) -> None:
    """Set the numbers of extension headers, which stand behind the IPv6 header."""
    at = 40
    for header in extensions:
        if type(header) is IPv6ExtHdrFragment:
            struct.pack_into("!I", octets, at + 4, number(header, "id"))
        elif type(header) is IPv6ExtHdrSegmentRouting:
            route = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in header.fields["addresses"])
            octets[at + 8:at + 8 + len(route)] = route
        at += (octets[at + 1] + 1) * 8


def packed(packet: Packet, *names: str) -> bytes:
    """Addresses of an IP header, in network order."""
    family = socket.AF_INET if type(packet) is IP else socket.AF_INET6
    return b"".join(socket.inet_pton(family, number(packet, name)) for name in names)


class Templates:
    """For one run; threads may share it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Template] = {}

    def template(self, packet: Packet) -> Template | None:
        """The template of a packet's kind; None where it has none, or there are too many kinds."""
        kind = kind_of(packet)
        if kind is None:
            return None
        template = self._kept.get(kind)
        if template is None and len(self._kept) < MOST_KINDS:
            template = self._kept[kind] = Template(packet)
        return template

    def octets(self, packet: Packet) -> bytes:
        """``bytes(packet)``."""
        template = self.template(packet)
        return bytes(packet) if template is None else template.octets(packet)


def layers(packet: Packet) -> Iterator[Packet]:
    """A packet's headers."""
    while not isinstance(packet, NoPayload):
        yield packet
        packet = packet.payload


def kind_of(packet: Packet) -> tuple[Any, ...] | None:
    """All of a packet but its numbers; None where it is not an IP header, extension headers and TCP's alone, or more
    than that differs."""
    headers = [*layers(packet)]
    types = [type(header) for header in headers]
    if types != [IP, TCP] and not (types[0] is IPv6 and types[-1] is TCP and EXTENSIONS.issuperset(types[1:-1])):
        return None
    try:
        return tuple(map(described, headers))
    except ValueError:
        return None


def described(header: Packet) -> tuple[Any, ...]:
    """All of a header but its numbers. ``ValueError`` where more than that differs."""
    if COMPUTED & header.fields.keys():
        raise ValueError("what is to be computed is set")
    if type(header) is IPv6ExtHdrSegmentRouting and header.fields.get("segleft") != 0:
        raise ValueError("the checksum is that of another destination")
    numbers = NUMBERS.get(type(header), ())
    found: list[Any] = [type(header)]
    for name, value in header.fields.items():
        if name == "options" and type(header) is TCP:
            value = without_time(value)  # noqa: PLW2901 - what does not differ of it
        said = plain(value)
        if name not in numbers:
            found += (name, said)
        elif isinstance(said, tuple):
            found += (name, len(said))
    return tuple(found)


def without_time(options: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """TCP options but for the time. ``ValueError`` where that cannot be told from another option's value."""
    kinds = [kind for kind, _ in options]
    if TIMESTAMP in kinds and (kinds.count(TIMESTAMP) > 1 or HIDE_TIME.intersection(kinds)):
        raise ValueError("the first timestamp that is found is another one, or none")
    return [(kind, None if kind == TIMESTAMP else value) for kind, value in options]


def plain(value: Any) -> Any:
    """A field's value, to be compared. ``ValueError`` for what may be another one when it is looked at again."""
    if isinstance(value, FlagValue):
        return int(value)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if type(value) in SKIPPED:
        return type(value), plain([*value.fields.items()])
    raise ValueError(f"{value!r} is not plain")


def number(header: Packet, name: str) -> Any:
    """A field's value, without Scapy's detour where it is set."""
    found = header.fields.get(name)
    return getattr(header, name) if found is None else found
