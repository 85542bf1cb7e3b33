"""What may be wrong with a run as a whole: one line each, only where there is something to say.

The figures of a run are those of its paths only where nothing else moved them: chance, one firewall in front of many
targets, our own pace, a network that changed meanwhile. Pure; counts alone, whatever the number of records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from math import sqrt

from pathspider.records import Record

CONNECTIVITY = re.compile(r"(?P<name>.+?)(?P<stable>\.stable)?\.connectivity\.(?P<word>[a-z]+)")

SLICES = 40
"""Parts of a run that are told apart; when there are twice as many, each two become one."""

NOISE = 1 / 3
"""``transient`` against ``broken``, from which chance is a good part of ``broken``."""
AT_LEAST = 10
"""Targets of a kind, below which nothing is said."""
MOST_PREFIXES = 100_000
"""Prefixes of which suspects are counted."""
SIGNIFICANT = 5.0
"""Standard errors between two shares, from which they differ. Looks at ten tenths and three words find 4 by chance."""
NOTABLE = 2.0
"""And by which factor they differ then."""
PREFIX_LENGTH = {4: 24, 6: 48}


@dataclass
class Slice:
    """Records that followed each other."""

    began: float
    ended: float
    count: int = 0
    words: Counter[str] = field(default_factory=Counter)

    def add(self, other: Slice) -> None:
        """Make one of two that follow each other."""
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)
        self.count += other.count
        self.words += other.words

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.count / max(self.ended - self.began, 1e-9)


class Alarms:
    """Takes a run's records as they are written."""

    def __init__(self) -> None:
        self.words: dict[str, Counter[str]] = {}
        """By the name before ``.connectivity``: how often each word was said; ``stable.`` before the confirmed ones."""
        self._places: Counter[str] = Counter()
        """``broken`` records by address, and by prefix."""
        self._broken = 0
        self._slices: list[Slice] = []
        self._slice_size = 1

    def note(self, record: Record, now: float) -> None:
        """A record is written at this moment, by a clock in seconds."""
        said = [found for condition in record.get("conditions", []) if (found := CONNECTIVITY.fullmatch(condition))]
        if not said:
            return
        for one in said:
            words = self.words.setdefault(one["name"], Counter())
            words[f"stable.{one['word']}" if one["stable"] else one["word"]] += 1
        first = said[0]["word"]
        if first == "broken" and len(self._places) < MOST_PREFIXES:
            self._broken += 1
            self._places.update(set(places_of(record.get("dip"))))
        self._in_slice(first, now)

    def _in_slice(self, word: str, now: float) -> None:
        slices = self._slices
        if not slices or slices[-1].count >= self._slice_size:
            if len(slices) >= 2 * SLICES:
                for even, odd in zip(slices[::2], slices[1::2], strict=True):
                    even.add(odd)
                del slices[1::2]
                self._slice_size *= 2
            slices.append(Slice(slices[-1].ended if slices else now, now))
        last = slices[-1]
        last.count += 1
        last.words[word] += 1
        last.ended = now

    def lines(self) -> Iterator[str]:
        """What there is to say."""
        for name, words in self.words.items():
            yield from noise_floor(name, words)
        yield from self._one_place()
        yield from with_rate(self._slices)
        yield from with_time(self._slices)

    def _one_place(self) -> Iterator[str]:
        """Most of what is broken has one address or prefix in common."""
        if self._broken < AT_LEAST or not self._places:
            return
        place, count = max(self._places.items(), key=lambda one: (one[1], "/" not in one[0]))
        if count > self._broken / 2:
            yield (f"{count:,} of {self._broken:,} broken targets are at {place}: one firewall or load balancer there, "
                   "not so many paths")


def places_of(address: object) -> list[str]:
    """An address, and the prefix in which it is."""
    try:
        parsed = ip_address(str(address))
    except ValueError:
        return []
    return [str(parsed), str(ip_network(f"{parsed}/{PREFIX_LENGTH[parsed.version]}", strict=False))]


def noise_floor(name: str, words: Counter[str]) -> Iterator[str]:
    """Chance breaks A as often as B: so many of the ``broken`` ones are chance too, at least."""
    broken, transient = words["broken"], words["transient"]
    if broken + transient < AT_LEAST or transient < broken * NOISE:
        return
    confirmed = f"; {words['stable.broken']:,} of them are confirmed ({name}.stable.connectivity.broken)" \
        if any(word.startswith("stable.") for word in words) else "; --confirm tells them apart"
    yield (f"{name}: {transient:,} transient against {broken:,} broken: chance alone makes as many broken as "
           f"transient{confirmed}")


def differ(one: Slice, other: Slice, word: str) -> bool:
    """Whether a word's share is greater in the first, by more than chance makes it."""
    share, other_share = one.words[word] / one.count, other.words[word] / other.count
    pooled = (one.words[word] + other.words[word]) / (one.count + other.count)
    error = sqrt(pooled * (1 - pooled) * (1 / one.count + 1 / other.count))
    return (one.words[word] >= AT_LEAST and share > NOTABLE * other_share
            and share - other_share > SIGNIFICANT * error)


def together(slices: Sequence[Slice]) -> Slice:
    """Several as one; its rate is that of the time that they took, not of what lies between."""
    spent = sum(one.ended - one.began for one in slices)
    whole = Slice(0.0, spent, sum(one.count for one in slices))
    for one in slices:
        whole.words += one.words
    return whole


def with_rate(slices: Sequence[Slice]) -> Iterator[str]:
    """Targets are ``offline`` more often where we were faster."""
    timed = sorted((one for one in slices if one.ended > one.began), key=lambda one: one.rate)
    third = len(timed) // 3
    if not third:
        return
    slow, fast = together(timed[:third]), together(timed[-third:])
    if fast.rate > 1.5 * slow.rate and differ(fast, slow, "offline"):
        yield (f"offline rises with the rate: {percent(fast, 'offline')} at {fast.rate:,.0f}/s, "
               f"{percent(slow, 'offline')} at {slow.rate:,.0f}/s: something near us drops connections; use --rate")


def with_time(slices: Sequence[Slice]) -> Iterator[str]:
    """A word's share in one tenth of the run is far from that in the others."""
    tenths = [part for number in range(10)
              if (part := slices[number * len(slices) // 10:(number + 1) * len(slices) // 10])]
    if len(tenths) < 10:
        return
    for word in ("offline", "broken", "transient"):
        number = max(range(10), key=lambda one: together(tenths[one]).words[word] / together(tenths[one]).count)
        most = together(tenths[number])
        rest = together([one for other, part in enumerate(tenths) if other != number for one in part])
        if differ(most, rest, word):
            yield (f"{word} in {percent(most, word)} of the {ORDINALS[number]} tenth of the run, in "
                   f"{percent(rest, word)} of the others: did the network change meanwhile?")


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "last")


def percent(part: Slice, word: str) -> str:
    """A word's share."""
    return f"{100 * part.words[word] / part.count:.1f} %"
