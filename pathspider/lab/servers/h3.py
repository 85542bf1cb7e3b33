"""The HTTP/3 server, by aioquic: what it counts of ECN, how it spins and which versions it speaks can be switched.

:rfc:`9000`, :rfc:`9114`. Without aioquic, which is optional, there is none.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathspider.helpers.optional import has_aioquic
from pathspider.lab.servers.echo import tell_more
from pathspider.lab.servers.http1 import BODY
from pathspider.lab.servers.sockets import Datagram, serve_udp

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration

CE = 3
"""In the ECN field."""
IDLE_SECONDS = 15.0
"""After which a connection of which nothing comes is forgotten."""
VERSION_1, VERSION_2, DRAFT_29 = 1, 0x6B3343CF, 0xFF00001D

Counts = tuple[int, int, int]
"""Packets with ECT(0), ECT(1) and CE: the order of an ACK frame. :rfc:`9000`, section 19.3.2"""


def half(counts: Counts) -> Counts:
    """Too few."""
    return counts[0] // 2, counts[1] // 2, counts[2] // 2


def swapped(counts: Counts) -> Counts:
    """ECT(0) as ECT(1)."""
    return counts[1], counts[0], counts[2]


def congested(counts: Counts) -> Counts:
    """All as CE."""
    return 0, 0, sum(counts)


@dataclass(frozen=True)
class Kind:
    """How a server behaves."""

    told: Callable[[Counts], Counts] | None = lambda counts: counts
    """What it says of its counts; None: it says nothing of them."""
    spin: Callable[[bool], bool] = lambda bit: bit
    """The spin bit that it sends, by the one that it should."""
    versions: tuple[int, ...] = (VERSION_1, VERSION_2)
    alpn: str = "h3"
    status: bytes | None = b"200"
    """Of its responses; None: it does not answer requests."""
    malformed: bool = False
    """Its responses are none."""


KINDS = {
    "": Kind(),
    "h3-no-counts": Kind(told=None),
    "h3-undercount": Kind(told=half),
    "h3-swapped": Kind(told=swapped),
    "h3-all-ce": Kind(told=congested),
    "h3-no-spin": Kind(spin=lambda _: False),
    "h3-spins-one": Kind(spin=lambda _: True),
    "h3-random-spin": Kind(spin=lambda _: bool(secrets.randbits(1))),
    "h3-version-2": Kind(versions=(VERSION_2,)),
    "h3-draft": Kind(versions=(DRAFT_29,)),
    "h3-other-protocol": Kind(alpn="doq"),
    "h3-mute": Kind(status=None),
    "h3-forbids": Kind(status=b"403"),
    "h3-malformed": Kind(malformed=True),
}
"""By the name that a scenario gives its server."""


def serve(sockets: list[socket.socket], pair: tuple[Path, Path], kinds: Mapping[str, str]) -> None:
    """Answer on UDP sockets of :func:`~pathspider.lab.servers.sockets.bind_udp`. Nothing happens without aioquic.

    :param pair: the files of a certificate and its key
    :param kinds: address -> one of :data:`KINDS`, of those that are not like the first
    """
    if not has_aioquic():
        return
    server = Server(pair, {socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address): kind
                           for address, kind in kinds.items() if kind in KINDS})
    for sock in sockets:
        tell_more(sock)
        serve_udp(sock, server.take)


class Server:
    """All connections, by who has asked whom."""

    def __init__(self, pair: tuple[Path, Path], kinds: Mapping[bytes, str]) -> None:
        self._kinds = kinds
        self._configurations = {name: configuration(kind, pair) for name, kind in KINDS.items()}
        self._connections: dict[tuple[bytes, Any], Connection] = {}

    def take(self, datagram: Datagram) -> list[bytes]:
        """What is said to a datagram at once; what is said later leaves by itself."""
        key = datagram.asked, datagram.client[:2]
        connection = self._connections.get(key)
        if connection is None:
            name = self._kinds.get(datagram.asked, "")
            begun = begin(datagram, KINDS[name], self._configurations[name])
            if not isinstance(begun, Connection):
                return begun
            connection = self._connections[key] = begun
        answer = connection.take(datagram)
        if connection.over:
            self._connections.pop(key, None)
            connection.forget()
        else:
            connection.watch(partial(self._connections.pop, key, None), datagram.reply)
        return answer


def configuration(kind: Kind, pair: tuple[Path, Path]) -> QuicConfiguration:
    """What connections of one kind have in common."""
    from aioquic.quic.configuration import QuicConfiguration  # noqa: PLC0415 - optional

    made = QuicConfiguration(is_client=False, alpn_protocols=[kind.alpn], idle_timeout=IDLE_SECONDS,
                             supported_versions=[*kind.versions])
    made.load_cert_chain(*pair)
    return made


def begin(datagram: Datagram, kind: Kind, configuration: QuicConfiguration) -> Connection | list[bytes]:
    """The connection that a datagram begins, or what is to be said in its place."""
    from aioquic._buffer import Buffer  # noqa: PLC0415 - optional
    from aioquic.quic.packet import (  # noqa: PLC0415
        QuicPacketType,
        encode_quic_version_negotiation,
        pull_quic_header,
    )

    try:
        header = pull_quic_header(Buffer(data=datagram.data), host_cid_length=configuration.connection_id_length)
    except ValueError:
        return []
    if header.version and header.version not in kind.versions:
        return [encode_quic_version_negotiation(source_cid=header.destination_cid, destination_cid=header.source_cid,
                                                supported_versions=[*kind.versions])]
    if header.packet_type != QuicPacketType.INITIAL:
        return []
    return Connection(kind, configuration, header.destination_cid)


class Connection:
    """One connection, and its timer."""

    def __init__(self, kind: Kind, configuration: QuicConfiguration, destination: bytes) -> None:
        from pathspider.lab.servers.h3_connection import Counting  # noqa: PLC0415 - optional

        self._kind = kind
        self._quic = Counting(kind.told, configuration=configuration, original_destination_connection_id=destination)
        self._http: Any = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.over = False

    def take(self, datagram: Datagram) -> list[bytes]:
        """What is said to a datagram."""
        mark = datagram.control.get((socket.IPPROTO_IP, socket.IP_TOS)) or datagram.control.get(
            (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)) or b"\0"
        self._quic.mark = mark[0] & CE
        self._quic.receive_datagram(datagram.data, datagram.client, self._loop.time())
        return self._go_on()

    def _go_on(self) -> list[bytes]:
        """What there is to send after whatever has happened."""
        from aioquic.h3.connection import H3Connection  # noqa: PLC0415 - optional
        from aioquic.h3.events import HeadersReceived  # noqa: PLC0415
        from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated  # noqa: PLC0415

        while (event := self._quic.next_event()) is not None:
            if isinstance(event, ProtocolNegotiated):
                self._http = H3Connection(self._quic)
            elif isinstance(event, ConnectionTerminated):
                self.over = True
            for one in self._http.handle_event(event) if self._http is not None else ():
                if isinstance(one, HeadersReceived) and self._kind.status is not None:
                    self._respond(one.stream_id, dict(one.headers).get(b":method") == b"HEAD")
        self._quic._spin_bit = self._kind.spin(self._quic._spin_bit)
        return [data for data, _ in self._quic.datagrams_to_send(self._loop.time())]

    def _respond(self, stream: int, head: bool) -> None:
        if self._kind.malformed:  # data without a header before them, which RFC 9114, section 4.1, wants
            self._quic.send_stream_data(stream, b"\0\5hello", end_stream=True)
            return
        self._http.send_headers(stream, [(b":status", self._kind.status), (b"content-type", b"text/plain"),
                                         (b"content-length", b"%d" % len(BODY))], end_stream=head)
        if not head:
            self._http.send_data(stream, BODY, end_stream=True)

    def watch(self, forget: Callable[[], object], reply: Callable[[bytes], None]) -> None:
        """Have what is due later happen then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._quic.get_timer()) is not None:
            self._timer = self._loop.call_at(due, self._fire, forget, reply)

    def forget(self) -> None:
        """Let go of a connection that is over: much of it refers to itself, and the garbage collector is slow."""
        if self._timer is not None:
            self._timer.cancel()
        vars(self._quic).clear()
        self._http = None

    def _fire(self, forget: Callable[[], object], reply: Callable[[bytes], None]) -> None:
        self._quic.handle_timer(self._loop.time())
        for data in self._go_on():
            reply(data)
        if self.over:
            forget()
            self.forget()
        else:
            self.watch(forget, reply)
