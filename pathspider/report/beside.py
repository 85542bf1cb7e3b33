"""What stands beside connectivity, outside its shares: connections that came up, and yet are not as they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pathspider.report.statistics import Share, wilson
from pathspider.report.summary import EVERYTHING, Report

SAID = {
    "response.differs": ("works", "came up both ways, with different responses"),
    "upgrade.failed:http11_required": ("works", "came up, and asked for HTTP/1.1 in the place of HTTP/2"),
    "handshake.works": ("broken", "are broken behind a completed handshake: a late answer, perhaps"),
    "lossy": ("works", "came up, after more tries with it than without"),
}
"""What conditions say behind the feature's name, which answer to connectivity they stand beside, and in words."""
HIDDEN = (".response.differs", ".handshake", ".upgrade.failed")
"""How questions end that are told here, and have no part of the page of their own."""


class Beside(NamedTuple):
    """How many records of a file say so, of those that have the answer it stands beside."""

    file: int
    condition: str
    text: str
    number: int
    total: int
    values: list[tuple[str, int]]
    """What follows behind a colon, the most frequent first."""

    @property
    def share(self) -> Share:
        return wilson(self.number, self.total)


def beside(report: Report, name: str) -> Iterator[Beside]:
    """All that stands beside a feature's connectivity."""
    for file, tally in enumerate(report.tallies):
        numbers = dict(tally.groups())[EVERYTHING]
        for what, (answer, text) in SAID.items():
            condition = f"{name}.{what}"
            said = total = 0
            values: Counter[str] = Counter()
            for number, count in numbers.items():
                found = tally.verdicts.found[number].conditions
                mine = [one for one in found if one == condition or one.startswith(f"{condition}:")]
                if mine:
                    said += count
                    values.update({one.removeprefix(condition)[1:]: count for one in mine if one != condition})
                if mine or f"{name}.connectivity.{answer}" in found:
                    total += count
            if said:
                yield Beside(file, condition, text, said, total, values.most_common())


def is_beside(question: str) -> bool:
    """Whether a question is told here."""
    return question.endswith(HIDDEN) or "." not in question
