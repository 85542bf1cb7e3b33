"""HTTP/1.1: its answer, and a server that knows nothing later: it passes over every Upgrade, its ALPN has no h2."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from pathspider.lab.servers.sockets import BACKLOG

BODY = b"This is the PATHspider lab.\n"
RESPONSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            % len(BODY))

BROKEN = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)
"""What reading raises when the client went away, or speaks something else."""


def response(request: bytes) -> bytes:
    """The answer to a request, whose end is the end of the connection (:rfc:`9112`, section 9.6)."""
    return RESPONSE if request.startswith(b"HEAD ") else RESPONSE + BODY


async def serve(plain: list[socket.socket], secure: list[socket.socket], pair: tuple[Path, Path]) -> None:
    """Answer on listening sockets, with a certificate and its key on the secure ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["http/1.1"])
    for sock in plain:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG)
    for sock in secure:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG, ssl=context)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*BROKEN):
        writer.write(response(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
    await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """End a connection, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
