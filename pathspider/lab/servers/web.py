"""The web servers: HTTP/1.1, and HTTP/2 by Upgrade, by ALPN and by prior knowledge (:rfc:`9113`, :rfc:`7540`).

A connection is closed as soon as its answer is sent, as nginx closes it after ``Connection: close``. Servers that keep
it for a next request would keep the flow, and so the record of a measurement, waiting for their timeout; and a client
that only connects and goes leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, RequestReceived
from h2.exceptions import ProtocolError

from pathspider.helpers.modes import MODES
from pathspider.helpers.optional import has_aioquic
from pathspider.lab.servers.http1 import BODY, BROKEN, LINGERING, close, linger, read_request, response
from pathspider.lab.servers.sockets import BACKLOG

PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""What begins a connection of a client that knows that we speak HTTP/2; ``SM`` follows. RFC 9113, section 3.4."""

UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*\bh2c\b", re.IGNORECASE)
SETTINGS = re.compile(rb"\r\nhttp2-settings:[ \t]*([\w-]*)", re.IGNORECASE)
ALT_SVC = b'Alt-Svc: h3=":%d"\r\n' % MODES["h3"].port
"""Says over TLS that there is HTTP/3, too. :rfc:`7838`"""
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


async def serve(plain: list[socket.socket], secure: list[socket.socket], pair: tuple[Path, Path]) -> None:
    """Answer on listening sockets, with a certificate and its key on the secure ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for sock in plain:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG)
    for sock in secure:
        await asyncio.start_server(_answer, sock=sock, backlog=BACKLOG, ssl=context, ssl_shutdown_timeout=LINGERING)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*BROKEN, ProtocolError, TimeoutError):
        secured = writer.get_extra_info("ssl_object")
        connection = H2Connection(H2Configuration(client_side=False))
        if secured is not None and secured.selected_alpn_protocol() == "h2":
            connection.initiate_connection()
            await _answer_h2(connection, b"", reader, writer)
        else:
            request = await read_request(reader)
            settings = SETTINGS.search(request)
            if request == PREFACE:
                connection.initiate_connection()
                await _answer_h2(connection, PREFACE, reader, writer)
            elif settings and UPGRADE.search(request) and secured is None:
                connection.initiate_upgrade_connection(settings[1])
                writer.write(SWITCH)
                _respond(connection, 1, request.startswith(b"HEAD "))
                await _answer_h2(connection, b"", reader, writer, answered=True)
            else:
                writer.write(response(request, ALT_SVC if secured is not None and has_aioquic() else b""))
                await linger(reader, writer)
    await close(writer)


def _respond(connection: H2Connection, stream: int, head: bool) -> None:
    """Answer one stream."""
    connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain"),
                                     ("content-length", str(len(BODY)))], end_stream=head)
    if not head:
        connection.send_data(stream, BODY, end_stream=True)


async def _answer_h2(connection: H2Connection, data: bytes, reader: asyncio.StreamReader,
                     writer: asyncio.StreamWriter, answered: bool = False) -> None:
    """Answer the first request of an HTTP/2 connection, say goodbye, and close."""
    while True:
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                _respond(connection, event.stream_id, dict(event.headers).get(b":method") == b"HEAD")
                answered = True
            if isinstance(event, ConnectionTerminated):
                return
        if answered:
            break
        writer.write(connection.data_to_send())
        await writer.drain()
        data = await reader.read(65536)
        if not data:
            return
    connection.close_connection()
    writer.write(connection.data_to_send())
    await linger(reader, writer)
