"""Blocks of pcapng files, as Wireshark writes them. Values in, bytes out. draft-ietf-opsawg-pcapng

Sections are in the byte order of this machine, and have one interface.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from pathspider.version import __version__

SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
"""Types of blocks."""

COMMENT = 1
"""An option of any block; those below are of sections, interfaces and statistics."""
SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME, IF_TSRESOL, IF_FILTER = 2, 9, 11
ISB_IFRECV, ISB_IFDROP, ISB_OSDROP, ISB_USRDELIV = 4, 5, 7, 8

LONGEST_TEXT = 65532
"""Octets of an option: their number has 16 bits, and they are padded to a multiple of four."""


class Interface(NamedTuple):
    """Where packets were captured, and how."""

    name: str
    link: int
    """Kind of its frames: a LINKTYPE_ number."""
    snaplen: int
    """Octets kept of each packet; 0: all."""
    filter: str | None = None
    """What was captured alone, see pcap-filter(7)."""
    resolution: int = 6
    """Digits of a second's fraction that times have: 6 or 9."""


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """None if there are none, else with their end."""
    found = b"".join(struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options)
    return found + bytes(4) if found else b""


def text(value: str) -> bytes:
    """A text as an option has it: UTF-8, cut where it is too long."""
    encoded = value.encode("utf-8", "replace")
    return encoded if len(encoded) <= LONGEST_TEXT else encoded[:LONGEST_TEXT].decode("utf-8", "ignore").encode()


def section_header(comments: Iterable[str]) -> bytes:
    """What a section begins with: by what it was written, and what is said of all of it."""
    system = os.uname()
    return _block(SECTION_HEADER, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1) + _options([
        *((COMMENT, text(comment)) for comment in comments),
        (SHB_HARDWARE, text(system.machine)),
        (SHB_OS, text(f"{system.sysname} {system.release}")),
        (SHB_USERAPPL, text(f"PATHspider {__version__}")),
    ]))


def interface_description(interface: Interface) -> bytes:
    """The section's interface."""
    options = [(IF_NAME, text(interface.name)), (IF_TSRESOL, bytes([interface.resolution]))]
    if interface.filter:
        options.append((IF_FILTER, b"\0" + text(interface.filter)[:LONGEST_TEXT - 1]))
    return _block(INTERFACE_DESCRIPTION, struct.pack("=HHI", interface.link, 0, interface.snaplen) + _options(options))


def enhanced_packet(interface: Interface, time: int, wire_length: int, data: bytes, comment: str = "") -> bytes:
    """One packet.

    :param time: nanoseconds since 1970
    :param wire_length: octets that it had on the wire
    :param data: those that were captured
    """
    when = max(time, 0) // 10 ** (9 - interface.resolution)
    return _block(ENHANCED_PACKET, struct.pack("=IIIII", 0, when >> 32, when & 0xFFFFFFFF, len(data), wire_length)
                  + _padded(data) + _options([(COMMENT, text(comment))] if comment else []))


def interface_statistics(interface: Interface, time: int, *, received: int, lost: int, lost_by_system: int,
                         delivered: int) -> bytes:
    """How many packets there were from the beginning of the capture up to a moment.

    :param time: nanoseconds since 1970
    :param received: packets that came, the lost ones among them
    :param lost: those of them that did not come to the section
    :param lost_by_system: those of the lost ones that the system could not keep until they were read
    :param delivered: those that came to the section
    """
    when = max(time, 0) // 10 ** (9 - interface.resolution)
    return _block(INTERFACE_STATISTICS, struct.pack("=III", 0, when >> 32, when & 0xFFFFFFFF) + _options(
        (code, struct.pack("=Q", count)) for code, count in (
            (ISB_IFRECV, received), (ISB_IFDROP, lost), (ISB_OSDROP, lost_by_system), (ISB_USRDELIV, delivered))))
