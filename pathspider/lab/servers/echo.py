"""The echo server: it answers, as one JSON object, with what it saw of the packets that reached it.

A datagram is answered at once. Over TCP it is the end of a line that is answered, or the client's end of the
connection; where the line is that of an HTTP request, the end of its header, by an HTTP response.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Mapping
from typing import Any

from pathspider.chains.tcp import parse_options
from pathspider.lab.servers.http1 import BROKEN, close, linger, with_header
from pathspider.lab.servers.sockets import BACKLOG, Datagram, keep_syn, saved_syn
from pathspider.libtrace import IP, IP6

SHOWN = 512
"""Octets of data that an answer holds."""
LARGEST = 65536
"""Octets that are waited for over TCP."""
SECONDS = 60.0
"""For which they are waited for."""

REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r\n")
ECN = ("not-ect", "ect1", "ect0", "ce")
"""By codepoint. RFC 3168, section 5."""

TCPI_OPT_ECN, TCPI_OPT_ECN_SEEN, TCPI_OPT_SYN_DATA = 8, 16, 32  # <linux/tcp.h>
IP_RECVTTL, IP_RECVTOS = 12, 13  # <linux/in.h>


def answer_datagram(datagram: Datagram) -> bytes:
    """What is said of a datagram."""
    numbers = {key: int.from_bytes(value[:1], "big") for key, value in datagram.control.items()}  # both little-endian
    if (socket.IPPROTO_IP, socket.IP_TTL) in numbers:
        traffic_class, hop_limit = numbers[socket.IPPROTO_IP, socket.IP_TOS], numbers[socket.IPPROTO_IP, socket.IP_TTL]
        asked = socket.inet_ntop(socket.AF_INET, datagram.asked)
    else:
        traffic_class = numbers[socket.IPPROTO_IPV6, socket.IPV6_TCLASS]
        hop_limit = numbers[socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT]
        asked = socket.inet_ntop(socket.AF_INET6, datagram.asked)
    return as_json({"protocol": "udp", "source": datagram.client[:2], "destination": [asked, datagram.port],
                    **network(traffic_class, hop_limit), **payload(datagram.data)})


def tell_more(sock: socket.socket) -> None:
    """Have the kernel keep or tell what an answer needs; for a listening TCP socket or one of UDP."""
    if sock.type == socket.SOCK_STREAM:
        keep_syn(sock)
    elif sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)


async def serve_tcp(sock: socket.socket) -> None:
    """Answer connections to a listening socket."""
    await asyncio.start_server(_answer_connection, sock=sock, backlog=BACKLOG)


async def _answer_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*BROKEN, TimeoutError):
        data = b""
        async with asyncio.timeout(SECONDS):
            while len(data) < LARGEST and not complete(data) and (chunk := await reader.read(LARGEST)):
                data += chunk
        sock = writer.get_extra_info("socket")
        seen = {"protocol": "tcp", "source": sock.getpeername()[:2], "destination": sock.getsockname()[:2],
                **handshake(saved_syn(sock), sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5])}
        if REQUEST.match(data):
            request, *fields = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = [[part.strip() for part in field.split(":", 1)] for field in fields]
            body = as_json({**seen, "request": request, "headers": headers, **payload(data)})
            writer.write(with_header(body, b"application/json"))
        else:
            writer.write(as_json({**seen, **payload(data)}))
        await writer.drain()
        await linger(reader, writer)
    await close(writer)


def complete(data: bytes) -> bool:
    """True where an answer is due."""
    return (b"\r\n\r\n" if REQUEST.match(data) else b"\n") in data


def handshake(syn: bytes, options: int) -> dict[str, Any]:
    """What there is to say of a connection: its SYN, from the IP header on, and ``tcpi_options`` of tcp(7)."""
    ip = (IP if syn[0] >> 4 == 4 else IP6)(syn)
    return {"syn": {**network(ip.traffic_class, ip.hop_limit), "flags": ip.tcp.flags,
                    "options": {kind: value.hex() for kind, value in parse_options(ip.tcp.options_data).items()},
                    "packet": syn.hex()},
            "ecn_negotiated": bool(options & TCPI_OPT_ECN), "ecn_seen": bool(options & TCPI_OPT_ECN_SEEN),
            "syn_data": bool(options & TCPI_OPT_SYN_DATA)}


def network(traffic_class: int, hop_limit: int) -> dict[str, Any]:
    """What the IP header said."""
    return {"ttl": hop_limit, "dscp": traffic_class >> 2, "ecn": ECN[traffic_class & 3]}


def payload(data: bytes) -> dict[str, Any]:
    """How much data came, and their beginning."""
    return {"length": len(data), "data": data[:SHOWN].hex()}


def as_json(seen: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(seen).encode() + b"\n"
