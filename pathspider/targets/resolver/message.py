"""Queries as they go to resolvers, and what their responses say. :rfc:`1035`, :rfc:`6891`, :rfc:`7871`, :rfc:`9460`

By hand: a library takes as long for one response as all else that is done with a name takes for ten.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple

import dnslib
from dnslib.label import DNSBuffer

from pathspider.helpers.dns import HEADER_SIZE, RCODE, RESPONSE, names_question
from pathspider.targets.names import ROOT, to_wire

NOERROR, FORMERR, NXDOMAIN, NOTIMP = 0, 1, 3, 4
AUTHORITATIVE, TRUNCATED = 0x04, 0x02
"""The bits AA and TC, in the header's third octet."""
RECURSION = 0x80
"""The bit RA, in its fourth."""
INTERNET = 1
LONGEST_NAME = 255
POINTER_TO_QUESTION = b"\xc0\x0c"

LENGTHS = [bytes((number,)) for number in range(64)]
"""What stands before a label of so many octets."""

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28, "SVCB": 64, "HTTPS": 65}
A, NS, CNAME, MX, TXT, AAAA, SVCB, HTTPS = TYPES.values()
OPT = 41
FAMILIES = {A: (socket.AF_INET, 4), AAAA: (socket.AF_INET6, 16)}
_PLAIN = {kind: (POINTER_TO_QUESTION + bytes((0, kind, 0, 1)), bytes((0, size)), 12 + size)
          for kind, (_, size) in FAMILIES.items()}
"""What the usual record of an address has before and behind its TTL, and its octets."""

ASK = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00"
"""The header behind the id, but for the last octet, which counts additional records: RD, one question."""
PAYLOAD = 1232
"""Octets of a response that are asked for over UDP: more would be in fragments somewhere. https://dnsflagday.net/2020"""
RCODES = {0: "noerror", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused", 6: "yxdomain",
          7: "yxrrset", 8: "nxrrset", 9: "notauth", 10: "notzone", 11: "dsotypeni", 16: "badvers", 23: "badcookie"}
"""https://www.iana.org/assignments/dns-parameters"""

PARAMETERS = {0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech", 6: "ipv6hint",
              7: "dohpath"}
"""Of SVCB and HTTPS. :rfc:`9460`, section 14.3.2"""


class Answer(NamedTuple):
    """What a response says."""

    problem: str = ""
    """Why there are no values, in a word."""
    values: tuple[Any, ...] = ()
    """Each once. Of A and AAAA packed addresses, else as :func:`_value` has them."""
    chain: tuple[str, ...] = ()
    """The names that aliases led to."""


def encode_name(domain: str) -> bytes:
    """A name as it goes on the wire; ``ValueError`` for what the DNS cannot hold."""
    name = to_wire(domain)
    if name == ROOT:
        return b"\0"
    return b"".join([LENGTHS[len(label)] + label for label in name.encode("ascii").split(b".")]) + b"\0"


def decode_name(name: bytes) -> str:
    """A name of the wire as text, without a dot at its end. What could be taken for something else is ``\\DDD``,
    :rfc:`4343` section 2.1."""
    labels, at = [], 0
    while length := name[at]:
        label = name[at + 1:at + 1 + length]
        text = label.decode("latin-1")
        if not (text.isascii() and text.isprintable()) or any(one in text for one in ". \\\""):
            text = "".join(chr(one) if 32 < one < 127 and chr(one) not in ".\\\"" else f"\\{one:03d}" for one in label)
        labels.append(text)
        at += 1 + length
    return ".".join(labels) or ROOT


def question(name: bytes, qtype: int) -> bytes:
    """The question for a name, of class IN."""
    return name + qtype.to_bytes(2, "big") + b"\0\1"


def in_mixed_case(asked: bytes, draw: bytes) -> bytes:
    """A question with the letters of its name in upper or lower case, as the octets of ``draw`` say.
    draft-vixie-dnsext-dns0x20"""
    name = bytes([octet ^ 0x20 if 97 <= octet <= 122 and drawn & 1 else octet
                  for octet, drawn in zip(asked[:-4], draw, strict=False)])
    return name + asked[-4:]


def query(asked: bytes, options: bytes | None) -> bytes:
    """A query, all of it but the id that it begins with.

    :param asked: as :func:`question` makes it
    :param options: of EDNS, None to do without EDNS
    """
    if not options:
        return ASK_BY_EDNS + asked + WITHOUT_OPTIONS if options is not None else ASK + b"\0" + asked
    return ASK + b"\1" + asked + _OPT + len(options).to_bytes(2, "big") + options


_OPT = struct.pack("!BHHI", 0, OPT, PAYLOAD, 0)
ASK_BY_EDNS = ASK + b"\1"
WITHOUT_OPTIONS = _OPT + b"\0\0"


def client_subnet(network: IPv4Network | IPv6Network) -> bytes:
    """The option of EDNS that asks as if from this network. :rfc:`7871`, section 6"""
    octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
    family = 1 if network.version == 4 else 2
    return struct.pack("!HHHBB", 8, 4 + len(octets), family, network.prefixlen, 0) + octets


def is_answer(message: bytes, answer: bytes) -> bool:
    """Whether this is a response to the query ``message``, as far as header and question tell, in whatever case the
    name comes back."""
    return (len(answer) >= HEADER_SIZE and answer[:2] == message[:2] and bool(answer[2] & RESPONSE)
            and names_question(message, answer) is True)


def read_answer(asked: bytes, response: bytes) -> Answer:
    """The answers in a response to this question, aliases followed, or why there are none.

    A record that is malformed costs nothing but itself and those behind it.
    """
    rcode = response[3] & RCODE
    if rcode != NOERROR:
        return Answer(RCODES.get(rcode, f"rcode{rcode}"))
    end = HEADER_SIZE + len(asked)
    wanted = asked[-3]
    if wanted in FAMILIES and (addresses := _plain_addresses(response, end, wanted)):
        return Answer("", addresses)
    values, chain, broken = _follow(asked, response, end, wanted)
    if values:
        once = values if isinstance(values[0], dict) else dict.fromkeys(values)
        return Answer("", tuple(once), tuple(chain))
    extended = _extended_rcode(response, end)
    if broken:
        problem = "invalid"
    elif extended:
        problem = RCODES.get(extended, f"rcode{extended}")
    else:
        heeded = response[2] & AUTHORITATIVE or response[3] & RECURSION
        problem = "nodata" if heeded else "no_recursion"
    return Answer(problem, (), tuple(chain))


def _follow(asked: bytes, response: bytes, at: int, wanted: int) -> tuple[list[Any], list[str], bool]:
    """The values in the answer section, the names that aliases led to, and whether something is malformed."""
    found: dict[bytes, list[Any]] = {}
    aliases: dict[bytes, bytes] = {}
    broken = False
    try:
        for owner, kind, content in records(response, at):
            if kind == CNAME:
                aliases[owner] = content
            elif kind == wanted:
                try:
                    found.setdefault(owner, []).append(content())
                except (ValueError, IndexError, struct.error, dnslib.DNSError):
                    broken = True
    except (ValueError, IndexError, struct.error):
        broken = True
    name: bytes | None = asked[:-4].lower()
    values: list[Any] = []
    chain: list[str] = []
    while name is not None:
        values += found.get(name, [])
        name = aliases.pop(name, None)
        if name is not None:
            chain.append(decode_name(name))
    return values, chain, broken


def _plain_addresses(response: bytes, at: int, kind: int) -> tuple[bytes, ...]:
    """The addresses, where the answer section has them alone and of the name that was asked for; else nothing."""
    count = response[6] << 8 | response[7]
    head, length, size = _PLAIN[kind]
    end = at + count * size
    if not count or end > len(response):
        return ()
    if count == 1:
        if response[at:at + 6] == head and response[at + 10:at + 12] == length:
            return (response[at + 12:end],)
        return ()
    found: dict[bytes, None] = {}
    for begin in range(at, end, size):
        if response[begin:begin + 6] != head or response[begin + 10:begin + 12] != length:
            return ()
        found[response[begin + 12:begin + size]] = None
    return tuple(found)


def _extended_rcode(response: bytes, at: int) -> int:
    """The response code that needs EDNS, from a response whose header has NOERROR; 0 if there is none."""
    if response[-11:-8] == b"\0\0\x29":  # as usual: the record without options, and the last
        return response[-6] << 4
    known: dict[int, bytes] = {}
    try:
        for _ in range(sum(struct.unpack_from("!3H", response, 6))):
            _, at = read_name(response, at, known)
            kind, _, high, _, _, length = struct.unpack_from("!HHBBHH", response, at)
            if kind == OPT:
                return int(high) << 4
            at += 10 + length
    except (ValueError, IndexError, struct.error):
        pass  # the sections that count were read
    return 0


def records(response: bytes, at: int) -> Iterator[tuple[bytes, int, Any]]:
    """Owner, type and data of each record of class IN from ``at`` on, where the answer section begins; of an alias the
    name that it names, of others what reads them. ``ValueError``, ``IndexError`` or ``struct.error`` where one is
    malformed.

    dnslib would parse all sections, and follow all names, however often they point at the same thousand pointers.
    """
    known: dict[int, bytes] = {}
    (count,) = struct.unpack_from("!H", response, 6)
    for _ in range(count):
        owner, at = read_name(response, at, known)
        kind, group, _, length = struct.unpack_from("!HHIH", response, at)
        at += 10 + length
        if at > len(response):
            raise ValueError("a record that is cut")
        if group == INTERNET:
            begin = at - length
            if kind == CNAME:
                yield owner, kind, read_name(response, begin, known)[0]
            else:
                yield owner, kind, _reader(response, begin, at, kind, known)


def _reader(response: bytes, begin: int, end: int, kind: int, known: dict[int, bytes]) -> Callable[[], Any]:
    return lambda: _value(response, begin, end, kind, known)


def _value(response: bytes, begin: int, end: int, kind: int, known: dict[int, bytes]) -> Any:
    """A record's data: an address packed, NS as name, MX as preference and name, texts in quotes, HTTPS as a dict."""
    if kind in FAMILIES:
        if end - begin != FAMILIES[kind][1]:
            raise ValueError("an address of another length")
        return response[begin:end]
    if kind == NS:
        return decode_name(read_name(response, begin, known)[0])
    if kind == MX:
        (preference,) = struct.unpack_from("!H", response, begin)
        return preference, decode_name(read_name(response, begin + 2, known)[0])
    if kind in (SVCB, HTTPS):
        return _service(response, begin, end, known)
    content = response[begin:end]
    return str(dnslib.TXT.parse(DNSBuffer(content), len(content)))


def _service(response: bytes, at: int, end: int, known: dict[int, bytes]) -> dict[str, Any]:
    """Data of SVCB or HTTPS: ``priority``, ``target``, and parameters as :rfc:`9460` names them."""
    (priority,) = struct.unpack_from("!H", response, at)
    target, at = read_name(response, at + 2, known)
    found: dict[str, Any] = {"priority": priority, "target": decode_name(target)}
    while at < end:
        key, length = struct.unpack_from("!HH", response, at)
        at += 4 + length
        if at > end:
            raise ValueError("a parameter that is cut")
        found[PARAMETERS.get(key, f"key{key}")] = _parameter(key, response[at - length:at])
    return found


def _parameter(key: int, value: bytes) -> Any:
    return _READ.get(PARAMETERS.get(key, ""), bytes.hex)(value)


def _strings(value: bytes) -> list[str]:
    found, at = [], 0
    while at < len(value):
        found.append(value[at + 1:at + 1 + value[at]].decode("latin-1"))
        at += 1 + value[at]
    return found


def _hints(family: int, size: int) -> Callable[[bytes], list[str]]:
    return lambda value: [socket.inet_ntop(family, value[at:at + size]) for at in range(0, len(value), size)]


_READ: dict[str, Callable[[bytes], Any]] = {
    "alpn": _strings,
    "no-default-alpn": lambda value: True,
    "port": lambda value: struct.unpack("!H", value)[0],
    "ipv4hint": _hints(socket.AF_INET, 4),
    "ipv6hint": _hints(socket.AF_INET6, 16),
    "mandatory": lambda value: [PARAMETERS.get(key, f"key{key}") for (key,) in struct.iter_unpack("!H", value)],
}
"""What the values of parameters are; others stay hexadecimal."""


def read_name(message: bytes, at: int, known: dict[int, bytes]) -> tuple[bytes, int]:
    """The name at ``at``, lower case, pointers followed, and where it ends; ``ValueError`` or ``IndexError`` where it
    is malformed. Pointers point backwards.

    :param known: the names that begin at an offset, as far as they are known; it gets those of this name. Nothing that
        is pointed at is read twice, so that no message costs more than its length. :rfc:`9267`
    """
    end = -1
    size, least, begun = 1, at, []
    while end < 0 or at not in known:
        length = message[at]
        begun.append(at)
        if length == 0:
            known[at] = b"\0"
            end = at + 1 if end < 0 else end
        elif length < 64:
            at += 1 + length
            size += 1 + length
        elif length >= 192:
            end = at + 2 if end < 0 else end
            at = (length & 63) << 8 | message[at + 1]
            if at >= least:
                raise ValueError("a pointer that does not point backwards")
            least = at
        else:
            raise ValueError("a label of an unknown kind")
        if size > LONGEST_NAME:
            raise ValueError("a name that is too long")
    name = known[at]
    for place in reversed(begun):
        if 0 < message[place] < 64:
            name = message[place:place + 1 + message[place]].lower() + name
            if len(name) > LONGEST_NAME:
                raise ValueError("a name that is too long")
        known[place] = name
    return name, end
