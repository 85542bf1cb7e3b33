"""Devices on the path that look at TLS ClientHellos, and take no other than those that they know."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from socket import IPPROTO_TCP

from pathspider.chains.tcp import TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from pathspider.helpers.hello import ALERT, CLIENT_HELLO, ECH, HANDSHAKE, MESSAGE_HEADER, RECORD_HEADER, SERVER_HELLO
from pathspider.lab.impairments import Impairment
from pathspider.lab.mangler import Packet, Peer, reply, reset

HANDSHAKE_FAILURE, DECODE_ERROR = 40, 50
"""Numbers of alerts. :rfc:`8446`, section 6"""


ECH_OUTER = re.compile(re.escape(ECH.to_bytes(2, "big")) + rb"..\x00\x00\x01", re.DOTALL)
"""Type and length of the extension, then the type of an outer ClientHello, and HKDF-SHA256. :rfc:`9849`, section 5"""


def is_hello(data: bytes) -> bool:
    """Whether data begin with a record that begins with a ClientHello."""
    return len(data) > RECORD_HEADER and data[0] == HANDSHAKE and data[RECORD_HEADER] == CLIENT_HELLO


def has_ech(data: bytes) -> bool:
    """Whether an encrypted ClientHello, or GREASE in its place, is in there."""
    return is_hello(data) and ECH_OUTER.search(data) is not None


def is_cut_segment(data: bytes) -> bool:
    """Whether the first record goes on behind this segment."""
    return is_hello(data) and int.from_bytes(data[3:RECORD_HEADER], "big") > len(data) - RECORD_HEADER


def is_cut_record(data: bytes) -> bool:
    """Whether the ClientHello goes on behind this record."""
    message = int.from_bytes(data[RECORD_HEADER + 1:RECORD_HEADER + MESSAGE_HEADER], "big")
    return is_hello(data) and MESSAGE_HEADER + message > int.from_bytes(data[3:RECORD_HEADER], "big")


def is_cut(data: bytes) -> bool:
    """Whether the ClientHello goes on behind this segment."""
    return is_cut_segment(data) or is_cut_record(data)


def is_no_record(data: bytes) -> bool:
    """Whether a segment does not begin with a record of a handshake: it has the rest of one."""
    return bool(data) and data[0] != HANDSHAKE


SEES: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "any": ("ClientHellos", is_hello),
    "ech": ("ClientHellos with ECH", has_ech),
    "cut": ("ClientHellos of several segments", is_cut),
    "cut_segment": ("TLS records of several segments", is_cut_segment),
    "cut_record": ("ClientHellos of several records", is_cut_record),
    "no_record": ("segments that begin within a TLS record", is_no_record),
}
"""What a device takes offence at, by its name: in words, and how it knows it by a segment's data."""

SAYS = {
    "alert": bytes((ALERT, 3, 3, 0, 2, 2, HANDSHAKE_FAILURE)),
    "decode_error": bytes((ALERT, 3, 3, 0, 2, 2, DECODE_ERROR)),
    "half": bytes((HANDSHAKE, 3, 3, 0, 122, SERVER_HELLO, 0, 0, 118, 3, 3)) + bytes(32),
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "close": b"",
}
"""What it says in the server's name, by the name of what it does."""

DOES = ("drop", "block", "reset", *SAYS)


def hello_device(sees: str, does: str) -> Impairment:
    """A device that takes offence at one of :data:`SEES` and does one of :data:`DOES`.

    It drops the segment; it drops it, and ``block`` has it drop all between these two addresses from then on; or it
    answers with a RST, an alert, half a ServerHello, a refusal in HTTP, or by closing the connection.
    """
    return Impairment(f"takes offence at {SEES[sees][0]}: {does}", mangle=HelloDevice(sees, does))


class HelloDevice:
    """See :func:`hello_device`."""

    def __init__(self, sees: str, does: str) -> None:
        self._offends = SEES[sees][1]
        self._does = does
        self._over: set[Peer] = set()
        """Connections, or pairs of addresses, that nothing passes of any more."""

    def __call__(self, packet: Packet, towards: bool) -> Packet | None:
        if packet.protocol != IPPROTO_TCP:
            return packet
        source, target = packet.addresses
        ports = bytes(packet.segment[:4])
        if not towards:
            source, target, ports = target, source, ports[2:] + ports[:2]
        pair, connection = (source, target), (source, target, ports)
        if pair in self._over or connection in self._over:
            return None
        if not towards or packet.flags & (TCP_SYN | TCP_RST) or not self._offends(packet.data):
            return packet
        if self._does == "drop":
            return None
        self._over.add(pair if self._does == "block" else connection)
        if self._does == "block":
            return None
        return reset(packet) if self._does == "reset" else said(packet, SAYS[self._does])


def said(packet: Packet, data: bytes) -> Packet:
    """A segment with data, or without data the end of the connection, back to the sender of a segment."""
    seq, ack = struct.unpack_from("!II", packet.segment, 4)
    answer = reply(packet, seq=ack, ack=(seq + len(packet.data)) % (1 << 32), flags=TCP_ACK | (0 if data else TCP_FIN))
    answer.segment += data
    return answer
