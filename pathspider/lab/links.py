"""Links on the path that take smaller packets than others, and routers that say so, or not. :rfc:`1191`, :rfc:`8201`"""

from __future__ import annotations

import struct
from collections import Counter
from ipaddress import ip_address
from socket import IPPROTO_ICMP, IPPROTO_ICMPV6

from pathspider.lab.impairments import Impairment
from pathspider.lab.mangler import Packet, checksum

ROUTER = {4: ip_address("198.18.26.1").packed, 6: ip_address("fd00:18:26::1").packed}
"""Who says so."""
FRAG_NEEDED = (3, 4)
"""Type and code. :rfc:`792`"""
TOO_BIG = (2, 0)
"""The same. :rfc:`4443`"""
QUOTED = {4: 28, 6: 1280 - 48}
"""Octets of the packet that are quoted: with IPv4 the header and 64 bits."""
TTL = 64


class SmallLink:
    """A link that takes packets up to a size.

    :param takes: octets
    :param says: the size that its router names; None for a router that says nothing
    """

    def __init__(self, takes: int, says: int | None) -> None:
        self._takes = takes
        self._says = says

    def __call__(self, packet: Packet, towards: bool) -> Packet | bytes | None:
        if not towards or len(packet.header) + len(packet.segment) <= self._takes:
            return packet
        return None if self._says is None else too_big(packet, self._says)


class Outage:
    """A link that loses the first large packets of each port, and then takes them.

    :param octets: of packets that are not large
    :param lost: so many
    """

    def __init__(self, octets: int, lost: int) -> None:
        self._octets = octets
        self._lost = lost
        self._counts: Counter[bytes] = Counter()

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        if not towards or len(packet.header) + len(packet.segment) <= self._octets:
            return packet
        flow = b"".join(packet.addresses) + bytes(packet.segment[:4])
        self._counts[flow] += 1
        return None if self._counts[flow] <= self._lost else packet


def too_big(packet: Packet, size: int) -> bytes:
    """What a router says of a packet that is too big for its next link: whole, from its IP header on."""
    source, _ = packet.addresses
    quoted = bytes(packet.header + packet.segment)[:QUOTED[packet.version]]
    router = ROUTER[packet.version]
    if packet.version == 4:
        message = struct.pack("!BBHHH", *FRAG_NEEDED, 0, 0, size) + quoted
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, TTL, IPPROTO_ICMP, 0, router, source)
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + message
    message = struct.pack("!BBHI", *TOO_BIG, 0, size) + quoted
    pseudo = router + source + struct.pack("!II", len(message), IPPROTO_ICMPV6)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), IPPROTO_ICMPV6, TTL) + router + source + message


def outage(octets: int, lost: int = 3) -> Impairment:
    """The first ``lost`` packets over a size, of each port, vanish."""
    return Impairment(f"loses the first {lost} packets over {octets} octets of each port", mangle=Outage(octets, lost))


def small_link(takes: int, says: int | None = None) -> Impairment:
    """Packets that are larger vanish, or are answered by the router: it ``says`` a size, which may be a wrong one."""
    what = "without a word" if says is None else "and says so" if says == takes else f"and says {says}"
    return Impairment(f"drops packets over {takes} octets {what}", mangle=SmallLink(takes, says))
