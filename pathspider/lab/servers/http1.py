"""HTTP/1.1: its answer, and a server that knows nothing later: it passes over every Upgrade, its ALPN has no h2."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from pathlib import Path

from pathspider.lab.servers.sockets import BACKLOG

BODY = b"This is the PATHspider lab.\n"
REQUEST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[0-9]\r\n")

BROKEN = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)
"""What reading raises when the client went away, or speaks something else."""

REQUEST_SECONDS = 60.0
"""For which a request is waited for: nginx's ``client_header_timeout``."""
LINGERING = 5.0
"""Seconds for which a client that has its answer may say nothing, and keep its end: nginx's ``lingering_timeout``."""
LINGERING_TIME = 30.0
"""Seconds for which it may go on sending: nginx's ``lingering_time``."""


def with_header(body: bytes, kind: bytes = b"text/plain", status: bytes = b"200 OK", further: bytes = b"") -> bytes:
    """A response whose end is the end of the connection, with further header fields. :rfc:`9112`, section 9.6"""
    return (b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n"
            % (status, kind, len(body), further) + body)


def response(request: bytes, further: bytes = b"") -> bytes:
    """The answer to a request of HTTP/1.0 or HTTP/1.1, with further header fields."""
    if not REQUEST_LINE.match(request):
        return with_header(b"This is no HTTP request.\n", status=b"400 Bad Request")
    whole = with_header(BODY, further=further)
    return whole.removesuffix(BODY) if request.startswith(b"HEAD ") else whole


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """A request's header. Raises one of :data:`BROKEN`, or TimeoutError."""
    async with asyncio.timeout(REQUEST_SECONDS):
        return await reader.readuntil(b"\r\n\r\n")


async def serve(plain: list[socket.socket], secure: list[socket.socket], pair: tuple[Path, Path]) -> None:
    """Answer on listening sockets, with a certificate and its key on the secure ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["http/1.1"])
    for sock in plain:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG)
    for sock in secure:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG, ssl=context, ssl_shutdown_timeout=LINGERING)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*BROKEN, TimeoutError):
        writer.write(response(await read_request(reader)))
        await linger(reader, writer)
    await close(writer)


async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End our side of a connection, and take what the client still sends, as nginx does with ``lingering_close``.

    What a closed socket receives, such as the body of a request, it answers with a reset, by which a client may lose
    the answer that it was about to read. TLS says its end when it is closed.
    """
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
        async with asyncio.timeout(LINGERING_TIME):
            while await asyncio.wait_for(reader.read(65536), LINGERING):
                pass


async def close(writer: asyncio.StreamWriter) -> None:
    """End a connection, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
