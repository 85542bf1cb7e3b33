"""Servers that this kernel cannot be, and paths that copy what they do not know, as manglers of the router.

Each stands right before the server: it sees a SYN as the path left it, and writes into the server's SYN-ACK what the
server that it plays would say.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from pathspider.chains.tcp import TCP_ACK, TCP_AE, TCP_CWR, TCP_ECE, TCP_SA, TCP_SYN, TO_NOP, parse_options
from pathspider.helpers.segments import HEADER
from pathspider.lab.mangler import LARGEST_HEADER, Packet

REMEMBERED = 1 << 16
"""SYNs whose answers may be waited for at once."""

ASKING = TCP_AE | TCP_CWR | TCP_ECE
ACCURATE = (TCP_CWR, TCP_CWR | TCP_ECE, TCP_AE, TCP_AE | TCP_CWR)
"""An AccECN server's answer by the SYN's ECN field: not-ECT, ECT(1), ECT(0), CE. :rfc:`9768`, table 2"""


def flags_of(packet: Packet) -> int:
    """The TCP flags, AE among them."""
    return packet.flags | (packet.segment[12] & 1) << 8


def set_flags(packet: Packet, flags: int) -> None:
    """Set the TCP flags, AE among them."""
    packet.segment[12] = packet.segment[12] & 0xFE | flags >> 8
    packet.segment[13] = flags & 0xFF


def ecn_field(packet: Packet) -> int:
    """The ECN field of the IP header."""
    return packet.header[1] & 3 if packet.version == 4 else packet.header[1] >> 4 & 3


def dscp_field(packet: Packet) -> int:
    """The DSCP of the IP header."""
    return packet.header[1] >> 2 if packet.version == 4 else (packet.header[0] & 15) << 2 | packet.header[1] >> 6


class Responder:
    """Answers a SYN in the server's SYN-ACK; SYNs are known by addresses and ports."""

    def __init__(self) -> None:
        self._syns: OrderedDict[tuple[bytes, bytes, bytes], Packet] = OrderedDict()

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        kind = packet.flags & (TCP_SYN | TCP_ACK)
        addresses, ports = packet.addresses, bytes(packet.segment[:4])
        if towards and kind == TCP_SYN:
            self._syns[(*addresses, ports)] = Packet(packet.version, packet.header[:], packet.protocol,
                                                     packet.segment[:])
            if len(self._syns) > REMEMBERED:
                self._syns.popitem(last=False)
        elif not towards and kind == TCP_SA:
            syn = self._syns.get((addresses[1], addresses[0], ports[2:] + ports[:2]))
            if syn is not None:
                self.answer(syn, packet)
        return packet

    def answer(self, syn: Packet, syn_ack: Packet) -> None:
        """Write the answer to ``syn`` into ``syn_ack``."""
        raise NotImplementedError


class AnswerECN(Responder):
    """A server that knows accurate ECN, or, with a ``code`` of AE, CWR and ECE, one that says this to whoever asks.

    :param always: it says so whether it was asked or not
    """

    def __init__(self, code: int | None = None, *, always: bool = False) -> None:
        super().__init__()
        self._code = code
        self._always = always

    def answer(self, syn: Packet, syn_ack: Packet) -> None:
        asked = flags_of(syn) & ASKING
        code = 0
        if self._always or asked == ASKING:
            code = ACCURATE[ecn_field(syn)] if self._code is None else self._code
        elif asked == TCP_CWR | TCP_ECE:
            code = TCP_ECE
        set_flags(syn_ack, TCP_SA | code)


class AnswerOption(Responder):
    """The SYN-ACK gets an option: the SYN's own, if it had one of the ``kind``, or this ``value`` for it.

    :param always: it is there whether the SYN had one or not
    """

    def __init__(self, kind: int, value: bytes | None = None, *, always: bool = False) -> None:
        super().__init__()
        self._kind = kind
        self._value = value
        self._always = always

    def answer(self, syn: Packet, syn_ack: Packet) -> None:
        sent = parse_options(bytes(syn.segment[HEADER.size:syn.data_offset])).get(self._kind)
        if sent is None and not self._always:
            return
        value = self._value if self._value is not None else sent or b""
        option = bytes((self._kind, 2 + len(value))) + value
        option += bytes([TO_NOP]) * (-len(option) % 4)
        if syn_ack.data_offset + len(option) <= LARGEST_HEADER:
            at = syn_ack.data_offset
            syn_ack.segment[at:at] = option
            syn_ack.segment[12] += len(option) // 4 << 4


def set_dscp_field(packet: Packet, codepoint: int) -> None:
    """Set the DSCP of the IP header."""
    if packet.version == 4:
        packet.header[1] = codepoint << 2 | packet.header[1] & 3
    else:
        packet.header[0] = packet.header[0] & 0xF0 | codepoint >> 2
        packet.header[1] = packet.header[1] & 0x3F | (codepoint & 3) << 6


REMARKS: dict[str, Callable[[int], int]] = {
    "bleach": lambda sent: 0,
    "tos_precedence": lambda sent: sent & 7,
    "some_tos": lambda sent: sent if sent >= 48 else sent & 7,
    "remark_tos": lambda sent: 8 | sent & 7,
    "low": lambda sent: sent & 56,
    "some_low": lambda sent: sent if sent >= 48 else sent & 56,
}
"""What paths make of a codepoint, by what :rfc:`9435` calls it."""


class Remark:
    """Changes codepoints on the way out."""

    def __init__(self, kind: str) -> None:
        self._becomes = REMARKS[kind]

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        if towards:
            set_dscp_field(packet, self._becomes(dscp_field(packet)))
        return packet


class AnswerDSCP(Responder):
    """A server that answers with the DSCP that a SYN came with, as Linux does with ``tcp_reflect_tos``."""

    def answer(self, syn: Packet, syn_ack: Packet) -> None:
        set_dscp_field(syn_ack, dscp_field(syn))
