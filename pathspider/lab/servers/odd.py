"""Web servers that answer otherwise than expected, told apart by the address that is asked: see :data:`KINDS`.

They speak HTTP/1.1, and those that refuse HTTP/2 take it up first, by Upgrade or ALPN.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived
from h2.exceptions import ProtocolError

from pathspider.lab.servers.http1 import BROKEN, LINGERING, close, linger, read_request, response, with_header
from pathspider.lab.servers.sockets import BACKLOG, asks_for_feature, keep_syn
from pathspider.lab.servers.web import SETTINGS, SWITCH, UPGRADE

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
FORBIDDEN = with_header(b"This is not for you.\n", status=b"403 Forbidden")

KINDS = {
    "interim-only": "interim responses, and none behind them",
    "interim-first": "interim responses before the response",
    "forbids": "403 to whoever asks for ECN, Fast Open or HTTP/2, or sends a DSCP",
    "http11-reset": "HTTP_1_1_REQUIRED, in RST_STREAM, to whoever was granted HTTP/2",
    "http11-goaway": "the same in GOAWAY",
}
"""How they answer a request. RFC 9110, section 15.2; RFC 9113, section 7"""


async def serve(plain: Iterable[socket.socket], secure: Iterable[socket.socket], pair: tuple[Path, Path],
                kinds: Mapping[str, str]) -> None:
    """Answer on listening sockets, with a certificate and its key on the secure ones.

    :param kinds: address -> how it is answered there
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*BROKEN, ProtocolError, TimeoutError):
            await _answer(reader, writer, kinds[writer.get_extra_info("sockname")[0]])
        await close(writer)

    for sock in plain:
        keep_syn(sock)
        await asyncio.start_server(answer, sock=sock, backlog=BACKLOG)
    for sock in secure:
        keep_syn(sock)
        await asyncio.start_server(answer, sock=sock, backlog=BACKLOG, ssl=context, ssl_shutdown_timeout=LINGERING)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str) -> None:
    secured = writer.get_extra_info("ssl_object")
    if secured is not None and secured.selected_alpn_protocol() == "h2":
        await _refuse_h2(reader, writer, kind, b"")
        return
    request = await read_request(reader)
    upgrade = secured is None and UPGRADE.search(request) is not None
    settings = SETTINGS.search(request)
    if upgrade and settings and kind.startswith("http11-"):
        await _refuse_h2(reader, writer, kind, settings[1])
        return
    if kind.startswith("interim-"):
        writer.write(INTERIM)
    if kind == "forbids" and (upgrade or asks_for_feature(writer.get_extra_info("socket"))):
        writer.write(FORBIDDEN)
    elif kind != "interim-only":
        writer.write(response(request))
    await linger(reader, writer)


async def _refuse_h2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, settings: bytes) -> None:
    """Take up HTTP/2, wait for a request, and refuse it; with ``settings`` it came by Upgrade."""
    connection = H2Connection(H2Configuration(client_side=False))
    if settings:
        connection.initiate_upgrade_connection(settings)
        writer.write(SWITCH)
    else:
        connection.initiate_connection()
    asked = False
    writer.write(connection.data_to_send())
    while not asked:
        if not (data := await reader.read(65536)):
            return
        events = connection.receive_data(data)
        # After an Upgrade it is known; but libcurl 7.88 does not look at what comes with the 101.
        asked = bool(settings) or any(isinstance(event, RequestReceived) for event in events)
        writer.write(connection.data_to_send())
    if kind == "http11-goaway":
        connection.close_connection(ErrorCodes.HTTP_1_1_REQUIRED, last_stream_id=0)
    else:
        connection.reset_stream(1, ErrorCodes.HTTP_1_1_REQUIRED)
    writer.write(connection.data_to_send())
    await writer.drain()
    async with asyncio.timeout(LINGERING):  # libcurl 7.88 reads the end of a connection before what stands before it
        while await reader.read(65536):
            pass
