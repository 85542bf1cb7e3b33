"""Counting what a run's records say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pathspider import conditions
from pathspider.records import Record

MOST_TOLD_APART = 1000
"""Different conditions that are counted by themselves; of further ones, the value after the colon is left out."""
EXPERIMENT = ".connectivity."
"""Stands in the condition that says whether an experiment, of which a plugin may have several, breaks connectivity."""
MOST_EXPERIMENTS = 4
"""Experiments that the last line names, if there are more than one beside."""
MOST_NAMED = 6
"""Verdicts, and reasons why there is none, that the last line names."""


class Counts:
    """How many records there are, and of what; dnsresolv's lines are jobs."""

    def __init__(self) -> None:
        self.records = 0
        self.jobs = 0
        self.conditions: Counter[str] = Counter()
        """Records that have each condition."""
        self.local_errors: Counter[str] = Counter()
        """Records without a verdict for reasons of our own machine, by the reason."""
        self._first: Counter[str] = Counter()
        """Records by their first condition, without its value."""
        self._verdicts: Counter[str] = Counter()
        """The same of those that tell of no experiment's connectivity."""

    def add(self, record: Record) -> str:
        """Count a record, or a job; its first condition, or nothing."""
        found = record.get("conditions")
        if found is None:
            self.jobs += 1
            return ""
        self.records += 1
        for condition in found:
            known = condition in self.conditions or len(self.conditions) < MOST_TOLD_APART
            self.conditions[condition if known else condition.partition(":")[0]] += 1
        first = found[0] if found else ""
        if first.startswith(f"{conditions.RUN}."):
            for reason in conditions.local_reasons(found)[:1]:
                self.local_errors[reason] += 1
        self._first[first.partition(":")[0]] += 1
        if not any(is_verdict(condition) for condition in found):
            self._verdicts[first.partition(":")[0]] += 1
        return first

    @property
    def lines(self) -> int:
        """Records and jobs."""
        return self.records + self.jobs

    def of(self, condition: str) -> int:
        """Records whose first condition this is, whatever its value."""
        return self._first[condition]

    def summary(self) -> str:
        """All of it in a line: verdicts, what rounds made of suspects, where it is on the path, and why there is no
        verdict."""
        others: Counter[str] = Counter()
        reasons = Counter(self.local_errors)
        for condition, count in self._first.items():
            if not condition.startswith(f"{conditions.RUN}."):
                others[condition or "without conditions"] += self._verdicts[condition]
            elif condition != conditions.LOCAL_ERROR:
                reasons[condition.partition(".")[2]] += count
        parts = [number(self.jobs, "job")] if self.jobs else []
        if self.records or not parts:
            told = [*self._experiments(), *([", ".join(shortened(+others))] if +others else [])]
            parts.append(number(self.records, "record") + (f": {'; '.join(told)}" if told else ""))
        again = Counter({condition: count for condition, count in self.conditions.items()
                         if conditions.STABLE_CONDITION.fullmatch(condition)})
        if again:
            parts.append(f"measured again: {', '.join(shortened(again))}")
        if located := self._located():
            parts.append(f"on the path: {', '.join(shortened(located))}")
        if reasons:
            parts.append(f"{reasons.total():,} without a verdict: {', '.join(shortened(reasons))}")
        return "; ".join(parts)

    def _experiments(self) -> Iterator[str]:
        """How often each experiment works, is broken, and so on, in the plugin's order; of many, those that are broken
        most."""
        found: dict[str, Counter[str]] = {}
        for condition, count in self.conditions.items():
            if is_verdict(condition):
                found.setdefault(condition.rpartition(".")[0], Counter())[condition] += count
        named = [*found]
        if len(named) > MOST_EXPERIMENTS + 1:
            named.sort(key=lambda question: -found[question][f"{question}.broken"])
            named = [question for question in found if question in named[:MOST_EXPERIMENTS]]
        yield from (", ".join(shortened(found[question])) for question in named)
        if rest := [found[question] for question in found if question not in named]:
            words: Counter[str] = Counter()
            for counted in rest:
                words.update({condition.rpartition(".")[2]: count for condition, count in counted.items()})
            yield f"{number(len(rest), 'other experiment')}: {', '.join(shortened(words))}"

    def _located(self) -> Counter[str]:
        """The words of what was to be located."""
        words: Counter[str] = Counter()
        for condition, count in self.conditions.items():
            if hop := conditions.HOP_CONDITION.fullmatch(condition):
                words[hop["word"]] += count
            elif condition == conditions.UNLOCATED:
                words[condition.rpartition(".")[2]] += count
        return words


def is_verdict(condition: str) -> bool:
    """Whether a condition says what became of an experiment, at first."""
    return EXPERIMENT in condition and not conditions.STABLE_CONDITION.fullmatch(condition)


def number(count: int, what: str) -> str:
    """So many of something."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def shortened(counted: Counter[str]) -> list[str]:
    """The most frequent ones with their numbers; a name is not repeated up to its last dot."""
    said, before = [], ""
    for name, count in counted.most_common(MOST_NAMED):
        group, _, word = name.rpartition(".")
        said.append(f"{count:,} {word if group and group == before else name}")
        before = group
    if others := sum(count for _, count in counted.most_common()[MOST_NAMED:]):
        said.append(f"{others:,} of other kinds")
    return said
