"""The process that serves both server rooms: web and DNS, on the connection modes' ports, over IPv4 and IPv6.

A socket belongs to the namespace in which it was made, whoever holds it, so one process is enough for all rooms.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from pathspider.helpers.modes import MODES
from pathspider.lab import namespaces
from pathspider.lab.certificate import make_certificate
from pathspider.lab.servers import dns, http1, web
from pathspider.lab.servers.sockets import BACKLOG, bind_udp, family_of, listen, listen_at


def main(argv: list[str]) -> None:
    """``main WEB READY-DESCRIPTOR DIRECTORY KINDS ROOM...``

    ``WEB`` is ``web`` or ``no-web``; the rooms are descriptors, the first with all features. ``KINDS`` says as JSON,
    address -> kind, which addresses are served otherwise than the rest.
    """
    with_web, ready, directory, rooms = argv[0] == "web", int(argv[1]), Path(argv[2]), list(map(int, argv[4:]))
    kinds: dict[str, str] = json.loads(argv[3])
    dns.KINDS.update({socket.inet_pton(family_of(address), address): kind for address, kind in kinds.items()})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sockets: dict[str, list[socket.socket]] = {"http": [], "https": [], "dnstcp": [], "dnsudp": []}
    for room in rooms:
        namespaces.enter_network(room)
        sockets["dnstcp"] += listen(MODES["dnstcp"].port)
        sockets["dnsudp"] += bind_udp(MODES["dnsudp"].port)
        if with_web:
            sockets["http"] += listen(MODES["http"].port)
            sockets["https"] += listen(MODES["https"].port)

    namespaces.enter_network(rooms[0])
    only_1 = [address for address, kind in kinds.items() if kind == "http1"]
    for mode in ("http", "https"):
        sockets[f"{mode}1"] = listen_at(only_1, MODES[mode].port)

    def announce() -> None:
        gc.freeze()  # what was imported stays; no need to look at it again and again under load
        os.write(ready, b"ready")
        os.close(ready)

    asyncio.run(serve(sockets, directory, announce))


async def serve(sockets: dict[str, list[socket.socket]], directory: Path, announce: Callable[[], None]) -> None:
    """Serve for ever. The sockets listen already: from ``announce`` on, clients may come."""
    for sock in sockets["dnsudp"]:
        dns.serve_udp(sock)
    for sock in sockets["dnstcp"]:
        await dns.serve_tcp(sock, BACKLOG)
    own = directory / "builtin"  # other servers beside us make theirs at the same moment
    own.mkdir()
    pair = make_certificate(own)
    await http1.serve(sockets["http1"], sockets["https1"], pair)
    if sockets["http"]:
        await web.serve(sockets["http"], sockets["https"], pair, announce)
    else:
        announce()
        await asyncio.Event().wait()
