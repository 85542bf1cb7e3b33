"""TCP segments as bytes: what an answer to a forged SYN says, and what follows it. No Scapy: it would take longer."""

from __future__ import annotations

import struct
from functools import lru_cache
from socket import IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_TCP

from pathspider.chains.tcp import TCP_ACK, TCP_FIN, TCP_RST, TCP_SA, TCP_SYN, TO_TS, next_option

HEADER = struct.Struct("!HHIIBBHHH")
"""Ports, sequence and acknowledgement number, length (upper 4 bits, in words), flags, window, checksum, urgent."""

PORTS = struct.Struct("!HH")

TIMESTAMP = b"\x01\x01\x08\x0a"
"""Two no-operations, then kind and length of the timestamp option, as hosts send it. :rfc:`7323`"""

EXTENSIONS = (IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT)
"""IPv6 headers before the transport header, with a length: hop-by-hop, routing, destination, and fragment, where that
octet is 0. :rfc:`8200`"""

WINDOW = 502
WINDOW_OCTETS = WINDOW << 7
"""That segments of a forger announce, by the scale on its SYN."""


def ones_complement_sum(data: bytes, start: int = 0) -> int:
    """The 16-bit one's complement sum of ``data``, an odd last byte padded with zero, from ``start``. :rfc:`1071`

    To fold a sum is to take the remainder by 65535, but that it is 0 where all is 0 alone.
    """
    total = start + (int.from_bytes(data, "big") << len(data) % 2 * 8)
    return total and (total - 1) % 0xFFFF + 1


def flags_of(segment: bytes) -> int:
    """The flags of a segment; 0 if there is too little of it."""
    return segment[13] if len(segment) >= HEADER.size else 0


def syn_verdict(sent_seq: int, sent_bytes: int, reply: bytes) -> bool | None:
    """What a segment says to a SYN: True accepts it, False refuses it, None is no answer to it.

    :param sent_seq: the SYN's sequence number
    :param sent_bytes: how much data came with it
    """
    flags = flags_of(reply)
    if not flags & TCP_ACK:
        return False if flags & TCP_RST else None
    (acknowledged,) = struct.unpack_from("!I", reply, 8)
    if not 1 <= (acknowledged - sent_seq) % (1 << 32) <= 1 + sent_bytes:
        return None
    if flags & TCP_RST:
        return False
    return True if flags & TCP_SYN else None


def is_bogus_syn_ack(sent_seq: int, sent_bytes: int, reply: bytes) -> bool:
    """Whether a segment is a SYN-ACK that acknowledges another SYN than this one, see :func:`syn_verdict`: SYN
    authentication, which a RST is the answer to (:func:`refusing`). :rfc:`9293`, section 3.10.7.3"""
    return flags_of(reply) & (TCP_SA | TCP_RST) == TCP_SA and syn_verdict(sent_seq, sent_bytes, reply) is None


def transport_offset(packet: bytes) -> int:
    """Where the transport header of an IP packet begins."""
    if packet[0] >> 4 == 4:
        return (packet[0] & 0xF) * 4
    kind, at = packet[6], 40
    while kind in EXTENSIONS:
        kind, at = packet[at], at + (packet[at + 1] + 1) * 8
    return at


def timestamp_at(options: bytes) -> int:
    """Where the value of the option for timestamps begins among a header's options; 0 where there is none."""
    at = next_option(options, 0)
    while at >= 0 and options[at] != TO_TS:
        at = next_option(options, at + options[at + 1])
    return at + 2 if at >= 0 and options[at + 1] == TIMESTAMP[3] else 0


@lru_cache(maxsize=1024)
def timestamp(segment: bytes) -> int | None:
    """The sender's timestamp in a segment's options, None without one. It is asked for again for each that follows."""
    options = segment[HEADER.size:(segment[12] >> 4) * 4]
    at = timestamp_at(options)
    return int.from_bytes(options[at:at + 4], "big") if at else None


def following(packet: bytes, flags: int, reply: bytes | None = None, payload: bytes = b"", behind: int = 0) -> bytes:
    """The segment that follows a SYN, under the same IP header.

    :param packet: the SYN, from its IP header on
    :param flags: of the new segment
    :param reply: the SYN-ACK that it acknowledges, from its TCP header on
    :param payload: its data
    :param behind: octets of data that were sent before it
    """
    at = transport_offset(packet)
    (seq,) = struct.unpack_from("!I", packet, at + 4)
    ack, options = 0, b""
    if reply is not None:
        ack = (struct.unpack_from("!I", reply, 4)[0] + 1) % (1 << 32)
        ours, theirs = timestamp(packet[at:]), timestamp(reply)
        if ours is not None and theirs is not None:
            options = TIMESTAMP + struct.pack("!II", (ours + 1) % (1 << 32), theirs)
    return segment(packet, (seq + 1 + behind) % (1 << 32), ack, flags, window=WINDOW, options=options, payload=payload)


def refusing(packet: bytes, reply: bytes) -> bytes:
    """The RST that refuses a segment which acknowledges what was not sent, under the IP header of the SYN ``packet``.

    :param reply: the segment, from its TCP header on
    """
    (acknowledged,) = struct.unpack_from("!I", reply, 8)
    return segment(packet, acknowledged, 0, TCP_RST)


def segment(
    packet: bytes, seq: int, ack: int, flags: int, *, window: int = 0, options: bytes = b"", payload: bytes = b""
) -> bytes:
    """A segment from the same port to the same one as that of ``packet``, under its IP header; AE is a flag."""
    at = transport_offset(packet)
    size = HEADER.size + len(options)
    header = with_length(packet[:at], size + len(payload))
    made = HEADER.pack(*PORTS.unpack_from(packet, at), seq, ack, size // 4 << 4 | flags >> 8, flags & 0xFF, window,
                       0, 0) + options + payload
    addresses = header[12:20] if header[0] >> 4 == 4 else header[8:40]
    checksum = 0xFFFF - ones_complement_sum(addresses + made, IPPROTO_TCP + len(made))
    return header + made[:16] + checksum.to_bytes(2, "big") + made[18:]


def traffic_class_of(packet: bytes) -> int:
    """The DSCP and ECN fields of a packet, as an octet."""
    return packet[1] if packet[0] >> 4 == 4 else (packet[0] & 0xF) << 4 | packet[1] >> 4


def with_traffic_class(packet: bytes, value: int) -> bytes:
    """A packet with other DSCP and ECN fields. The checksum of an IPv4 header stays what it was: whoever makes another
    packet of this one (:func:`with_length`) or sends it computes it."""
    if packet[0] >> 4 == 4:
        return packet[:1] + bytes([value]) + packet[2:]
    return bytes([packet[0] & 0xF0 | value >> 4, packet[1] & 0x0F | (value & 0xF) << 4]) + packet[2:]


def with_length(header: bytes, payload_bytes: int) -> bytes:
    """An IP header, with its extension headers, made to fit another payload."""
    if header[0] >> 4 != 4:
        return header[:4] + struct.pack("!H", len(header) - 40 + payload_bytes) + header[6:]
    header = header[:2] + struct.pack("!H", len(header) + payload_bytes) + header[4:10] + b"\0\0" + header[12:]
    return header[:10] + struct.pack("!H", 0xFFFF - ones_complement_sum(header)) + header[12:]


def payload_of(packet: bytes) -> bytes:
    """The data of a TCP segment, given from its IP header on."""
    at = transport_offset(packet)
    return packet[at + (packet[at + 12] >> 4) * 4:]


def resumed(packet: bytes, syn: bytes, reply: bytes, behind: int = 0) -> bytes:
    """A segment like ``packet``, of another connection, as one of the connection that ``syn`` opened.

    Ports, numbers, the values of a timestamp option and the flow label become this one's. Lengths and checksums stay:
    whoever sends it makes them fit (:func:`pathspider.helpers.probes.probe`).

    :param packet: from its IP header on, as ``syn``
    :param reply: the SYN-ACK, from its TCP header on
    :param behind: octets of data before it
    """
    made, at, first = bytearray(packet), transport_offset(packet), transport_offset(syn)
    if packet[0] >> 4 == 6:
        made[1] = packet[1] & 0xF0 | syn[1] & 0x0F
        made[2:4] = syn[2:4]
    made[at:at + 4] = syn[first:first + 4]
    (seq,), (theirs,) = struct.unpack_from("!I", syn, first + 4), struct.unpack_from("!I", reply, 4)
    struct.pack_into("!II", made, at + 4, (seq + 1 + behind) % (1 << 32), (theirs + 1) % (1 << 32))
    values = timestamp(syn[first:]), timestamp(reply)
    options = bytes(made[at + HEADER.size:at + (made[at + 12] >> 4) * 4])
    place = next_option(options, 0)
    while place >= 0 and None not in values:
        if options[place:place + 2] == TIMESTAMP[2:]:
            struct.pack_into("!II", made, at + HEADER.size + place + 2, ((values[0] or 0) + 1) % (1 << 32), values[1])
        place = next_option(options, place + options[place + 1])
    return bytes(made)


class Stream:
    """What comes in segments, of which none is acknowledged.

    :param first: the sequence number of its first octet
    """

    def __init__(self, first: int) -> None:
        self.octets = b""
        """Those without a gap before them."""
        self.is_over = False
        """No more come behind them."""
        self._first = first
        self._parts: dict[int, tuple[bytes, bool]] = {}
        """Those that came, by their place, and whether they are the last."""

    def take(self, segment: bytes) -> None:
        """A segment, from its TCP header on."""
        if len(segment) < HEADER.size:
            return
        place = (HEADER.unpack_from(segment)[2] - self._first) % (1 << 32)
        if place > WINDOW_OCTETS:  # another connection's, or the SYN-ACK again
            return
        part, last = segment[(segment[12] >> 4) * 4:], bool(flags_of(segment) & TCP_FIN)
        if (part or last) and (place not in self._parts or len(part) >= len(self._parts[place][0])):
            self._parts[place] = part, last
        for at in sorted(self._parts):
            if at > len(self.octets):
                break
            part, last = self._parts.pop(at)
            self.octets += part[len(self.octets) - at:]
            self.is_over = self.is_over or last
