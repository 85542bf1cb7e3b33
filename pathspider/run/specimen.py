"""One packet of each kind of a connection, as it left: what its probes are made of."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from pathspider.chains.base import Chain
from pathspider.chains.tcp import TCP_SA, TCP_SYN
from pathspider.helpers.probes import is_quic
from pathspider.helpers.segments import flags_of, payload_of, syn_verdict, traffic_class_of, transport_offset
from pathspider.libtrace import IP, IP6

SPECIMEN = "specimen"
"""Of a flow's record, on its way to be judged: its :class:`Specimen`."""

MOST_OCTETS = 1500
MOST_SEGMENTS = 5
"""Packets with data that are kept of a connection: a ClientHello of 1,800 octets takes so many where a path takes
segments of 400."""


class Specimen(NamedTuple):
    """Packets of a flow, from their IP header on; empty where there was none."""

    first: bytes
    """A SYN, or a datagram."""
    data: bytes = b""
    """The first packet of a TCP connection that carries data behind the handshake; of datagrams the first that has
    another DSCP or another mark of ECN than :attr:`first`."""
    ttl: int | None = None
    """TTL of what came back first."""
    accepted: bool = False
    """Whether a SYN-ACK came back for it, or QUIC for QUIC. False as well where another SYN had left behind it, as
    after a fallback: the answer may be to that."""
    only: bool = True
    """Whether no other SYN left; it may well have left again."""
    more: tuple[bytes, ...] = ()
    """Further packets with data, each of which goes on where the one before it ended."""

    @property
    def segments(self) -> tuple[bytes, ...]:
        """All packets with data."""
        return (self.data, *self.more) if self.data else ()


def accepts(first: bytes, reply: bytes) -> bool:
    """Whether a segment accepts the connection that a packet opens."""
    opening = first[transport_offset(first):]
    if flags_of(opening) & TCP_SA != TCP_SYN:
        return False
    octets = len(opening) - (opening[12] >> 4) * 4
    return syn_verdict(int.from_bytes(opening[4:8], "big"), octets, reply) is True


def is_accepted(first: bytes, ip: IP | IP6) -> bool:
    """Whether a packet that came back says that the first one arrived, and was liked."""
    if ip.tcp is not None:
        return accepts(first, bytes(ip.tcp.data))
    return ip.udp is not None and is_quic(first) and is_quic(bytes(ip.data))


def has_data(first: bytes, ip: IP | IP6) -> bool:
    """Whether a packet is one that :attr:`Specimen.data` may be."""
    if ip.tcp is not None:
        return bool(ip.tcp.payload_len and not ip.tcp.flags & TCP_SYN)
    return ip.udp is not None and ip.traffic_class != traffic_class_of(first)


def is_another_syn(first: bytes, ip: IP | IP6) -> bool:
    """Whether a SYN has other flags, options or data than the first one: a kernel that falls back sends such."""
    if ip.tcp is None or ip.tcp.flags & TCP_SA != TCP_SYN:
        return False
    one, other = first[transport_offset(first):], bytes(ip.tcp.data)
    return len(one) != len(other) or flags_of(one) != flags_of(other)


def goes_on(packet: bytes, ip: IP | IP6) -> bool:
    """Whether a segment's data begin where those of another packet of its flow end."""
    if ip.tcp is None:
        return False
    (seq,) = struct.unpack_from("!I", packet, transport_offset(packet) + 4)
    return bool(ip.tcp.seq_nbr == (seq + len(payload_of(packet))) % (1 << 32))


def with_data(kept: Specimen, ip: IP | IP6) -> Specimen:
    """What is kept behind a packet with data."""
    if not kept.data:
        return kept._replace(data=bytes(ip.data[:MOST_OCTETS]))
    if len(kept.segments) < MOST_SEGMENTS and goes_on(kept.segments[-1], ip):
        return kept._replace(more=(*kept.more, bytes(ip.data[:MOST_OCTETS])))
    return kept


class SpecimenChain(Chain):
    """Keeps the first packet, the first ones with data, and the TTL of the first reply. No field of it reaches a
    record."""

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """A flow begins."""
        rec[SPECIMEN] = Specimen(bytes(ip.data[:MOST_OCTETS]))
        return True

    def ip4(self, rec: dict[str, Any], ip: IP | IP6, rev: bool) -> bool:
        """Looks at a packet, as long as something is missing."""
        kept: Specimen = rec[SPECIMEN]
        if rev:
            if kept.ttl is None:
                kept = rec[SPECIMEN] = kept._replace(ttl=ip.hop_limit)
            if kept.only and not kept.accepted and is_accepted(kept.first, ip):
                rec[SPECIMEN] = kept._replace(accepted=True)
        elif kept.only and not kept.accepted and is_another_syn(kept.first, ip):
            rec[SPECIMEN] = kept._replace(only=False)
        elif has_data(kept.first, ip):
            rec[SPECIMEN] = with_data(kept, ip)
        return True

    ip6 = ip4
