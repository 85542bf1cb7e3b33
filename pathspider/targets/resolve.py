"""Ask resolvers for the addresses or texts of a name, by dnslib. :rfc:`1034`, :rfc:`7766`"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import dnslib
from dnslib.label import DNSBuffer

from pathspider.chains.dns import skip_name
from pathspider.helpers.dns import HEADER_SIZE, RCODE, judge, query
from pathspider.helpers.modes import DNS_PORT
from pathspider.records import CONN_OK

RESOLV_CONF = Path("/etc/resolv.conf")
ROUNDS = 2
"""How often each resolver is asked over UDP."""

NOERROR, NXDOMAIN = 0, 3
TRUNCATED = 0x02
"""The bit TC, in the header's third octet."""
RETRY = {"timeout", "unreachable", "invalid", "servfail", "refused", "notimp", "formerr"}
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


def lookup(resolvers: Sequence[str], name: str, qtype: str, timeout: float, source: str | None = None) -> Lookup:
    """The addresses of ``name``, where ``qtype`` is ``A`` or ``AAAA``, or its texts in quotes, where it is ``TXT``.

    Each resolver is asked over UDP, twice if need be, then the first one over TCP, all within ``timeout`` seconds, from
    ``source``, an address of ours, where it is given. A truncated answer is asked for again over TCP. ``problem`` is
    ``nxdomain``, ``nodata`` (the name exists and has no such record), ``timeout``, ``unreachable``, ``invalid``,
    ``bad_domain`` or another response code.
    """
    try:
        question = query({"domain": name, "qtype": qtype})
        message = question.pack()
    except ValueError:
        return Lookup([], "bad_domain")
    attempts = [(socket.SOCK_DGRAM, resolver) for resolver in [*resolvers] * ROUNDS]
    attempts.append((socket.SOCK_STREAM, resolvers[0]))
    problem = ""
    for kind, resolver in attempts:
        deadline = monotonic() + timeout / len(attempts)
        try:
            answer = ask(resolver, message, kind, deadline, source)
            response = read_response(question, answer)
            if response is not None and response[2] & TRUNCATED and kind == socket.SOCK_DGRAM:
                answer = ask(resolver, message, socket.SOCK_STREAM, deadline + timeout / len(attempts), source)
                response = read_response(question, answer)
        except TimeoutError:
            problem = problem or "timeout"
            continue
        except OSError:
            problem = problem or "unreachable"
            continue
        found = Lookup([], "invalid") if response is None else read_answers(response, qtype)
        if found.problem not in RETRY:
            return found
        problem = found.problem
    return Lookup([], problem)


def ask(
    resolver: str, message: bytes, kind: socket.SocketKind, deadline: float, source: str | None = None
) -> bytes:
    """Send a query and return what comes back until ``deadline`` (monotonic seconds); ``OSError`` for what fails."""
    info = socket.getaddrinfo(resolver, DNS_PORT, type=kind, flags=socket.AI_NUMERICHOST)[0]
    with socket.socket(info[0], kind) as sock:
        sock.settimeout(max(deadline - monotonic(), 0.001))
        if source is not None:
            sock.bind((source, 0))
        sock.connect(info[4])
        if kind == socket.SOCK_DGRAM:
            sock.send(message)
            return receive(sock, 65535, deadline)
        sock.sendall(struct.pack("!H", len(message)) + message)
        (length,) = struct.unpack("!H", receive_exactly(sock, 2, deadline))
        return receive_exactly(sock, length, deadline)


def receive(sock: socket.socket, size: int, deadline: float) -> bytes:
    """At most ``size`` bytes; ``TimeoutError`` if none come before ``deadline``."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    if not poller.poll(max(deadline - monotonic(), 0) * 1000):
        raise TimeoutError
    return sock.recv(size)


def receive_exactly(sock: socket.socket, size: int, deadline: float) -> bytes:
    """``size`` bytes of a stream; ``ConnectionError`` if it ends before."""
    parts = b""
    while len(parts) < size:
        part = receive(sock, size - len(parts), deadline)
        if not part:
            raise ConnectionError("the resolver closed the connection")
        parts += part
    return parts


def read_response(question: dnslib.DNSRecord, answer: bytes) -> bytes | None:
    """The response to ``question``; None for what is none."""
    return answer if judge(question, answer, 0)["spdr_state"] == CONN_OK else None


def read_answers(response: bytes, qtype: str) -> Lookup:
    """The answers in a well-formed response, aliases followed by the resolver, or its response code in a word."""
    rcode = response[3] & RCODE
    if rcode == NXDOMAIN:
        return Lookup([], "nxdomain")
    if rcode != NOERROR:
        return Lookup([], str(dnslib.RCODE.get(rcode)).lower())
    wanted = getattr(dnslib.QTYPE, qtype)
    try:
        answers = [str(getattr(dnslib, qtype).parse(DNSBuffer(data), len(data)))
                   for kind, data in records(response) if kind == wanted]
    except dnslib.DNSError:
        return Lookup([], "invalid")
    return Lookup(list(dict.fromkeys(answers)), "" if answers else "nodata")


def records(response: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and data of each record in the answer section of a well-formed response.

    dnslib would parse all records, and follow all names, however often they point at the same thousand pointers.
    """
    known: set[int] = set()
    questions, answers = struct.unpack_from("!HH", response, 4)
    at = HEADER_SIZE
    for _ in range(questions):
        at = skip_name(response, at, known) + 4
    for _ in range(answers):
        at = skip_name(response, at, known)
        kind, _, _, length = struct.unpack_from("!HHIH", response, at)
        at += 10 + length
        yield kind, response[at - length:at]
