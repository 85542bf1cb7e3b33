"""What rounds said of suspects, beside what the first pair of connections said: questions that the report adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from pathspider.conditions import CONNECTIVITY, STABLE, STABLE_CONDITION, UNCONFIRMED
from pathspider.report.questions import Answer, parse

SUSPICIOUS = ("broken", "transient")
"""Words of a first pair that rounds confirm, or do not."""
UNFINISHED = "unconfirmed"
"""What is said of a suspect whose rounds came to no end, or that had none."""

AT_FIRST = " ({} at first)"
"""Ends the name of a question: of the targets of which the first pair said this word, what did rounds say?"""
CONFIRMED = " (confirmed)"
"""Of all targets, what did rounds say, or where the first pair made no suspect, what did that say?"""
UP_CONFIRMED = " (baseline up, confirmed)"
"""Of those of which that is ``works`` or ``broken``, the share of each."""


class Words(NamedTuple):
    """What a record says of ``X.connectivity``."""

    question: str
    first: str
    rounds: str = ""
    """Empty where the first pair made no suspect."""


@lru_cache(maxsize=4096)
def words_of(conditions: tuple[str, ...]) -> list[Words]:
    """What a record's conditions say of connectivity, at first and in rounds."""
    stable = {found["name"]: found["word"] for one in conditions
              if (found := STABLE_CONDITION.fullmatch(one)) and found["what"] == "connectivity"}
    return [Words(question, first, stable.get(question.removesuffix(".connectivity"),
                                              UNFINISHED if first in SUSPICIOUS else ""))
            for question, first, _ in map(parse, conditions) if is_first(question)]


def is_first(question: str) -> bool:
    """Whether it is a question about connectivity that the first pair answers."""
    return question.endswith(".connectivity") and not question.endswith(".stable.connectivity")


def is_connectivity(question: str) -> bool:
    """Whether it is one that each target answers with what is known of it in the end: rounds count, where there are."""
    return is_first(question.removesuffix(CONFIRMED))


def were_confirmed(found: Iterable[tuple[str, ...]]) -> tuple[set[str], set[str]]:
    """Questions of which some records have rounds, or were to have them, and those of which some are suspects at all.

    :param found: what different records' conditions say
    """
    confirmed, suspects = set(), set()
    for conditions in found:
        for question, _, rounds in words_of(conditions):
            if rounds:
                suspects.add(question)
                if rounds != UNFINISHED or UNCONFIRMED in conditions:
                    confirmed.add(question)
    return confirmed, suspects


def added(words: Words) -> Iterator[Answer]:
    """The answers of a record to the questions that the report adds."""
    question, first, rounds = words
    if rounds:
        yield _answer(question, AT_FIRST.format(first), rounds)
    yield _answer(question, CONFIRMED, rounds or first)
    if (rounds or first) in ("works", "broken"):
        yield _answer(question, UP_CONFIRMED, rounds or first)


def possible(question: str) -> Iterator[Answer]:
    """All answers to the questions that the report adds to one."""
    for first in SUSPICIOUS:
        yield from (_answer(question, AT_FIRST.format(first), word) for word in (*STABLE, UNFINISHED))
    yield from (_answer(question, CONFIRMED, word) for word in (*CONNECTIVITY, "unstable", UNFINISHED))
    yield from (_answer(question, UP_CONFIRMED, word) for word in ("works", "broken"))


def _answer(question: str, ending: str, word: str) -> Answer:
    name = question.removesuffix(".connectivity")
    of_rounds = word in STABLE and not (ending in (CONFIRMED, UP_CONFIRMED) and word == "works")  # those are of both
    condition = UNCONFIRMED if word == UNFINISHED else f"{name}{'.stable' if of_rounds else ''}.connectivity.{word}"
    return Answer(question + ending, word, condition)
