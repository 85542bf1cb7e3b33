"""The DNS servers, over UDP and TCP: every name has an address, by dnslib. Some addresses behave otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import dnslib

from pathspider.lab.servers.sockets import IP_PKTINFO

IN_PKTINFO = struct.Struct("=I4s4s")  # struct in_pktinfo: interface, local address, destination address
IN6_PKTINFO = struct.Struct("=16sI")  # struct in6_pktinfo: address, interface

ANSWERS = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}
"""What every name resolves to (documentation addresses): the lab's names are not there to be connected to."""


KINDS: dict[bytes, str] = {}
"""Packed address that is asked -> how it behaves, where that is not as usual: ``servfail``, ``dns-silent``,
``dns-tcp-only`` (the answer over UDP has TC set and nothing in it)."""


def answer(query: bytes, kind: str = "", *, datagram: bool = False) -> bytes | None:
    """The response to a query, of a server of this kind; None for none: what is no query gets no response."""
    try:
        request = dnslib.DNSRecord.parse(query)
    except dnslib.DNSError:
        return None
    reply = request.reply()
    qtype = dnslib.QTYPE.get(request.q.qtype)
    if kind == "dns-silent":
        return None
    if kind == "servfail":
        reply.header.rcode = dnslib.RCODE.SERVFAIL
    elif kind == "dns-tcp-only" and datagram:
        reply.header.tc = 1
    elif qtype in ANSWERS:
        reply.add_answer(*dnslib.RR.fromZone(f"{request.q.qname} 60 {qtype} {ANSWERS[qtype]}"))
    packed: bytes = reply.pack()
    return packed


def serve_udp(sock: socket.socket) -> None:
    """Answer datagrams, each from the address that was asked."""
    asyncio.get_running_loop().add_reader(sock, _answer_datagrams, sock)


def _answer_datagrams(sock: socket.socket) -> None:
    while True:
        try:
            query, control, _, client = sock.recvmsg(65535, 256)
        except (BlockingIOError, ConnectionError):
            return
        reply_from: list[tuple[int, int, bytes]] = []
        asked = b""
        for level, kind, data in control:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                asked = IN_PKTINFO.unpack_from(data)[2]
                reply_from = [(level, kind, IN_PKTINFO.pack(0, asked, bytes(4)))]
            elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                asked = IN6_PKTINFO.unpack_from(data)[0]
                reply_from = [(level, kind, IN6_PKTINFO.pack(asked, 0))]
        if (response := answer(query, KINDS.get(asked, ""), datagram=True)) is None:
            continue
        with contextlib.suppress(OSError):  # an ICMP error that came back earlier is reported here
            sock.sendmsg([response], reply_from, 0, client)


async def serve_tcp(sock: socket.socket, backlog: int) -> None:
    """Answer queries on connections to a listening socket (RFC 7766: length before message, several in a row)."""
    await asyncio.start_server(_answer_connection, sock=sock, backlog=backlog)


async def _answer_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    name = writer.get_extra_info("sockname")[0]
    kind = KINDS.get(socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name), "")
    try:
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            if (response := answer(await reader.readexactly(length), kind)) is None:
                break
            writer.write(struct.pack("!H", len(response)) + response)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass  # the client went away; that is its right
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
