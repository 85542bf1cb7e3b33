"""Packets that are to die on the way: another one's, with a TTL, a source port and a number of their own. Pure.

The fields by which routers choose one of several paths stay the same for all of a flow's probes, and so does the
sequence number: addresses, ports, flow label. B. Augustin et al., Avoiding traceroute anomalies with Paris traceroute,
IMC 2006. What tells the probes apart is the identification of the IPv4 header and, as IPv6 has none, the window of a
SYN, which no router looks at; errors quote as much as there is room for, so that it is there. :rfc:`4443`
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import randbytes
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, inet_ntop, inet_pton

from pathspider.chains.quic import begins
from pathspider.chains.tcp import TO_TS
from pathspider.helpers.segments import ones_complement_sum, transport_offset
from pathspider.quotation import OPTION, Quotation, read

TIME_EXCEEDED = {4: 11, 6: 3}
USUAL_TTL = 64
INITIAL_TTLS = (32, 64, 128, 255)
"""TTLs that systems begin with."""
FEATURES = ("dscp", "ecn", "evil", "headers", "tcp_flags", "window", "urgent", "surplus", "payload_length")
"""Fields that differ between two packets of ours only if they are to, see :func:`differing`."""
CHECKSUM_AT = {IPPROTO_TCP: 16, IPPROTO_UDP: 6}
"""Where in the transport's header it is."""


def version_of(packet: bytes) -> int:
    """4 or 6."""
    return packet[0] >> 4


def protocol_of(packet: bytes) -> int:
    """The number of the transport protocol, behind IPv6 extension headers."""
    found = as_quoted(packet)
    return (found.proto if found is not None else None) or 0


def probe(template: bytes, *, port: int, ttl: int = USUAL_TTL, number: int = 0, seq: int | None = None) -> bytes:
    """A packet like the template, from its IP header on.

    :param template: TCP or UDP, from its IP header on; lengths and checksums are made to fit
    :param port: source port
    :param number: of the probe, for the identification field or, of TCP over IPv6, the window; 0: the latter stays
    :param seq: sequence number, where it is TCP
    """
    packet = bytearray(template)
    if version_of(template) == 4:
        packet[4:6] = struct.pack("!H", number)
        packet[8] = ttl
        size = (packet[0] & 15) * 4
        packet[2:4] = struct.pack("!H", len(packet))
        packet[10:12] = b"\0\0"
        packet[10:12] = struct.pack("!H", 0xFFFF - ones_complement_sum(bytes(packet[:size])))
        addresses = packet[12:20]
    else:
        packet[4:6] = struct.pack("!H", len(packet) - 40)
        packet[7] = ttl
        addresses = packet[8:40]
    at, protocol = transport_offset(template), protocol_of(template)
    packet[at:at + 2] = struct.pack("!H", port)
    if protocol == IPPROTO_TCP:
        if seq is not None:
            packet[at + 4:at + 8] = struct.pack("!I", seq)
        if number and version_of(template) == 6:
            packet[at + 14:at + 16] = struct.pack("!H", window_of(number))
        set_checksum(packet, at, bytes(addresses), protocol, len(packet) - at)
    elif protocol == IPPROTO_UDP and packet[at + 6:at + 8] != b"\0\0":  # none was sent: it stays so
        (length,) = struct.unpack_from("!H", packet, at + 4)
        set_checksum(packet, at, bytes(addresses), protocol, length)
    return bytes(packet)


def window_of(number: int) -> int:
    """The window of a SYN that has a number: one that hosts may have."""
    return 0x8000 | number & 0x7FFF


def set_checksum(packet: bytearray, start: int, addresses: bytes, protocol: int, length: int) -> None:
    """Compute the checksum of the transport that begins at ``start`` anew. :rfc:`9293`, section 3.1; :rfc:`768`"""
    at = start + CHECKSUM_AT[protocol]
    packet[at:at + 2] = b"\0\0"
    total = ones_complement_sum(addresses + bytes(packet[start:start + length]), protocol + length)
    packet[at:at + 2] = struct.pack("!H", (0xFFFF - total) or (0xFFFF if protocol == IPPROTO_UDP else 0))


def datagram(own: str, target: str, ports: tuple[int, int], ttl: int, number: int) -> bytes:
    """A UDP datagram that carries nothing of interest, from its IP header on."""
    family = AF_INET6 if ":" in target else AF_INET
    ends = inet_pton(family, own) + inet_pton(family, target)
    transport = struct.pack("!HHHH", *ports, 16, 1) + bytes(8)
    if family == AF_INET:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), number, 0x4000, ttl, IPPROTO_UDP, 0) + ends
    else:
        header = struct.pack("!IHBB", 6 << 28, len(transport), IPPROTO_UDP, ttl) + ends
    return probe(header + transport, port=ports[0], ttl=ttl, number=number)


def is_quic(packet: bytes) -> bool:
    """Whether a packet begins a connection of QUIC."""
    return protocol_of(packet) == IPPROTO_UDP and begins(packet[transport_offset(packet) + 8:])


def noise(packet: bytes) -> bytes:
    """A datagram with the headers and the length of another one, whose octets are random: no packet of QUIC, in which
    the second bit is set (:rfc:`9000`, section 17), nor a response of the DNS."""
    at = transport_offset(packet) + 8
    octets = bytearray(randbytes(len(packet) - at))
    octets[:1] = bytes(octet & 0x3F for octet in octets[:1])
    return packet[:at] + bytes(octets)


def ends_of(packet: bytes) -> tuple[str, str]:
    """Source and destination address of a packet."""
    family, at, size = (AF_INET, 12, 4) if version_of(packet) == 4 else (AF_INET6, 8, 16)
    own, target = packet[at:at + size], packet[at + size:at + 2 * size]
    return inet_ntop(family, own), inet_ntop(family, target)


def as_quoted(packet: bytes) -> Quotation | None:
    """A packet of ours as a router would quote it that quotes all; None for what is no IP packet."""
    if not packet or version_of(packet) not in TIME_EXCEEDED:
        return None
    version = version_of(packet)
    return read(bytes((TIME_EXCEEDED[version], 0)) + bytes(6) + packet, version)


def is_same(sent: Quotation, quoted: Quotation, fields: Sequence[str]) -> bool | None:
    """Whether these fields were quoted as they were sent; None where too little was quoted to say so.

    :param fields: names as :meth:`~pathspider.quotation.Quotation.field` takes them
    """
    pairs = [(sent.field(name), quoted.field(name)) for name in fields]
    if any(one is not None and other is not None and one != other for one, other in pairs):
        return False
    return None if any(other is None for _, other in pairs) else True


def differing(experiment: bytes, baseline: bytes) -> list[str]:
    """The fields in which a packet differs from another one, but for those in which any two do: names as
    :meth:`~pathspider.quotation.Quotation.field` takes them."""
    one, other = as_quoted(experiment), as_quoted(baseline)
    if one is None or other is None:
        return []
    kinds = sorted({kind for packet in (one, other) for kind, _ in packet.options or ()} - {TO_TS})
    names = [*FEATURES, *(f"{OPTION}{kind}" for kind in kinds)]
    found = [name for name in names if one.field(name) != other.field(name)]
    if one.proto == IPPROTO_UDP and 0 in (one.checksum, other.checksum) and one.checksum != other.checksum:
        found.append("checksum")
    return found


def hops_of_reply(ttl: int | None) -> int:
    """At which hop who sent a packet may be, by the TTL that was left of it; 0 where that is not known."""
    if ttl is None:
        return 0
    return next(first for first in INITIAL_TTLS if first >= ttl) - ttl + 1
