"""What a file of records says so far, in a few lines: counts, rates, the latest odd targets."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

from pathspider.conditions import RUN
from pathspider.export.columns import is_time
from pathspider.records import Record
from pathspider.report.figures import percent
from pathspider.report.questions import parse, telling, verdict
from pathspider.run.evidence import is_fine, words
from pathspider.text import amount, printable

LATEST = 10
"""Odd targets that are told."""
MOST_ANSWERS = 1000
"""Answers that are told apart, in all; of further ones, their question alone."""
MOST_LINES = 6
"""Answers to a question that are listed."""
MINUTE = 60.0
OFFLINE = ".connectivity.offline"


class Odd(NamedTuple):
    """A target of which something is odd."""

    when: str
    target: str
    conditions: tuple[str, ...]

    def line(self, width: int) -> str:
        """All of it, cut to the width."""
        return crop(f"{self.when[11:19]}  {self.target}  {' '.join(self.conditions)}", width)


def target_of(record: Record) -> str:
    """A record's target in a few words."""
    dip, dp, domain = record.get("dip"), record.get("dp"), record.get("domain")
    address = f"[{dip}]" if isinstance(dip, str) and ":" in dip else str(dip or "")
    port = f":{dp}" if isinstance(dp, int) and dip else ""
    return printable(" ".join(filter(None, [address + port, str(domain or "")])) or "no target")


def odd_conditions(conditions: list[str]) -> list[str]:
    """Those that say that a target works with the feature otherwise than without it. Offline is not odd."""
    return [one for one in words(conditions) if not is_fine(one, conditions) and not one.endswith(OFFLINE)] + [
        one for one in conditions if ".response.differs:" in one]


class Overview:
    """Takes records, and says what there is.

    :param name: of the file
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.records = 0
        self.bad_lines = 0
        self.odd: deque[Odd] = deque(maxlen=LATEST)
        self.odd_targets = 0
        self._answers: Counter[tuple[str, str]] = Counter()
        self._asked: Counter[str] = Counter()
        self._without: Counter[str] = Counter()
        self._first = self._last = ""
        self._ends: list[float] = []
        """When records ended, of the last minute: a heap, for they come in the order in which they were written."""

    def add(self, record: Record) -> Odd | None:
        """Count a record; what is odd of it."""
        self.records += 1
        when = self._note_time(record)
        found = verdict(record["conditions"])
        asked = set()
        for condition in telling(found):
            answer = parse(condition)
            asked.add(answer.question)
            key = (answer.question, answer.answer)
            self._answers[key if key in self._answers or len(self._answers) < MOST_ANSWERS
                          else (answer.question, "…")] += 1
        self._asked.update(one for one in asked if one in self._asked or len(self._asked) < MOST_ANSWERS)
        reasons = {one.partition(":")[0] if len(self._without) > MOST_ANSWERS else one
                   for one in found if one.startswith(f"{RUN}.")}
        self._without.update(reasons)
        odd = odd_conditions(record["conditions"])
        if not odd:
            return None
        self.odd_targets += 1
        self.odd.append(Odd(when, target_of(record), tuple(printable(one) for one in odd)))
        return self.odd[-1]

    def _note_time(self, record: Record) -> str:
        time = record.get("time")
        begun, ended = (time.get("from"), time.get("to")) if isinstance(time, dict) else (None, None)
        if not (is_time(begun) and is_time(ended)):
            return ""
        assert isinstance(begun, str)
        assert isinstance(ended, str)
        self._first = min(self._first or begun, begun)
        self._last = max(self._last, ended)
        heappush(self._ends, _seconds(ended))
        while self._ends[0] < _seconds(self._last) - MINUTE:
            heappop(self._ends)
        return ended

    @property
    def rates(self) -> tuple[float, float] | None:
        """Records a second, of all the time and of its last minute; None where that is too short."""
        if not self._first:
            return None
        begin, end = _seconds(self._first), _seconds(self._last)
        if end - begin < 1:
            return None
        return self.records / (end - begin), len(self._ends) / min(MINUTE, end - begin)

    def lines(self, width: int, height: int | None = None) -> list[str]:
        """What there is to say.

        :param width: columns; no line is longer
        :param height: lines; None: as many as are needed
        """
        lines = [crop(one, width) for one in (*self._head(), "", *self._table(width))]
        latest = [odd.line(width) for odd in reversed(self.odd)]
        if height is not None:
            lines = lines[:max(1, height - 2 - min(len(latest), 3))]
            latest = latest[:max(0, height - 2 - len(lines))]
        if latest:
            many = f" of {self.odd_targets}" if self.odd_targets > len(self.odd) else ""
            lines += ["", crop(f"Odd targets, the latest {len(self.odd)}{many} (time in UTC):", width), *latest]
        return lines[:height]

    def _head(self) -> Iterator[str]:
        count = f"{self.records:,} {'record' if self.records == 1 else 'records'}"
        bad = f", {self.bad_lines:,} bad lines" if self.bad_lines else ""
        yield f"{printable(self.name)}: {count}{bad}"
        if self._first:
            rates = self.rates
            speed = f"; {_rate(rates[0])} a second, {_rate(rates[1])} in the last minute" if rates else ""
            last = self._last[:19].removeprefix(f"{self._first[:10]} ")
            yield f"{self._first[:19]} to {last} UTC{speed}"

    def _table(self, width: int) -> Iterator[str]:
        questions: dict[str, list[tuple[int, str]]] = {}
        for (question, answer), count in self._answers.items():
            questions.setdefault(question, []).append((count, answer))
        longest = max((len(answer) for _, answer in self._answers), default=0)
        column = min(max(longest, 10), 30)
        for question in sorted(questions):
            answers = sorted(questions[question], key=lambda one: (-one[0], one[1]))
            total = self._asked[question] or sum(count for count, _ in answers)
            yield printable(question)
            for count, answer in answers[:MOST_LINES]:
                share = count / total
                bar = "#" * round(share * max(0, min(30, width - column - 27)))
                yield f"  {printable(answer)[:column]:{column}} {count:>10,} {percent(share):>9} {bar}".rstrip()
            if len(answers) > MOST_LINES:
                yield f"  {amount(len(answers) - MOST_LINES, 'other answer')}"
        if self._without:
            yield "without a verdict, or part of one"
            for reason, count in self._without.most_common(MOST_LINES):
                yield f"  {count:>10,}  {printable(reason)}"


def _seconds(time: str) -> float:
    return datetime.fromisoformat(f"{time}+00:00").timestamp()


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value >= 1 else f"{value:.2f}"


def crop(line: str, width: int) -> str:
    """A line of at most so many columns."""
    return line if len(line) <= width else f"{line[:max(0, width - 1)]}~"
