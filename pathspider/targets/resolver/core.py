"""Who is asked what and when, and what becomes of each question: values in, values out; no socket, no clock.

A :class:`Question` is asked of a resolver after the other, each for its share of the time or until it fails: over UDP,
twice each if need be, then over TCP. A truncated answer is asked for again over TCP, a server that does not know EDNS
is asked without it. An answer that comes late is taken as long as no other has come.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from pathspider.helpers.dns import HEADER_SIZE, RESPONSE
from pathspider.targets.resolver.health import Health
from pathspider.targets.resolver.message import TRUNCATED, Answer, is_answer, query, read_answer

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
ROUNDS = 2
"""How often each resolver is asked over UDP."""
MOST_ATTEMPTS = 6
"""How often a question is sent over UDP, however many resolvers there are."""

UNANSWERED = ("timeout", "unreachable", "unexpected_source", "truncated", "invalid")
"""Problems with which no resolver has answered the question. Of the first two neither tells more than the other; the
later ones do, and response codes tell most."""
RETRY = {*UNANSWERED, "servfail", "refused", "notimp", "formerr", "badvers", "no_recursion"}
"""What another resolver, or the same one a little later, may answer better."""
AT_ONCE = 200
"""Queries that wait for one resolver at once: with Linux's usual buffer of 208 KiB, of which a small datagram takes 768
octets, a server that has to wait for its turn on the processor loses what is beyond 277."""
AGE = 0.25
"""Seconds after which a query that was not answered is not in a buffer any more."""
WITHOUT_EDNS = {"formerr", "notimp", "badvers"}
"""What servers say that do not know EDNS. :rfc:`6891`, section 7"""

ODD_CASES = 5
"""So many questions, answered in another case over UDP and not at all over TCP, and a resolver is taken for one that
does not keep the case: one answer alone may be somebody else's."""

ONE_QUESTION = b"\0\1"
"""What a header says of a response that repeats the question."""

NEVER = float("inf")
KEPT = 1024
"""Questions that are over, of which times may be kept."""


class Question:
    """One question, and what became of it.

    :param asked: as :func:`~pathspider.targets.resolver.message.question` makes it
    :param options: of EDNS, None to do without EDNS
    :param owner: whose question it is; nothing here looks at it
    """

    __slots__ = ("answer", "asked", "attempt", "attempts", "done", "failed", "mixed", "options", "over_tcp", "owner",
                 "places", "problem", "server", "under_way", "until")

    def __init__(self, asked: bytes, options: bytes | None = b"", owner: Any = None) -> None:
        self.asked = asked
        self.mixed: bytes | None = None
        """The same with its name in mixed case, where it is to be asked so: an answer has to have that case."""
        self.options = options
        self.owner = owner
        self.answer = Answer()
        self.done = False
        self.problem = ""
        """The most telling so far."""
        self.attempt = 0
        """How many attempts have begun."""
        self.attempts: list[tuple[int, int]] = []
        """Those that are left: transport and number of the resolver, the next one last."""
        self.over_tcp: set[int] | None = None
        """The resolvers that were asked over TCP, or that have said over UDP what they have to say."""
        self.server = 0
        """The resolver that the last attempt was for."""
        self.failed: tuple[int, ...] = ()
        """Those that have not answered in their time."""
        self.under_way = 0
        """Attempts that may still be answered."""
        self.until = NEVER
        """When it is over."""
        self.places: list[Any] = []
        """Where the shell keeps what is under way."""

    def note(self, problem: str) -> None:
        """Keep the problem that tells most."""
        if not self.problem or _weight(problem) > _weight(self.problem):
            self.problem = problem


def _weight(problem: str) -> int:
    return max(UNANSWERED.index(problem), 1) if problem in UNANSWERED else len(UNANSWERED)


class Send:
    """A query that is to be sent."""

    __slots__ = ("aged", "asked", "counts", "over", "question", "server", "transport")

    def __init__(self, question: Question, transport: int, server: int, asked: bytes, aged: float) -> None:
        self.question = question
        self.asked = asked
        """The question, in the case in which it is asked."""
        self.transport = transport
        self.server = server
        self.aged = aged
        """When it is no longer one of those that may fill the resolver's buffer."""
        self.counts = True
        """Whether it is one of these."""
        self.over = False
        """Whether what has become of it was told; datagrams can come twice."""

    def message(self, number: bytes) -> bytes:
        """The query with this id."""
        return number + query(self.asked, self.question.options)


def belongs(send: Send, number: bytes, answer: bytes) -> bool:
    """Whether this is a response to the query, sent with this id, as far as header and question tell, in whatever case
    the name comes back."""
    asked = send.asked
    if (answer[12:12 + len(asked)] == asked and answer[:2] == number and answer[4:6] == ONE_QUESTION
            and answer[2] & RESPONSE):
        return True
    return is_answer(send.message(number), answer)


class Bucket:
    """So many queries a second, and some at once after a pause. A token bucket.

    :param rate: a second, None for as many as there are
    """

    BURST = 0.02
    """Seconds of which what was not sent may be made up for."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._most = 1.0 if rate is None else max(1.0, rate * self.BURST)
        self._tokens = self._most
        self._filled = 0.0

    def take(self, now: float) -> bool:
        """Whether one may be sent now; if so, it is counted."""
        if self.rate is None:
            return True
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def next(self, before: int = 0) -> float:
        """When the next one may be sent, after so many others."""
        if self.rate is None or self._tokens >= 1 + before:
            return self._filled
        return self._filled + (1 + before - self._tokens) / self.rate


class Core:
    """Questions on their way to some resolvers. The methods take the time, in seconds of whatever clock.

    :param servers: how many resolvers there are; questions begin with one after the other
    :param timeout: seconds until a question is over, from when it is first sent
    :param rate: queries a second for each resolver
    :param rotate: begin each question with the next resolver, not all with the first
    """

    def __init__(self, servers: int, timeout: float, rate: float | None = None, *, rotate: bool = False) -> None:
        self._servers = servers
        self._timeout = timeout
        self._rotate = rotate
        rounds = min(servers * ROUNDS, MOST_ATTEMPTS)
        self._rounds = rounds
        self._plans: dict[int, list[tuple[int, int]]] = {}
        self._share = timeout / (rounds + 1)
        self.health = Health(servers)
        self.keeps_case: list[bool | None] = [None] * servers
        """Whether the names in each resolver's answers have the case of the query's; None: nobody knows."""
        self._odd_cases = [0] * servers
        """Questions to which each of those answered in another case over UDP, and not at all over TCP."""
        self._buckets = [Bucket(rate) for _ in range(servers)]
        self._waiting: list[deque[Question]] = [deque() for _ in range(servers)]
        """By resolver, questions whose next attempt is due, and has to wait for its turn."""
        self._fresh: list[deque[Send]] = [deque() for _ in range(servers)]
        """What was sent to each resolver in the last :data:`AGE` seconds."""
        self._unanswered = [0] * servers
        """How many of these were not answered."""
        self._turn = 0
        self._due: deque[tuple[float, Question, int]] = deque()
        """When the next attempt begins, and how many there were before; in order, since all shares are the same."""
        self._ends: deque[tuple[float, Question]] = deque()
        self._send: deque[Send] = deque()
        self.pending = 0
        """Questions that are not over."""
        self.finished: list[Question] = []
        """Those that are since somebody has looked."""

    def _plan(self, turn: int) -> list[tuple[int, int]]:
        """The attempts of a question whose first one is for the resolver whose turn it is, the first one last."""
        if turn not in self._plans:
            in_use = self.health.in_use
            order = [in_use[(turn + number) % len(in_use)] for number in range(self._rounds)]
            self._plans[turn] = [(TCP, order[0]), *((UDP, server) for server in reversed(order))]
        return self._plans[turn]

    def ask(self, question: Question, now: float) -> None:
        """Begin with a question."""
        question.attempts = self._plan(self._turn).copy()
        if self._rotate:
            self._turn = (self._turn + 1) % len(self.health.in_use)
        self.pending += 1
        if self.health.aside:
            trial = self.health.trial(now)
            if trial is not None and self._may_send(trial, now):
                self.health.tried(trial, now)
                self._start(question, now, (UDP, trial))
                return
        self._begin(question, now)

    def free_at(self) -> float:
        """When another question would be sent at once, as far as that is known."""
        server = self.health.in_use[self._turn]
        if self._unanswered[server] >= AT_ONCE:
            return self._fresh[server][0].aged
        return self._buckets[server].next(len(self._waiting[server]))

    def sends(self, now: float) -> Iterator[Send]:
        """What is to be sent now."""
        for server, waiting in enumerate(self._waiting):
            while waiting and self._may_send(server, now):
                question = waiting.popleft()
                if not question.done:
                    self._start(question, now)
        while self._send:
            send = self._send.popleft()
            if not send.question.done:
                yield send

    def _may_send(self, server: int, now: float) -> bool:
        """Whether a query may be sent to a resolver now; if so, it is counted."""
        fresh = self._fresh[server]
        while fresh and (fresh[0].aged <= now or not fresh[0].counts):
            self._heed(fresh.popleft())
        return self._unanswered[server] < AT_ONCE and self._buckets[server].take(now)

    def _heed(self, send: Send) -> None:
        """A query was answered, or nobody waits for that any more."""
        if send.counts:
            send.counts = False
            self._unanswered[send.server] -= 1

    def next_due(self) -> float:
        """When something is to be done though nothing has come."""
        while self._due and (self._due[0][1].done or self._due[0][1].attempt != self._due[0][2]):
            self._due.popleft()
        while self._ends and self._ends[0][1].done:
            self._ends.popleft()
        due = self._due[0][0] if self._due else NEVER
        end = self._ends[0][0] if self._ends else NEVER
        waits = (bucket.next() if count < AT_ONCE else fresh[0].aged for bucket, waiting, count, fresh
                 in zip(self._buckets, self._waiting, self._unanswered, self._fresh, strict=True) if waiting)
        return NEVER if not self.pending else min(due, end, *waits)

    def _forget(self) -> None:
        """Leave out of the times what is over: a question would be kept for as long as it might have taken."""
        if len(self._ends) > 2 * self.pending + KEPT:
            self._ends = deque(entry for entry in self._ends if not entry[1].done)
        if len(self._due) > 2 * self.pending + KEPT:
            self._due = deque(entry for entry in self._due if not entry[1].done and entry[1].attempt == entry[2])

    def expire(self, now: float) -> None:
        """Do what the time has come for."""
        self._forget()
        while self._ends and self._ends[0][0] <= now:
            question = self._ends.popleft()[1]
            if not question.done:
                question.note("timeout")
                self._finish(question, Answer(question.problem))
        while self._due and self._due[0][0] <= now:
            _, question, attempt = self._due.popleft()
            if not question.done and question.attempt == attempt:
                if question.under_way:
                    question.note("timeout")
                    question.failed += (question.server,)
                self._begin(question, now)

    def received(self, send: Send, number: bytes, answer: bytes, now: float) -> None:
        """Something has come from whom was asked, with or without the id that this query had."""
        question, transport, server = send.question, send.transport, send.server
        if question.done or send.over:
            self._heed(send)
            if question.done:
                self._received_late(send, number, answer, now)
            return
        if not belongs(send, number, answer):
            if transport == TCP:
                self.failed(send, "invalid", now)
            else:  # the answer may still come
                question.note("invalid")
            return
        self._heed(send)
        other_case = send.asked is question.mixed and not self._is_case_right(send, answer)
        if transport == UDP and (other_case or answer[2] & TRUNCATED):
            send.over = True
            question.under_way -= 1
            question.note("invalid" if other_case else "truncated")
            if server in (question.over_tcp or ()):
                self._begin(question, now)
            else:
                self._start(question, now, (TCP, server))
        else:
            found = read_answer(question.asked, answer)
            if found.problem not in RETRY:
                self._answered(server, now, question.failed, question.problem)
                self._finish(question, found)
                return
            question.mixed = None  # who knows whose fault it is
            if found.problem in WITHOUT_EDNS and question.options == b"":
                question.options = None
                question.attempts.append((transport, server))
            elif transport == UDP and found.problem != "invalid":  # over TCP it would say the same
                question.over_tcp = {*(question.over_tcp or ()), server}
            self.failed(send, found.problem, now)

    def _received_late(self, send: Send, number: bytes, answer: bytes, now: float) -> None:
        """Another one was faster; the resolver is not dead."""
        if belongs(send, number, answer) and read_answer(send.question.asked, answer).problem not in RETRY:
            self._answered(send.server, now)

    def failed(self, send: Send, problem: str, now: float) -> None:
        """An attempt is over without an answer: the next one begins."""
        self._heed(send)
        question = send.question
        if question.done or send.over:
            return
        send.over = True
        question.under_way -= 1
        question.note(problem)
        question.failed += (send.server,)
        if send.asked is question.mixed and send.transport == TCP and self.keeps_case[send.server] is None:
            self._odd_cases[send.server] += 1
            if self._odd_cases[send.server] >= ODD_CASES:
                self.keeps_case[send.server] = False
            question.attempts.append((UDP, send.server))
        self._begin(question, now)

    def _is_case_right(self, send: Send, answer: bytes) -> bool:
        """Whether an answer has its name in the case of the query, if its resolver does so at all: an answer over TCP
        is nobody else's, and tells that."""
        keeps = self.keeps_case[send.server]
        if keeps is False or answer[4:6] != ONE_QUESTION:
            return True
        same = answer[HEADER_SIZE:HEADER_SIZE + len(send.asked)] == send.asked
        if same or send.transport == TCP:
            self.keeps_case[send.server] = same
        return same

    def _answered(self, server: int, now: float, failed: Sequence[int] = (), problem: str = "") -> None:
        """A resolver has answered, and before it others perhaps have ``failed``."""
        if self._servers == 1:
            return
        changed = self.health.answered(server, now)
        for other in {*failed} - {server}:
            if self.health.failed(other, problem, now):
                changed = True
                waiting, self._waiting[other] = self._waiting[other], deque()
                for one in waiting:
                    if not one.done:
                        self._begin(one, now)
        if changed:
            self._plans.clear()
            self._turn %= len(self.health.in_use)

    def _begin(self, question: Question, now: float) -> None:
        """Begin the next attempt, when its resolver may be asked; without one the question is over, or what is under
        way may still be answered."""
        while question.attempts:
            transport, server = question.attempts[-1]
            if transport == TCP and server in (question.over_tcp or ()):
                question.attempts.pop()
                continue
            if server in self.health.aside and any(other not in self.health.aside for _, other in question.attempts):
                question.attempts.pop()
                continue
            question.attempt += 1
            if self._waiting[server] or not self._may_send(server, now):
                self._waiting[server].append(question)
            else:
                self._start(question, now)
            return
        question.attempt += 1
        if question.under_way <= 0:
            self._finish(question, Answer(question.problem))

    def _start(self, question: Question, now: float, attempt: tuple[int, int] | None = None) -> None:
        if attempt is not None:
            question.attempt += 1
        elif not question.attempts:
            return
        transport, server = attempt or question.attempts.pop()
        if transport == TCP:
            question.over_tcp = {*(question.over_tcp or ()), server}
        if question.until == NEVER:
            question.until = now + self._timeout
            self._ends.append((question.until, question))
        question.server = server
        question.under_way += 1
        self._due.append((now + self._share, question, question.attempt))
        asked = question.asked
        if question.mixed is not None and (attempt is not None or any(kind == UDP for kind, _ in question.attempts)):
            asked = question.mixed  # but for the last attempts: some servers know a name in its own case alone
        send = Send(question, transport, server, asked, now + AGE)
        self._send.append(send)
        self._fresh[server].append(send)
        self._unanswered[server] += 1

    def _finish(self, question: Question, answer: Answer) -> None:
        question.done = True
        question.answer = answer
        self.pending -= 1
        self.finished.append(question)

