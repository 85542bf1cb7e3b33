"""The DNS servers, over UDP and TCP, by dnslib: a path's name leads to the path. Some servers behave otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Mapping

import dnslib

from pathspider.lab.addresses import CLEAN_TARGETS, DOMAIN, clean_address
from pathspider.lab.servers import sockets, zone

ELSEWHERE = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}
"""What names outside the lab resolve to (documentation addresses): nothing is there to be connected to."""

CLEAN_NAME = re.compile(rf"clean-([1-9][0-9]{{0,7}})\.{re.escape(DOMAIN)}")

NAMES: dict[str, Mapping[str, str]] = {}
"""Name of a path, in lower case -> its address by type, ``A`` and ``AAAA``."""

KINDS: dict[bytes, str] = {}
"""Packed address that is asked -> how it behaves, where that is not as usual: ``servfail``, ``dns-silent``,
``dns-tcp-only`` (the answer over UDP has TC set and nothing in it), ``dns-strays`` (the answers to other queries, and
then that to this one), ``forbids`` (REFUSED over TCP to whoever asks for a feature, see
:func:`~pathspider.lab.servers.sockets.asks_for_feature`)."""

ERRORS = {"servfail": dnslib.RCODE.SERVFAIL, "refused": dnslib.RCODE.REFUSED}
"""Response codes, by kind."""

RDATA = {"A": dnslib.A, "AAAA": dnslib.AAAA}


def addresses_of(name: str) -> Mapping[str, str] | None:
    """The addresses of a name, by type; None for a name of the lab that does not exist."""
    name = name.lower().rstrip(".")
    if name in NAMES:
        return NAMES[name]
    if (known := zone.addresses_of(name)) is not None:
        return known
    clean = CLEAN_NAME.fullmatch(name)
    if clean and int(clean[1]) <= CLEAN_TARGETS:
        return {qtype: clean_address(int(clean[1]) - 1, version) for qtype, version in (("A", 4), ("AAAA", 6))}
    if name == DOMAIN:
        return {}
    return None if name.endswith(f".{DOMAIN}") else ELSEWHERE


OTHER_NAME = "another.example"
"""What nobody has asked for."""


def answers(query: bytes, kind: str = "", *, datagram: bool = False, asked: bytes = b"") -> list[bytes]:
    """All that a server of this kind sends for a query: nothing, the response, or others before it.

    :param asked: the packed address that was asked: some are name servers of a zone
    """
    response = answer(query, kind, datagram=datagram, asked=asked)
    if response is None:
        return []
    if kind != "dns-strays":
        return [response] if kind else zone.behave(dnslib.DNSRecord.parse(query), response, datagram=datagram,
                                                   server=zone.SERVERS.get(asked))
    other = dnslib.DNSRecord.question(OTHER_NAME).reply()
    other.header.id = int.from_bytes(query[:2], "big")
    return [bytes([response[0] ^ 1]) + response[1:], other.pack(), response]


def answer(query: bytes, kind: str = "", *, datagram: bool = False, asked: bytes = b"") -> bytes | None:
    """The response to a query, of a server of this kind; None for none: what is no query gets no response."""
    try:
        request = dnslib.DNSRecord.parse(query)
    except dnslib.DNSError:
        return None
    reply = request.reply()
    qtype = dnslib.QTYPE.get(request.q.qtype)
    if kind == "dns-silent":
        return None
    if kind in ERRORS:
        reply.header.rcode = ERRORS[kind]
    elif kind == "dns-tcp-only" and datagram:
        reply.header.tc = 1
    elif (server := zone.SERVERS.get(asked)) is not None and (other := zone.referral(request, server)) is not None:
        reply = other
    else:
        add_answers(request, reply, qtype)
    packed: bytes = reply.pack()
    return zone.truncated(request) if datagram and len(packed) > zone.payload(request) else packed


def add_answers(request: dnslib.DNSRecord, reply: dnslib.DNSRecord, qtype: str) -> None:
    """Put what there is of a name into a response, aliases followed once round."""
    name = str(request.q.qname).lower().rstrip(".") or "."
    for _ in range(len(zone.ALIASES)):
        more = zone.further(name, request)
        addresses = addresses_of(name)
        if more is None and addresses is None:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        owner = request.q.qname if dnslib.DNSLabel(name) == request.q.qname else dnslib.DNSLabel(name)
        if addresses and qtype in addresses and name not in zone.ALIASES and not name.startswith(("many.", "subnet.")):
            reply.add_answer(dnslib.RR(owner, request.q.qtype, ttl=60, rdata=RDATA[qtype](addresses[qtype])))
        reply.add_answer(*(more or []))
        if name not in zone.ALIASES:
            break
        name = zone.ALIASES[name]


def serve_udp(sock: socket.socket) -> None:
    """Answer datagrams."""
    sockets.serve_udp(sock, lambda one: answers(one.data, KINDS.get(one.asked, ""), datagram=True, asked=one.asked))


async def serve_tcp(sock: socket.socket, backlog: int) -> None:
    """Answer queries on connections to a listening socket (RFC 7766: length before message, several in a row)."""
    sockets.keep_syn(sock)
    await asyncio.start_server(_answer_connection, sock=sock, backlog=backlog)


async def _answer_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    name = writer.get_extra_info("sockname")[0]
    asked = socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    kind = KINDS.get(asked, "")
    if kind == "forbids" and sockets.asks_for_feature(writer.get_extra_info("socket")):
        kind = "refused"
    try:
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            responses = answers(await reader.readexactly(length), kind, asked=asked)
            if not responses:
                break
            if isinstance(responses[0], zone.Delayed):
                await asyncio.sleep(responses[0].seconds)
            writer.writelines(struct.pack("!H", len(response)) + response for response in responses)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass  # the client went away; that is its right
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
