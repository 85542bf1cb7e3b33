"""Servers that say, or do not say, what they saw of ECN marks on data; as manglers right before the server."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pathspider.chains.feedback import TO_ACCECN1
from pathspider.chains.tcp import TCP_ACK, TCP_AE, TCP_CWR, TCP_ECE, TCP_RST, TCP_SA, TCP_SYN, TO_NOP
from pathspider.lab.answers import ACCURATE, ASKING, REMEMBERED, ecn_field, flags_of, set_flags
from pathspider.lab.mangler import LARGEST_HEADER, Packet

ECT1, ECT0, CE = 1, 2, 3
"""In the ECN field."""

FIRST_COUNT = 5
"""Of packets with CE, that a connection begins with; the octets of ECT(0) and ECT(1) begin with 1. :rfc:`9768`, section
3.2.1"""


class WithoutEcho:
    """A server that agrees to ECN and never says ECE behind that."""

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        if not towards and packet.flags and not packet.flags & TCP_SYN:
            packet.segment[13] &= ~TCP_ECE & 0xFF
        return packet


@dataclass
class Counters:
    """What a server has counted of one connection."""

    octets: dict[int, int]
    """Of data, by ECN field."""
    ce: int = FIRST_COUNT
    """Packets with CE."""
    syn: int = 0
    """The ECN field with which the SYN came."""


class AccurateServer:
    """A server with accurate ECN: it says with which ECN field the SYN came, and then what it counts.

    :param option: also in the option with counters of octets, without which the flags tell of CE alone
    :param ect1: what it sends is marked with ECT(1), SYN-ACK, data and all
    """

    def __init__(self, *, option: bool = True, ect1: bool = False) -> None:
        self._option = option
        self._ect1 = ect1
        self._known: OrderedDict[tuple[bytes, bytes, bytes], Counters] = OrderedDict()

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        ports = bytes(packet.segment[:4])
        source, target = packet.addresses
        if not packet.flags:
            return packet
        if towards:
            self._count(packet, (source, target, ports))
        elif (counters := self._known.get((target, source, ports[2:] + ports[:2]))) is not None:
            self._answer(packet, counters)
        return packet

    def _count(self, packet: Packet, connection: tuple[bytes, bytes, bytes]) -> None:
        field = ecn_field(packet)
        if packet.flags & (TCP_SYN | TCP_ACK) == TCP_SYN:
            self._known.pop(connection, None)
            if flags_of(packet) & ASKING == ASKING:
                self._known[connection] = Counters({ECT0: 1, CE: 0, ECT1: 1}, syn=field)
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        elif (counters := self._known.get(connection)) is not None:
            counters.ce += field == CE
            if field in counters.octets:
                counters.octets[field] += len(packet.data)
        # to the kernel behind it, this is a connection without ECN
        set_flags(packet, packet.flags & ~(TCP_CWR | TCP_ECE))

    def _answer(self, packet: Packet, counters: Counters) -> None:
        if packet.flags & TCP_RST:
            return
        if self._ect1:
            set_ecn_field(packet, ECT1)
        if packet.flags & TCP_SYN:
            set_flags(packet, TCP_SA | ACCURATE[(0, ECT1, ECT0, CE).index(counters.syn)])
            return
        ace = counters.ce % 8
        code = (ace & 4 and TCP_AE) | (ace & 2 and TCP_CWR) | (ace & 1 and TCP_ECE)
        set_flags(packet, packet.flags & ~(TCP_CWR | TCP_ECE) | code)
        at = packet.data_offset
        if self._option and at + 12 <= LARGEST_HEADER:
            value = b"".join((counters.octets[field] % (1 << 24)).to_bytes(3, "big") for field in (ECT1, CE, ECT0))
            packet.segment[at:at] = bytes((TO_ACCECN1, 2 + len(value))) + value + bytes([TO_NOP])
            packet.segment[12] += 3 << 4


def set_ecn_field(packet: Packet, field: int) -> None:
    """Set the ECN field of the IP header."""
    if packet.version == 4:
        packet.header[1] = packet.header[1] & 0xFC | field
    else:
        packet.header[1] = packet.header[1] & 0xCF | field << 4
