"""Between which hops of a path is a packet dropped, or changed? Pure: answers in, the next probe and a word out.

A probe is the experiment's packet (:data:`EXPERIMENT`), or the baseline's (:data:`BASELINE`), with a TTL so small that
a router on the way gives it up, and quotes it as it came there: :rfc:`1812`, section 4.3.2.3. Which hop drops or
changes it is never said, but an interval: the last hop that saw the packet as it was sent, and the first that did not.
A router looks at the TTL before it forwards, so that one that changes packets quotes them as they came to it.

What is changed stays changed, and what is dropped does not come back; so the interval is found by bisection, and each
of its ends is then asked three times. Whatever speaks against it makes ``not_located`` of it: a wrong interval is worse
than none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from enum import Enum
from math import comb
from typing import Any, Literal, NamedTuple, TypeVar

Side = Literal["A", "B", "C", "F", "N", "P"]
"""What is sent, and in which flow."""
BASELINE: Side = "A"
"""The baseline's packet."""
EXPERIMENT: Side = "B"
"""The experiment's packet."""
CONTROL: Side = "C"
"""The baseline's packet in the experiment's flow: with its ports, so that it takes the same one of several paths. Where
it is of another protocol, so that there is no such packet, a datagram as long as the experiment's that says nothing."""
FRESH: Side = "F"
"""The experiment's packet in a flow that nothing else was sent in."""
FRESH_BASELINE: Side = "N"
"""The baseline's packet in such a flow."""
OTHER: Side = "P"
"""A packet that no proxy for the experiment's protocol takes: a UDP datagram to a port where nobody listens, each to
another one."""

Kind = Literal["dropped", "changed"]
"""What happens to the experiment."""

MOST_HOPS = 32
GAP = 5
"""Silent hops in a row behind which a whole path is not asked on."""
USUAL_HOPS = 12
"""Where the search begins, when nothing is known of the distance."""
FLOWS = 6
"""Fresh flows that must not be changed either, before it is said that nothing on the way changes the experiment: there
may be several ways, of which routers choose one by the ports."""
REPEATS = 3
"""How often each end of an interval is asked."""
MOST_MISSES = 1
"""Answers of a hop at an end of the interval that may be missing."""
CHANCE = 5e-4
"""How probable it may be that the experiment's probes came to a hop, and it is the answers that were lost."""
CHANCE_AT_END = 1e-4
"""The same of the last hop: there is none behind it that must not see them either."""
WITNESSES = 3
"""Hops behind a change that must see it, too, where there are so many that tell: routers of one network quote alike."""
MOST_LOST = 0.3
"""The share of answers that may be missing where silence is what counts."""
MOST_PROBES = 40
MOST_OTHERS = 15
"""Probes more, where baseline and experiment are of different protocols."""
MOST_CONTRADICTIONS = 2


class Probe(NamedTuple):
    """What is to be sent."""

    side: Side
    ttl: int


class Came(Enum):
    """What an answer shows of how far the probe came."""

    HOP = "time exceeded"
    TARGET = "accepted by the target, or by what answers in its name"
    REFUSED = "a RST, another answer than that which was asked for, or an ICMP error other than time exceeded"
    TAKEN = "acknowledged by the target, or by what answers in its name, and not answered"


class Answer(NamedTuple):
    """What came back for a probe."""

    came: Came
    addr: str
    same: bool | None = None
    """Of a hop: whether the feature was quoted as it was sent; None where too little was quoted."""
    ttl: int | None = None
    """TTL with which an answer of the target came."""
    saw: tuple[Any, ...] = ()
    """Of a hop: the values that it quoted."""
    repeated: bool = False
    """The target said the same before in this flow: it may have sent that again, and the probe did not come there."""
    elsewhere: bool = False
    """Of a control: the experiment's flow was over, and it was sent in the next one, which nothing else was sent in."""


class Word(NamedTuple):
    """What was found."""

    what: str
    """``changed``, ``dropped``, ``first``, ``target``, ``reverse_or_target`` or ``not_located``."""
    value: str = ""
    """The interval, or why there is none."""

    def condition(self, feature: str) -> str:
        """``FEATURE.hop.changed:2-3``."""
        return f"{feature}.hop.{self.what}" + (f":{self.value}" if self.value else "")

    @property
    def interval(self) -> tuple[int, int] | None:
        """The hops of an interval: the last that saw the packet as it was sent, 0 for us; the first that did not."""
        if self.what not in ("changed", "dropped"):
            return (0, 1) if self.what == "first" else None
        low, high = self.value.split("-")
        return int(low), int(high)


def not_located(why: str) -> Word:
    """There is no interval, and why: ``no_answer``, ``rate_limited``, ``unstable``, ``path_differs``, ``short_quote``
    or ``proxy``."""
    return Word("not_located", why)


def located(kind: Kind, low: int, high: int) -> Word:
    """An interval; before the first hop it is ``first``."""
    return Word("first") if (low, high) == (0, 1) else Word(kind, f"{low}-{high}")


Returned = TypeVar("Returned")
Steps = Generator[Probe, "Answer | None", Returned]
LookAt = Callable[[int], Steps["bool | None"]]


class _Over(Exception):  # noqa: N818 - carries the word, is no error
    def __init__(self, word: Word) -> None:
        self.word = word


class Search:
    """One target's search.

    :param kind: ``dropped``: the experiment does not arrive, and may be changed before that; ``changed``: it arrives
    :param distance: at which hop the target may be; 0: not known
    :param most: probes that may be sent
    :param flows: fresh flows, see :data:`FLOWS`
    :param unlike: the experiment is a datagram, and the baseline none: routers may choose another path for it
    :param once: a flow of the baseline's is answered once, and may be silent to the same packet afterwards
    """

    def __init__(self, kind: Kind, distance: int = 0, most: int = MOST_PROBES, flows: int = FLOWS, *,
                 unlike: bool = False, once: bool = False) -> None:
        self.kind = kind
        self.unlike, self.once = unlike, once
        self.most = most + MOST_OTHERS * unlike
        self.flows = flows
        self.sent = 0
        """Probes that were asked for."""
        self.distance: int | None = None
        """The hop at which the target is, when it is known."""
        self._guess = min(distance, MOST_HOPS) if distance > 0 else USUAL_HOPS
        self._heard: dict[Probe, list[Answer | None]] = defaultdict(list)
        self._lying: set[int] = set()
        """Hops that quote a packet as changed which arrives beyond them as it was sent."""

    def steps(self, *, whole: bool = False) -> Steps[Word]:
        """Yields what is to be sent, is sent the answer or None, and returns the word.

        :param whole: ask every hop, and not only those that are needed
        """
        try:
            try:
                yield from self._measure_distance()
            except _Over:
                if whole:
                    yield from self._ask_as_far_as_answered()
                raise
            if whole:
                yield from self._ask_all()
            if self.kind == "dropped":
                return (yield from self._dropped())
            return (yield from self._changed())
        except _Over as over:
            return over.word

    def reached(self) -> dict[Side, tuple[int, Answer | None]]:
        """Of baseline and experiment, the smallest TTL to which something else than a hop answered, and what. Where
        nothing did, the largest that was tried, unless a hop answered that, or the other packet went further: then it
        is not known how far this one would come."""
        found: dict[Side, tuple[int, Answer | None]] = {}
        for side in (BASELINE, EXPERIMENT):
            answers = {probe.ttl: next((one for one in heard if one is not None and one.came is not Came.HOP), None)
                       for probe, heard in self._heard.items() if probe.side == side}
            if ends := [ttl for ttl, answer in answers.items() if answer is not None]:
                found[side] = min(ends), answers[min(ends)]
            elif answers and not self._hops(side, max(answers)):
                found[side] = max(answers), None
        farthest = max((ttl for ttl, answer in found.values() if answer is not None), default=0)
        return {side: end for side, end in found.items() if end[1] is not None or end[0] >= farthest}

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, side: Side, ttl: int) -> Steps[Answer | None]:
        if self.sent >= self.most:
            raise _Over(self._unanswered())
        self.sent += 1
        probe = Probe(side, ttl)
        answer = yield probe
        if answer is not None and answer.repeated:
            answer = (yield from self._without_doubt(answer, side, ttl))
        self._heard[probe].append(answer)
        return answer

    def _without_doubt(self, answer: Answer, side: Side, ttl: int) -> Steps[Answer | None]:
        """An answer that the target may have sent again, as a SYN-ACK for which no RST came there. Where the distance
        hangs on it, one in a flow that the target knows nothing of; else none."""
        if side != BASELINE or self.distance is not None:
            return None
        fresh = yield from self._ask(FRESH_BASELINE, ttl)
        return answer if fresh is not None and fresh.came is Came.TARGET else None

    def _first(self, side: Side, ttl: int, tries: int = 2) -> Steps[Answer | None]:
        """The first answer to a probe, which is sent until there is one, so often in all."""
        while True:
            heard = self._heard[Probe(side, ttl)]
            if (answer := next(filter(None, heard), None)) is not None or len(heard) >= tries:
                return answer
            yield from self._ask(side, ttl)

    def _hops(self, side: Side, ttl: int) -> list[Answer]:
        """All that a hop has said by now."""
        return [one for one in self._heard[Probe(side, ttl)] if one is not None and one.came is Came.HOP]

    def _misses(self, side: Side, ttl: int) -> int:
        return sum(one is None for one in self._heard[Probe(side, ttl)])

    def _unanswered(self) -> Word:
        """Why answers are missing: a hop that answers now and then has a limit."""
        at_times = any(None in heard and any(heard) for probe, heard in self._heard.items() if probe.side != OTHER)
        return not_located("rate_limited" if at_times else "no_answer")

    # -- the path ------------------------------------------------------------------------------------------------------

    def _measure_distance(self) -> Steps[None]:
        """Find the smallest TTL with which the baseline arrives."""
        low, high, ttl, step = 0, None, self._guess, 2
        while high is None or high - low > 1:
            answer = yield from self._first(BASELINE, ttl)
            if answer is None and self.once and high is not None:
                answer = yield from self._first(FRESH_BASELINE, ttl)
            if answer is not None and answer.came is Came.TARGET:
                first, high = high is None, ttl
                ttl = high - 1 if first else (low + high) // 2
                ttl = max(ttl, low + 1)
                continue
            low = ttl
            if high is not None:
                ttl = (low + high + 1) // 2
            elif low >= MOST_HOPS:
                refused = any(one and one.came is Came.REFUSED for heard in self._heard.values() for one in heard)
                raise _Over(not_located("unstable" if refused else "no_answer"))  # the baseline came up before
            else:
                ttl, step = min(low + step, MOST_HOPS), 2 * step
        self.distance = high

    @property
    def _last(self) -> int:
        """The hop before the target."""
        assert self.distance is not None
        return self.distance - 1

    def _ask_all(self) -> Steps[None]:
        for ttl in range(1, self._last + 2):
            for side in (BASELINE, EXPERIMENT):
                yield from self._first(side, ttl)

    def _ask_as_far_as_answered(self) -> Steps[None]:
        """Ask the hops to a target that does not accept the baseline, until it is refused, or many in a row are silent;
        and those behind that are known to answer."""
        silent = 0
        for ttl in range(1, MOST_HOPS + 1):
            if silent >= GAP and not self._hops(BASELINE, ttl):
                continue
            baseline = yield from self._first(BASELINE, ttl)
            experiment = yield from self._first(EXPERIMENT, ttl)
            if baseline is not None and baseline.came is not Came.HOP:
                break
            if silent < GAP:
                silent = silent + 1 if baseline is experiment is None else 0

    def _same_path(self, ttls: Iterable[int], control: Side = EXPERIMENT) -> Steps[None]:
        """Baseline and experiment must have met the same hops."""
        for ttl in ttls:
            other = yield from self._first(control, ttl, REPEATS)
            one = yield from self._first(BASELINE, ttl, REPEATS)
            if other is None or one is None:
                raise _Over(self._unanswered())
            if other.came is not Came.HOP or one.came is not Came.HOP or one.addr != other.addr:
                raise _Over(not_located("path_differs"))

    @property
    def _ends(self) -> set[str]:
        """Addresses of who answered the baseline as the target."""
        return {one.addr for probe, heard in self._heard.items() if probe.side == BASELINE
                for one in heard if one is not None and one.came is not Came.HOP}

    def _refused_by(self, ttl: int) -> Steps[None]:
        """It is over where the last hop that the experiment comes to says itself, each time, that it ends there."""
        hop = self._hops(EXPERIMENT, ttl)[0].addr
        if hop in self._ends:  # a NAT at the target answers for those behind it
            return
        behind = Probe(EXPERIMENT, ttl + 1)
        while (heard := self._heard[behind]) == [] or (heard[-1] is not None and len(heard) < REPEATS):
            yield from self._ask(*behind)
        if all(one is not None and one.came is Came.REFUSED and one.addr == hop for one in heard):
            raise _Over(located("dropped", ttl, ttl + 1))

    def _comes_to(self, ttl: int) -> Steps[bool]:
        """Whether the control is not dropped as the experiment is."""
        control = yield from self._first(CONTROL, ttl)
        return control is not None and control.came is Came.HOP

    def _no_other_way(self, ttl: int) -> Steps[None]:
        """What there is of the experiment's flow is dropped before a hop that a baseline of another protocol comes to:
        so datagrams of other flows must come there, too, and all to the same one: so many that it were no chance if
        half of all flows went another way, on which nobody answers."""
        baseline, flows, misses = self._hops(BASELINE, ttl)[0], 0, 0
        while comb(flows, misses) / 2**flows > CHANCE:
            answer = yield from self._ask(OTHER, ttl)
            flows, misses = flows + 1, misses + (answer is None)
            if misses > MOST_MISSES:
                raise _Over(not_located("rate_limited") if misses < flows else self._unanswered())
            if answer is not None and answer.came is Came.REFUSED and answer.addr not in self._ends:
                raise _Over(not_located("no_answer"))  # no datagram comes further
            if answer is not None and (answer.came is not Came.HOP or answer.addr != baseline.addr):
                raise _Over(not_located("path_differs"))

    def _constant(self, side: Side, ttl: int) -> None:
        """A hop's address must stay the same."""
        if len({one.addr for one in self._hops(side, ttl)}) > 1:
            raise _Over(not_located("unstable"))

    def _beyond(self) -> Steps[Word]:
        """The last hop saw the experiment as it was sent: whatever happens does so behind it, or on the way back."""
        assert self.distance is not None
        if self.kind == "changed" and self._last:
            for _ in range(self.flows):
                fresh = yield from self._ask(FRESH, self._last)
                if fresh is not None and fresh.came is Came.HOP and fresh.same is False:
                    return not_located("path_differs")
        arrived = yield from self._first(EXPERIMENT, self.distance, tries=1)
        if arrived is not None and arrived.came is Came.HOP:
            return not_located("path_differs")  # a longer one, of whose last hops nothing is known
        other = yield from self._first(OTHER, self.distance)
        if other is not None and other.came is Came.HOP:
            return not_located("proxy")  # the target is further away than what answers in its name
        answers = [self._heard[Probe(side, self.distance)] for side in (BASELINE, EXPERIMENT)]
        accepted, refused = (next((one for one in heard if one is not None and one.came is came), None)
                             for heard, came in zip(answers, (Came.TARGET, Came.REFUSED), strict=True))
        if accepted and refused and accepted[1:4] == refused[1:4] and accepted.ttl is not None:
            return Word("target")
        return Word("reverse_or_target")

    # -- dropped -------------------------------------------------------------------------------------------------------

    def _dropped(self) -> Steps[Word]:
        assert self.distance is not None
        arrived = yield from self._first(EXPERIMENT, self.distance, tries=1)
        if arrived is not None and arrived.came is Came.TARGET:
            return not_located("unstable")  # not dropped now
        if arrived is not None and arrived.came is Came.TAKEN:
            return (yield from self._changed())
        low, high = yield from self._where_it_ends()
        if high is None:
            return self._unanswered() if low < self._last else (yield from self._changed())
        yield from self._repeat(low)
        yield from self._same_path([low] if low else [])
        if self.unlike and low:
            yield from self._refused_by(low)
        if self.unlike and not (yield from self._comes_to(high)):
            yield from self._no_other_way(high)
        else:
            yield from self._same_path([high], CONTROL)
        for _ in range(1 if self._was_refused else REPEATS if self._is_elsewhere(high) else 0):
            yield from self._ask(EXPERIMENT, high)  # where the control came, it must not come either
        yield from self._look_behind(high)
        if not (yield from self._stays_away(high)) or self._farthest != low:  # by now more may be known to be lost
            return not_located("unstable")
        if self._lost(high) > MOST_LOST:
            return not_located("rate_limited")
        return located("dropped", low, high)

    def _is_elsewhere(self, ttl: int) -> bool:
        """Whether the control came to a hop in another flow than those in which the experiment did not."""
        return any(one.elsewhere for one in self._hops(CONTROL, ttl))

    @property
    def _was_refused(self) -> bool:
        """Whether the experiment was, somewhere."""
        return any(one is not None and one.came is Came.REFUSED for probe, heard in self._heard.items()
                   if probe.side == EXPERIMENT for one in heard)

    def _look_behind(self, high: int) -> Steps[None]:
        """Where answers are lost: ask for the experiment again where it must not come either."""
        heard = {probe.ttl for probe in [*self._heard] if probe.side == BASELINE and self._hops(BASELINE, probe.ttl)}
        losses = any(None in self._heard[Probe(side, ttl)]
                     for side in ((BASELINE,) if self.unlike else (BASELINE, CONTROL)) for ttl in heard)
        losses |= any(self._misses(EXPERIMENT, ttl) for ttl in range(1, self._farthest + 1))
        if losses:
            for ttl in sorted(heard)[-2:]:
                for _ in range(REPEATS if ttl > high else 0):
                    yield from self._ask(EXPERIMENT, ttl)

    def _where_it_ends(self) -> Steps[tuple[int, int | None]]:
        """The last hop to which the experiment comes, and the next one that answers the baseline alone, each time;
        None where there is none."""
        for _ in range(MOST_CONTRADICTIONS):
            low, high = yield from self._narrow(self._passes, self._farthest)
            if high is None or ((yield from self._stays_away(high)) and self._farthest == low):
                return low, high
        raise _Over(not_located("unstable"))

    @property
    def _farthest(self) -> int:
        """The last hop to which the experiment is known to come."""
        return max((probe.ttl for probe in [*self._heard]
                    if probe.side == EXPERIMENT and self._hops(EXPERIMENT, probe.ttl)), default=0)

    def _passes(self, ttl: int) -> Steps[bool | None]:
        """Whether the experiment comes to a hop; None if that hop does not tell."""
        if not self._heard[Probe(EXPERIMENT, ttl)]:
            yield from self._ask(EXPERIMENT, ttl)
        if self._hops(EXPERIMENT, ttl):
            return True
        answer = yield from self._first(BASELINE, ttl)
        return False if answer is not None and answer.came is Came.HOP else None

    def _stays_away(self, ttl: int) -> Steps[bool]:
        """Whether the experiment does not come to a hop that the baseline comes to, each asked three times.

        The order is a palindrome, so that a hop that answers every second time does not answer the one alone.
        """
        order = (BASELINE, EXPERIMENT, EXPERIMENT, BASELINE)
        turn, chance = 0, CHANCE if ttl < self._last else CHANCE_AT_END
        while (len(self._hops(BASELINE, ttl)) < REPEATS
               or not (self._is_refused(ttl)
                       or self._lost(ttl) ** len(self._heard[Probe(EXPERIMENT, ttl)]) <= chance)):
            yield from self._ask(order[turn % len(order)], ttl)
            turn += 1
            if self._hops(EXPERIMENT, ttl):
                return False
            if self._misses(BASELINE, ttl) > MOST_MISSES:
                raise _Over(not_located("rate_limited"))
        self._constant(BASELINE, ttl)
        return True

    def _is_refused(self, ttl: int) -> bool:
        """Whether it is no silence that tells: each of the experiment's probes with a TTL was refused."""
        heard = self._heard[Probe(EXPERIMENT, ttl)]
        return len(heard) >= REPEATS and all(one is not None and one.came is Came.REFUSED for one in heard)

    def _lost(self, ttl: int) -> float:
        """How much of what comes to a hop, or to any that answers at times, stays without an answer for other reasons,
        at most."""
        arrived = [heard for probe, heard in self._heard.items()
                   if probe.side in (BASELINE, CONTROL) or (probe.side == EXPERIMENT and probe.ttl <= self._farthest)]
        all_together = [one for heard in arrived if any(heard) for one in heard]
        return max((sum(one is None for one in heard) + 1) / (len(heard) + 2)
                   for heard in (self._heard[Probe(BASELINE, ttl)], all_together))

    # -- changed -------------------------------------------------------------------------------------------------------

    def _changed(self) -> Steps[Word]:
        for _ in range(MOST_CONTRADICTIONS):
            low, high = yield from self._narrow(self._is_same)
            if high is None:
                if low < self._last:
                    return self._unjudged()
                if low:
                    yield from self._repeat(low)
                    yield from self._same_path([low])
                return (yield from self._beyond())
            yield from self._repeat(low, high)
            if (yield from self._stays_changed(high)):
                break
        else:
            return not_located("unstable")
        yield from self._same_path([low, high] if low else [high])
        return located("changed", low, high)

    def _unjudged(self) -> Word:
        short = any(one.same is None for probe in self._heard if probe.side == EXPERIMENT
                    for one in self._hops(EXPERIMENT, probe.ttl))
        return not_located("short_quote") if short else self._unanswered()

    def _is_same(self, ttl: int) -> Steps[bool | None]:
        """Whether the experiment comes to a hop as it was sent; None if that hop does not tell."""
        if ttl in self._lying:
            return None
        yield from self._first(EXPERIMENT, ttl)
        said = {one.same for one in self._hops(EXPERIMENT, ttl)} - {None}
        if len(said) > 1:
            raise _Over(not_located("unstable"))
        return said.pop() if said else None

    def _stays_changed(self, ttl: int) -> Steps[bool]:
        """Whether the next hops, too, see the change; if not, it is the quotations alone that are changed."""
        told = 0
        for beyond in range(ttl + 1, self._last + 1):
            same = yield from self._is_same(beyond)
            if same:
                self._lying.update(range(ttl, beyond))
                return False
            told += same is not None
            if told >= WITNESSES:
                break
        return True

    # -- the interval --------------------------------------------------------------------------------------------------

    def _narrow(self, look: LookAt, low: int = 0) -> Steps[tuple[int, int | None]]:
        """The last hop of which ``look`` says True (0: none), and the first behind it of which it says False.

        None for the latter where the last hop that tells at all is one of True.

        :param low: a hop of which it is known to be True
        """
        high: int | None = None
        silent: set[int] = set()
        for ttl in range(self._last, low, -1):
            if (said := (yield from look(ttl))) is not None:
                if said:
                    return ttl, None
                high = ttl
                break
        while high is not None:
            between = [ttl for ttl in range(low + 1, high) if ttl not in silent]
            if not between:
                break
            middle = (low + high) // 2
            ttl = min(between, key=lambda one: abs(one - middle))
            said = yield from look(ttl)
            if said is None:
                silent.add(ttl)
            elif said:
                low = ttl
            else:
                high = ttl
        return low, high

    def _repeat(self, *ttls: int) -> Steps[None]:
        """Ask hops for the experiment, three times each: they must answer, and always the same.

        The order is a palindrome, so that what changes every second packet does not change those to the one alone.
        """
        for ttl in (*ttls, *reversed(ttls), *ttls):
            if ttl and len(self._hops(EXPERIMENT, ttl)) < REPEATS:
                while (yield from self._ask(EXPERIMENT, ttl)) is None:
                    if self._misses(EXPERIMENT, ttl) > MOST_MISSES:
                        raise _Over(not_located("rate_limited"))
        for ttl in filter(None, ttls):
            self._constant(EXPERIMENT, ttl)
            answers = self._hops(EXPERIMENT, ttl)
            if len(answers) < REPEATS or len({(one.same, one.saw) for one in answers}) > 1:
                raise _Over(not_located("unstable"))
