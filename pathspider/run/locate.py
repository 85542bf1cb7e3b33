"""The stage that locates: where on the path is it, what a record says happens to the experiment?

It comes after confirmation, with a pool and a pace of its own: one thread has all targets that are being looked at,
sends their probes, in random order over targets and TTLs, and hears the answers.
:mod:`pathspider.run.localisation` says which probe is needed and what the answers mean,
:mod:`pathspider.helpers.probing` has the sockets.
"""

from __future__ import annotations

import logging
import math
import os
import random
import re
import selectors
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pathspider import conditions
from pathspider.helpers.probes import differing, ends_of
from pathspider.helpers.segments import payload_of
from pathspider.records import CONN_OK
from pathspider.run.specimen import SPECIMEN, Specimen

if TYPE_CHECKING:
    from pathspider.records import Connection, Flow, Record
    from pathspider.run.experiment import Experiment
    from pathspider.run.localisation import Kind
    from pathspider.run.target import Target

log = logging.getLogger("pathspider")

LOCATE = "_locate"
"""Of a record, on its way to this stage: its :data:`Materials`."""

BETWEEN = 1.0
"""Seconds between two probes to one address."""
PATIENCE = 1.0
"""Seconds in which an answer must come."""
NEAR = 1.1
"""Seconds between two probes for a router that does not answer each: Linux sends one time exceeded a second to
whoever asks (``net.ipv4.icmp_ratelimit``)."""
LIMITED, FEW, REMEMBERED = 0.2, 3, 50
"""The share of answers, and their number, that must be missing; and how many are remembered."""
LOOK = 0.05
"""Seconds between two looks at connections of the kernel's, whose acknowledgements wake nobody up."""

BROKEN = re.compile(r".+\.broken")
FEATURE = re.compile(r"(?P<feature>.+?)(?:\.stable)?\.connectivity\.[a-z]+")


class Material(NamedTuple):
    """What a target's probes are made of."""

    baseline: Specimen
    experiment: Specimen
    came_up: bool
    """Whether the experiment's connection did."""
    configs: tuple[int, int]
    """The configurations of both."""


Materials = Sequence[tuple["Connection", "Specimen | None"]]
"""What a record's probes are made of: its connections in the order of the plan, and what was observed of each."""


class Finding(NamedTuple):
    """What is to be located."""

    feature: str
    """How conditions of it begin: ``dscp.46``."""
    kind: Kind
    fields: Sequence[str]
    """Names as :meth:`~pathspider.quotation.Quotation.field` takes them; none: those in which the packets differ."""
    suspected: bool = True
    """Something is known to have happened. Otherwise it is none that nothing was seen on the path, and not said."""


def differing_in(kind: Kind, made_of: Material) -> list[str]:
    """The fields in which the experiment's packets differ from the baseline's: the first ones or, where these do not,
    or where it is not they that are dropped, the first with data."""
    one, other = made_of.experiment, made_of.baseline
    if not (kind == "dropped" and one.accepted) and (names := differing(one.first, other.first)):
        return names
    names = differing_data(made_of)
    sizes = [len(payload_of(data)) if data else 0 for data in (one.data, other.data)]
    return names or (["payload_length"] if kind == "changed" and 0 not in sizes and sizes[0] != sizes[1] else [])


def differing_data(made_of: Material) -> list[str]:
    """The header fields in which the experiment's data differ from the baseline's; windows and lengths always may."""
    names = differing(made_of.experiment.data, made_of.baseline.data)
    return [name for name in names if name not in ("window", "payload_length")]


def specimens(flows: Sequence[Flow | None]) -> list[Specimen | None]:
    """Take from flows what only this stage needs."""
    return [flow.pop(SPECIMEN, None) if flow else None for flow in flows]


def findings(located: Mapping[str, Sequence[str]], found: Sequence[str], *, confirmed: bool) -> Iterator[Finding]:
    """What of a record's conditions may be located, what matters most first.

    What is broken is dropped, and where that was to be confirmed, it may be located only if it was.

    :param located: as a plugin declares it: :attr:`pathspider.base.Spider.located`
    """
    features = features_of(found)
    for pattern, fields in located.items():
        for condition in filter(re.compile(pattern).fullmatch, found):
            feature = feature_of(condition, features)
            if feature is None or conditions.is_void(condition, found):
                continue
            if BROKEN.fullmatch(condition) is None:
                yield Finding(feature, "changed", fields, not condition.endswith(".connectivity.works"))
                continue
            what = condition.removeprefix(f"{feature}.").removeprefix("stable.")
            if not confirmed or f"{feature}.stable.{what}" in found:
                yield Finding(feature, "dropped", fields)


def anyhow(located: Mapping[str, Sequence[str]], found: Sequence[str]) -> Iterator[Finding]:
    """What may be looked for though nothing was found that would ask for it, what comes first first."""
    for feature in features_of(found)[:1]:
        for fields in dict.fromkeys(map(tuple, located.values())):
            yield Finding(feature, "changed", fields, suspected=False)


def features_of(found: Sequence[str]) -> list[str]:
    """How conditions of the experiments begin."""
    return list(dict.fromkeys(match["feature"] for one in found if (match := FEATURE.fullmatch(one))))


def feature_of(condition: str, features: Sequence[str]) -> str | None:
    """Which of the features a condition speaks of; the first, where it names none."""
    mine = [feature for feature in features if condition.startswith(f"{feature}.")]
    return max(mine, key=len) if mine else next(iter(features), None)


def of_feature(made_of: Materials, spider: Experiment, feature: str) -> Material | None:
    """What the probes for a feature are made of: the connections that are compared where it is judged. None where the
    packets of one were not observed."""
    observed = {id(connection): specimen for connection, specimen in made_of}
    flows = cast("Sequence[Flow]", [connection for connection, _ in made_of])
    baseline, experiment = spider.compared(feature, flows)
    packets = observed[id(baseline)], observed[id(experiment)]
    if packets[0] is None or packets[1] is None:
        return None
    return Material(spider.probed(baseline, packets[0]), spider.probed(experiment, packets[1]),
                    experiment["spdr_state"] == CONN_OK,
                    (baseline.get("config", 0), experiment.get("config", 0)))


@dataclass
class Router:
    """What is known of one router, from all targets whose probes it answered."""

    answers: float = 0
    misses: float = 0
    asked: float = 0.0
    """When a probe was last sent that it will answer."""

    def count(self, answers: int, misses: int) -> None:
        """Add what one target saw; what was long ago counts less."""
        if self.answers + self.misses > REMEMBERED:
            self.answers, self.misses = self.answers / 2, self.misses / 2
        self.answers += answers
        self.misses += misses

    @property
    def is_limited(self) -> bool:
        """Whether it leaves out so many answers that it seems to have a limit."""
        return self.misses >= FEW and self.misses > LIMITED * (self.answers + self.misses)


class Locator:
    """Has records, and puts them out with what was located.

    :param put: takes a record that is complete
    :param tell: is called whenever one was
    """

    def __init__(self, spider: Experiment, put: Callable[[Record], None], tell: Callable[[], None]) -> None:
        options = spider.options
        self.spider = spider
        self.most = options.locate
        self.forced = options.locate_all
        self.rate = options.locate_rate
        self.pool = max(4, math.ceil(self.rate * BETWEEN * 1.2))
        """Targets that are looked at together: as many as the rate has probes for, and some more."""
        self.taken = self.located = self.unlocated = self.beyond = 0
        """Targets that were to be located; with a word; without one, since the run ended or our machine failed; that
        were too many, though something is known to have happened to them."""
        self.why: Counter[str] = Counter()
        """Why these are without a word: an errno's name, ``not_observed``, ``stopped``."""
        self.probes = 0
        self._failed = False
        """A plugin could not say what is compared; that is told once."""
        self._put = put
        self._tell = tell
        self._random = random.Random(f"{options.seed} locate")
        self._waiting: deque[tuple[Record, Finding, Material]] = deque()
        self._targets: list[Target] = []
        self._by_address: dict[bytes | None, list[Target]] = {}
        """The same, by their packed addresses."""
        self._state = threading.Lock()
        self._no_more = False
        self._stopped = False
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._next = 0.0
        """When the next probe may be sent to anybody."""
        self._asked: dict[str, float] = {}
        """When an address was last sent a probe."""
        self._hops: dict[int, str] = {}
        """Who answered at a TTL lately: near hops are every target's."""
        self._routers: dict[str, Router] = {}
        """What is known of routers, by their addresses."""

    # -- other threads' side -------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """Records that are here."""
        with self._state:
            return len(self._waiting) + len(self._targets)

    def take(self, record: Record, made_of: Materials | None) -> bool:
        """Whether a record comes later, since it is to be located: by the first of its findings that can be.

        Of the targets that may be located, half, rounded down, are kept for those of which something is known to have
        happened.
        """
        wanted = observed = False
        chosen: tuple[Finding, Material] | None = None
        for found, packets in self._wanted(record, made_of or ()):
            wanted, observed = True, observed or packets is not None
            if packets is not None and self._can_show(found, packets, record):
                chosen = found, packets
                break
        if not wanted or (observed and chosen is None):
            return False
        with self._state:
            waits = chosen is not None and not self._stopped
            if chosen is not None and waits:
                if self.taken >= self._room(chosen[0]):
                    self.beyond += chosen[0].suspected
                    return False
                self.taken += 1
                self._waiting.append((record, *chosen))
        if not waits:
            self._without(record, "stopped" if self._stopped else "not_observed")
            return False
        self._wake_up()
        return True

    def _wanted(self, record: Record, made_of: Materials) -> Iterator[tuple[Finding, Material | None]]:
        """What of a record may be looked for, and with what; None where its packets were not observed."""
        from pathspider.run.target import within  # noqa: PLC0415 - for runs that locate alone

        said = record.get("conditions", [])
        found = [*findings(self.spider.located, said, confirmed=self.spider.options.confirm > 0)]
        if self.forced:
            found += anyhow(self.spider.located, said)
        for one in found:
            if not one.suspected and self.taken >= self._room(one):
                continue
            packets = self._of_feature(made_of, one.feature) if made_of else None
            fields = one.fields
            if packets is not None and not fields:
                fields = differing_in(one.kind, packets)
            found_of = one._replace(fields=fields)
            yield found_of, packets and within(found_of, packets)

    def _room(self, found: Finding) -> int:
        """How many targets may have been taken before this one."""
        return self.most if found.suspected or self.forced else (self.most + 1) // 2

    def _of_feature(self, made_of: Materials, feature: str) -> Material | None:
        try:
            return of_feature(made_of, self.spider, feature)
        except Exception as error:  # a plugin's own method
            log.log(logging.DEBUG if self._failed else logging.WARNING, "%s: compared(%r, …) or probed() failed, so it "
                    "is not located: %s: %s", self.spider.name, feature, type(error).__name__, error)
            self._failed = True
            return None

    def stop(self) -> None:
        """Look for nothing any more: what is under way is put out without a word."""
        self._stopped = True
        self._wake_up()

    def close(self) -> None:
        """No more comes."""
        self._no_more = True
        self._wake_up()

    def _wake_up(self) -> None:
        with suppress(OSError):
            os.write(self._wake, b"x")

    def _without(self, record: Record, why: str) -> None:
        log.debug("%s is not located: %s", record.get("dip"), why)
        record["conditions"] = [*record["conditions"], conditions.UNLOCATED]
        self.unlocated += 1
        self.why[why] += 1

    def _can_show(self, found: Finding, made_of: Material, record: Record) -> bool:
        """Whether the experiment's packets have something that could be dropped or changed."""
        from pathspider.run.target import way_of  # noqa: PLC0415 - for runs that locate alone

        return way_of(found, made_of, self.spider, record) is not None

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Locate until no more comes, or all is stopped."""
        try:
            with self._sockets():
                while not self._stopped:
                    self._admit()
                    if self._no_more and not self.open:
                        break
                    self._hear(self._pause())
                    now = time.monotonic()
                    for target in [one for one in self._targets if one.look(now)]:
                        self._finish(target)
                    self._send(now)
        finally:  # also where there were no sockets: no record is lost
            with self._state:  # from here on nothing is taken
                self._stopped = True
            for target in [*self._targets]:
                for flow in target.close():
                    flow.close()
                self._out(target.record, target)
            while self._waiting:
                self._out(self._waiting[0][0])

    @contextmanager
    def _sockets(self) -> Iterator[None]:
        from pathspider.helpers.probing import Listener, Sender  # noqa: PLC0415

        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._senders: dict[str, Sender] = {}
        self._listeners = []
        self._closing: list[tuple[float, Any]] = []
        try:
            for version, own in zip((4, 6), self.spider.source, strict=True):
                if own is not None:
                    listener = Listener(version)
                    self._listeners.append(listener)
                    self._selector.register(listener, selectors.EVENT_READ)
            yield
        finally:
            for one in (*self._listeners, *self._senders.values(), *(flow for _, flow in self._closing)):
                one.close()
            self._selector.close()
            os.close(self._woken)
            woken, self._wake = self._wake, -1
            os.close(woken)

    def _admit(self) -> None:
        """Begin with targets that wait, as many as there is room for."""
        from pathspider.helpers.probing import Sender  # noqa: PLC0415
        from pathspider.run.target import Target  # noqa: PLC0415

        while self._waiting and len(self._targets) < self.pool:
            record, found, made_of = self._waiting[0]
            try:
                own, _ = ends_of(made_of.experiment.first)
                if own not in self._senders:
                    self._senders[own] = Sender(own)
                target = Target(record, found, made_of, self._senders[own], self.spider,
                                whole=self.forced, random=self._random)
            except Exception as error:  # no socket, no port, no route: ours
                self._out(record, why=str(error) or type(error).__name__)
                continue
            with self._state:
                self._waiting.popleft()
                self._targets.append(target)
            self._by_address.setdefault(target.packed, []).append(target)
            target.watch = self._watch
            target.due = self._asked.get(target.address, 0.0) + BETWEEN

    def _watch(self, flow: Any, target: Target | None) -> None:
        """Listen to a flow of this target; None: not any more."""
        if target is not None:
            self._selector.register(flow, selectors.EVENT_READ, (flow, target))
        else:
            with suppress(KeyError, ValueError):
                self._selector.unregister(flow)

    def _pause(self) -> float:
        """Seconds until something is to be done."""
        now = time.monotonic()
        moments = [self._next if one.due <= now and not one.under_way else one.moment for one in self._targets]
        if any(one.is_live for one in self._targets) or self._closing:
            moments.append(now + LOOK)
        return max(0.0, min(moments, default=now + 3600) - now)

    def _hear(self, seconds: float) -> None:
        """Wait, and give what has come to whom it belongs."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj == self._woken:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            elif key.data is None:
                for heard in cast(Any, key.fileobj).read():
                    for target in self._by_address.get(heard.quotation.dst, self._targets):
                        if target.may_be_meant(heard) and target.hear(heard):
                            break
            else:
                flow, target = key.data
                for reply in flow.read():
                    target.reply(flow, reply)

    def _send(self, now: float) -> None:
        """Send the next probes of targets that are due, as many as the pace allows by now."""
        self._close_finished(now)
        due = [one for one in self._targets if not one.under_way and one.due <= now] if now >= self._next else []
        while due and now >= self._next:
            place = self._random.randrange(len(due))
            due[place], due[-1] = due[-1], due[place]
            target = due.pop()
            target.due, ttl = self._earliest(target), target.wanted.ttl
            if target.due > now or not target.send(now):
                continue
            self.probes += 1
            self._next = max(self._next, now - 1 / self.rate) + 1 / self.rate
            self._asked[target.address] = now
            if router := self._routers.get(self._hops.get(ttl, "")):
                router.asked = now

    def _earliest(self, target: Target) -> float:
        """When a target may be sent its next probe: its address had the last one, and the router that would answer, if
        it does not answer each."""
        router = self._routers.get(target.routers.get(target.wanted.ttl) or self._hops.get(target.wanted.ttl, ""))
        return max(self._asked.get(target.address, 0.0) + BETWEEN,
                   router.asked + NEAR if router is not None and router.is_limited else 0.0)

    def _finish(self, target: Target) -> None:
        """A target has its word, or cannot go on."""
        for flow in target.close():
            self._closing.append((time.monotonic() + 3, flow))
        self._hops |= target.routers
        for address in target.answered | target.missed:
            router = self._routers.setdefault(address, Router())
            router.count(target.answered[address], target.missed[address])
        self._out(target.record, target)

    def _close_finished(self, now: float) -> None:
        """Close the kernel's connections whose targets have ended theirs, or had the time to."""
        still = []
        for until, flow in self._closing:
            if now >= until or flow.is_answered:
                flow.close()
            else:
                still.append((until, flow))
        self._closing = still

    def _out(self, record: Record, target: Target | None = None, why: str = "stopped") -> None:
        """Put a record out, and forget its target."""
        if target is not None and target.word is not None:
            target.tell()
            self.located += 1
        else:
            self._without(record, (target and target.trouble) or why)
        self._put(record)
        with self._state:
            if target is None:
                self._waiting.popleft()
            elif target in self._targets:
                self._targets.remove(target)
                self._by_address[target.packed].remove(target)
                if not self._by_address[target.packed]:
                    del self._by_address[target.packed]
        self._tell()
