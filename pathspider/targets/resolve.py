"""Ask resolvers for the addresses or texts of one name, and wait for it. :rfc:`1034`, :rfc:`5452`, :rfc:`7766`"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pathspider.helpers.modes import DNS_PORT
from pathspider.helpers.sockets import Source
from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.engine import Engine, Server
from pathspider.targets.resolver.message import FAMILIES, TYPES, Answer, encode_name, question

RESOLV_CONF = Path("/etc/resolv.conf")


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

    All questions are asked at once, and all is over within ``timeout`` seconds. Who is asked when, is said in
    :mod:`~pathspider.targets.resolver.core`. Queries leave from ``source``, addresses of ours by IP version, where they
    are given.

    An answer counts if address, port, id and question are those of the query. In its answer section, aliases are
    followed, and a record that is malformed costs nothing but itself and those behind it. ``problem`` is ``nxdomain``,
    ``nodata`` (the name exists and has no such record), ``timeout``, ``unreachable``, ``unexpected_source`` (the answer
    came from another address than was asked, and was not taken), ``truncated`` (and none came over TCP), ``invalid``,
    ``no_recursion`` (the server answers for its own zones alone), ``bad_domain`` or another response code.
    """
    try:
        asked = encode_name(name)
    except ValueError:
        return [Lookup([], "bad_domain")] * len(qtypes)
    questions = [Question(question(asked, TYPES[qtype])) for qtype in qtypes]
    servers = [Server(address, DNS_PORT) for address in resolvers]
    with Engine(servers, timeout, source=source, ports=len(questions)) as engine:
        for one in questions:
            engine.ask(one)
        while engine.pending:
            engine.step(timeout)
    return [Lookup(texts(one.answer, one.asked), one.answer.problem) for one in questions]


def texts(answer: Answer, asked: bytes) -> list[str]:
    """The values of an answer to this question as text."""
    if asked[-3] in FAMILIES:
        family = FAMILIES[asked[-3]][0]
        return [socket.inet_ntop(family, value) for value in answer.values]
    return [*answer.values]


def descriptors(resolvers: Sequence[str], questions: int) -> int:
    """How many sockets a lookup of so many questions has open at once, at most."""
    return questions * (2 + len(resolvers)) + 2
