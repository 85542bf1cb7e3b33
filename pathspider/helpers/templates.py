"""Forged SYNs as octets, faster than Scapy builds them: the second one of a kind is the first with other numbers."""

from __future__ import annotations

import socket
import struct
from typing import Any

from scapy.fields import FlagValue
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import NoPayload, Packet

from pathspider.chains.tcp import TO_TS, next_option
from pathspider.helpers.segments import HEADER, ones_complement_sum

MOST_KINDS = 512
"""Kept at once; dscpclass has 64 for each IP version."""

NUMBERS = {IP: {"src", "dst", "id"}, IPv6: {"src", "dst", "fl"}, TCP: {"sport", "dport", "seq"}}
"""Fields in which SYNs of a kind differ; and the time in their option."""

COMPUTED = {"chksum", "len", "ihl", "dataofs", "plen"}
"""Fields that Scapy fills in, unless a plugin does."""

TIMESTAMP = "Timestamp"
PLAIN = (int, str, bytes, type(None))
"""Types of values that are what they say; others may be drawn when they are looked at."""


class Templates:
    """For one run; threads may share it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], bytes] = {}

    def octets(self, packet: Packet, kind: tuple[Any, ...] | None = None) -> bytes:
        """``bytes(packet)``.

        :param kind: its :func:`kind_of`, where that is known
        """
        kind = kind or kind_of(packet)
        if kind is None:
            return bytes(packet)
        template = self._kept.get(kind)
        if template is not None:
            return filled(template, packet)
        raw = bytes(packet)
        if len(self._kept) < MOST_KINDS:
            self._kept[kind] = raw
        return raw


def kind_of(packet: Packet) -> tuple[Any, ...] | None:
    """All of a packet but its numbers; None where it is not an IP header and TCP's alone, or more than that differs."""
    tcp = packet.payload
    if type(packet) not in NUMBERS or type(tcp) is not TCP or not isinstance(tcp.payload, NoPayload):
        return None
    found: list[Any] = [type(packet)]
    for header in (packet, tcp):
        numbers = NUMBERS[type(header)]
        for name, value in header.fields.items():
            if name in COMPUTED:
                return None
            if isinstance(value, FlagValue):
                value = int(value)  # noqa: PLW2901 - what it is
            if name == "options" and header is tcp:
                value = tuple((kind, None if kind == TIMESTAMP else one) for kind, one in value)  # noqa: PLW2901
                if not all(isinstance(one, PLAIN) and isinstance(kind, PLAIN) for kind, one in value):
                    return None
            elif name == "options":
                if value:
                    return None
                continue
            elif not isinstance(value, PLAIN):
                return None
            if name not in numbers:
                found += (name, value)
    return tuple(found)


def filled(template: bytes, packet: Packet) -> bytes:
    """The octets of a packet of the template's kind."""
    tcp, four = packet.payload, type(packet) is IP
    family, start = (socket.AF_INET, 20) if four else (socket.AF_INET6, 40)
    header, segment = bytearray(template[:start]), bytearray(template[start:])
    addresses = socket.inet_pton(family, number(packet, "src")) + socket.inet_pton(family, number(packet, "dst"))
    header[start - len(addresses):] = addresses
    struct.pack_into("!HHI", segment, 0, number(tcp, "sport"), number(tcp, "dport"), number(tcp, "seq"))
    stamps = next((one for kind, one in number(tcp, "options") if kind == TIMESTAMP), None)
    if stamps is not None:
        struct.pack_into("!II", segment, timestamp_at(segment), *stamps)
    segment[16:18] = bytes(2)
    total = ones_complement_sum(addresses + bytes(segment), socket.IPPROTO_TCP + len(segment))
    struct.pack_into("!H", segment, 16, 0xFFFF - total)
    if four:
        struct.pack_into("!H", header, 4, number(packet, "id"))
        header[10:12] = bytes(2)
        struct.pack_into("!H", header, 10, 0xFFFF - ones_complement_sum(bytes(header)))
    else:
        struct.pack_into("!I", header, 0, struct.unpack_from("!I", header)[0] & 0xFFF00000 | number(packet, "fl"))
    return bytes(header + segment)


def number(header: Packet, name: str) -> Any:
    """A field's value, without Scapy's detour where it is set."""
    found = header.fields.get(name)
    return getattr(header, name) if found is None else found


def timestamp_at(segment: bytearray) -> int:
    """Where the value of a segment's option for timestamps begins."""
    options = bytes(segment[HEADER.size:])
    at = next_option(options, 0)
    while options[at] != TO_TS:
        at = next_option(options, at + options[at + 1])
    return HEADER.size + at + 2
