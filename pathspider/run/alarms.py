"""What a run's figures warn of at its end, a line each: chance among the verdicts, one address or network that has most
of them, a rate that is too much for the way, verdicts that change while the run goes on.

Nothing is said of a handful of targets. A line that something is not as elsewhere is a test of counts
(:mod:`pathspider.run.exact`) that sound runs pass but for one in a thousand, and says at least twice of something, or
5 % of it; what chance explains is told by 95 % intervals. Memory is bounded, 5 MB a question, however many targets
there are.

It works for every plugin whose conditions are ``X.connectivity.word``. Where rounds confirmed them, what is said of
``broken`` is said of ``X.stable.connectivity.broken``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from pathspider.conditions import CONNECTIVITY, STABLE
from pathspider.records import Record
from pathspider.run.exact import hypergeometric_tail, rising, share_bounds
from pathspider.run.sketch import TENTHS, Addresses, Slices, Tenth, name_of, network_of
from pathspider.text import amount

RISK = 0.001
"""The probability with which a sound run gets a line, for each kind of line."""
TWICE = 2
"""How many times as often as elsewhere something has to be to be worth a line."""
FEWEST = 10
"""Targets that have to say something before it is worth a line."""
FEWEST_OF = 500
"""Targets with a verdict without which tenths of a run are not compared."""
A_PART = 0.05
"""Of all that say it, the share that an address or a network, or chance, has to have to be worth a line."""

MOST_QUESTIONS = 8
"""Questions that are looked after, the first ones; plugins have one or two."""
MOST_NAMED = 3
"""Addresses and networks that a line names."""

COLUMNS = {word: place for place, word in enumerate(
    ("all", "broken", "transient", "offline", "stable.broken", "stable.unstable"))}
"""What is counted by time."""
PLACED = ("broken", "stable.broken", "stable.unstable")
"""What is counted by address."""


class Said(NamedTuple):
    """A condition in its parts: ``X.connectivity``, the word, and whether rounds said it."""

    question: str
    word: str
    stable: bool


@lru_cache(maxsize=1000)
def said(condition: str) -> Said | None:
    """What a condition says of connectivity; None if nothing."""
    name, _, word = condition.rpartition(".connectivity.")
    stable = name.endswith(".stable")
    if not name or word not in (STABLE if stable else {**CONNECTIVITY, "online": ""}):
        return None
    return Said(f"{name.removesuffix('.stable')}.connectivity", word, stable)


class Question:
    """What is known of ``X.connectivity``."""

    def __init__(self, name: str, begin: datetime) -> None:
        self.name = name
        self.words: Counter[str] = Counter()
        """Of the first pair."""
        self.rounds: Counter[tuple[str, str]] = Counter()
        """What the first pair said, and what rounds came to."""
        self.slices = Slices(begin, len(COLUMNS))
        self.addresses = Addresses(PLACED)

    def note(self, word: str, stable: str | None, moment: datetime | None, dip: object) -> None:
        """What was said of a target.

        :param stable: what its rounds came to, if there were any
        :param moment: when its measurement began, UTC, without a zone
        """
        words = [word]
        self.words[word] += 1
        if stable is not None:
            words.append(f"stable.{stable}")
            self.rounds[word, stable] += 1
        if moment is not None:
            row = self.slices.at(moment)
            row[0] += 1
            for one in words:
                if place := COLUMNS.get(one):
                    row[place] += 1
        self.addresses.note(dip, words)

    def lines(self) -> Iterator[str]:
        """What there is to say, if anything."""
        rounds = dict(self.rounds)
        if rounds:
            yield from self._confirmed(rounds)
            stable = Counter[str]()
            for (_, word), count in rounds.items():
                stable[word] += count
            yield from self._chance(self._called("stable."), stable["broken"], stable["transient"], "")
        else:
            yield from self._chance(self.name, self.words["broken"], self.words["transient"],
                                    "; of firewalls that count connections this tells nothing, --confirm does")
        looked_at = ["stable.broken", "stable.unstable"] if rounds else ["broken"]
        for word in looked_at:
            yield from self._in_one_place(word, stable[word.partition(".")[2]] if rounds else self.words[word])
        tenths = self.slices.tenths()
        if len(tenths) == TENTHS and sum(tenth.counts[0] for tenth in tenths) >= FEWEST_OF:
            yield from self._with_rate(tenths)
            for word in ("offline", *(looked_at if rounds else ["broken", "transient"])):
                yield from self._drift(tenths, word)

    def _called(self, word: str) -> str:
        """A word as conditions have it: ``stable.broken`` is ``X.stable.connectivity.broken``."""
        stable, dot, rest = word.rpartition(".")
        name = self.name.removesuffix(".connectivity") + (f".{stable}" if dot else "") + ".connectivity"
        return f"{name}.{rest}" if rest else name

    def _confirmed(self, rounds: dict[tuple[str, str], int]) -> Iterator[str]:
        """How many of those that were broken at first are so in rounds, too."""
        words = Counter({word: count for (first, word), count in rounds.items() if first == "broken"})
        total, count = words.total(), words["broken"]
        low, high = share_bounds(count, total) if total else (0.0, 1.0)
        if total >= FEWEST and high < 1 - A_PART:
            rest = ", ".join(f"{words[word]:,} {word}" for word in STABLE if word != "broken" and words[word])
            mostly = words["unstable"] > words["works"]
            hint = " (what counts connections on the way makes them unstable)" if mostly else ""
            yield (f"{self.name}: of {total:,} that were broken at first, {count:,} were so in every round "
                   f"({percent(low)} to {percent(high)}), {rest}{hint}: count {self._called('stable.broken')}")

    @staticmethod
    def _chance(name: str, broken: int, transient: int, hint: str) -> Iterator[str]:
        """What strikes either connection now and then makes as many broken as transient."""
        if broken < FEWEST or not transient:
            return
        both = broken + transient
        low, high = (share / (1 - share) if share < 1 / 2 else 1.0 for share in share_bounds(transient, both))
        if low < A_PART:
            return
        what = f"{percent(low)} to {percent(high)} of the broken" if high < 1 else "all of the broken, or nearly all,"
        yield (f"{name}: {transient:,} transient beside {broken:,} broken: {what} may be chance, "
               f"which makes as many of both{hint}")

    def _in_one_place(self, word: str, count: int) -> Iterator[str]:
        """One address or network has many of them."""
        found = self._frequent(word, count).most_common()
        if not found:
            return
        of = self.addresses
        named = [f"{number:,} on {name_of(key)} (at most {percent(of.targets(key) / of.total)} of the targets)"
                 for key, number in found[:MOST_NAMED]]
        if len(found) > MOST_NAMED:
            named.append(f"more on {amount(len(found) - MOST_NAMED, 'other')}")
        yield f"{self._called(word)}: of {count:,}, {', '.join(named)}: one cause may be counted many times"

    def _frequent(self, word: str, count: int) -> Counter[bytes]:
        """The addresses and networks that say a word more often than chance would have it, and how often. An address
        that is among them is no part of its network.

        :param count: how many say it at all
        """
        def too_often(key: bytes, number: int) -> bool:
            total = self.addresses.total
            targets = max(number, self.addresses.targets(key))
            return (number >= max(FEWEST, A_PART * count) and number * total >= TWICE * count * targets
                    and hypergeometric_tail(number, targets, count, total) * total < RISK)

        addresses, networks = self.addresses.frequent(word)
        found = Counter({address: number for address, number in addresses.items() if too_often(address, number)})
        for address, number in found.items():
            networks[network_of(address)] = networks.get(network_of(address), 0) - number
        return found + Counter({network: number for network, number in networks.items() if too_often(network, number)})

    def _with_rate(self, tenths: list[Tenth]) -> Iterator[str]:
        """More targets are offline the more are asked."""
        place = COLUMNS["offline"]
        ordered = sorted(tenths, key=lambda tenth: tenth.rate)
        if any(tenth.counts[0] < FEWEST for tenth in ordered) or ordered[-1].rate < TWICE * ordered[0].rate:
            return
        slow, fast = ordered[:TENTHS // 2], ordered[TENTHS // 2:]
        (few, of_few), (many, of_many) = ([sum(tenth.counts[column] for tenth in half) for column in (place, 0)]
                                          for half in (slow, fast))
        if (many >= FEWEST and many * of_few >= TWICE * few * of_many
                and rising([tenth.counts[place] / tenth.counts[0] for tenth in ordered]) < RISK
                and hypergeometric_tail(many, of_many, few + many, of_few + of_many) < RISK):
            yield (f"{self.name}.offline rises with the rate: {percent(few / of_few)} of targets at {_range(slow)} a "
                   f"second, {percent(many / of_many)} at {_range(fast)}: it may be too much for something on the way "
                   "(--rate)")

    def _drift(self, tenths: list[Tenth], word: str) -> Iterator[str]:
        """A tenth of the run is not as the others."""
        place = COLUMNS[word]
        total, count = (sum(tenth.counts[column] for tenth in tenths) for column in (0, place))
        found = []
        for number, tenth in enumerate(tenths, 1):
            targets, here = tenth.counts[0], tenth.counts[place]
            rest, there = total - targets, count - here
            if not targets or not rest:
                continue
            if here >= FEWEST and here * rest >= TWICE * there * targets:
                probability = hypergeometric_tail(here, targets, count, total)
            elif count * targets >= FEWEST * total and there * targets >= TWICE * here * rest:
                probability = hypergeometric_tail(targets - here, targets, total - count, total)
            else:
                continue
            found.append((probability, number, tenth, here, there / rest))
        if found and min(found)[0] * 2 * TENTHS * 3 < RISK:  # either way, in any tenth, of three words
            _, number, tenth, here, others = min(found)
            end = tenth.begin + timedelta(seconds=tenth.seconds)
            yield (f"{self._called(word)}: {percent(here / tenth.counts[0])} in tenth {number} of the run "
                   f"({tenth.begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S}), {percent(others)} in the rest: the list's "
                   "order (--shuffle), or the network changed")


def percent(share: float) -> str:
    """A share as people read it; the small ones with more digits."""
    return f"{share * 100:.{1 if share > 0.01 else 2}f} %"


def _range(tenths: list[Tenth]) -> str:
    low, high = f"{tenths[0].rate:,.0f}", f"{tenths[-1].rate:,.0f}"
    return low if low == high else f"{low} to {high}"


class Alarms:
    """Looks at a run's records as they come, and says at its end what is the matter with them.

    :param begin: when the run began, UTC, without a zone
    """

    def __init__(self, begin: datetime | None = None) -> None:
        self._begin = begin or datetime.now(UTC).replace(tzinfo=None)
        self._questions: dict[str, Question] = {}

    def note(self, record: Record) -> None:
        """Count a record that is written; those of earlier runs, which ``--resume`` continues, are not counted."""
        first: dict[str, str] = {}
        stable: dict[str, str] = {}
        for condition in record.get("conditions") or ():
            if ".connectivity." in condition and (told := said(condition)):
                (stable if told.stable else first)[told.question] = told.word
        if not first:
            return
        moment = moment_of(record)
        for name, word in first.items():
            question = self._questions.get(name)
            if question is None:
                if len(self._questions) >= MOST_QUESTIONS:
                    continue
                question = self._questions[name] = Question(name, self._begin)
            question.note(word, stable.get(name), moment, record.get("dip"))

    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        return [line for question in [*self._questions.values()] for line in question.lines()]


def moment_of(record: Record) -> datetime | None:
    """When a record's measurement began, where it tells."""
    try:
        return datetime.fromisoformat(record["time"]["from"])
    except (KeyError, TypeError, ValueError):
        return None
