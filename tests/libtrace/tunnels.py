"""One packet in every tunnel that is looked into: by scapy where it has the tunnel, else by hand, from the
specifications."""

import struct
from collections.abc import Iterator
from typing import Any

from scapy.all import GRE, IP, UDP, VXLAN, Ether, IPv6, Raw
from scapy.contrib.erspan import ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.layers.ipsec import AH

from tests.libtrace.frames import MACS
from tests.libtrace.links import ADDRESSES, be16, mpls

INTEGRITY = {"NULL": 0, "HMAC-SHA1-96": 12, "SHA2-256-128": 16, "SHA2-384-192": 24, "SHA2-512-256": 32}
"""Algorithms of ESP, and the octets of their check values."""

TEREDO_AUTHENTICATION = b"\0\1\2\3" + b"id" + b"key" + bytes(8) + b"\0"
TEREDO_ORIGIN = b"\0\0" + bytes(6)


def outside(rev: bool, version: int = 4, **fields: Any) -> Any:
    """The IP header of a tunnel."""
    ends = ("192.0.2.7", "198.51.100.8") if version == 4 else ("2001:db8:7::1", "2001:db8:8::1")
    src, dst = reversed(ends) if rev else ends
    return (IP if version == 4 else IPv6)(src=src, dst=dst, **fields)


def datagram(rev: bool, port: int, payload: Any, version: int = 4, sport: int = 50000) -> Any:
    """A UDP datagram of a tunnel, whose source port differs by direction."""
    return outside(rev, version) / UDP(sport=sport + rev, dport=port) / payload


def esp(packet: bytes, rev: bool, algorithm: str, *, tunnel: bool, version: int = 4, nat_t_header: Any = None) -> Any:
    """A packet in ESP without encryption, whose check value nobody can verify. The two directions have different
    numbers. By hand: Scapy needs cryptography even for this. :rfc:`4303`, :rfc:`3948`"""
    four = packet[0] >> 4 == 4
    if tunnel:
        header, inside, kind = outside(rev, version), packet, 4 if four else 41
    else:
        whole = (IP if four else IPv6)(packet)
        inside, kind = bytes(whole.payload), whole.proto if four else whole.nh
        header = (IP if four else IPv6)(src=whole.src, dst=whole.dst)
    padding = -(len(inside) + 2) % 4
    trailer = bytes(range(1, padding + 1)) + bytes((padding, kind))
    data = struct.pack(">II", 0x1000 + rev, 5) + inside + trailer + b"c" * INTEGRITY[algorithm]
    if nat_t_header is not None:
        return header / nat_t_header / Raw(data)
    header.setfieldval("proto" if header.version == 4 else "nh", 50)
    return header / Raw(data)


def padded_esp(packet: bytes, rev: bool, padding: int, vector: int, check: int) -> Any:
    """The same in tunnel mode, by hand."""
    trailer = bytes(range(1, padding + 1)) + bytes((padding, 4 if packet[0] >> 4 == 4 else 41))
    return outside(rev, proto=50) / Raw(
        struct.pack(">II", 0xABCDEF, 1) + b"v" * vector + packet + trailer + b"c" * check)


def tunnels(packet: bytes, rev: bool = False) -> Iterator[tuple[str, list[str], bytes]]:
    """Name, what the record says, and Ethernet frame of a packet in each tunnel.

    :param rev: the packet is the other direction's; identifiers that are a direction's own are others, then
    """
    for name, encapsulation, frame in _tunnels(packet, rev):
        yield name, encapsulation, frame if isinstance(frame, bytes) else bytes(Ether(**MACS) / frame)


def _tunnels(packet: bytes, rev: bool) -> Iterator[tuple[str, list[str], Any]]:  # noqa: PLR0915 - a table
    six = packet[0] >> 4 == 6
    kind = 0x86DD if six else 0x0800
    raw = Raw(packet)
    inner = IPv6(packet) if six else IP(packet)
    ethernet = Raw(ADDRESSES + be16(kind) + packet)
    tagged = Raw(ADDRESSES + be16(0x88A8, 5, 0x8100, 6, kind) + packet)
    ppp = be16(0x57 if six else 0x21) + packet
    own = 7 + rev

    def gre(ethertype: int, flags: str = "", fields: bytes = b"", payload: Any = raw, version: int = 4) -> Any:
        bits = sum({"C": 0x8000, "K": 0x2000, "S": 0x1000}[flag] for flag in flags)
        return outside(rev, version, **{"proto" if version == 4 else "nh": 47}) / Raw(
            be16(bits, ethertype) + fields) / payload

    for version in (4, 6):
        number = {"proto" if version == 4 else "nh": 41 if six else 4}
        yield f"IP in IPv{version}", [f"{6 if six else 4}in{version}"], outside(rev, version, **number) / raw
        yield f"GRE in IPv{version}", ["gre"], gre(kind, version=version)
        yield f"VXLAN in IPv{version}", ["vxlan:7"], datagram(rev, 4789, VXLAN(vni=7) / ethernet, version)
    full = GRE(chksum_present=1, key_present=1, key=77, seqnum_present=1)
    yield "GRE by scapy", ["gre:77"], outside(rev) / full / inner
    yield "GRE, checksum", ["gre"], gre(kind, "C", bytes(4))
    yield "GRE, key", ["gre:7"], gre(kind, "K", b"\0\0\0\7")
    yield "GRE, sequence", ["gre"], gre(kind, "S", bytes(4))
    yield "GRE, key and sequence", ["gre:4294967295"], gre(kind, "KS", b"\xff" * 4 + bytes(4))
    yield "GRE with Ethernet", ["gre"], gre(0x6558, payload=ethernet)
    yield "GRE with Ethernet and tags, key", ["gre:9"], gre(0x6558, "K", b"\0\0\0\x09", tagged)
    yield "NVGRE", ["nvgre:5000"], gre(0x6558, "K", (5000 << 8 | own).to_bytes(4, "big"), ethernet)
    yield "GRE with MPLS", ["gre"], gre(0x8847, payload=Raw(mpls(16, 17, packet=packet)))
    yield "WCCP 1", ["wccp"], gre(0x883E)
    yield "WCCP 2", ["wccp"], gre(0x883E, payload=Raw(b"\x80\0\0\0" + packet))
    for more in (b"", bytes(4)):
        flags = 0x3001 | (0x80 if more else 0)
        call = struct.pack(">HHHHI", flags, 0x880B, len(ppp), own, 1) + more + ppp
        yield "PPTP", [f"pptp:{own}"], outside(rev, proto=47) / Raw(call)
    yield "ERSPAN I", ["erspan"], gre(0x88BE, payload=ethernet)
    yield "ERSPAN II", ["erspan:33"], gre(0x88BE, "S", bytes(4) + be16(0x1005, 33, 0, 0), tagged)
    yield "ERSPAN III", ["erspan:1023"], gre(0x22EB, "S", bytes(4), ERSPAN_III(session_id=1023) / ethernet)
    yield "ERSPAN III, a platform's header", ["erspan:1"], gre(
        0x22EB, "S", bytes(4), ERSPAN_III(session_id=1, o=1) / ERSPAN_PlatformSpecific(platf_id=1) / ethernet)
    yield "MPLS in IP", ["mpls-in-ip"], outside(rev, proto=137) / Raw(mpls(16, packet=packet))
    for port in (4789, 8472):
        yield f"VXLAN, {port}", ["vxlan:16777215"], datagram(rev, port, VXLAN(vni=0xFFFFFF) / tagged)
    yield "VXLAN without checksum", ["vxlan:7"], outside(rev) / UDP(dport=4789, chksum=0) / VXLAN(vni=7) / ethernet
    yield "Geneve with Ethernet", ["geneve:7"], datagram(rev, 6081, GENEVE(vni=7, proto=0x6558) / ethernet)
    optional = GENEVE(vni=7, proto=kind, options=[GeneveOptions(classid=1, type=1, data=b"1234")])
    yield "Geneve with IP and options", ["geneve:7"], datagram(rev, 6081, optional / raw)
    yield "GTP-U", [f"gtp:{own}"], datagram(rev, 2152, GTP_U_Header(teid=own, gtp_type=255) / raw)
    yield "GTP-U, sequence", [f"gtp:{own}"], datagram(
        rev, 2152, Raw(struct.pack(">BBHIHBB", 0x32, 255, len(packet) + 4, own, 1, 0, 0) + packet))
    yield "GTP-U, extension", [f"gtp:{own}"], datagram(
        rev, 2152, GTP_U_Header(teid=own, E=1, S=1, next_ex=0x85, gtp_type=255) / GTPPDUSessionContainer(QFI=9) / raw)
    if six:
        for more in (b"", TEREDO_ORIGIN, TEREDO_AUTHENTICATION, TEREDO_AUTHENTICATION + TEREDO_ORIGIN):
            ports = (3544, 40000) if rev else (40000, 3544)
            yield f"Teredo, {len(more)}", ["teredo"], datagram(rev, ports[1], Raw(more + packet), sport=ports[0] - rev)
    yield "MPLS in UDP", ["mpls-in-udp"], datagram(rev, 6635, Raw(mpls(16, packet=packet)))
    for flags, fields in ((0x0002, b""), (0x4002, be16(len(ppp) + 8)), (0x0802, b""), (0x0202, b"")):
        ids = be16(own, 3)
        tail = bytes(4) if flags & 0x800 else b"\0\2xx" if flags & 0x200 else b""
        yield f"L2TP {flags:x}", [f"l2tp:{own}/3"], datagram(rev, 1701, Raw(be16(flags) + fields + ids + tail + ppp))
    number = 0x1000 + rev
    for algorithm in INTEGRITY:
        yield f"ESP, {algorithm}", [f"esp:{number}"], esp(packet, rev, algorithm, tunnel=True)
        yield f"ESP, {algorithm}, transport", [f"esp:{number}"], esp(packet, rev, algorithm, tunnel=False)
    yield "ESP in IPv6", [f"esp:{number}"], esp(packet, rev, "SHA2-256-128", tunnel=True, version=6)
    yield "ESP in UDP", [f"esp:{number}"], esp(packet, rev, "HMAC-SHA1-96", tunnel=True,
                                               nat_t_header=UDP(sport=4500, dport=4500))
    base = -(len(packet) + 2) % 4
    for padding in (base, base + 4, base + 248):
        yield f"ESP, {padding} of padding", ["esp:11259375"], padded_esp(packet, rev, padding, 0, 12)
    yield "ESP, GMAC", ["esp:11259375"], padded_esp(packet, rev, base, 8, 16)
    authenticated = AH(nh=41 if six else 4, icv=bytes(12), payloadlen=4) / raw
    yield "AH in tunnel mode", [f"{6 if six else 4}in4"], outside(rev) / authenticated
    for word in (b"", bytes(4), b"\0\0\0\x09"):
        for payload in (ethernet, tagged):
            yield f"pseudo-wire {word.hex()}", ["pseudowire"], ADDRESSES + be16(0x8847) + mpls(
                16, 17 + rev, packet=word + bytes(payload))
    labelled = Raw(mpls(16, packet=bytes(4) + bytes(ethernet)))
    yield "pseudo-wire in GRE", ["gre", "pseudowire"], gre(0x8847, payload=labelled)
    vxlan = datagram(rev, 4789, VXLAN(vni=7) / ethernet)
    yield "VXLAN in GRE in IPv4 in IPv6", ["4in6", "gre", "vxlan:7"], outside(rev, 6, nh=4) / outside(
        rev, proto=47) / Raw(be16(0, 0x0800)) / vxlan


def nested(packet: bytes, depth: int) -> bytes:
    """An IPv4 packet in so many of its kind."""
    layers = packet
    for _ in range(depth):
        layers = bytes(IP(src="192.0.2.7", dst="198.51.100.8", proto=4) / Raw(layers))
    return ADDRESSES + be16(0x0800) + layers
