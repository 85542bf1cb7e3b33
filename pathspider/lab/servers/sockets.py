"""Sockets that stand for every address of the current network namespace."""

from __future__ import annotations

import socket

BACKLOG = 65535
ANYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
IP_PKTINFO = 8  # <bits/in.h>; the socket module of Python 3.11 does not know it


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(port: int) -> list[socket.socket]:
    """Listening TCP sockets, one for each IP version; the port is shared with sockets of :func:`listen_at`."""
    sockets = []
    for family, anywhere in ANYWHERE.items():
        sock = socket.create_server((anywhere, port), family=family, backlog=BACKLOG, reuse_port=True)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def listen_at(addresses: list[str], port: int) -> list[socket.socket]:
    """Listening TCP sockets for single addresses, which go before those for all."""
    sockets = []
    for address in addresses:
        sock = socket.create_server((address, port), family=family_of(address), backlog=BACKLOG, reuse_port=True)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def bind_udp(port: int) -> list[socket.socket]:
    """UDP sockets, one for each IP version, which tell the address that was asked."""
    sockets = []
    for family, anywhere in ANYWHERE.items():
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.bind((anywhere, port))
        sock.setblocking(False)
        sockets.append(sock)
    return sockets
