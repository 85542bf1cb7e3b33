"""Packets cut into fragments, by hand: any cuts, and what no host would send."""

import struct
from itertools import pairwise
from typing import Any

from scapy.all import IPv6ExtHdrFragment

ETHERNET = bytes.fromhex("020000000002" "020000000001")


def checksum(header: bytes) -> int:
    """Of an IPv4 header. :rfc:`1071`"""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def piece4(packet: bytes, start: int, end: int, *, more: bool | None = None, ident: int = 7,
           content: bytes | None = None) -> bytes:
    """The fragment of an IPv4 packet that has these octets of its content, without a link layer."""
    head = (packet[0] & 15) * 4
    whole = packet[head:]
    more = end < len(whole) if more is None else more
    content = whole[start:end] if content is None else content
    header = bytearray(packet[:head])
    struct.pack_into("!HHH", header, 2, head + len(content), ident, (packet[6] & 0xC0) << 8 | more << 13 | start // 8)
    header[10:12] = b"\0\0"
    header[10:12] = checksum(header).to_bytes(2, "big")
    return bytes(header) + content


def piece6(packet: bytes, start: int, end: int, *, more: bool | None = None, ident: int = 7,
           content: bytes | None = None, head: int = 40) -> bytes:
    """The same of an IPv6 packet.

    :param head: octets of the part that is in each fragment, the fixed header or also a hop-by-hop header
    """
    whole = packet[head:]
    more = end < len(whole) if more is None else more
    content = whole[start:end] if content is None else content
    names = 6 if head == 40 else 40
    extension = bytes(IPv6ExtHdrFragment(nh=packet[names], id=ident)) if start >= 0 else b""
    extension = extension[:2] + struct.pack("!H", start | more) + extension[4:]
    header = bytearray(packet[:head])
    header[names] = 44
    struct.pack_into("!H", header, 4, head - 40 + len(extension) + len(content))
    return bytes(header) + extension + content


def piece(packet: bytes, start: int, end: int, **options: Any) -> bytes:
    """The same of either."""
    return (piece4 if packet[0] >> 4 == 4 else piece6)(packet, start, end, **options)


def split(packet: bytes, *cuts: int, **options: Any) -> list[bytes]:
    """All of a packet, cut at these octets of its content."""
    head = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else options.get("head", 40)
    edges = [0, *cuts, len(packet) - head]
    return [piece(packet, start, end, **options) for start, end in pairwise(edges)]


def framed(packet: bytes, padding: int = 0) -> bytes:
    """In Ethernet, with octets behind it that are not the packet's."""
    return ETHERNET + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet + bytes(padding)
