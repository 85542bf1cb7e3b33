"""The web servers: hypercorn, which speaks HTTP/1.1, h2c by Upgrade, and h2 by ALPN."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config

from pathspider.lab.servers.sockets import BACKLOG

Event = dict[str, Any]

BODY = b"This is the PATHspider lab.\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    """Answer every request with the same page (an ASGI application)."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY if scope["method"] != "HEAD" else b""})


async def serve(
    plain: list[socket.socket],
    secure: list[socket.socket],
    pair: tuple[Path, Path],
    announce: Callable[[], None],
) -> None:
    """Serve on listening sockets for ever, with a certificate and its key.

    ``announce`` is called when nothing can go wrong any more.
    """
    config = Config()
    config.insecure_bind = [f"fd://{sock.detach()}" for sock in plain]
    config.bind = [f"fd://{sock.detach()}" for sock in secure]
    config.certfile, config.keyfile = map(str, pair)
    config.alpn_protocols = ["h2", "http/1.1"]
    config.backlog = BACKLOG
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = 30
    config.use_reloader = False
    config.create_ssl_context()  # a bad certificate shows here, not at the first client
    announce()
    await hypercorn(app, config, shutdown_trigger=asyncio.Event().wait)  # type: ignore[arg-type]
