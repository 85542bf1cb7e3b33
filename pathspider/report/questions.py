"""Which question a condition answers, so that a share is one of those targets where the question has an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pathspider.conditions import PLACEHOLDERS, RUN, is_void, matches
from pathspider.installed import find_plugin

INCONCLUSIVE = f"{RUN}."
"""How conditions begin that tell why there is no verdict."""
NEEDS = {"ecn.ipmark.": "ecn.negotiation."}
"""Conditions that tell something only beside others: where no SYN-ACK came back, no mark could be seen, and the plugin
says ``not_seen`` all the same, of each connection that it observed."""
BASELINE_UP = " (baseline up)"
"""Ends the name of a question that the report adds: of the targets whose baseline came up, how many does the feature
break? Those that were offline, or up for the experiment alone, tell nothing of it."""
HOP = ".hop"
"""Ends the name of a question that is asked of targets that were looked for on the path: ``ecn.hop.dropped:4-5``."""
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
    """The question is what stands before the value (``mss.option.local.value:1460``), or else before the last dot; of
    where on the path it is, all before what was found there.

    A value is a part of the answer where the same question has answers without one: ``tls.plain.answer`` is what
    ``tls.plain.answer.alert:40`` and ``….server_hello`` answer.
    """
    question, colon, value = condition.partition(":")
    name, hop, word = condition.partition(f"{HOP}.")
    if hop and name and word:
        question, value = f"{name}{HOP}", word
    elif not colon:
        question, _, value = condition.rpartition(".")
    elif has_words(parent := question.rpartition(".")[0]):
        question, value = parent, condition.removeprefix(f"{parent}.")
    return Answer(question, value, condition)


@lru_cache(maxsize=1000)
def has_words(question: str) -> bool:
    """Whether a plugin that is installed declares answers without a value to a question."""
    plugin = find_plugin(question.partition(".")[0])
    if plugin is None:
        return False
    placeholders = {**PLACEHOLDERS, **plugin.placeholders}
    return any(matches(question, name, placeholders)
               for name in dict.fromkeys(one.rpartition(".")[0] for one in plugin.conditions if ":" not in one))


def verdict(conditions: Iterable[str]) -> tuple[str, ...]:
    """What was concluded, in order; how many flows were missed is no reason of its own."""
    return tuple(sorted({one for one in conditions if not one.startswith("pathspider.missed_flows:")}))


def telling(conditions: tuple[str, ...]) -> list[str]:
    """Those that answer a question."""
    idle = tuple(one for one, other in NEEDS.items() if not any(there.startswith(other) for there in conditions))
    return [one for one in conditions if not one.startswith((INCONCLUSIVE, *idle)) and not is_void(one, conditions)]


@lru_cache(maxsize=50_000)
def natural_key(text: str) -> list[tuple[int, str]]:
    """A sort key that has numbers in their order: ``value:536`` before ``value:1460``. Not to be changed."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,18})", text)]
