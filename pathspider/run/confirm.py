"""The stage that confirms: what the first pair of connections says may be chance, or the work of a rate limiter.

A target whose first pair says ``broken`` or ``transient`` is a suspect. Its connections are made again, in rounds:
later, in another order, one at a time. Its record waits for them, and then has the stable word beside the first.
Values in, values out; :mod:`pathspider.run.pipeline` has the threads.

The word *stable* is the Path Transparency Observatory's.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, cast

from pathspider import conditions
from pathspider.records import Flow, Job, Record, Result, RoundRecord
from pathspider.run.match import Merged
from pathspider.run.spool import Spool

REPEATS = 2
"""Rounds that are made once more since they gave no word (our own machine was not well, a flow was not observed)."""

SUSPICIOUS = re.compile(r".+\.connectivity\.(?:broken|transient)")
"""Conditions that make a suspect of whatever plugin."""

UNSTABLE = "unstable"


def suspicious(found: Iterable[str], further: Sequence[str] = ()) -> list[str]:
    """Those of a record's conditions that are to be confirmed, whatever the plugin; ``further``: its own."""
    return [condition for condition in found if SUSPICIOUS.fullmatch(condition) or condition in further]


@dataclass
class Suspect:
    """A target that is measured again, and what is known of it by now."""

    job: Job
    record: Record
    """What the first pair said."""
    suspicions: list[str]
    """Those of its conditions that are to be confirmed."""
    due: float = 0.0
    """The moment, by the run's clock, before which the next round does not begin."""
    rounds: list[RoundRecord] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)
    """By the suspicion, what each round that counts said in its place."""
    first_order: list[int] = field(default_factory=list)
    """The order of the first connections, by their places in the plan."""
    orders: list[list[int]] = field(default_factory=list)
    """Those of the rounds that count."""


class Round(dict[str, Any]):
    """A job once more: one round of a suspect, whose connections are made in this order.

    :param order: places of the plan
    """

    def __init__(self, suspect: Suspect, order: list[int]) -> None:
        super().__init__(suspect.job)
        self.suspect = suspect
        self.order = order


class Confirmer:
    """Holds suspects between their rounds, and puts their records together.

    :param most: rounds for each suspect; 0: nobody is a suspect
    :param gap: seconds from a target's last connection to its next round
    :param seed: what the orders of rounds are drawn from
    :param suspicious: those of a record's conditions that are to be confirmed
    :param plan: how many connections a round has
    :param fixed_order: connections but the first of the plan, the baseline, stay in their order
    """

    def __init__(self, most: int, gap: float, seed: int, *, suspicious: Callable[[Sequence[str]], Sequence[str]],
                 plan: int, fixed_order: bool = False) -> None:
        self.most = most
        self.gap = gap
        self.seed = seed
        self.fixed_order = fixed_order
        self.plan = plan
        self.suspects = 0
        """Targets that became suspects."""
        self.unconfirmed = 0
        """Of those, the ones whose rounds came to no end."""
        self.stopped = False
        self._suspicious = suspicious
        self._waiting: Spool[Suspect] = Spool()
        self._out: dict[int, Suspect] = {}
        """Suspects with a round under way, by their identity."""
        self._last_due = 0.0
        self._lock = threading.Lock()

    @property
    def open(self) -> int:
        """Suspects without a record: between rounds, and with one under way."""
        with self._lock:
            return len(self._waiting) + len(self._out)

    # -- in: what has been judged ------------------------------------------------------------------------------------

    def suspects_first(self, result: Result, records: list[Record], ended: float) -> bool:
        """A first pair has been judged. Whether this makes a suspect, whose record comes later.

        :param ended: when its last connection ended, by the run's clock
        """
        if not self.most or len(records) != 1:
            return False
        record, = records
        suspicions = [*self._suspicious(record.get("conditions", []))]
        if not suspicions:
            return False
        suspect = Suspect(result.job, record, suspicions, words={suspicion: [] for suspicion in suspicions},
                          first_order=order_made(result))
        with self._lock:
            self.suspects += 1
            self._wait(suspect, ended)
        return True

    def another(self, again: Round, records: list[Record], merged: Merged | None, ended: float) -> list[Record]:
        """A round has been judged, or was not made (``merged`` is None). The suspect's record, when it is complete."""
        suspect = again.suspect
        with self._lock:
            if self._out.pop(id(suspect), None) is None:
                return []  # a worker loop of a third party said it twice
        if merged is None or len(records) != 1:
            return [self._record(suspect)]
        record, = records
        found = record.get("conditions", [])
        suspect.rounds.append(round_record(record, merged))
        said = {suspicion: word_of(suspicion, found) for suspicion in suspect.suspicions}
        if all(said.values()):
            for suspicion, word in said.items():
                suspect.words[suspicion].append(cast(str, word))
            suspect.orders.append(again.order)
        settled = all(is_settled(suspicion, words, self.most) for suspicion, words in suspect.words.items())
        with self._lock:
            if not (settled or self.stopped or len(suspect.rounds) >= self.most + REPEATS):
                self._wait(suspect, ended)
                return []
        return [self._record(suspect)]

    def _wait(self, suspect: Suspect, ended: float) -> None:
        self._last_due = suspect.due = max(self._last_due, ended + self.gap)
        self._waiting.put(suspect)

    def _record(self, suspect: Suspect) -> Record:
        """The record of a suspect, with what its rounds came to."""
        stable = [stable_condition(suspicion, words, self.most) for suspicion, words in suspect.words.items()]
        found = [condition for condition in stable if condition]
        if len(found) < len(stable) and self._are_at_a_loss(suspect.rounds):
            found = [said or stable_in_place(suspicion, UNSTABLE)
                     for suspicion, said in zip(suspect.words, stable, strict=True)]
        if len(found) < len(stable):
            self.unconfirmed += 1
            found.append(conditions.UNCONFIRMED)
        if is_lossy(suspect.rounds):
            found += dict.fromkeys(conditions.lossy(suspicion) for suspicion, words in suspect.words.items()
                                   if "works" in words)
        return {**suspect.record, "conditions": [*suspect.record["conditions"], *found], "rounds": suspect.rounds}

    def _are_at_a_loss(self, rounds: Sequence[RoundRecord]) -> bool:
        """Whether all rounds were made that may be, and nothing failed here: what the target does cannot be told, and
        more of them would not tell it."""
        ours = any(condition.startswith(f"{conditions.RUN}.") for one in rounds for condition in one["conditions"])
        return len(rounds) >= self.most + REPEATS and not ours

    # -- out: what is to be done -------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """The moment of the next round, by the run's clock; None if no suspect waits."""
        with self._lock:
            return self._waiting.peek().due if len(self._waiting) else None

    def take_due(self, now: float) -> Round | None:
        """A round whose moment has come; None if there is none."""
        with self._lock:
            if self.stopped or not len(self._waiting) or self._waiting.peek().due > now:
                return None
            suspect = self._waiting.get()
            self._out[id(suspect)] = suspect
        return Round(suspect, self._order(suspect))

    def stop(self) -> None:
        """No round begins any more; those under way count."""
        with self._lock:
            self.stopped = True

    def left(self) -> Iterator[Record]:
        """At the run's end: the records of those whose rounds came to no end."""
        self.stop()
        while self.open:
            with self._lock:
                suspect = self._out.popitem()[1] if self._out else self._waiting.get()
            yield self._record(suspect)

    def _order(self, suspect: Suspect) -> list[int]:
        """Drawn, from the same seed the same. The last round that counts has the first one's reversed where no other
        order of two connections has been seen: whoever lets the first one pass and not the second is seen in both.

        Connections that build on each other stay in their order, and the baseline comes before or behind them all.
        """
        job, order = suspect.job, list(range(self.plan))
        drawn = random.Random(f"{self.seed} {job.get('dip')} {job.get('dp')} {job.get('domain')} {len(suspect.rounds)}")
        seen = suspect.orders or [suspect.first_order]
        is_last = len(suspect.orders) == self.most - 1
        if self.fixed_order:
            turned = [*order[1:], *order[:1]]
            if is_last and all(one == seen[0] for one in seen):
                return order if seen[0] == turned else turned
            return drawn.choice((order, turned))
        if is_last and any(len({one.index(place) < one.index(other) for one in seen}) == 1
                           for place, other in combinations(order, 2)):
            return seen[0][::-1]
        drawn.shuffle(order)
        return order


def word_of(suspicion: str, found: Iterable[str]) -> str | None:
    """What a round's conditions say in the place of a suspicion: the last word of one like it, or None.

    Where responses of the DNS differ, there is no word, and no other round can make one of it: ``unstable``.
    """
    like = suspicion.rpartition(".")[0]
    differs = f"{like.rpartition('.')[0]}.response.differs:"
    found = [*found]
    said = (word for place, _, word in (condition.rpartition(".") for condition in found) if place == like)
    return next(said, UNSTABLE if any(condition.startswith(differs) for condition in found) else None)


def is_settled(suspicion: str, words: Sequence[str], most: int) -> bool:
    """Whether further rounds could not change the stable word: all have been made, or one said otherwise than the first
    connections."""
    return len(words) >= most or any(word != suspicion.rpartition(".")[2] for word in words)


def stable_condition(suspicion: str, words: Sequence[str], most: int) -> str | None:
    """The stable condition in the place of a suspicion; None if its rounds are not complete.

    ``X.stable.connectivity.broken``, or ``transient``: the first connections and every round said so. ``works``: rounds
    said so. ``unstable``: they differ, or say the contrary of the first connections, or the target was ``offline`` in
    between.
    """
    if not words or not is_settled(suspicion, words, most):
        return None
    like, _, first = suspicion.rpartition(".")
    said = {*words}
    word = said.pop()
    settled = not said and word != "offline" and (word == first or not SUSPICIOUS.fullmatch(f"{like}.{word}"))
    return stable_in_place(suspicion, word if settled else UNSTABLE)


def stable_in_place(suspicion: str, word: str) -> str:
    """``X.stable.what.word`` in the place of ``X.what.other``."""
    like = suspicion.rpartition(".")[0]
    name, _, what = like.rpartition(".")
    return f"{name}.stable.{what}.{word}"


TRIES = ("evidence_syns_fwd", "evidence_datagrams_fwd")
"""Fields of :class:`~pathspider.chains.evidence.EvidenceChain` that tell how often a connection was tried, over TCP and
over UDP."""


def tries_of(flow: Flow | None) -> int | None:
    """How often what opens a connection was sent before it was answered; None where no chain has counted it."""
    return next((flow[name] for name in TRIES if flow.get(name)), None) if flow else None


def order_made(result: Result) -> list[int]:
    """The places of connections in the plan, in the order in which they were made."""
    places = range(len(result.connections))
    return sorted(places, key=lambda place: result.spans[place]) if result.spans else [*places]


def round_record(record: Record, merged: Merged) -> RoundRecord:
    """What a record tells of one round."""
    connections, made = merged.result.connections, order_made(merged.result)
    told: RoundRecord = {
        "order": [connections[place]["config"] for place in made],
        "states": [int(connections[place]["spdr_state"]) for place in made],
        "time": record["time"],
        "conditions": record["conditions"],
    }
    tries = [tries_of(merged.flows[place]) for place in made]
    if None not in tries:
        told["tries"] = cast(list[int], tries)
    if "flow_results" in record:
        told["flow_results"] = record["flow_results"]
    return told


def is_lossy(rounds: Sequence[RoundRecord]) -> bool:
    """Whether the experiment came up after more tries than the baseline in most rounds, and the baseline after more in
    none: its packets are lost now and then, the others are not.

    Rounds alone are asked, since the first pair was chosen for what happened to it.
    """
    more = []
    for one in rounds:
        tries = dict(zip(one["order"], one.get("tries", ()), strict=False))
        if 0 in tries and len(tries) > 1 and not any(one["states"]):
            more.append(max(count for config, count in tries.items() if config) - tries[0])
    return all(one >= 0 for one in more) and 2 * sum(one > 0 for one in more) > len(rounds)
