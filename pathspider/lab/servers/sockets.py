"""Sockets that stand for every address of the current network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from pathspider.chains.tcp import TCP_CWR, TCP_ECE, parse_options
from pathspider.libtrace import IP, IP6

BACKLOG = 65535
ANYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
IP_PKTINFO = 8  # <bits/in.h>; the socket module of Python 3.11 does not know it
TCP_SAVE_SYN, TCP_SAVED_SYN = 27, 28  # <linux/tcp.h>
LARGEST_SYN = 512
FAST_OPEN = (34, 254)
"""The options' kinds; the latter is of the experiments."""
IN_PKTINFO = struct.Struct("=I4s4s")  # struct in_pktinfo: interface, local address, destination address
IN6_PKTINFO = struct.Struct("=16sI")  # struct in6_pktinfo: address, interface


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


def listen_multipath(addresses: list[str], port: int) -> list[socket.socket]:
    """The same, with Multipath TCP; none where this kernel has not got it. :rfc:`8684`"""
    sockets = []
    for address in addresses:
        try:
            sock = socket.socket(family_of(address), socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
        except OSError:
            break
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def keep_syn(sock: socket.socket) -> None:
    """Have the kernel keep the SYN of each connection to a listening socket."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, 1)


def saved_syn(sock: socket.socket) -> bytes:
    """A connection's SYN, from the IP header on; the kernel gives it once."""
    return sock.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, LARGEST_SYN)


def asks_for_feature(sock: socket.socket) -> bool:
    """Whether a connection's SYN asked for ECN or Fast Open, or had a DSCP."""
    packet = saved_syn(sock)
    syn = (IP if packet[0] >> 4 == 4 else IP6)(packet)
    asks_for_ecn = syn.tcp.flags & (TCP_ECE | TCP_CWR) == TCP_ECE | TCP_CWR
    return bool(asks_for_ecn or syn.traffic_class >> 2 or parse_options(syn.tcp.options_data).keys() & FAST_OPEN)


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


class Datagram(NamedTuple):
    """What came to a UDP socket."""

    data: bytes
    client: Any
    """Address and port, as the socket module has them."""
    asked: bytes
    """The address that it was sent to, packed."""
    port: int
    """The port that it was sent to."""
    control: Mapping[tuple[int, int], bytes]
    """What the kernel told beside it: level and kind -> value."""
    reply: Callable[[bytes], None]
    """Sends a datagram back, from the address that was asked: for answers that come later."""


def serve_udp(sock: socket.socket, answer: Callable[[Datagram], list[bytes]]) -> None:
    """Answer datagrams, each from the address that was asked, with none, one or several."""
    asyncio.get_running_loop().add_reader(sock, _answer_datagrams, sock, answer)


def _answer_datagrams(sock: socket.socket, answer: Callable[[Datagram], list[bytes]]) -> None:
    port = sock.getsockname()[1]
    while True:
        try:
            data, messages, _, client = sock.recvmsg(65535, 256)
        except (BlockingIOError, ConnectionError):
            return
        control = {(level, kind): value for level, kind, value in messages}
        if information := control.get((socket.IPPROTO_IP, IP_PKTINFO)):
            asked = IN_PKTINFO.unpack_from(information)[2]
            reply_from = (socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, asked, bytes(4)))
        else:
            asked = IN6_PKTINFO.unpack_from(control[socket.IPPROTO_IPV6, socket.IPV6_PKTINFO])[0]
            reply_from = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(asked, 0))
        reply = partial(_send, sock, reply_from, client)
        for response in answer(Datagram(data, client, asked, port, control, reply)):
            if seconds := getattr(response, "seconds", 0):
                asyncio.get_running_loop().call_later(seconds, reply, response)
            else:
                reply(response)


def _send(sock: socket.socket, reply_from: tuple[int, int, bytes], client: Any, response: bytes) -> None:
    with contextlib.suppress(OSError):  # an ICMP error that came back earlier is reported here
        sock.sendmsg([response], [reply_from], 0, client)
