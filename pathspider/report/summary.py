"""What a report says, as values: every format is a way of writing this down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import NamedTuple

from pathspider.base import timestamp
from pathspider.report import confirmed
from pathspider.report.counting import Group, Tally, counted
from pathspider.report.exact import LIMIT
from pathspider.report.pairs import ENOUGH, Comparisons, Pairs
from pathspider.report.questions import BASELINE_UP, Answer, natural_key
from pathspider.report.statistics import Difference, Share, difference, wilson
from pathspider.report.targets import Targets
from pathspider.version import __version__

EVERYTHING: Group = ("all", "")

MOST_SYSTEMS = 20
"""Autonomous systems that a page lists, those with the most records; JSON and CSV have all."""
OTHERS: Group = ("as", "others")
"""The rest of them together; only on a page."""


UP = (BASELINE_UP, confirmed.UP_CONFIRMED)
"""How questions end that tell how often a feature breaks what works without it."""

MOST_ZEROS = 16
"""Answers to a question, in all files together, up to which a file or group that lacks one has a count of 0 for it."""

class Count(NamedTuple):
    """How many of the records of a group, in one file, have an answer, of those that answer the question."""

    file: int
    group: Group
    answer: Answer
    number: int
    total: int

    @property
    def share(self) -> Share:
        return wilson(self.number, self.total)


class Repeated(NamedTuple):
    """A question that some targets of a file answer more than once: its records are no independent sample."""

    file: int
    question: str
    records: int
    targets: int


class Without(NamedTuple):
    """How many records of a file have no verdict for a reason."""

    file: int
    condition: str
    number: int


class Compared(NamedTuple):
    """The same answer in the first file that answers the question, and in another one."""

    first: Count
    second: Count
    pairs: Pairs | None = None
    """The targets that are in both, if these are most of them: the files are then no independent samples."""
    adjusted: float | None = None
    """The p-value of the pairs, adjusted for all that is compared."""

    @property
    def difference(self) -> Difference:
        """Of the shares of all records; of pairs, of the targets that are in both."""
        return self.pairs.difference if self.pairs else difference(self.first.share, self.second.share)

    @property
    def clear(self) -> bool:
        """Whether chance hardly does that."""
        return self.difference.clear if self.adjusted is None else self.adjusted <= LIMIT


@dataclass
class Report:
    """Everything but the targets that changed, of which there may be very many: :attr:`targets` gives them."""

    title: str
    tallies: list[Tally]
    targets: Targets
    without: list[Without] = field(default_factory=list)
    version: str = __version__
    made: str = field(default_factory=lambda: timestamp(datetime.now(UTC).timestamp()))

    def __post_init__(self) -> None:
        self.targets.settle()
        self.largest = [f"AS{system}" for system in self.targets.largest(MOST_SYSTEMS)]
        self.pairs = Comparisons(self.targets)
        self._counts: dict[tuple[str, str], list[Count]] = defaultdict(list)
        self._answers = self._all_answers()
        self.confirmed = self._confirmed()
        """For each file the questions of which it is told what rounds said."""
        self.given_by: list[Counter[str]] = [self._by_plugin(tally) for tally in self.tallies]
        """For each file, how many of its records answer questions of which plugin."""
        for file, tally in enumerate(self.tallies):
            for group, found in tally.groups():
                self._add(self._of_group(file, group, found))
                if group == EVERYTHING:
                    without = counted(tally.verdicts.found, found)[2]
                    self.without += (Without(file, condition, count) for condition, count in sorted(without.items()))
        for country, by_file in self._by_country():
            for file, numbers in by_file.items():
                self._add(self._of_group(file, ("country", country), numbers))
        asked = [(question, "broken") for question, kind in [*self._counts] if kind == "all" and question.endswith(UP)]
        self.changed_systems = [f"AS{system}" for system in dict.fromkeys(
            self.pairs.changed_systems(asked, len(self.tallies)))]
        """Those in which the features came to break most, or ceased to."""
        for system, file, found in self.targets.of_systems(int(name[2:])
                                                           for name in {*self.largest, *self.changed_systems}):
            self._add(self._of_group(file, ("as", f"AS{system}"), found))
        for file, found in self.targets.of_other_systems(MOST_SYSTEMS):
            self._add(self._of_group(file, OTHERS, found))
        order = dict.fromkeys(["", "IPv4", "IPv6", *self.largest, *self.changed_systems, OTHERS[1]])
        place = {name: number for number, name in enumerate(order)}
        for counts in self._counts.values():
            counts.sort(key=lambda count: (place.get(count.group[1], 3), natural_key(count.group[1]),
                                           natural_key(count.answer.answer), count.file))
        self._questions: dict[str, list[str]] = defaultdict(list)
        for question in sorted({question for question, _ in self._counts},
                               key=lambda question: ("connectivity" not in question, natural_key(question))):
            self._questions[question.partition(".")[0]].append(question)

    def _by_country(self) -> Iterator[tuple[str, dict[int, dict[int, int]]]]:
        """Each country: by file, how many records have which verdict."""
        rows = sorted(self.targets.countries.items())
        for country, group in groupby(rows, key=lambda row: row[0][0]):
            found: dict[int, dict[int, int]] = defaultdict(dict)
            for (_, file, verdict), records in group:
                found[file][verdict] = records
            yield country, found

    def _add(self, counts: Iterator[Count]) -> None:
        for count in counts:
            self._counts[count.answer.question, count.group[0]].append(count)

    def _all_answers(self) -> dict[str, list[Answer]]:
        """The answers to each question in all files, in order."""
        found: dict[str, set[Answer]] = defaultdict(set)
        for tally in self.tallies:
            for number in dict(tally.groups())[EVERYTHING]:
                for answer in tally.verdicts.found[number].answers:
                    found[answer.question].add(answer)
        return {question: sorted(answers, key=lambda one: natural_key(one.answer))
                for question, answers in found.items()}

    def _confirmed(self) -> list[set[str]]:
        """A file without a single suspect is confirmed as it is, where another one has been."""
        found = [confirmed.were_confirmed(tally.verdicts.found[number].conditions
                                          for number in dict(tally.groups())[EVERYTHING]) for tally in self.tallies]
        anywhere = set().union(*(questions for questions, _ in found))
        return [questions | (anywhere - suspects) for questions, suspects in found]

    @staticmethod
    def _by_plugin(tally: Tally) -> Counter[str]:
        found: Counter[str] = Counter()
        for number, count in dict(tally.groups())[EVERYTHING].items():
            plugins = {question.partition(".")[0] for question in tally.verdicts.found[number].questions}
            found.update(dict.fromkeys(plugins, count))
        return found

    def _of_group(self, file: int, group: Group, numbers: Mapping[int, int]) -> Iterator[Count]:
        given, asked, _ = counted(self.targets.verdicts.found, numbers)
        for question in sorted(asked, key=natural_key):
            answers = self._answers[question]
            yield from (Count(file, group, answer, given[answer], asked[question]) for answer in answers
                        if given[answer] or len(answers) <= MOST_ZEROS)
        for question in sorted({answer.question for answer in given}, key=natural_key):
            verdicts = [Answer(question, word, f"{question}.{word}") for word in ("broken", "works")]
            reached = sum(given[one] for one in verdicts)
            if reached and confirmed.is_first(question):
                for one in verdicts:
                    yield Count(file, group, one._replace(question=question + BASELINE_UP), given[one], reached)
        if questions := self.confirmed[file]:
            yield from self._of_rounds(file, group, numbers, questions)

    def _of_rounds(self, file: int, group: Group, numbers: Mapping[int, int], questions: set[str]) -> Iterator[Count]:
        """What the report adds of these questions: first pairs beside rounds."""
        given: Counter[Answer] = Counter()
        for number, count in numbers.items():
            for words in confirmed.words_of(self.targets.verdicts.found[number].conditions):
                if words.question in questions:
                    given.update(dict.fromkeys(confirmed.added(words), count))
        asked: Counter[str] = Counter()
        for answer, count in given.items():
            asked[answer.question] += count
        for answer in dict.fromkeys(chain(*map(confirmed.possible, sorted(questions)), given)):
            if asked[answer.question]:
                yield Count(file, group, answer, given[answer], asked[answer.question])

    @property
    def repeated(self) -> list[Repeated]:
        """What was asked of targets more than once, file by file."""
        totals = {(count.file, count.answer.question): count.total for (_, kind), counts in self._counts.items()
                  if kind == "all" for count in counts}
        return [Repeated(file, question, totals[file, question], totals[file, question] - more)
                for (file, question), more in sorted(self.targets.again.items())]

    def unanswered(self, question: str) -> list[Tally]:
        """The files that hold no answer to a question."""
        answered = {count.file for count in self.of(question, "all")}
        return [tally for file, tally in enumerate(self.tallies) if file not in answered]

    @property
    def plugins(self) -> list[str]:
        return sorted(self._questions)

    def questions(self, plugin: str) -> list[str]:
        """A plugin's questions, whether connections came up first."""
        return self._questions.get(plugin, [])

    def of(self, question: str, kind: str) -> list[Count]:
        """The counts of a question, for all records or by one kind of group (``all``, ``ip``, ``country``, ``as``: the
        largest first), with the files side by side."""
        return self._counts.get((question, kind), [])

    def counts(self) -> Iterator[Count]:
        """All counts: question after question, and then one autonomous system after the other."""
        for plugin in self.plugins:
            for question in self.questions(plugin):
                for kind in ("all", "ip", "country"):
                    yield from self.of(question, kind)
        for system, file, numbers in self.targets.of_systems():
            yield from self._of_group(file, ("as", f"AS{system}"), numbers)

    def compared(self, question: str) -> Iterator[Compared]:
        """Each answer in each further file that answers the question beside the first that does."""
        totals = {count.file: count.total for count in self.of(question, "all")}
        counts = {(count.file, count.answer): count for count in self.of(question, "all")}
        answers = sorted({answer for _, answer in counts}, key=lambda answer: natural_key(answer.condition))
        base, *others = sorted(totals) or [0]
        for file in others:
            for answer in answers:
                first, second = (counts.get((one, answer), Count(one, EVERYTHING, answer, 0, totals[one]))
                                 for one in (base, file))
                pairs = self.pairs.of(base, file, question, answer.answer)
                if pairs and pairs.total >= ENOUGH * min(first.total, second.total):
                    yield Compared(first, second, pairs, self.pairs.adjusted(pairs))
                else:
                    yield Compared(first, second)
