"""One packet in every link layer that is read; by hand, from the specifications."""

import struct
from collections.abc import Iterator

ADDRESSES = bytes.fromhex("020000000002020000000001")
SNAP = b"\xaa\xaa\x03\0\0\0"
DATA = b"\x08\x01"
"""Frame control of an IEEE 802.11 data frame to the distribution system."""


def be16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def mpls(*labels: int, packet: bytes) -> bytes:
    """A label stack, whose last entry says so."""
    stack = [label << 12 | (number == len(labels) - 1) << 8 | 64 for number, label in enumerate(labels)]
    return struct.pack(f">{len(stack)}I", *stack) + packet


def ieee80211(packet: bytes, control: bytes = DATA, more: bytes = b"", kind: int = 0x0800) -> bytes:
    """A data frame; ``more`` is what its header has behind three addresses and the sequence number."""
    return control + bytes(2) + ADDRESSES + bytes(8) + more + SNAP + be16(kind) + packet


def attribute(order: str, kind: int, value: bytes) -> bytes:
    """An attribute of an NFLOG message."""
    return struct.pack(order + "HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def links(packet: bytes, six: bool = False) -> Iterator[tuple[str, int, bytes]]:  # noqa: PLR0912, PLR0915 - a table
    """Name, link type and frame of an IP packet in each link layer."""
    kind = 0x86DD if six else 0x0800
    protocol, nlpid, family = (0x57, 0x8E, 10) if six else (0x21, 0xCC, 2)
    typed = be16(kind) + packet
    ethernet = ADDRESSES + typed
    snap = SNAP + typed
    ppp = be16(protocol) + packet
    wifi = ieee80211(packet, kind=kind)

    yield from ((f"raw, {number}", number, packet) for number in (12, 14, 101, 229 if six else 228))
    yield "Ethernet", 1, ethernet
    for tag in (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300):
        yield from ((f"{depth} tags {tag:x}", 1, ADDRESSES + be16(tag, 7) * depth + typed) for depth in (1, 2, 3, 9))
    yield "802.1ad and 802.1Q", 1, ADDRESSES + be16(0x88A8, 5, 0x8100, 6) + typed
    yield "802.1ah", 1, ADDRESSES + be16(0x88A8, 5, 0x88E7) + bytes(4) + ADDRESSES + be16(0x8100, 9) + typed
    yield "VN-tag", 1, ADDRESSES + be16(0x8926) + bytes(4) + typed
    yield "802.1BR", 1, ADDRESSES + be16(0x893F) + bytes(6) + typed
    for depth in (1, 2, 3, 12):
        for etype in (0x8847, 0x8848):
            stack = mpls(*range(16, 16 + depth), packet=packet)
            yield f"{depth} labels", 1, ADDRESSES + be16(etype) + stack
            yield f"{depth} labels behind a tag", 1, ADDRESSES + be16(0x8100, 1, etype) + stack
    yield "explicit null", 1, ADDRESSES + be16(0x8847) + mpls(2 if six else 0, packet=packet)
    yield "MPLS, 219", 219, mpls(16, 17, packet=packet)
    pppoe = b"\x11\0\0\3" + be16(len(ppp)) + ppp
    yield "PPPoE", 1, ADDRESSES + be16(0x8864) + pppoe
    yield "PPPoE behind two tags", 1, ADDRESSES + be16(0x88A8, 1, 0x8100, 1, 0x8864) + pppoe
    yield "PPPoE, 51", 51, pppoe
    yield "PPPoE with MPLS", 51, b"\x11\0\0\3\0\0" + be16(0x281) + mpls(16, packet=packet)
    yield "SNAP", 1, ADDRESSES + be16(len(snap)) + snap
    yield "SNAP, bridge-tunnel", 1, ADDRESSES + be16(len(snap)) + b"\xaa\xaa\x03\0\0\xf8" + typed
    yield "SNAP behind a tag", 1, ADDRESSES + be16(0x8100, 7, len(snap)) + snap
    yield "LLC of a jumbo frame", 1, ADDRESSES + be16(0x8870) + snap
    if not six:
        yield "LLC", 1, ADDRESSES + be16(len(packet) + 3) + b"\x06\x06\x03" + packet
    for control in (b"", b"\xff\x03"):
        yield f"PPP, {len(control)}", 9, control + ppp
        yield f"PPP, compressed, {len(control)}", 9, control + bytes((protocol,)) + packet
        yield f"PPP with MPLS, {len(control)}", 9, control + be16(0x281) + mpls(16, packet=packet)
    yield "PPP, 50", 50, b"\xff\x03" + ppp
    yield "PPP of pppd", 166, b"\x01\x03" + ppp
    yield "PPP with a direction", 204, b"\x01\xff\x03" + ppp
    for first in (b"\x0f\0", b"\x8f\0"):
        yield "Cisco HDLC", 104, first + typed
        yield "Cisco HDLC, 50", 50, first + typed
        yield "Cisco HDLC with a direction", 205, b"\0" + first + typed
    yield "Cisco HDLC with MPLS", 104, b"\x0f\0" + be16(0x8847) + mpls(16, 17, packet=packet)
    for order in "<>":
        yield f"NULL {order}", 0, struct.pack(order + "I", family) + packet
        yield f"LOOP {order}", 108, struct.pack(order + "I", family) + packet
        yield f"ENC {order}", 109, struct.pack(order + "I", family) + bytes(8) + packet
        for more in (b"", attribute(order, 10, b"prefix\0") + attribute(order, 5, bytes(4))):
            message = more + attribute(order, 9, packet)
            yield f"NFLOG {order}", 239, bytes((family, 0, 0, 0)) + attribute(order, 1, bytes(4)) + message
    for number in (23, 24, 28, 30) if six else ():
        yield f"NULL, {number}", 0, struct.pack("<I", number) + packet
    yield "PFLOG", 117, bytes((61, family)) + bytes(62) + packet
    yield "SLL", 113, bytes(14) + typed
    yield "SLL, LLC", 113, bytes(14) + be16(4) + snap
    yield "SLL, a tag", 113, bytes(14) + be16(0x8100, 7) + typed
    yield "SLL, radiotap", 113, be16(0, 803) + bytes(10) + be16(4) + b"\0\0\x08\0" + bytes(4) + wifi
    yield "SLL2", 276, be16(kind) + bytes(18) + packet
    yield "SLL2, LLC", 276, be16(4) + bytes(18) + snap
    yield "SLL2, MPLS", 276, be16(0x8847) + bytes(18) + mpls(16, packet=packet)
    yield "Token Ring", 6, b"\x10\x40" + ADDRESSES + snap
    routed = bytearray(ADDRESSES)
    routed[6] |= 0x80
    yield "Token Ring, routed", 6, b"\x10\x40" + routed + b"\x06\x10\x00\x11\x00\x20" + snap
    yield "FDDI", 10, b"\x50" + ADDRESSES + snap
    yield from ((f"ATM, {number}", number, snap) for number in (100, 11, 106, 19))
    yield "ATM, NLPID", 100, b"\xfe\xfe\x03" + bytes((nlpid,)) + packet
    yield "Classical IP over ATM without LLC", 106, packet
    yield "SunATM", 123, b"\x02\0\0\5" + snap
    yield "IP over Fibre Channel", 122, bytes(16) + snap
    yield "IP over IEEE 1394", 138, bytes(16) + typed
    yield "IPoIB", 242, bytes(40) + be16(kind, 0) + packet
    yield "SLIP", 8, bytes(16) + packet
    for address in (b"\x18\x41", b"\x18\x40\x03", b"\x18\x40\x02\x01"):
        yield "Frame Relay, RFC 2427", 107, address + b"\x03" + bytes((nlpid,)) + packet
        yield "Frame Relay, padded", 107, address + b"\x03\0" + bytes((nlpid,)) + packet
        yield "Frame Relay, SNAP", 107, address + b"\x03\0\x80\0\0\0" + typed
        yield "Frame Relay, Cisco", 107, address + typed
        yield "Frame Relay with a direction", 206, b"\0" + address + b"\x03" + bytes((nlpid,)) + packet
    yield "802.11", 105, wifi
    yield "802.11, from the distribution system", 105, ieee80211(packet, b"\x08\x02", kind=kind)
    yield "802.11, four addresses", 105, ieee80211(packet, b"\x08\x03", bytes(6), kind)
    yield "802.11, QoS", 105, ieee80211(packet, b"\x88\x01", bytes(2), kind)
    yield "802.11, QoS, padded", 105, ieee80211(packet, b"\x88\x01", bytes(4), kind)
    yield "802.11, QoS, four addresses", 105, ieee80211(packet, b"\x88\x03", bytes(8), kind)
    yield "802.11, QoS, HT control", 105, ieee80211(packet, b"\x88\x81", bytes(6), kind)
    yield "802.11, A-MSDU", 105, ieee80211(packet, b"\x88\x01", b"\x80\0" + ADDRESSES + be16(len(snap)), kind)
    yield "802.11, decrypted", 105, ieee80211(packet, b"\x08\x41", kind=kind)
    for size in (8, 18, 25, 36):
        yield "radiotap", 127, struct.pack("<BBH", 0, 0, size) + bytes(size - 4) + wifi
        yield "PPI", 192, struct.pack("<BBHI", 0, 0, size, 105) + bytes(size - 8) + wifi
    yield "PPI with Ethernet", 192, struct.pack("<BBHI", 0, 0, 8, 1) + ethernet
    for order in "<>":
        yield f"Prism {order}", 119, struct.pack(order + "II", 0x44, 144) + bytes(136) + wifi
    for number in (119, 163):
        yield "AVS", number, struct.pack(">II", 0x80211001, 64) + bytes(56) + wifi
    for flags, more in ((0, b""), (1, b""), (0x80, b"\0\x06" + bytes(6)), (2, bytes(4)),
                        (0x82, b"\0\x02ab" + bytes(4))):
        cookie = b"MGC" + bytes((flags,)) + more
        bare = flags & 2
        yield f"Juniper Ethernet {flags:x}", 178, cookie + (packet if bare else ethernet)
        yield f"Juniper PPPoE {flags:x}", 167, cookie + (packet if bare else ADDRESSES + be16(0x8864) + pppoe)
        yield f"Juniper PPPoE over ATM {flags:x}", 168, cookie + (packet if bare else be16(0x8864) + pppoe)
        yield f"Juniper PPP {flags:x}", 179, cookie + (packet if bare else b"\xff\x03" + ppp)
        relayed = b"\x18\x41\x03" + bytes((nlpid,)) + packet
        yield f"Juniper Frame Relay {flags:x}", 180, cookie + (packet if bare else relayed)
        yield f"Juniper Cisco HDLC {flags:x}", 181, cookie + (packet if bare else b"\x0f\0" + typed)
    yield "netANALYZER", 240, bytes(4) + ethernet
    yield "netANALYZER, transparent", 241, bytes(12) + ethernet
    yield "PKTAP", 258, struct.pack("<III", 108, 1, 1) + bytes(96) + ethernet
