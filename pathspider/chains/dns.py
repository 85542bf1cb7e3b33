"""DNS messages over UDP and TCP. :rfc:`1035`, over TCP: :rfc:`7766`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import TCP, UDP

LONGEST = 2 + 65535
"""A message over TCP: two bytes of length, then as many as they say."""

PARTS = 16
"""Segments of one direction that are kept while bytes before them are missing: a few, or a hostile capture could fill
the memory."""


def is_response(message: bytes) -> bool:
    """Whether a DNS message parses as a response."""
    if len(message) < 12 or not message[2] & 0x80:
        return False  # too short for a header, or a query
    from dnslib import DNSRecord  # noqa: PLC0415 - its import is slow, and most captures hold no DNS

    try:
        return bool(DNSRecord.parse(message).header.qr == 1)
    except Exception:  # whatever the library makes of a hostile message, it is no valid response
        return False


def may_be_response(data: bytes | bytearray) -> bool:
    """Whether bytes of a TCP stream can begin a response: tells other protocols, and queries, apart."""
    if len(data) < 14:
        return len(data) < 5 or bool(data[4] & 0x80)
    questions, *others = (int.from_bytes(data[at : at + 2], "big") for at in (6, 8, 10, 12))
    least = 12 + 5 * questions + 11 * sum(others)
    return bool(data[4] & 0x80) and least <= int.from_bytes(data[:2], "big")


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
            while ready := [at for at in self.parts if at <= len(self.data)]:
                for at in ready:
                    part = self.parts.pop(at)
                    self.data += part[len(self.data) - at :]
            if not may_be_response(self.data):
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
            if not may_be_response(self.data):
                self.end()
        return found

    def found_response(self) -> bool:
        """Whether one of the whole messages so far, which are taken out, is a response."""
        return any(is_response(message) for message in self.messages())


class DNSChain(Chain):
    """Whether the flow contained a valid DNS response."""

    fields = {"dns_response_valid": Field(bool, False, "The flow contained a valid DNS response")}

    scratch = {"_dns_fwd": None, "_dns_rev": None}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records DNS details; a response may be split over segments, which may come out of order.

        :returns: ``False`` if a valid DNS response has been seen
        """
        if rec["dns_response_valid"]:
            return False
        name = "_dns_rev" if rev else "_dns_fwd"
        if tcp.flags & 2:  # SYN: the first byte of data is the one after it
            if rec[name] is None:
                rec[name] = Stream((tcp.seq_nbr + 1) & 0xFFFFFFFF)
            sequence = tcp.seq_nbr + 1
        else:
            sequence = tcp.seq_nbr
        if not tcp.payload_len:
            return True
        payload = tcp.payload
        if payload is None:
            return True
        stream = rec[name]
        if stream is None:  # the capture began later than the connection: hope for a message's beginning
            stream = rec[name] = Stream(sequence & 0xFFFFFFFF)
        stream.add(sequence & 0xFFFFFFFF, payload.data)
        if stream.found_response():
            rec["dns_response_valid"] = True
            return False
        return True

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Records DNS details.

        :returns: ``False`` if a valid DNS response has been seen
        """
        if not rec["dns_response_valid"]:
            payload = udp.payload
            if payload is not None and is_response(payload.data):
                rec["dns_response_valid"] = True
        return not rec["dns_response_valid"]
