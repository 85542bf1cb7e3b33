"""The sockets of :class:`~pathspider.targets.resolver.core.Core`: all questions wait in one epoll(7).

Ids are random, and so are ports: some sockets are open at once, and each is given up after so many queries.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple

from pathspider.helpers.forged import report_errors
from pathspider.helpers.modes import DNS_PORT
from pathspider.helpers.sockets import MSG_ERRQUEUE, Source
from pathspider.targets.resolver.core import ROUNDS, UDP, Core, Question, Send, belongs
from pathspider.targets.resolver.health import IN_A_ROW
from pathspider.targets.resolver.message import LONGEST_NAME, in_mixed_case

log = logging.getLogger("pathspider")

THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a query to the unspecified address goes."""
LARGEST = 65535
BUFFER = 1 << 20
"""Octets that may wait in a socket, as far as the machine allows."""
QUERIES_OF_A_PORT = 4096
MOST_STREAMS = 200
"""TCP connections at once."""
BATCH = 64
"""Datagrams that are read from a socket before others have their turn."""


class Server(NamedTuple):
    """A resolver."""

    address: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        if self.port == DNS_PORT:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class _Port:
    """A UDP socket, and what was sent from it: by id, to be looked at once."""

    def __init__(self, family: int, own: str | None) -> None:
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            report_errors(self.sock, family == socket.AF_INET6)
            self.sock.bind((own or ("::" if family == socket.AF_INET6 else ""), 0))
        except BaseException:
            self.sock.close()
            raise
        self.sent: dict[bytes, Send] = {}
        self.left = QUERIES_OF_A_PORT


class _Stream:
    """A TCP connection for one query."""

    def __init__(self, send: Send, address: Any, family: int, own: str | None, number: bytes) -> None:
        self.send = send
        self.number = number
        message = send.message(number)
        self._out = struct.pack("!H", len(message)) + message
        self._in = b""
        self.sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if own is not None:
                self.sock.bind((own, 0))
            error = self.sock.connect_ex(address)
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, "")
        except BaseException:
            self.sock.close()
            raise

    def connected(self) -> None:
        """Send the query. ``OSError`` where there is no connection."""
        if error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "")
        self.sock.send(self._out)  # an empty buffer has room for it

    def readable(self) -> bytes | None:
        """The answer, once it is there; ``OSError`` if it will not be."""
        with suppress(BlockingIOError):
            part = self.sock.recv(LARGEST)
            if not part:
                raise ConnectionError("the resolver closed the connection")
            self._in += part
        size = int.from_bytes(self._in[:2], "big")
        return self._in[2:2 + size] if len(self._in) >= 2 + size and len(self._in) >= 2 else None


class Engine:
    """Asks resolvers; a context manager that closes what is open.

    :param source: addresses of ours to ask from, by IP version, where they are given
    :param ports: UDP sockets of each IP version at once
    :param mixed_case: ask with letters of names drawn to be upper or lower case, and look at those of the answer's
    """

    def __init__(self, servers: Sequence[Server], timeout: float, *, rate: float | None = None, rotate: bool = False,
                 source: Source = (None, None), ports: int = 16, mixed_case: bool = False) -> None:
        self.core = Core(len(servers), timeout, rate, rotate=rotate)
        self._servers = servers
        self._mixed_case = mixed_case
        self._addresses: list[tuple[int, Any]] = []
        for one in servers:
            self._addresses.append(_address(one))
        self._source = source
        self._ports: dict[int, list[_Port | None]] = {family: [None] * ports
                                                      for family in (socket.AF_INET, socket.AF_INET6)}
        self._turn = 0
        self._by_descriptor: dict[int, _Port | _Stream] = {}
        self._streams_wait: deque[Send] = deque()
        self._streams = 0
        self._retired: list[_Port] = []
        """Sockets from which nothing more is sent, until all is over that was."""
        self._random = b""
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._by_descriptor.values():
            one.sock.close()
        self._by_descriptor.clear()
        self._epoll.close()
        os.close(self._bell)

    def wake(self) -> None:
        """Have :meth:`step` return, from whatever thread or handler."""
        os.eventfd_write(self._bell, 1)

    @property
    def pending(self) -> int:
        """Questions that are not over."""
        return self.core.pending

    def ask(self, question: Question) -> None:
        """Begin with a question; :meth:`step` says when it is over."""
        if self._mixed_case:
            question.mixed = in_mixed_case(question.asked, os.urandom(LONGEST_NAME))
        self.core.ask(question, monotonic())

    def free_in(self) -> float:
        """Seconds until another question would be sent at once."""
        return self.core.free_at() - monotonic()

    def step(self, longest: float) -> list[Question]:
        """Go on, for so many seconds at most while nothing comes; the questions that are over."""
        core = self.core
        now = monotonic()
        self._send(now)
        wait = 0.0 if core.finished else max(0.0, min(longest, core.next_due() - now))
        for descriptor, events in self._epoll.poll(wait):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
                continue
            one = self._by_descriptor.get(descriptor)
            if isinstance(one, _Port):
                self._read(one, events)
            elif one is not None:
                self._proceed(one, events)
        now = monotonic()
        core.expire(now)  # after what has come was read: nobody is late because we were
        self._send(now)
        finished, core.finished = core.finished, []
        for question in finished:
            self._forget(question)
        if core.health.changes:
            self._tell()
        for port in self._retired.copy():
            if not port.sent:
                self._retired.remove(port)
                self._close(port)
        return finished

    def _tell(self) -> None:
        """Say which resolvers are set aside, and which are asked again."""
        health = self.core.health
        for server, problem in health.changes:
            if problem:
                log.warning("resolver %s has not answered %d questions in a row that others have answered (%s): it is "
                            "set aside, and tried again now and then", self._servers[server], IN_A_ROW, problem)
            else:
                log.info("resolver %s answers again", self._servers[server])
        health.changes.clear()

    def troubles(self) -> list[str]:
        """What is to be told of resolvers at the end, a sentence each."""
        found = [f"resolver {self._servers[server]} was set aside {'once' if times == 1 else f'{times} times'}, for "
                 f"{seconds:.0f} s in all{', and still is' if now_too else ''}"
                 for server, times, seconds, now_too in self.core.health.troubles(monotonic())]
        if self._mixed_case:
            found += [f"resolver {self._servers[server]} does not keep the case of names: it was not looked at"
                      for server, keeps in enumerate(self.core.keeps_case) if keeps is False]
        return found

    def _send(self, now: float) -> None:
        for send in self.core.sends(now):
            if send.transport == UDP:
                self._send_datagram(send, now)
            else:
                self._streams_wait.append(send)
        while self._streams_wait and self._streams < MOST_STREAMS:
            send = self._streams_wait.popleft()
            if not send.question.done:
                self._connect(send, now)

    def _number(self) -> bytes:
        """A random id."""
        if not self._random:
            self._random = os.urandom(4096)
        number, self._random = self._random[:2], self._random[2:]
        return number

    def _send_datagram(self, send: Send, now: float) -> None:
        family, address = self._addresses[send.server]
        try:
            if address is None:
                raise OSError(errno.EADDRNOTAVAIL, "")
            port = self._port(family)
        except OSError:
            self.core.failed(send, "unreachable", now)
            return
        sent = port.sent
        number = self._number()
        while number in sent:
            number = self._number()
        sent[number] = send
        send.question.places.append((sent, number))
        message = send.message(number)
        try:
            port.sock.sendto(message, address)
        except BlockingIOError:
            pass  # as if it were lost
        except OSError:  # of an earlier query, it may be
            self._errors(port)
            try:
                port.sock.sendto(message, address)
            except BlockingIOError:
                pass
            except OSError:
                if sent.pop(number, None) is not None:
                    self.core.failed(send, "unreachable", now)

    def _port(self, family: int) -> _Port:
        ports = self._ports[family]
        self._turn = (self._turn + 1) % len(ports)
        port = ports[self._turn]
        if port is None or not port.left:
            if port is not None:
                self._retired.append(port)
            port = ports[self._turn] = _Port(family, self._source[family == socket.AF_INET6])
            self._by_descriptor[port.sock.fileno()] = port
            self._epoll.register(port.sock, select.EPOLLIN)
        port.left -= 1
        return port

    def _close(self, one: _Port | _Stream) -> None:
        self._by_descriptor.pop(one.sock.fileno(), None)
        one.sock.close()

    def _read(self, port: _Port, events: int) -> None:
        now = monotonic()
        if events & select.EPOLLERR:
            self._errors(port)
        received, sent = self.core.received, port.sent
        recvfrom = port.sock.recvfrom
        for _ in range(BATCH):
            try:
                datagram, sender = recvfrom(LARGEST)
            except BlockingIOError:
                break
            except OSError:  # an error that the queue of errors tells more of
                self._errors(port)
                continue
            number = datagram[:2]
            send = sent.get(number)
            if send is None:
                self._stranger(port)
                continue
            address = self._addresses[send.server][1]
            if sender[0] != address[0] or sender[1] != address[1]:
                if belongs(send, number, datagram):
                    _warn_of_source(*sender[:2], *address[:2])
                    send.question.note("unexpected_source")
                continue
            received(send, number, datagram, now)

    @staticmethod
    def _stranger(port: _Port) -> None:
        """Nothing that was asked has this id. Of whoever has asked one thing alone, it is told."""
        if len(port.sent) <= ROUNDS:
            questions = {send.question for send in port.sent.values()}
            if len(questions) == 1:
                questions.pop().note("invalid")

    def _errors(self, port: _Port) -> None:
        """Errors that have come back for queries; with each comes what was sent. ip(7), IP_RECVERR"""
        now = monotonic()
        for _ in range(BATCH):
            try:
                datagram = port.sock.recvmsg(LARGEST, 512, MSG_ERRQUEUE)[0]
            except OSError:
                return
            send = port.sent.pop(datagram[:2], None)
            if send is not None:
                self.core.failed(send, "unreachable", now)

    def _connect(self, send: Send, now: float) -> None:
        family, address = self._addresses[send.server]
        try:
            if address is None:
                raise OSError(errno.EADDRNOTAVAIL, "")
            stream = _Stream(send, address, family, self._source[family == socket.AF_INET6], self._number())
        except OSError:
            self.core.failed(send, "unreachable", now)
            return
        self._streams += 1
        descriptor = stream.sock.fileno()
        self._by_descriptor[descriptor] = stream
        self._epoll.register(stream.sock, select.EPOLLOUT)
        send.question.places.append((self._by_descriptor, descriptor))

    def _proceed(self, stream: _Stream, events: int) -> None:
        """A TCP connection goes on."""
        answer = None
        problem = ""
        try:
            if events & select.EPOLLIN:
                answer = stream.readable()
            elif events & select.EPOLLOUT:
                stream.connected()
                self._epoll.modify(stream.sock, select.EPOLLIN)
            else:
                raise OSError(stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "")
        except OSError as error:
            problem = "timeout" if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT else "unreachable"
        if answer is None and not problem:
            return
        self._close(stream)
        self._streams -= 1
        if answer is not None:
            self.core.received(stream.send, stream.number, answer, monotonic())
        else:
            self.core.failed(stream.send, problem, monotonic())

    def _forget(self, question: Question) -> None:
        """Nothing is waited for any more."""
        for table, key in question.places:
            one = table.get(key)
            if type(one) is _Stream:
                if one.send.question is question:  # the number may be another one's by now
                    self._close(one)
                    self._streams -= 1
            elif one is not None and table is not self._by_descriptor and one.question is question:
                del table[key]
        question.places.clear()


def _address(server: Server) -> tuple[int, Any]:
    """Family and socket address of a resolver; an address is None that resolv.conf(5) has, and nobody can."""
    try:
        info = socket.getaddrinfo(THIS_MACHINE.get(server.address, server.address), server.port,
                                  type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
    except OSError:
        return socket.AF_INET, None
    return info[0], info[4]


@lru_cache(maxsize=64)
def _warn_of_source(sender: str, sent_from: int, resolver: str, port: int) -> None:
    """Once for each pair."""
    log.warning("resolver: reply from unexpected source: %s#%d, expected %s#%d; it is not taken", sender, sent_from,
                resolver, port)
