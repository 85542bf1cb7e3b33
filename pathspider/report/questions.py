"""Which question a condition answers, so that a share is one of those targets where the question has an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pathspider.conditions import HOP_CONDITION, RUN

INCONCLUSIVE = f"{RUN}."
"""How conditions begin that tell why there is no verdict."""
NEEDS = {"ecn.ipmark.": "ecn.negotiation."}
"""Conditions that tell something only beside others: where no SYN-ACK came back, no mark could be seen, and the plugin
says ``not_seen`` all the same, of each connection that it observed."""
NO_CONDITION = "(no answer, and no reason)"
"""What is said of a record that neither answers a question nor tells why."""


class Answer(NamedTuple):
    """A condition in two parts: ``ecn.connectivity`` is the question, ``works`` the answer."""

    question: str
    answer: str
    condition: str

    @property
    def plugin(self) -> str:
        return self.question.partition(".")[0]


def parse(condition: str) -> Answer:
    """The question is what stands before the value (``mss.option.local.value:1460``), or else before the last dot.
    Where on the path something is (``ecn.hop.changed:3-4``) is one question."""
    if hop := HOP_CONDITION.fullmatch(condition):
        question = f"{hop['name']}.hop"
        return Answer(question, condition.removeprefix(f"{question}."), condition)
    question, colon, value = condition.partition(":")
    if not colon:
        question, _, value = condition.rpartition(".")
    return Answer(question, value, condition)


def verdict(conditions: Iterable[str]) -> tuple[str, ...]:
    """What was concluded, in order; how many flows were missed is no reason of its own."""
    return tuple(sorted({one for one in conditions if not one.startswith("pathspider.missed_flows:")}))


def telling(conditions: tuple[str, ...]) -> list[str]:
    """Those that answer a question."""
    idle = tuple(one for one, other in NEEDS.items() if not any(there.startswith(other) for there in conditions))
    return [one for one in conditions if not one.startswith((INCONCLUSIVE, *idle))]


@lru_cache(maxsize=50_000)
def natural_key(text: str) -> list[tuple[int, str]]:
    """A sort key that has numbers in their order: ``value:536`` before ``value:1460``. Not to be changed."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,18})", text)]
