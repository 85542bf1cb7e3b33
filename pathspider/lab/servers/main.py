"""The process that serves both server rooms, over IPv4 and IPv6: web and DNS on the connection modes' ports, and echo.

A socket belongs to the namespace in which it was made, whoever holds it, so one process is enough for all rooms.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import socket
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pathspider.helpers.modes import MODES
from pathspider.lab import namespaces
from pathspider.lab.addresses import ECHO_PORT
from pathspider.lab.certificate import make_certificate
from pathspider.lab.servers import dns, echo, h3, http1, odd, web
from pathspider.lab.servers.sockets import BACKLOG, bind_udp, family_of, listen, listen_at, listen_multipath, serve_udp
from pathspider.lab.startup import ABOUT


def main(argv: list[str]) -> None:
    """``main SERVICES READY-DESCRIPTOR DIRECTORY ROOM...``

    ``SERVICES`` are some of ``web``, ``http1``, ``odd``, ``h3``, ``dns`` and ``echo``, with commas; the rooms are
    descriptors, the first with all features. The directory holds :data:`~pathspider.lab.startup.ABOUT`.
    """
    services, ready, directory, rooms = argv[0].split(","), int(argv[1]), Path(argv[2]), list(map(int, argv[3:]))
    about = json.loads((directory / ABOUT).read_text(encoding="ascii"))
    kinds: dict[str, str] = about["kinds"]
    dns.KINDS.update({socket.inet_pton(family_of(address), address): kind for address, kind in kinds.items()})
    dns.NAMES.update(about["names"])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sockets: dict[str, list[socket.socket]] = defaultdict(list)
    for room in rooms:
        namespaces.enter_network(room)
        if "dns" in services:
            sockets["dnstcp"] += listen(MODES["dnstcp"].port)
            sockets["dnsudp"] += bind_udp(MODES["dnsudp"].port)
        if "echo" in services:
            sockets["echotcp"] += listen(ECHO_PORT)
            sockets["echoudp"] += bind_udp(ECHO_PORT)
        if "web" in services:
            sockets["http"] += listen(MODES["http"].port)
            sockets["https"] += listen(MODES["https"].port)

        if "h3" in services:
            sockets["h3"] += bind_udp(MODES["h3"].port)

    namespaces.enter_network(rooms[0])
    if "http1" in services:
        only_1 = [address for address, kind in kinds.items() if kind == "http1"]
        for mode in ("http", "https"):
            sockets[f"{mode}1"] = listen_at(only_1, MODES[mode].port)

    if "web" in services:
        multipath = [address for address, kind in kinds.items() if kind == "mptcp"]
        sockets["http"] += listen_multipath(multipath, MODES["http"].port)

    odd_ones = {address: kind for address, kind in kinds.items() if kind in odd.KINDS and "odd" in services}
    for mode in ("http", "https"):
        sockets[f"{mode}-odd"] = listen_at([*odd_ones], MODES[mode].port)

    def announce() -> None:
        gc.freeze()  # what was imported stays; no need to look at it again and again under load
        os.write(ready, b"ready")
        os.close(ready)

    asyncio.run(serve(sockets, odd_ones, kinds, directory, announce))


async def serve(sockets: dict[str, list[socket.socket]], odd_ones: dict[str, str], kinds: dict[str, str],
                directory: Path, announce: Callable[[], None]) -> None:
    """Serve for ever. The sockets listen already: from ``announce`` on, clients may come.

    :param odd_ones: address -> kind, of :mod:`pathspider.lab.servers.odd`
    :param kinds: the same of whatever server
    """
    for sock in sockets["dnsudp"]:
        dns.serve_udp(sock)
    for sock in sockets["dnstcp"]:
        await dns.serve_tcp(sock, BACKLOG)
    for sock in sockets["echoudp"]:
        echo.tell_more(sock)
        serve_udp(sock, lambda one: [echo.answer_datagram(one)])
    for sock in sockets["echotcp"]:
        echo.tell_more(sock)
        await echo.serve_tcp(sock)
    own = directory / "builtin"  # other servers beside us make theirs at the same moment
    own.mkdir()
    if sockets["https"] or sockets["https1"] or sockets["h3"] or odd_ones:
        pair = make_certificate(own)
        await http1.serve(sockets["http1"], sockets["https1"], pair)
        await odd.serve(sockets["http-odd"], sockets["https-odd"], pair, odd_ones)
        await web.serve(sockets["http"], sockets["https"], pair)
        h3.serve(sockets["h3"], pair, kinds)
    announce()
    await asyncio.Event().wait()
