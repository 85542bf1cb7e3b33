"""The packets of one target, from its file of evidence: by connection, and in words.

Such files are our own: one section, one interface, a packet's comment where a connection begins
(:mod:`pathspider.run.evidence`). draft-ietf-opsawg-pcapng
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pathspider.libtrace import Packet, flow_key
from pathspider.pcapng import COMMENT, ENHANCED_PACKET, INTERFACE_DESCRIPTION, SECTION_HEADER

MOST_OCTETS = 1 << 24
"""Of a file that is read: each flow in it has 64 packets."""
MARKS = {0: "", 1: "ECT(1)", 2: "ECT(0)", 3: "CE"}
FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG"), (0x40, "ECE"),
         (0x80, "CWR"), (0x100, "AE"))
OPTIONS = {2: "MSS", 30: "MPTCP", 34: "TFO"}
"""Options of TCP that are told; their kinds are IANA's."""


class Step(NamedTuple):
    """One packet of a connection."""

    time: float
    """Seconds since the epoch."""
    forward: bool
    """Whether it went to the target."""
    what: str


@dataclass
class Story:
    """One connection."""

    title: str
    steps: list[Step] = field(default_factory=list)


class Block(NamedTuple):
    """A packet of the file."""

    data: bytes
    wire_length: int
    link: int
    nanoseconds: int
    comment: str


class PacketsError(Exception):
    """A file of packets that cannot be read; the text says why."""


def stories(path: Path) -> list[Story]:
    """The connections of a file of evidence, in the order in which they began.

    :raises PacketsError: where there is no such file, or it is another one
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_OCTETS)
    except OSError as error:
        raise PacketsError(error.strerror or str(error)) from None
    found: dict[bytes | None, Story] = {}
    order: list[Story] = []
    forward: dict[bytes | None, int] = {}
    for block in blocks(content):
        _, key, direction = flow_key(block.data, block.link)
        if block.comment or key not in found:
            found[key] = Story(block.comment)
            order.append(found[key])
            forward[key] = direction
        packet = Packet()
        packet.set(block.data, block.wire_length, block.link, block.nanoseconds)
        found[key].steps.append(Step(block.nanoseconds / 1e9, direction == forward[key], in_words(packet)))
    return order


def blocks(content: bytes) -> Iterator[Block]:
    """The packets of a pcapng file; of one that breaks off, those before that.

    :raises PacketsError: for another kind of file
    """
    if content[:4] != struct.pack("=I", SECTION_HEADER):
        raise PacketsError("not a pcapng file")
    order = "<" if content[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    place, link, resolution = 0, 1, 6
    while place + 12 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, place)
        if length < 12 or length % 4 or place + length > len(content):
            return
        body = content[place + 8:place + length - 4]
        if kind == INTERFACE_DESCRIPTION and len(body) >= 8:
            link = struct.unpack_from(f"{order}H", body)[0]
            resolution = next((value[0] for code, value in _options(body[8:], order) if code == 9 and value), 6)
        elif kind == ENHANCED_PACKET and len(body) >= 20:
            _, high, low, captured, wire = struct.unpack_from(f"{order}IIIII", body)
            comment = next((value for code, value in _options(body[20 + (captured + 3 & ~3):], order)
                            if code == COMMENT), b"")
            yield Block(body[20:20 + captured], wire, link, (high << 32 | low) * 10 ** (9 - min(resolution, 9)),
                        comment.decode("utf-8", "replace"))
        place += length


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, place)
        if not code:
            return
        yield code, data[place + 4:place + 4 + length]
        place += 4 + (length + 3 & ~3)


def in_words(packet: Any) -> str:
    """What a packet is, as far as experiments look at it."""
    network = packet.ip or packet.ip6
    if network is None:
        return "no IP packet"
    words = [_transport(packet)]
    if mark := MARKS[network.traffic_class & 3]:
        words.append(mark)
    if network.traffic_class >> 2:
        words.append(f"DSCP {network.traffic_class >> 2}")
    if getattr(network, "has_rf", False):
        words.append("evil bit")
    return ", ".join(words)


def _transport(packet: Any) -> str:
    error = packet.icmp or packet.icmp6
    if error is not None:
        return f"ICMP type {error.type} code {error.code}"
    if packet.tcp is not None:
        return _tcp(packet.tcp)
    if packet.udp is not None:
        return f"UDP, {packet.udp.payload_len} octets{'' if packet.udp.checksum else ', no checksum'}"
    return f"protocol {(packet.ip or packet.ip6).proto}"


def _tcp(tcp: Any) -> str:
    words = flag_names(tcp.flags)
    if tcp.flags & 0x02:
        for number, name in OPTIONS.items():
            value = tcp.option(number)
            if value is not False and number in tcp.option_numbers:
                length = value if isinstance(value, bytes) else b""
                words += f" {name} {int.from_bytes(length[-2:])}" if number == 2 else f" {name}"
    return f"{words}, {tcp.payload_len} octets" if tcp.payload_len > 0 else words


def flag_names(flags: int) -> str:
    """The flags of a segment, the one that says most first."""
    return " ".join(name for bit, name in FLAGS if flags & bit) or "no flag"
