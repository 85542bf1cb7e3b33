"""The part of the router that works in user space: what nftables cannot do to packets.

The router sends packets of some addresses, both ways, through a TUN device; this process reads them there, changes them
and writes back what is to go on. ``main()`` is the process, the rest is pure: bytes in, bytes out.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from socket import IPPROTO_TCP, IPPROTO_UDP

from pathspider.chains.tcp import TCP_RST, TCP_SA, TCP_SYN, TO_MSS, next_option
from pathspider.helpers.segments import HEADER, ones_complement_sum

MSS_OPTION = (TO_MSS, 4)
"""Kind and length; the value is behind them."""
RAISED_MSS = 4000
UPGRADE, SPOILT_UPGRADE = b"Upgrade: h2c", b"Xpgrade: h2c"
ALPN_WITH_H2 = b"\x02h2\x08http/1.1"


@dataclass
class Packet:
    """An IPv4 or IPv6 packet with TCP or UDP directly behind the IP header, taken apart."""

    version: int
    header: bytearray
    protocol: int
    segment: bytearray
    """All behind the IP header."""

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Take a packet apart."""
        version = data[0] >> 4
        length = (data[0] & 15) * 4 if version == 4 else 40
        return cls(version, bytearray(data[:length]), data[9 if version == 4 else 6], bytearray(data[length:]))

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
        return (self.segment[12] >> 4) * 4 if self.protocol == IPPROTO_TCP else 8

    @property
    def data(self) -> bytes:
        """The user data, and for UDP what is behind them."""
        return bytes(self.segment[self.data_offset:])

    def build(self) -> bytes:
        """Put it together again, with lengths and checksums as they must be (a UDP checksum is left as it was)."""
        source, destination = self.addresses
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
        options = bytes(packet.segment[HEADER.size:packet.data_offset])
        at = next_option(options, 0)
        while at >= 0:
            kind, length = options[at:at + 2]
            if (kind, length) == MSS_OPTION:
                struct.pack_into("!H", packet.segment, HEADER.size + at + len(MSS_OPTION), RAISED_MSS)
            at = next_option(options, at + length)
    return packet


def cut_syn_data(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.cut_syn_data`."""
    if towards and packet.flags & TCP_SA == TCP_SYN:
        del packet.segment[packet.data_offset:]
    return packet


def has_udp_options(packet: Packet) -> bool:
    """True if the datagram ends before its IP packet does."""
    return packet.protocol == IPPROTO_UDP and struct.unpack_from("!H", packet.segment, 4)[0] < len(packet.segment)


def drop_udp_options(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.drop_udp_options`."""
    return None if towards and has_udp_options(packet) else packet


def strip_udp_options(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.strip_udp_options`."""
    if towards and has_udp_options(packet):
        del packet.segment[struct.unpack_from("!H", packet.segment, 4)[0]:]
    return packet


def spoil_upgrade(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.spoil_upgrade`."""
    if towards:
        packet.segment = packet.segment.replace(UPGRADE, SPOILT_UPGRADE)
    return packet


def reset_upgrade(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.reset_upgrade`."""
    return reset(packet) if towards and UPGRADE in packet.data else packet


def drop_alpn_h2(packet: Packet, towards: bool) -> Packet | None:
    """See :func:`pathspider.lab.impairments.drop_alpn_h2`."""
    return None if towards and ALPN_WITH_H2 in packet.data else packet


def reset(packet: Packet) -> Packet:
    """The RST that the receiver of a segment would send to refuse it."""
    source, destination = packet.addresses
    source_port, destination_port, _, acknowledged = struct.unpack_from("!HHII", packet.segment)
    header = bytearray(packet.header)
    start = 12 if packet.version == 4 else 8
    header[start:start + 2 * len(source)] = destination + source
    segment = bytearray(HEADER.pack(destination_port, source_port, acknowledged, 0, 5 << 4, TCP_RST, 0, 0, 0))
    return Packet(packet.version, header, IPPROTO_TCP, segment)


MANGLERS: dict[str, Callable[[Packet, bool], Packet | None]] = {
    one.__name__: one for one in (raise_mss, cut_syn_data, drop_udp_options, strip_udp_options, spoil_upgrade,
                                  reset_upgrade, drop_alpn_h2)
}
"""Name -> what it makes of a packet on its way towards the target or back; None if nothing goes on."""


def mangle(data: bytes, table: dict[bytes, list[str]]) -> bytes | None:
    """What goes on of one packet. ``table``: the target's address -> manglers, in order."""
    packet: Packet | None = Packet.parse(data)
    assert packet is not None
    source, destination = packet.addresses
    towards = destination in table
    if packet.protocol not in (IPPROTO_TCP, IPPROTO_UDP):
        return data
    for name in table.get(destination if towards else source, ()):
        packet = MANGLERS[name](packet, towards)
        if packet is None:
            return None
    return packet.build()


def main(argv: list[str]) -> None:
    """``mangler TUN-DESCRIPTOR TABLE``: the table as JSON, address -> names."""
    device = int(argv[0])
    table = {socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address): names
             for address, names in json.loads(argv[1]).items()}
    while True:
        result = mangle(os.read(device, 65535), table)
        if result is not None:
            os.write(device, result)
