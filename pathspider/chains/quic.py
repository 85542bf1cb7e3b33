"""QUIC: its headers, and what its Initial packets say. :rfc:`8999`, :rfc:`9000`, :rfc:`9001`, :rfc:`9369`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.initials import SALTS, VERSION_2, Initials, MalformedError, Packet, varint
from pathspider.libtrace import UDP, payload_of

LONG = 0x80
FIXED = 0x40
SPIN = 0x20
"""Bits of the first octet: the long header, the one that is always set, the spin bit. :rfc:`9000` section 17"""

LONGEST_ID = 20
"""Octets of a connection id at most, in the versions that we know. :rfc:`9000` section 17.2"""

SHORTEST = 21
"""Octets of a packet with a short header at least. :rfc:`9000` section 10.3"""

FIRST_DATAGRAM = 1200
"""Octets at least of a client's first datagram. :rfc:`9000` section 14.1"""

TRIES = 16
"""Datagrams of a flow without a long header, before the first one that has it, after which it is not QUIC."""

COALESCED = 8
"""Packets of one datagram that are looked at."""

INITIAL = 0
RETRY = 3
NEGOTIATION = 4
UNKNOWN = 5
NOT_QUIC = -1

KINDS = {
    "initial": "An Initial packet",
    "0rtt": "A 0-RTT packet",
    "handshake": "A Handshake packet",
    "retry": "A Retry packet",
    "negotiation": "A Version Negotiation packet",
}
WAYS = {"fwd": "went forward", "rev": "came back"}
MARKS = {"": "not-ECT", "ect1": "ECT(1)", "ect0": "ECT(0)", "ce": "CE"}

SEEN = tuple(f"quic_{kind}_{way}" for kind in KINDS for way in WAYS)
"""Names of the fields by kind of long header * 2 + (0 forward, 1 reverse)."""

COUNTS = tuple(f"quic_{mark}_{way}" for mark in MARKS for way in WAYS)
"""Names of the fields by ECN codepoint * 2 + (0 forward, 1 reverse)."""

SHORT = ("quic_short_fwd", "quic_short_rev")
SPIN_SET = ("quic_spin_fwd", "quic_spin_rev")
SPIN_FLIPS = ("quic_spin_flips_fwd", "quic_spin_flips_rev")
"""Names of fields, forward and reverse."""


class Conversation:
    """What is known of a flow that is QUIC, beside its record."""

    __slots__ = ("initials", "spins")

    def __init__(self) -> None:
        self.initials: Initials | None = None
        self.spins: list[bool | None] = [None, None]
        """The last spin bits, forward and reverse."""


def version_at(data: bytes, at: int) -> int:
    """Four octets as a number."""
    first = data[at]
    return first << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


def is_reserved(version: int) -> bool:
    """Whether a version only makes the server say which ones it has. :rfc:`9000` section 15"""
    return version & 0x0F0F0F0F == 0x0A0A0A0A


def ids_end(data: bytes, at: int) -> int:
    """Offset behind the connection ids of the long header at ``at``, -1 where they are not there or too long."""
    size = len(data)
    at += 5
    for _ in range(2):
        if at >= size or data[at] > LONGEST_ID:
            return -1
        at += 1 + data[at]
    return at if at <= size else -1


def long_kind(data: bytes, at: int, end: int, begun: bool) -> int:
    """Kind of a packet with a long header whose connection ids end at ``end``; ``NOT_QUIC`` where it is none.

    :param begun: the flow is known to be QUIC. Otherwise a Version Negotiation must offer a version that we know, and a
        reserved version be in a datagram that is as long as a client's first.
    """
    version = version_at(data, at + 1)
    if version == 0:
        size = len(data) - end
        if size < 4 or size % 4:
            return NOT_QUIC
        if begun or version_at(data, end) in SALTS or version_at(data, end + size - 4) in SALTS:
            return NEGOTIATION
        return NOT_QUIC
    if not data[at] & FIXED:
        return NOT_QUIC
    if version in SALTS:
        kind = data[at] >> 4 & 3
        return (kind + 3) & 3 if version == VERSION_2 else kind
    return UNKNOWN if is_reserved(version) and (begun or len(data) >= FIRST_DATAGRAM) else NOT_QUIC


def begins(data: bytes) -> bool:
    """Whether a datagram is QUIC's, where none of its flow was so far."""
    if len(data) < 7 or not data[0] & LONG:
        return False
    end = ids_end(data, 0)
    return end >= 0 and long_kind(data, 0, end, False) != NOT_QUIC


def is_same_id(data: bytes, at: int) -> bool:
    """Whether the destination connection id at ``at`` is that of the long header at the datagram's begin, since packets
    of one datagram go to one connection. :rfc:`9000` section 12.2"""
    size = data[5]
    return data[at : at + size] == data[6 : 6 + size]


def note_long(rec: dict[str, Any], data: bytes, at: int, rev: bool) -> int:
    """A packet with a long header; the offset behind it, -1 where nothing can be said of what follows."""
    end = ids_end(data, at) if at + 7 <= len(data) else -1
    kind = NOT_QUIC if end < 0 else long_kind(data, at, end, True)
    if kind == NOT_QUIC or data[at + 5] != data[5] or not is_same_id(data, at + 6):
        return -1
    way = "rev" if rev else "fwd"
    size = data[at + 5]
    version = version_at(data, at + 1)
    if rec["quic_version_" + way] is None:
        rec["quic_version_" + way] = version
        rec["quic_dcid_len_" + way] = size
        rec["quic_scid_len_" + way] = data[at + 6 + size]
    if kind != UNKNOWN:
        rec[SEEN[kind * 2 + rev]] = True
    if kind >= RETRY:
        return len(data)  # these have no length
    try:
        if kind == INITIAL:
            token, end = varint(data, end)
            end += token
        length, number_at = varint(data, end)
    except MalformedError:
        return len(data)
    end = number_at + length
    if end <= len(data):
        if kind == INITIAL:
            note_initial(rec, Packet(data[at:end], number_at - at, version, data[at + 6 : at + 6 + size]), rev)
        return end
    return len(data)  # the capture holds no more


def note_initial(rec: dict[str, Any], packet: Packet, rev: bool) -> None:
    """An Initial packet, all of it."""
    conversation = rec["_quic"]
    initials = conversation.initials
    if initials is None:
        initials = conversation.initials = Initials()
    initials.add(packet, rev)
    rec["quic_sni"] = initials.sni
    rec["quic_alpn"] = initials.alpn
    rec["quic_ack_ecn"] = initials.ack_ecn


def note_short(rec: dict[str, Any], first: int, rev: bool) -> None:
    """A packet with a short header, by its first octet."""
    spin = bool(first & SPIN)
    spins = rec["_quic"].spins
    before = spins[rev]
    if before is not None and before != spin:
        rec[SPIN_FLIPS[rev]] += 1
    spins[rev] = spin
    rec[SHORT[rev]] += 1
    if spin or before is None:
        rec[SPIN_SET[rev]] = spin


class QUICChain(Chain):
    """Versions, connection ids, kinds of packets, spin bit and ECN marks of QUIC, and what the client asked for."""

    fields = {
        **{
            name: field
            for way, direction in WAYS.items()
            for name, field in {
                f"quic_version_{way}": Field(
                    int, None, f"Version of the first long header that {direction}; 0 is Version Negotiation"
                ),
                f"quic_dcid_len_{way}": Field(int, None, "Octets of its destination connection id"),
                f"quic_scid_len_{way}": Field(int, None, "Octets of its source connection id"),
            }.items()
        },
        **{
            f"quic_{kind}_{way}": Field(bool, False, f"{what} {direction}")
            for way, direction in WAYS.items()
            for kind, what in KINDS.items()
        },
        **{
            name: field
            for way, direction in WAYS.items()
            for name, field in {
                f"quic_short_{way}": Field(int, 0, f"Packets with a short header that {direction}"),
                f"quic_spin_{way}": Field(bool, None, "The spin bit was set on one of these"),
                f"quic_spin_flips_{way}": Field(int, 0, "How often it was another than on the one before"),
            }.items()
        },
        **{
            f"quic_{mark}_{way}": Field(int, 0, f"QUIC datagrams with {name} that {direction}")
            for way, direction in WAYS.items()
            for mark, name in MARKS.items()
            if mark
        },
        "quic_sni": Field(str, None, "Server name in the ClientHello"),
        "quic_alpn": Field(list, None, "Application protocols in the ClientHello, in its order"),
        "quic_ack_ecn": Field(
            bool, None, "An acknowledgement in the server's Initial packets had ECN counts; null: there was none"
        ),
    }

    scratch = {"_quic": 0}
    """How many datagrams there were without a long header, ``False`` when given up; a ``Conversation`` since there was
    one."""

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Records what the packets in a datagram show."""
        state = rec["_quic"]
        if state is False:
            return True
        data = payload_of(udp)
        if data is None:
            return True
        if not isinstance(state, Conversation):
            if not begins(data):
                rec["_quic"] = state + 1 if state + 1 < TRIES else False
                return True
            rec["_quic"] = Conversation()
        size = len(data)
        at = 0
        packets = 0
        while at < size and packets < COALESCED:
            if data[at] & LONG:
                end = note_long(rec, data, at, rev)
                if end < 0:
                    break
            else:
                if data[at] & FIXED and size - at >= SHORTEST and (at == 0 or is_same_id(data, at + 1)):
                    note_short(rec, data[at], rev)
                    packets += 1
                break
            at = end
            packets += 1
        ip = udp.ip if udp.ip is not None else udp.ip6
        if packets and ip is not None:
            mark = ip.traffic_class & 3
            if mark:
                rec[COUNTS[mark * 2 + rev]] += 1
        return True
