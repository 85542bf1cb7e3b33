"""Ask resolvers for the addresses or texts of a name, all questions at once. :rfc:`1034`, :rfc:`5452`, :rfc:`7766`"""

from __future__ import annotations

import errno
import logging
import secrets
import select
import socket
import struct
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import dnslib
from dnslib.label import DNSBuffer

from pathspider.helpers.dns import HEADER_SIZE, RCODE, RESPONSE, names_question, query
from pathspider.helpers.forged import report_errors
from pathspider.helpers.modes import DNS_PORT
from pathspider.helpers.sockets import Source

log = logging.getLogger("pathspider")

RESOLV_CONF = Path("/etc/resolv.conf")
THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a query to the unspecified address goes."""

ROUNDS = 2
"""How often each resolver is asked over UDP."""

NOERROR, NXDOMAIN = 0, 3
AUTHORITATIVE, TRUNCATED = 0x04, 0x02
"""The bits AA and TC, in the header's third octet."""
RECURSION = 0x80
"""The bit RA, in its fourth."""
INTERNET = 1
FAMILIES = {dnslib.QTYPE.A: (socket.AF_INET, 4), dnslib.QTYPE.AAAA: (socket.AF_INET6, 16)}
LONGEST_NAME = 255

UNANSWERED = ("timeout", "unreachable", "unexpected_source", "truncated", "invalid")
"""Problems with which no resolver has answered the question. Of the first two neither tells more than the other; the
later ones do, and response codes tell most."""
RETRY = {*UNANSWERED, "servfail", "refused", "notimp", "formerr", "no_recursion"}
"""What another resolver, or the same one a little later, may answer better."""


class Lookup(NamedTuple):
    """What became of one question: the answers, or, where there are none, why in a word."""

    answers: list[str]
    problem: str = ""


def system_resolvers(path: Path = RESOLV_CONF) -> list[str]:
    """The name servers of resolv.conf(5); this machine where it names none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"] or ["127.0.0.1"]


def lookup(resolvers: Sequence[str], name: str, qtype: str, timeout: float, source: Source = (None, None)) -> Lookup:
    """The answer to one question; see :func:`lookups`."""
    return lookups(resolvers, name, [qtype], timeout, source)[0]


def lookups(resolvers: Sequence[str], name: str, qtypes: Sequence[str], timeout: float,
            source: Source = (None, None)) -> list[Lookup]:
    """The addresses of ``name`` for each of ``qtypes`` that is ``A`` or ``AAAA``, its texts in quotes for ``TXT``.

    All questions are asked at once, and all is over within ``timeout`` seconds. Each resolver is asked over UDP, twice
    if need be, then the first one over TCP; a truncated answer is asked for again over TCP. An answer that comes late
    is taken as long as no other has come. Queries leave from ``source``, addresses of ours by IP version, where they
    are given.

    An answer counts if address, port, id and question are those of the query. In its answer section, aliases are
    followed, and a record that is malformed costs nothing but itself and those behind it. ``problem`` is ``nxdomain``,
    ``nodata`` (the name exists and has no such record), ``timeout``, ``unreachable``, ``unexpected_source`` (the answer
    came from another address than was asked, and was not taken), ``truncated`` (and none came over TCP), ``invalid``,
    ``no_recursion`` (the server answers for its own zones alone), ``bad_domain`` or another response code.
    """
    begun = monotonic()
    try:
        questions = [_Question(resolvers, name, qtype, source, begun=begun, timeout=timeout) for qtype in qtypes]
    except ValueError:
        return [Lookup([], "bad_domain")] * len(qtypes)
    try:
        while (now := monotonic()) < begun + timeout:
            for question in questions:
                question.proceed(now)
            pending = [question for question in questions if question.found is None]
            if not pending:
                break
            _wait(pending, min(begun + timeout, *(question.due for question in pending)))
    finally:
        for question in questions:
            question.close()
    return [question.found or Lookup([], question.problem or "timeout") for question in questions]


def descriptors(resolvers: Sequence[str], questions: int) -> int:
    """How many sockets a lookup of so many questions has open at once, at most."""
    return questions * 2 * len(resolvers)


Steps = Generator[int, None, bytes]
"""Yields the poll(2) events that are waited for, returns the answer; ``OSError`` for what fails."""


class _Exchange:
    """One query to one resolver; ``question`` is told what becomes of it."""

    def __init__(self, question: _Question, kind: socket.SocketKind, resolver: str) -> None:
        self.question, self.kind, self.resolver = question, kind, resolver
        self.message = secrets.token_bytes(2) + question.message[2:]
        info = socket.getaddrinfo(THIS_MACHINE.get(resolver, resolver), DNS_PORT, type=kind,
                                  flags=socket.AI_NUMERICHOST)[0]
        self.address: Any = info[4]
        self.sock = socket.socket(info[0], kind | socket.SOCK_NONBLOCK)
        self.steps = self.over_udp() if kind == socket.SOCK_DGRAM else self.over_tcp()
        try:
            if (own := question.source[info[0] == socket.AF_INET6]) is not None:
                self.sock.bind((own, 0))
            self.events = next(self.steps)
        except BaseException:
            self.sock.close()
            raise

    def over_udp(self) -> Steps:
        """The socket is not connected: the kernel would keep from us what comes from another address."""
        report_errors(self.sock, self.sock.family == socket.AF_INET6)
        self.send()
        while True:
            yield select.POLLIN
            with suppress(BlockingIOError):
                datagram, sender = self.sock.recvfrom(65535)
                answers = is_answer(self.message, datagram)
                if sender[:2] != self.address[:2]:
                    if answers:
                        _warn_of_source(*sender[:2], *self.address[:2])
                        self.question.note("unexpected_source")
                elif answers:
                    return datagram
                else:  # the answer may still come
                    self.question.note("invalid")

    def send(self) -> None:
        """Send the datagram, once more if there was one."""
        self.sock.sendto(self.message, self.address)

    def over_tcp(self) -> Steps:
        number = self.sock.connect_ex(self.address)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, "")
        yield select.POLLOUT
        if number := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, "")
        self.sock.send(struct.pack("!H", len(self.message)) + self.message)  # an empty buffer has room for it
        received = b""
        while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
            yield select.POLLIN
            with suppress(BlockingIOError):
                part = self.sock.recv(65535)
                if not part:
                    raise ConnectionError("the resolver closed the connection")
                received += part
        return received[2:2 + int.from_bytes(received[:2], "big")]

    def ready(self) -> None:
        """Something has come, or can be sent."""
        try:
            self.events = next(self.steps)
        except StopIteration as end:
            self.question.take(self, end.value)
        except OSError as error:
            self.question.failed(self, "timeout" if isinstance(error, TimeoutError) else "unreachable")


class _Question:
    """One question and who is asked when: a resolver after the other, each for its share of the time or until it fails.

    :param begun: in monotonic seconds
    """

    def __init__(self, resolvers: Sequence[str], name: str, qtype: str, source: Source, *,
                 begun: float, timeout: float) -> None:
        self.message = bytes(query({"domain": name, "qtype": qtype}).pack())
        self.qtype = qtype
        self.source = source
        self.attempts = [(socket.SOCK_DGRAM, resolver) for resolver in [*resolvers] * ROUNDS]
        self.attempts.append((socket.SOCK_STREAM, resolvers[0]))
        self.share = timeout / len(self.attempts)
        self.due = begun
        """When the next attempt begins."""
        self.under_way: list[_Exchange] = []
        self.over_tcp: set[str] = set()
        """The resolvers that were asked over TCP."""
        self.problem = ""
        """The most telling so far."""
        self.found: Lookup | None = None

    def proceed(self, now: float) -> None:
        """Begin the attempts whose time has come."""
        while self.found is None and (now >= self.due or not self.under_way):
            if not self.attempts:
                self.due = float("inf")
                if not self.under_way:
                    self.found = Lookup([], self.problem)
                return
            if self.under_way:
                self.note("timeout")
            self.due = now + self.share
            self.begin(*self.attempts.pop(0))

    def begin(self, kind: socket.SocketKind, resolver: str) -> None:
        """Ask a resolver; over UDP again, if it was asked."""
        asked = [exchange for exchange in self.under_way if (exchange.kind, exchange.resolver) == (kind, resolver)]
        if kind == socket.SOCK_STREAM:
            if resolver in self.over_tcp:
                return
            self.over_tcp.add(resolver)
        try:
            if asked:
                asked[0].send()
            else:
                self.under_way.append(_Exchange(self, kind, resolver))
        except BlockingIOError:
            pass  # as if it were lost
        except OSError:
            self.note("unreachable")
            self.due = 0.0

    def take(self, exchange: _Exchange, answer: bytes) -> None:
        """An answer has come."""
        if not is_answer(exchange.message, answer):
            self.failed(exchange, "invalid")
        elif answer[2] & TRUNCATED and exchange.kind == socket.SOCK_DGRAM:
            self.failed(exchange, "truncated")
            self.due = monotonic() + self.share
            self.begin(socket.SOCK_STREAM, exchange.resolver)
        elif (found := read_answers(exchange.message, answer, self.qtype)).problem in RETRY:
            self.failed(exchange, found.problem)
        else:
            self.found = found
            self.close()

    def failed(self, exchange: _Exchange, problem: str) -> None:
        """An attempt is over without an answer: the next one begins."""
        exchange.sock.close()
        self.under_way.remove(exchange)
        self.note(problem)
        self.due = 0.0

    def note(self, problem: str) -> None:
        """Keep the problem that tells most."""
        if not self.problem or _weight(problem) > _weight(self.problem):
            self.problem = problem

    def close(self) -> None:
        """Give up what is under way."""
        for exchange in self.under_way:
            exchange.sock.close()
        self.under_way.clear()


def _weight(problem: str) -> int:
    return max(UNANSWERED.index(problem), 1) if problem in UNANSWERED else len(UNANSWERED)


def _wait(questions: Sequence[_Question], until: float) -> None:
    """Let the exchanges go on for which something comes before ``until``, in monotonic seconds."""
    poller = select.poll()
    exchanges = {exchange.sock.fileno(): exchange for question in questions for exchange in question.under_way}
    for descriptor, exchange in exchanges.items():
        poller.register(descriptor, exchange.events)
    for descriptor, _ in poller.poll(max(until - monotonic(), 0) * 1000):
        if exchanges[descriptor] in exchanges[descriptor].question.under_way:  # another one's answer may have ended it
            exchanges[descriptor].ready()


@lru_cache(maxsize=64)
def _warn_of_source(sender: str, sent_from: int, resolver: str, port: int) -> None:
    """Once for each pair."""
    log.warning("resolver: reply from unexpected source: %s#%d, expected %s#%d; it is not taken", sender, sent_from,
                resolver, port)


def is_answer(message: bytes, answer: bytes) -> bool:
    """Whether this is a response to the query ``message``, as far as header and question tell, in whatever case the
    name comes back."""
    return (len(answer) >= HEADER_SIZE and answer[:2] == message[:2] and bool(answer[2] & RESPONSE)
            and names_question(message, answer) is True)


def read_answers(message: bytes, response: bytes, qtype: str) -> Lookup:
    """The answers in a response to the query ``message``, aliases followed, or why there are none, in a word."""
    rcode = response[3] & RCODE
    if rcode == NXDOMAIN:
        return Lookup([], "nxdomain")
    if rcode != NOERROR:
        return Lookup([], str(dnslib.RCODE.get(rcode)).lower())
    wanted = getattr(dnslib.QTYPE, qtype)
    found: dict[bytes, list[str]] = {}
    aliases: dict[bytes, bytes] = {}
    broken = False
    try:
        for owner, kind, content in records(response, len(message)):
            if kind == dnslib.QTYPE.CNAME:
                aliases[owner] = content
            elif kind == wanted:
                try:
                    found.setdefault(owner, []).append(_text(kind, content))
                except (ValueError, dnslib.DNSError):
                    broken = True
    except (ValueError, IndexError, struct.error):
        broken = True
    name: bytes | None = message[HEADER_SIZE:-4].lower()
    answers: list[str] = []
    while name is not None:
        answers += found.get(name, [])
        name = aliases.pop(name, None)
    if answers:
        return Lookup(list(dict.fromkeys(answers)))
    if broken:
        return Lookup([], "invalid")
    if not response[2] & AUTHORITATIVE and not response[3] & RECURSION:
        return Lookup([], "no_recursion")
    return Lookup([], "nodata")


def _text(kind: int, content: bytes) -> str:
    """A record's data; ``ValueError`` or ``DNSError`` where it is malformed."""
    if kind in FAMILIES:
        family, size = FAMILIES[kind]
        if len(content) != size:
            raise ValueError("an address of another length")
        return socket.inet_ntop(family, content)
    return str(dnslib.TXT.parse(DNSBuffer(content), len(content)))


def records(response: bytes, at: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Owner, type and data of each record of class IN from ``at`` on, where the answer section begins; the data of an
    alias is the name that it names. ``ValueError``, ``IndexError`` or ``struct.error`` where one is malformed.

    dnslib would parse all sections, and follow all names, however often they point at the same thousand pointers.
    """
    known: dict[int, bytes] = {}
    (count,) = struct.unpack_from("!H", response, 6)
    for _ in range(count):
        owner, at = read_name(response, at, known)
        kind, group, _, length = struct.unpack_from("!HHIH", response, at)
        at += 10 + length
        if at > len(response):
            raise ValueError("a record that is cut")
        if group == INTERNET:
            begin = at - length
            content = read_name(response, begin, known)[0] if kind == dnslib.QTYPE.CNAME else response[begin:at]
            yield owner, kind, content


def read_name(message: bytes, at: int, known: dict[int, bytes]) -> tuple[bytes, int]:
    """The name at ``at``, lower case, pointers followed, and where it ends; ``ValueError`` or ``IndexError`` where it
    is malformed. Pointers point backwards.

    :param known: the names that begin at an offset, as far as they are known; it gets those of this name. Nothing that
        is pointed at is read twice, so that no message costs more than its length. :rfc:`9267`
    """
    end = -1
    size, least, begun = 1, at, []
    while end < 0 or at not in known:
        length = message[at]
        begun.append(at)
        if length == 0:
            known[at] = b"\0"
            end = at + 1 if end < 0 else end
        elif length < 64:
            at += 1 + length
            size += 1 + length
        elif length >= 192:
            end = at + 2 if end < 0 else end
            at = (length & 63) << 8 | message[at + 1]
            if at >= least:
                raise ValueError("a pointer that does not point backwards")
            least = at
        else:
            raise ValueError("a label of an unknown kind")
        if size > LONGEST_NAME:
            raise ValueError("a name that is too long")
    name = known[at]
    for place in reversed(begun):
        if 0 < message[place] < 64:
            name = message[place:place + 1 + message[place]].lower() + name
            if len(name) > LONGEST_NAME:
                raise ValueError("a name that is too long")
        known[place] = name
    return name, end
