"""DNS messages over UDP and TCP. :rfc:`1035`, over TCP: :rfc:`7766`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.libtrace import TCP, UDP, payload_of

LONGEST = 2 + 65535
"""A message over TCP: two bytes of length, then as many as they say."""

PARTS = 16
"""Segments of one direction that are kept while bytes before them are missing: a few, or a hostile capture could fill
the memory."""


def skip_name(message: bytes, at: int, known: set[int]) -> int:
    """Offset behind the domain name at ``at``, -1 where it is malformed. Compression pointers point backwards.

    :param known: where names of the message begin that are well-formed; it gets those of this name. Nothing that is
        pointed at is read twice, so that no message costs more than its length: thousands of names may point to one
        chain of a thousand pointers. :rfc:`9267`
    """
    end = -1
    least = at
    size = len(message)
    begun: list[int] = []
    while at < size:
        if end >= 0 and at in known:
            known.update(begun)
            return end
        begun.append(at)
        length = message[at]
        if length == 0:
            known.update(begun)
            return at + 1 if end < 0 else end
        if length < 64:
            at += 1 + length
        elif length >= 192 and at + 1 < size:
            if end < 0:
                end = at + 2
            at = (length & 63) << 8 | message[at + 1]
            if at >= least:
                return -1
            least = at
        else:
            return -1
    return -1


def is_response(message: bytes) -> bool:
    """Whether a DNS message is a response and well-formed: it has a question or a record, every name and every record
    is within it, addresses have their right length, and nothing is left over."""
    size = len(message)
    if size < 12 or not message[2] & 128:
        return False  # too short for a header, or a query
    questions = message[4] << 8 | message[5]
    records = (message[6] << 8 | message[7]) + (message[8] << 8 | message[9]) + (message[10] << 8 | message[11])
    if questions + records == 0:
        return False  # any octets would do: of other protocols, too
    update = message[2] >> 3 & 15 == 5
    known: set[int] = set()
    at = 12
    while questions > 0:
        at = skip_name(message, at, known)
        if at < 0 or at + 4 > size:
            return False
        at += 4
        questions -= 1
    while records > 0:
        at = skip_name(message, at, known)
        if at < 0 or at + 10 > size:
            return False
        kind = message[at] << 8 | message[at + 1]
        length = message[at + 8] << 8 | message[at + 9]
        empty = update and length == 0 and message[at + 2] == 0 and message[at + 3] >= 254  # class NONE, ANY: RFC 2136
        at += 10 + length
        if at > size or (kind == 1 and length != 4 and not empty) or (kind == 28 and length != 16 and not empty):
            return False
        records -= 1
    return at == size


def question_of(message: bytes) -> bytes:
    """A DNS query to the end of its question; ``b""`` where a message is none, or has not exactly one."""
    if len(message) < 12 or message[2] & 128 or message[4:6] != b"\0\1":
        return b""
    end = skip_name(message, 12, set())
    return message[:end + 4] if 0 <= end <= len(message) - 4 else b""


def answers(query: bytes, message: bytes) -> bool:
    """Whether a message is a response that repeats id, opcode and question of a query. :rfc:`5452`, section 9.1

    :param query: what :func:`question_of` said
    """
    if not query or message[:2] != query[:2] or message[4:6] != query[4:6] or message[12:len(query)] != query[12:]:
        return False
    return is_response(message) and not (message[2] ^ query[2]) & 0x78


LOOKED_AT = 14
"""Octets that tell :func:`may_be_response`: a length, and the header of a message."""


def may_be_response(data: bytes) -> bool:
    """Whether bytes of a TCP stream can begin a response: tells other protocols, and queries, apart."""
    size = len(data)
    if size >= 5 and not data[4] & 128:
        return False
    if size < LOOKED_AT:
        return True
    records = (data[8] << 8 | data[9]) + (data[10] << 8 | data[11]) + (data[12] << 8 | data[13])
    return 12 + 5 * (data[6] << 8 | data[7]) + 11 * records <= (data[0] << 8 | data[1])


class Stream:
    """The bytes of one direction of a TCP connection in order, as long as they can be DNS responses."""

    def __init__(self, start: int) -> None:
        """:param start: sequence number of the first byte"""
        self.start = start
        self.data = bytearray()
        self.parts: dict[int, bytes] = {}
        self.over = False

    def add(self, sequence: int, data: bytes) -> None:
        """A segment, in whatever order it came."""
        at = (sequence - self.start) & 0xFFFFFFFF
        if at >= 1 << 31:  # begins before the start: a retransmission, or a keep-alive probe
            data, at = data[(1 << 32) - at :], 0
        if self.over or not data or at >= LONGEST:
            return
        if at <= len(self.data):
            self.data += data[len(self.data) - at :]
            while self.parts and min(self.parts) <= len(self.data):
                at = min(self.parts)
                part = self.parts.pop(at)
                self.data += part[len(self.data) - at :]
            if not may_be_response(bytes(self.data[:LOOKED_AT])):
                self.end()
        elif len(self.parts) < PARTS and len(data) > len(self.parts.get(at, b"")):
            self.parts[at] = data[: LONGEST - at]

    def end(self) -> None:
        """Nothing more is expected here."""
        self.over = True
        self.data.clear()
        self.parts.clear()

    def messages(self) -> list[bytes]:
        """The whole messages so far; they are taken out."""
        found = []
        while len(self.data) >= 2:
            size = 2 + int.from_bytes(self.data[:2], "big")
            if len(self.data) < size:
                break
            found.append(bytes(self.data[2:size]))
            del self.data[:size]
            self.start = (self.start + size) & 0xFFFFFFFF
            self.parts = {at - size: part for at, part in self.parts.items()}
            if not may_be_response(bytes(self.data[:LOOKED_AT])):
                self.end()
        return found

    def found_response(self) -> bool:
        """Whether one of the whole messages so far, which are taken out, is a response."""
        return any(is_response(message) for message in self.messages())


class DNSChain(Chain):
    """Whether a well-formed DNS response was seen."""

    fields = {
        "dns_response_valid": Field(bool, False, "A well-formed DNS response was seen"),
        "dns_answered": Field(bool, False, "Over UDP, the first datagram that came back is a well-formed response "
                                           "to the first that went forward"),
    }

    wants = Wanted.SYN | Wanted.DATA

    scratch = {"_dns_fwd": None, "_dns_rev": None, "_dns_query": None}
    """By direction: ``None``, the sequence number of the first byte, a ``Stream``; ``False`` when given up. Over UDP:
    the first query to its question's end, until something came back."""

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records DNS details; a response may be split over segments, which may come out of order.

        :returns: ``False`` with a well-formed response: the flow is complete
        """
        if rec["dns_response_valid"]:
            self.enough = True
            return False
        stream = rec["_dns_rev" if rev else "_dns_fwd"]
        if stream is False:  # this direction holds no responses
            self.enough = True
            return True
        sequence = tcp.seq_nbr
        if tcp.flags & 2:  # SYN: the first byte of data is the one after it
            sequence = (sequence + 1) & 0xFFFFFFFF
            if stream is None:
                stream = sequence
                rec["_dns_rev" if rev else "_dns_fwd"] = sequence
        if not tcp.payload_len:
            return True
        start, before = sequence, 0
        if not isinstance(stream, Stream):
            if stream is not None:  # else the capture began later than the connection
                start = stream
                before = (start - sequence) & 0xFFFFFFFF
            data = payload_of(tcp, before + LOOKED_AT) if before < 1 << 31 else None
            if data is not None and not may_be_response(data[before:] if before else data):
                rec["_dns_rev" if rev else "_dns_fwd"] = False
                self.enough = True
                return True
        data = payload_of(tcp)
        if data is not None:
            if not isinstance(stream, Stream):
                stream = Stream(start)
                rec["_dns_rev" if rev else "_dns_fwd"] = stream
            stream.add(sequence, data)
            if stream.found_response():
                rec["dns_response_valid"] = True
                return False
            if stream.over:
                rec["_dns_rev" if rev else "_dns_fwd"] = False
        return True

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Records DNS details.

        :returns: ``False`` with a well-formed response: the flow is complete
        """
        data = payload_of(udp)
        if not rev and rec["_dns_query"] is None:
            rec["_dns_query"] = question_of(data) if data is not None else b""
        elif rev and rec["_dns_query"]:
            rec["dns_answered"] = data is not None and answers(rec["_dns_query"], data)
            rec["_dns_query"] = b""
        if not rec["dns_response_valid"] and data is not None and is_response(data):
            rec["dns_response_valid"] = True
        return not rec["dns_response_valid"]
