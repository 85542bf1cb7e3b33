"""The part of the router that works in user space: what nftables cannot do to packets.

The router sends packets of some addresses, both ways, through a TUN device; this process reads them there, changes them
and writes back what is to go on. ``main()`` is the process, the rest is pure: bytes in, bytes out.

What is not one whole TCP segment or UDP datagram right behind its IP header, such as a fragment, a packet with IPv6
extension headers, or one whose lengths cannot be, goes on as it came; so does what no mangler changed.
"""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from socket import IPPROTO_TCP, IPPROTO_UDP
from typing import SupportsBytes

from pathspider.chains.tcp import TCP_ACK, TCP_RST, TCP_SA, TCP_SYN, TO_MSS, TO_NOP, next_option
from pathspider.helpers.segments import HEADER, ones_complement_sum

MSS_OPTION = (TO_MSS, 4)
"""Kind and length; the value is behind them."""
RAISED_MSS, SECOND_MSS = 4000, 536
SPOILT_MSS = bytes((TO_MSS, 3, 5, TO_NOP))
"""An MSS option without its last octet, and padding in its place."""
UPGRADE, SPOILT_UPGRADE = b"Upgrade: h2c", b"Xpgrade: h2c"
ALPN_WITH_H2 = b"\x02h2\x08http/1.1"


EVIL = 0x80
"""Of the seventh octet of an IPv4 header. RFC 3514"""
DNS_HEADER = 12
RESPONSE, FORMERR = 0x80, 1
"""The bit QR, in the third octet of a DNS message; the response code, in its fourth. RFC 1035"""
UDP_HEADER = 8
"""Octets. RFC 768"""
LARGEST_HEADER = 60
"""Octets of a TCP header with its options."""
LARGEST = 65535
"""Octets of an IP packet."""
USUAL_TTL = 64


@dataclass
class Packet:
    """An IPv4 or IPv6 packet with a whole TCP segment or UDP datagram right behind the IP header, taken apart."""

    version: int
    """4 or 6."""
    header: bytearray
    """The IP header."""
    protocol: int
    """6 for TCP, 17 for UDP."""
    segment: bytearray
    """All behind the IP header."""

    @classmethod
    def parse(cls, data: bytes) -> Packet | None:
        """Take a packet apart; None for what is not one whole TCP segment or UDP datagram."""
        version = data[0] >> 4 if data else 0
        if version == 4 and len(data) >= 20:
            length, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
            whole = length >= 20 and not int.from_bytes(data[6:8], "big") & 0x3FFF  # more fragments, or an offset
        elif version == 6 and len(data) >= 40:
            length, total, whole = 40, 40 + int.from_bytes(data[4:6], "big"), True
        else:
            return None
        packet = cls(version, bytearray(data[:length]), data[9 if version == 4 else 6], bytearray(data[length:]))
        return packet if whole and total == len(data) >= length and packet.sound else None

    @property
    def sound(self) -> bool:
        """True where TCP's data offset, or the length of the UDP datagram, can be."""
        if self.protocol == IPPROTO_TCP:
            return len(self.segment) >= HEADER.size and HEADER.size <= self.data_offset <= len(self.segment)
        if self.protocol == IPPROTO_UDP:
            return len(self.segment) >= UDP_HEADER and UDP_HEADER <= self.udp_length <= len(self.segment)
        return False

    @property
    def addresses(self) -> tuple[bytes, bytes]:
        """Source and destination."""
        start, size = (12, 4) if self.version == 4 else (8, 16)
        return bytes(self.header[start:start + size]), bytes(self.header[start + size:start + 2 * size])

    @property
    def flags(self) -> int:
        """The TCP flags; 0 for anything else."""
        return self.segment[13] if self.protocol == IPPROTO_TCP else 0

    @property
    def data_offset(self) -> int:
        """Where the user data of TCP or UDP begin in the segment."""
        return (self.segment[12] >> 4) * 4 if self.protocol == IPPROTO_TCP else UDP_HEADER

    @property
    def udp_length(self) -> int:
        """The length in the UDP header; what is behind it are options. RFC 9868"""
        return int.from_bytes(self.segment[4:6], "big")

    @property
    def data(self) -> bytes:
        """The user data, and for UDP what is behind them."""
        return bytes(self.segment[self.data_offset:])

    def build(self) -> bytes:
        """Put it together again, with IP lengths and checksums as they must be (the UDP header is left as it was).

        Raises ValueError where it is larger than an IP packet can be.
        """
        source, destination = self.addresses
        if len(self.header) * (self.version == 4) + len(self.segment) > LARGEST:
            raise ValueError(f"{len(self.segment)} bytes are too many for an IP packet")
        if self.version == 4:
            struct.pack_into("!H", self.header, 2, len(self.header) + len(self.segment))
            struct.pack_into("!H", self.header, 10, 0)
            struct.pack_into("!H", self.header, 10, checksum(self.header))
        else:
            struct.pack_into("!H", self.header, 4, len(self.segment))
        if self.protocol == IPPROTO_TCP:
            struct.pack_into("!H", self.segment, 16, 0)
            pseudo = source + destination + struct.pack("!II", len(self.segment), self.protocol)
            struct.pack_into("!H", self.segment, 16, checksum(pseudo + self.segment))
        return bytes(self.header + self.segment)


def checksum(data: bytes | bytearray) -> int:
    """The Internet checksum, RFC 1071."""
    return ones_complement_sum(bytes(data)) ^ 0xFFFF


def raise_mss(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.raise_mss`."""
    if not towards and packet.flags & TCP_SA == TCP_SA:
        for at in mss_options(packet):
            struct.pack_into("!H", packet.segment, at + len(MSS_OPTION), RAISED_MSS)
    return packet


def repeat_mss(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.repeat_mss`."""
    if not towards and packet.flags & TCP_SA == TCP_SA and packet.data_offset < LARGEST_HEADER:
        for at in [behind + 4 for behind in mss_options(packet)][:1]:
            packet.segment[at:at] = bytes(MSS_OPTION) + struct.pack("!H", SECOND_MSS)
            packet.segment[12] += 1 << 4
    return packet


def spoil_mss(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.spoil_mss`."""
    if not towards and packet.flags & TCP_SA == TCP_SA:
        for at in mss_options(packet):
            packet.segment[at:at + 4] = SPOILT_MSS
    return packet


def mss_options(packet: Packet) -> Iterator[int]:
    """Where in the segment its MSS options begin."""
    options = bytes(packet.segment[HEADER.size:packet.data_offset])
    at = next_option(options, 0)
    while at >= 0:
        kind, length = options[at:at + 2]
        if (kind, length) == MSS_OPTION:
            yield HEADER.size + at
        at = next_option(options, at + length)


def cut_syn_data(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.cut_syn_data`."""
    if towards and packet.flags & TCP_SA == TCP_SYN:
        del packet.segment[packet.data_offset:]
    return packet


def has_udp_options(packet: Packet) -> bool:
    """True if the datagram ends before its IP packet does."""
    return packet.protocol == IPPROTO_UDP and packet.udp_length < len(packet.segment)


def drop_udp_options(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.drop_udp_options`."""
    return None if towards and has_udp_options(packet) else packet


def strip_udp_options(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.strip_udp_options`."""
    if towards and has_udp_options(packet):
        del packet.segment[packet.udp_length:]
    return packet


def spoil_upgrade(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.spoil_upgrade`."""
    if towards and packet.protocol == IPPROTO_TCP:
        packet.segment = packet.segment.replace(UPGRADE, SPOILT_UPGRADE)
    return packet


def reset_upgrade(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.reset_upgrade`."""
    return reset(packet) if towards and packet.protocol == IPPROTO_TCP and UPGRADE in packet.data else packet


def drop_alpn_h2(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.drop_alpn_h2`."""
    return None if towards and packet.protocol == IPPROTO_TCP and ALPN_WITH_H2 in packet.data else packet


def formerr_for_zero_checksum(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.formerr_for_zero_checksum`."""
    zero = packet.protocol == IPPROTO_UDP and not int.from_bytes(packet.segment[6:8], "big")
    return formerr(packet) if towards and zero and may_be_query(packet) else packet


def formerr_for_udp_options(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.formerr_for_udp_options`."""
    return formerr(packet) if towards and has_udp_options(packet) and may_be_query(packet) else packet


def formerr_for_evil(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.formerr_for_evil`."""
    evil = packet.version == 4 and packet.header[6] & EVIL
    return formerr(packet) if towards and evil and may_be_query(packet) else packet


def may_be_query(packet: Packet) -> bool:
    """True for a datagram with room for the header of a DNS message, and without the bit QR."""
    return (packet.protocol == IPPROTO_UDP and packet.udp_length >= UDP_HEADER + DNS_HEADER
            and not packet.segment[UDP_HEADER + 2] & RESPONSE)


def formerr(packet: Packet) -> Packet:
    """The answer to a DNS query in a datagram: FORMERR, with the query's question. :rfc:`1035`, section 4.1.1"""
    source, destination = packet.addresses
    message = bytearray(packet.segment[UDP_HEADER:packet.udp_length])
    message[2:4] = bytes([message[2] | RESPONSE, FORMERR])
    ports = packet.segment[2:4] + packet.segment[:2]
    segment = ports + struct.pack("!HH", UDP_HEADER + len(message), 0) + message
    pseudo = destination + source + struct.pack("!II", len(segment), IPPROTO_UDP)
    struct.pack_into("!H", segment, 6, checksum(pseudo + segment) or 0xFFFF)
    return Packet(packet.version, turned(packet), IPPROTO_UDP, segment)


def turned(packet: Packet) -> bytearray:
    """The IP header of an answer to a packet, with a TTL of its own."""
    source, destination = packet.addresses
    header = bytearray(packet.header)
    header[8 if packet.version == 4 else 7] = USUAL_TTL
    start = 12 if packet.version == 4 else 8
    header[start:start + 2 * len(source)] = destination + source
    return header


def reset(packet: Packet) -> Packet:
    """The RST that the receiver of a segment would send to refuse it."""
    (acknowledged,) = struct.unpack_from("!I", packet.segment, 8)
    return reply(packet, seq=acknowledged, ack=0, flags=TCP_RST)


def reply(packet: Packet, *, seq: int, ack: int, flags: int, options: bytes = b"") -> Packet:
    """A segment without data back to the sender of a segment, its IP header but for the addresses the same."""
    source_port, destination_port = struct.unpack_from("!HH", packet.segment)
    words = (HEADER.size + len(options)) // 4
    segment = HEADER.pack(destination_port, source_port, seq, ack, words << 4, flags, 0, 0, 0) + options
    return Packet(packet.version, turned(packet), IPPROTO_TCP, bytearray(segment))


Peer = tuple[bytes, ...]
"""Whom a device takes for one: addresses, or with ports."""


class SYNAuthentication:
    """A device against floods of SYNs. See :func:`pathspider.lab.impairments.authenticate_syns`.

    :param each: it challenges each connection, not each client once
    """

    def __init__(self, *, each: bool) -> None:
        self._each = each
        self._challenges: dict[Peer, int] = {}
        """What the SYN-ACKs that are open acknowledged."""
        self._known: set[Peer] = set()

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        peer = (*packet.addresses, bytes(packet.segment[:4])) if self._each else packet.addresses
        if not towards or packet.protocol != IPPROTO_TCP or peer in self._known:
            return packet
        (seq,) = struct.unpack_from("!I", packet.segment, 4)
        if packet.flags & TCP_RST:
            if self._challenges.get(peer) == seq:
                del self._challenges[peer]
                self._known.add(peer)
        elif packet.flags & (TCP_SYN | TCP_ACK) == TCP_SYN:
            self._challenges[peer] = ack = (seq + NOT_SENT) % (1 << 32)
            return reply(packet, seq=CHALLENGE, ack=ack, flags=TCP_SA,
                         options=bytes(MSS_OPTION) + struct.pack("!H", SECOND_MSS))
        return None


NOT_SENT, CHALLENGE = 0x01020304, 0x05060708
"""How far behind its SYN a bogus SYN-ACK acknowledges, and its sequence number."""


Mangler = Callable[[Packet, bool], Packet | SupportsBytes | None]
"""What it makes of a packet, which it may change, on its way towards the target (True) or back: that packet, another,
or a whole IP packet as bytes or of Scapy; None if nothing goes on."""

MANGLERS: dict[str, Mangler] = {
    **{one.__name__: one for one in (raise_mss, repeat_mss, spoil_mss, cut_syn_data, drop_udp_options,
                                     strip_udp_options, spoil_upgrade, reset_upgrade, drop_alpn_h2,
                                     formerr_for_zero_checksum, formerr_for_udp_options, formerr_for_evil)},
    "authenticate_clients": SYNAuthentication(each=False),
    "authenticate_connections": SYNAuthentication(each=True),
}
"""PATHspider's own, by name."""


def mangle(data: bytes, table: Mapping[bytes, Sequence[Mangler]]) -> bytes | None:
    """What goes on of one packet. ``table``: the target's address -> manglers, in order."""
    packet = Packet.parse(data)
    if packet is None:
        return data
    source, destination = packet.addresses
    towards = destination in table
    for mangler in table.get(destination if towards else source, ()):
        made = mangler(packet, towards)
        if made is None:
            return None
        if isinstance(made, Packet):
            packet = made
        else:
            data = bytes(made)
            packet = Packet.parse(data)
            if packet is None:
                return data
    return data if packet.header + packet.segment == data else packet.build()


def pass_unseen(data: bytes) -> bytes:
    """A packet with the TTL that it had before: a router sees it twice, before the detour and after, and is one hop."""
    packet = bytearray(data)
    if packet[0] >> 4 == 6:
        packet[7] = min(255, packet[7] + 1)
    else:
        length = (packet[0] & 15) * 4
        packet[8] = min(255, packet[8] + 1)
        packet[10:12] = b"\0\0"
        struct.pack_into("!H", packet, 10, checksum(packet[:length]))
    return bytes(packet)


def main(argv: list[str]) -> None:
    """``mangler TUN-DESCRIPTOR,TUN-DESCRIPTOR... SCENARIO-FILE...``"""
    from pathspider.lab.scenarios import add_scenarios, mangled  # noqa: PLC0415 - they import this module

    devices = select.poll()
    for one in argv[0].split(","):
        devices.register(int(one), select.POLLIN)
    for path in argv[1:]:
        add_scenarios(path)
    table = {ip_address(address).packed: manglers for address, manglers in mangled().items()}
    while True:
        for device, _ in devices.poll():
            data = os.read(device, LARGEST)
            try:
                result = mangle(data, table)
                if result is not None:
                    os.write(device, pass_unseen(result))
            except Exception as error:
                error.add_note(f"The packet was {data.hex()}")
                raise
