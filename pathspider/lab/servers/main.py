"""The process that serves both server rooms: web on ports 80 and 443, DNS on port 53, over IPv4 and IPv6.

A socket belongs to the namespace in which it was made, whoever holds it, so one process is enough for all rooms.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from pathspider.lab import namespaces
from pathspider.lab.certificate import make_certificate
from pathspider.lab.servers import dns, web

BACKLOG = 65535
ANYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def main(argv: list[str]) -> None:
    """``main READY-DESCRIPTOR SERVER-ROOM NO-ECN-ROOM DIRECTORY``: the rooms are descriptors of namespaces."""
    ready, rooms, directory = int(argv[0]), [int(room) for room in argv[1:3]], Path(argv[3])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    certificate, key = make_certificate(directory)
    plain, secure, dns_tcp = (listen(rooms, port) for port in (80, 443, 53))
    dns_udp = [sock for room in rooms for sock in bind_udp(room, 53)]

    def announce() -> None:
        gc.freeze()  # what was imported stays; no need to look at it again and again under load
        os.write(ready, b"ready")
        os.close(ready)

    asyncio.run(serve(plain, secure, dns_tcp, dns_udp, certificate, key, announce))


async def serve(
    plain: list[socket.socket],
    secure: list[socket.socket],
    dns_tcp: list[socket.socket],
    dns_udp: list[socket.socket],
    certificate: Path,
    key: Path,
    announce: Callable[[], None],
) -> None:
    """Serve for ever. The sockets listen already, so ``announce`` may be called before all is set up."""
    for sock in dns_udp:
        dns.serve_udp(sock)
    for sock in dns_tcp:
        await dns.serve_tcp(sock, BACKLOG)
    announce()
    await web.serve(plain, secure, certificate, key, BACKLOG)


def listen(rooms: list[int], port: int) -> list[socket.socket]:
    """Listening sockets for every address of every room, one per IP version."""
    sockets = []
    for room in rooms:
        namespaces.enter_network(room)
        for family, anywhere in ANYWHERE.items():
            sock = socket.create_server((anywhere, port), family=family, backlog=BACKLOG)
            sock.setblocking(False)
            sockets.append(sock)
    return sockets


def bind_udp(room: int, port: int) -> list[socket.socket]:
    """UDP sockets for every address of one room, which tell the address that was asked."""
    namespaces.enter_network(room)
    sockets = []
    for family, anywhere in ANYWHERE.items():
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, dns.IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.bind((anywhere, port))
        sock.setblocking(False)
        sockets.append(sock)
    return sockets
