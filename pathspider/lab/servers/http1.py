"""A web server that knows HTTP/1.1 and nothing later: it passes over every Upgrade, and its ALPN has no h2."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from pathspider.lab.servers.sockets import BACKLOG
from pathspider.lab.servers.web import BODY

RESPONSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            % len(BODY))


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
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(RESPONSE if request.startswith(b"HEAD ") else RESPONSE + BODY)
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass  # the client went away, or is none of HTTP
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
