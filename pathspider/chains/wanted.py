"""Which packets a chain has to see."""

from __future__ import annotations

from enum import IntFlag


class Wanted(IntFlag):
    """Kinds of packets that the hooks ``ip4``, ``ip6``, ``tcp`` and ``udp`` of a chain must be called for: of others
    they would note nothing.

    A promise by which the flow table may leave out calls of compiled chains; plain ones are called for all. Packets
    that are neither TCP nor UDP, ICMP errors, later fragments, and packets whose transport header was cut are always
    shown.
    """

    ALL = 1
    SYN = 2
    """TCP segments with the SYN flag."""
    END = 4
    """TCP segments with FIN or RST."""
    DATA = 8
    """TCP segments with data, and all UDP datagrams."""
    NOVEL = 16
    """Packets unlike all of the flow since its last SYN: in direction, ECN codepoint, the IPv4 header's evil bit, TCP's
    ACK flag, or in that they have data or none."""
    FIRST = 32
    """The first TCP segment with data that goes forward, SYN and RST left out, and later ones that begin with the same
    octet: it was sent again."""
    ANSWER = 64
    """The first TCP segment that comes back and acknowledges all data of the first one; SYN and RST left out."""
    ECE = 128
    """TCP segments with the flag ECE that come back when data have gone forward; SYN and RST left out."""
    OPENING = 256
    """The first TCP segment or UDP datagram that goes each way."""
    NOVEL_DATA = 512
    """TCP segments with data, and UDP datagrams, that are of the kind NOVEL."""
