"""What an ICMP error quotes of the packet that it is about. Pure: octets in, values out.

:rfc:`792`, :rfc:`4443`: the errors; :rfc:`1812`, section 4.3.2.3: how much is quoted; :rfc:`4884`: its length and what
may follow it; :rfc:`4950`, :rfc:`5837`: what that may be.

A field is ``None`` where it was not quoted, and never guessed. Zeros that a router pads the quotation with count as not
quoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pathspider.chains.mss import mss_option
from pathspider.chains.tcp import TO_EOL, TO_MPTCP, TO_NOP
from pathspider.chains.tfo import tfo_option
from pathspider.helpers.segments import ones_complement_sum

TIME_EXCEEDED = "time_exceeded"
UNREACHABLE = "unreachable"
TOO_BIG = "too_big"
PARAMETER_PROBLEM = "parameter_problem"

KINDS = {
    (4, 3): UNREACHABLE, (4, 11): TIME_EXCEEDED, (4, 12): PARAMETER_PROBLEM,
    (6, 1): UNREACHABLE, (6, 2): TOO_BIG, (6, 3): TIME_EXCEEDED, (6, 4): PARAMETER_PROBLEM,
}
FRAGMENTATION_NEEDED = 4
"""The code of an unreachable message over IPv4 that says what a packet too big says over IPv6. :rfc:`1191`"""

ICMP_HEADER = 8
LEAST_BEFORE_EXTENSIONS = 128
"""Octets that a quotation is padded to, where extensions follow. :rfc:`4884`, section 4"""
EXTENSION_VERSION = 2
MPLS_STACK = (1, 1)
"""Class and type of the extension object that is the MPLS label stack. :rfc:`4950`"""

OPTION = "option_"
"""How the names of TCP options begin, see :meth:`Quotation.field`; their kind follows."""

TCP, UDP = 6, 17
WITH_PORTS = (TCP, UDP, 33, 132, 136)
"""Protocols whose header begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite."""
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSION_HEADERS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
"""IPv6 headers before that of the transport, whose length is known. :rfc:`8200`, :rfc:`4302`"""


@dataclass(frozen=True, slots=True)
class Extension:
    """One object behind a quotation. :rfc:`4884`, section 8"""

    number: int
    """Its class: 1 of MPLS (:rfc:`4950`), 2 of an interface (:rfc:`5837`)."""
    type: int
    value: bytes

    @property
    def labels(self) -> list[dict[str, int]] | None:
        """The MPLS label stack, from the top: ``label``, ``tc``, ``bottom``, ``ttl``; None of other objects."""
        if (self.number, self.type) != MPLS_STACK:
            return None
        words = [int.from_bytes(self.value[at : at + 4], "big") for at in range(0, len(self.value) - 3, 4)]
        return [{"label": word >> 12, "tc": word >> 9 & 7, "bottom": word >> 8 & 1, "ttl": word & 255}
                for word in words]


@dataclass(frozen=True, slots=True)
class Quotation:
    """An ICMP error and what it quotes. Values that were not quoted are ``None``."""

    kind: str
    """``time_exceeded``, ``unreachable``, ``too_big`` or ``parameter_problem``."""
    type: int
    code: int
    version: int
    """Of IP."""
    octets: int
    """How many octets of the packet came: without padding, without extensions."""
    mtu: int | None = None
    """What a packet too big says."""
    pointer: int | None = None
    """The octet that a parameter problem is about."""
    said: int = 0
    """Octets of the quotation, padding included, as the message says; 0 where it does not say. :rfc:`4884`"""
    extensions: tuple[Extension, ...] = ()

    src: bytes | None = None
    """Source address, as it is in the header."""
    dst: bytes | None = None
    traffic_class: int | None = None
    """IPv4's octet "type of service", IPv6's traffic class: DSCP and ECN."""
    length: int | None = None
    """Of the whole packet, IP header included, as it says."""
    ident: int | None = None
    """IPv4's identification; of IPv6, that of the fragment header."""
    flags: int | None = None
    """IPv4's three flags: 4 is the reserved one, 2 don't fragment, 1 more fragments."""
    fragment_offset: int | None = None
    """In octets."""
    ttl: int | None = None
    """TTL or hop limit."""
    proto: int | None = None
    """The transport's number, behind extension headers."""
    header_checksum: int | None = None
    flow_label: int | None = None
    ip_options: tuple[tuple[int, bytes], ...] | None = None
    """IPv4's options, type and value, if all of them came."""
    extension_headers: tuple[int, ...] | None = None
    """IPv6's extension headers, by number, as far as they came."""
    header_length: int | None = None
    """Octets before the transport header."""

    sport: int | None = None
    dport: int | None = None
    seq: int | None = None
    ack: int | None = None
    tcp_flags: int | None = None
    """With AE (256), ECE (64), CWR (128)."""
    window: int | None = None
    checksum: int | None = None
    """Of TCP or UDP."""
    urgent: int | None = None
    udp_length: int | None = None
    data_offset: int | None = None
    """Octets of the TCP header, as it says."""
    options: tuple[tuple[int, bytes], ...] | None = None
    """TCP options without padding, kind and value, as far as they came; see :attr:`options_whole`."""
    options_data: bytes | None = None
    """All of TCP's option space, as far as it came."""
    payload: bytes | None = None
    """What came of the transport's payload; ``None`` where its header did not come whole."""

    @property
    def dscp(self) -> int | None:
        """The upper six bits of the traffic class."""
        return None if self.traffic_class is None else self.traffic_class >> 2

    @property
    def ecn(self) -> int | None:
        """The ECN codepoint: 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE."""
        return None if self.traffic_class is None else self.traffic_class & 3

    @property
    def evil(self) -> bool | None:
        """The reserved flag of IPv4. :rfc:`3514`"""
        return None if self.flags is None else bool(self.flags & 4)

    @property
    def options_whole(self) -> bool:
        """Whether all options of TCP came: what is not among them was not there."""
        return (self.options_data is not None and self.data_offset is not None
                and len(self.options_data) == self.data_offset - 20)

    @property
    def mss(self) -> int | None:
        """The MSS option's value; 0 where all options came and there is none."""
        found = None if self.options_data is None else mss_option(self.options_data)
        if found is not None:
            return found[1]
        return 0 if self.options_whole else None

    @property
    def tfo(self) -> bool | None:
        """Whether there is a Fast Open option, also one of an experimental kind."""
        if self.options_data is not None and tfo_option(self.options_data) is not None:
            return True
        return False if self.options_whole else None

    @property
    def mptcp(self) -> bool | None:
        """Whether there is an option of Multipath TCP."""
        return self.has_option(TO_MPTCP)

    @property
    def headers(self) -> tuple[int, ...] | None:
        """IPv6's extension headers, by number, if all of them came."""
        return None if self.proto is None else self.extension_headers

    def field(self, name: str) -> Any:
        """A value by its name: that of an attribute, or ``option_KIND`` for a TCP option: its value in hexadecimal, or
        ``absent``. ``None`` where it was not quoted. :exc:`AttributeError` for a name of nothing."""
        if not name.startswith(OPTION):
            return getattr(self, name)
        kind = int(name.removeprefix(OPTION))
        found = next((value.hex() for one, value in self.options or () if one == kind), None)
        return found if found is not None or self.has_option(kind) is None else "absent"

    def has_option(self, kind: int) -> bool | None:
        """Whether TCP's options have one of this kind; ``None`` where it may be among those that did not come."""
        if any(one == kind for one, _ in self.options or ()):
            return True
        return False if self.options_whole else None

    @property
    def payload_length(self) -> int | None:
        """Octets of the transport's payload in the quoted packet, as its headers say; of UDP, without options."""
        if self.udp_length is not None:
            return max(0, self.udp_length - 8)
        if None in (self.length, self.header_length, self.data_offset):
            return None
        return max(0, self.length - self.header_length - self.data_offset)  # type: ignore[operator]

    @property
    def surplus(self) -> int | None:
        """Octets between the end of the UDP datagram and that of the packet: UDP options. :rfc:`9868`"""
        if None in (self.length, self.header_length, self.udp_length):
            return None
        return max(0, self.length - self.header_length - self.udp_length)  # type: ignore[operator]

    def facts(self) -> dict[str, Any]:
        """What was quoted, for a record: JSON values, and nothing of what was not quoted.

        Addresses are left out. Options are their kinds. ``mss`` 0: there is no such option.
        """
        told = {name: value for name in FACTS if (value := getattr(self, name)) is not None}
        if self.options is not None:
            told["options"] = [kind for kind, _ in self.options]
            told["options_whole"] = self.options_whole
        if self.payload is not None:
            told["payload_octets"] = len(self.payload)
        if labels := [one.labels for one in self.extensions if one.labels]:
            told["mpls"] = labels[0]
        return told


FACTS = ("traffic_class", "dscp", "ecn", "length", "ident", "evil", "flags", "ttl", "proto", "flow_label", "sport",
         "dport", "seq", "ack", "tcp_flags", "window", "checksum", "urgent", "udp_length", "mss", "tfo", "mptcp",
         "payload_length", "surplus")
"""What :meth:`Quotation.facts` tells as it is."""


class _Octets:
    """Octets that may end too early: what is beyond the end is ``None``."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, at: int, size: int) -> int | None:
        """``size`` octets as a number in network order."""
        return None if at + size > len(self.data) else int.from_bytes(self.data[at : at + size], "big")

    def slice(self, at: int, size: int) -> bytes | None:
        """``size`` octets."""
        return None if at + size > len(self.data) else bytes(self.data[at : at + size])


def read(message: bytes, version: int) -> Quotation | None:
    """Read an ICMP error.

    :param message: from its ICMP header on
    :param version: of IP: 4 for ICMP, 6 for ICMPv6
    :returns: ``None`` of what is no error about a packet (redirects and source quench are none), or does not quote one
        of the same IP version. No exception, whatever the octets are.
    """
    if len(message) <= ICMP_HEADER or version not in (4, 6):
        return None
    number, code = message[0], message[1]
    kind = KINDS.get((version, number))
    if kind is None or message[ICMP_HEADER] >> 4 != version:
        return None
    told: dict[str, Any] = {"kind": kind, "type": number, "code": code, "version": version}
    if kind == TOO_BIG:
        told["mtu"] = int.from_bytes(message[4:8], "big")
    elif kind == PARAMETER_PROBLEM:
        told["pointer"] = message[4] if version == 4 else int.from_bytes(message[4:8], "big")
    elif (version, number, code) == (4, 3, FRAGMENTATION_NEEDED):
        told["kind"], told["mtu"] = TOO_BIG, int.from_bytes(message[6:8], "big")

    quoted = message[ICMP_HEADER:]
    said = 0 if (version, number) in ((6, 2), (6, 4)) else message[5] * 4 if version == 4 else message[4] * 8
    told["said"] = said
    quoted, told["extensions"], padded = _split(quoted, said)
    read_header = _ip4_header if version == 4 else _ip6_header
    quoted = quoted[: _end(quoted, read_header(quoted), padded)]
    header = read_header(quoted)
    told |= header
    told["octets"] = len(quoted)
    if header.get("header_length") is not None and not header.get("fragment_offset"):
        told |= _transport(quoted, header)
    return Quotation(**told)


def _split(quoted: bytes, said: int) -> tuple[bytes, tuple[Extension, ...], bool]:
    """What is quoted, the extensions behind it, and whether zeros at its end may be padding. :rfc:`4884`, section 5."""
    if said >= LEAST_BEFORE_EXTENSIONS and len(quoted) > said:
        return quoted[:said], _extensions(quoted[said:], must_sum=False) or (), True
    if said:
        return quoted[:said], _extensions(quoted[said:], must_sum=True) or (), True
    # before there was that length, extensions followed after 128 octets
    found = _extensions(quoted[LEAST_BEFORE_EXTENSIONS:], must_sum=True)
    if found:
        return quoted[:LEAST_BEFORE_EXTENSIONS], found, True
    return quoted, (), False


def _extensions(data: bytes, *, must_sum: bool) -> tuple[Extension, ...] | None:
    """The objects of an extension structure as far as they came; ``None`` where it is none.

    :param must_sum: without a checksum it is none
    """
    if len(data) < 4 or data[0] >> 4 != EXTENSION_VERSION:
        return None
    checksum = data[2] << 8 | data[3]
    if (must_sum or checksum) and ones_complement_sum(data) != 0xFFFF:
        return None
    if must_sum and not checksum:
        return None
    found, at = [], 4
    while at + 4 <= len(data):
        length = data[at] << 8 | data[at + 1]
        if length < 4 or at + length > len(data):
            break
        found.append(Extension(data[at + 2], data[at + 3], bytes(data[at + 4 : at + length])))
        at += length
    return tuple(found)


def _end(quoted: bytes, header: dict[str, Any], padded: bool) -> int:
    """Where the packet's own octets end in what was quoted.

    They end where the packet does. Where the quotation is padded, they end with the last word that is not zero, but not
    before what every router quotes: a zero that was in the packet is then taken for one that was not quoted. So they do
    where nothing says that there is padding, and a TCP header would be one of a length that cannot be, or whole words
    of zeros its last options.
    """
    end = len(quoted)
    start = header.get("header_length") or (20 if header["version"] == 4 else 40)
    least = min(end, start + 8)
    length = header.get("length")
    if length is not None and length >= least:
        end = min(end, length)
    last = len(quoted[:end].rstrip(b"\0"))
    last = min(end, max(least, last + -last % 4))
    if not padded and header.get("proto") == TCP and not header.get("fragment_offset") and end > start + 12:
        offset = (quoted[start + 12] >> 4) * 4
        if offset < 20:
            return least
        padded = last < start + offset
    return last if padded else end


def _ip4_header(data: bytes) -> dict[str, Any]:
    """The fields of an IPv4 header. :rfc:`791`"""
    at = _Octets(data)
    fragment = at.number(6, 2)
    told: dict[str, Any] = {
        "version": 4, "traffic_class": at.number(1, 1), "length": at.number(2, 2), "ident": at.number(4, 2),
        "flags": None if fragment is None else fragment >> 13,
        "fragment_offset": None if fragment is None else (fragment & 0x1FFF) * 8,
        "ttl": at.number(8, 1), "proto": at.number(9, 1), "header_checksum": at.number(10, 2),
        "src": at.slice(12, 4), "dst": at.slice(16, 4),
    }
    length = (data[0] & 15) * 4 if data else 0
    if length >= 20:
        told["header_length"] = length
        options = at.slice(20, length - 20)
        told["ip_options"] = None if options is None else _options(options)
    return told


def _ip6_header(data: bytes) -> dict[str, Any]:
    """The fields of an IPv6 header and of the extension headers behind it. :rfc:`8200`"""
    at = _Octets(data)
    first, length = at.number(0, 4), at.number(4, 2)
    told: dict[str, Any] = {
        "version": 6, "traffic_class": None if first is None else first >> 20 & 255,
        "flow_label": None if first is None else first & 0xFFFFF,
        "length": 40 + length if length else None,  # 0 is that of a jumbogram
        "ttl": at.number(7, 1), "src": at.slice(8, 16), "dst": at.slice(24, 16),
    }
    proto, where, seen = at.number(6, 1), 40, []
    while proto in EXTENSION_HEADERS:
        seen.append(proto)
        following, size = at.number(where, 1), at.number(where + 1, 1)
        if proto == FRAGMENT:
            fragment, size = at.number(where + 2, 2), 0
            told["fragment_offset"] = None if fragment is None else fragment & 0xFFF8
            told["ident"] = at.number(where + 4, 4)
        if following is None or size is None:
            return told | {"extension_headers": tuple(seen)}
        where += (size + 2) * 4 if proto == AUTHENTICATION else (size + 1) * 8
        proto = following
        if told.get("fragment_offset"):
            break
    if proto is not None:
        told |= {"proto": proto, "header_length": where, "extension_headers": tuple(seen)}
    return told


def _transport(data: bytes, header: dict[str, Any]) -> dict[str, Any]:
    """The fields of the transport header, of TCP (:rfc:`9293`) and UDP (:rfc:`768`) all of them."""
    start, proto = header["header_length"], header.get("proto")
    at = _Octets(data[start:])
    told: dict[str, Any] = {}
    if proto in WITH_PORTS:
        told |= {"sport": at.number(0, 2), "dport": at.number(2, 2)}
    if proto == UDP:
        told |= {"udp_length": at.number(4, 2), "checksum": at.number(6, 2)}
        if told["checksum"] is not None:
            told["payload"] = bytes(at.data[8 : max(8, told["udp_length"])])
    elif proto == TCP:
        bits = at.number(12, 2)
        told |= {"seq": at.number(4, 4), "ack": at.number(8, 4), "tcp_flags": None if bits is None else bits & 0x1FF,
                 "window": at.number(14, 2), "checksum": at.number(16, 2), "urgent": at.number(18, 2)}
        first = at.number(12, 1)
        offset = 0 if first is None else (first >> 4) * 4
        if offset >= 20:
            told["data_offset"] = offset
            if offset == 20 or len(at.data) >= 20:
                told["options_data"] = bytes(at.data[20:offset])
                told["options"] = _options(told["options_data"])
            if len(at.data) >= offset:
                told["payload"] = bytes(at.data[offset:])
    return told


def _options(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Options of TCP or IPv4, kind and value, up to the end of the list or the first one that is not whole."""
    found, at = [], 0
    while at < len(data) and data[at] != TO_EOL:
        if data[at] == TO_NOP:
            at += 1
            continue
        if at + 1 >= len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
            break
        found.append((data[at], bytes(data[at + 2 : at + data[at + 1]])))
        at += data[at + 1]
    return tuple(found)
