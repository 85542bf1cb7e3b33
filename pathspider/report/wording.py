"""What the report asks, in words: headings are questions, and a plugin's feature begins a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pathspider.conditions import matches, values
from pathspider.installed import find_plugin
from pathspider.report.confirmed import AT_FIRST, CONFIRMED, UP_CONFIRMED
from pathspider.report.questions import BASELINE_UP, HOP

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Declared(NamedTuple):
    """A plugin's words; nothing of one that is not installed here."""

    feature: str = ""
    features: Mapping[str, str] = {}
    description: str = ""
    questions: Mapping[str, str] = {}
    """By the question, with the plugin's name."""


@lru_cache(maxsize=1000)
def _declared(plugin: str) -> Declared:
    found = find_plugin(plugin)
    if found is None:
        return Declared()
    return Declared(found.feature, found.features, found.description,
                    {f"{plugin}.{one}": asked for one, asked in found.questions.items()})


def name_of(question: str) -> str:
    """Whose connectivity it is: ``dscp.46`` of ``dscp.46.connectivity (confirmed)``."""
    return question.partition(" (")[0].removesuffix(".connectivity").removesuffix(".stable")


def feature(name: str) -> str:
    """What is asked of the path, as a sentence begins: ``Asking for ECN``, ``DSCP 46``, ``A large TLS ClientHello in
    two records``; of an experiment that the plugin has no words for, its name in parentheses."""
    plugin, _, rest = name.partition(".")
    declared = _declared(plugin)
    for pattern, words in declared.features.items():
        if (found := values(rest, pattern)) is not None:
            return filled(words, dict(found))
    whole = declared.feature or declared.description or plugin
    return " ".join(filter(None, (whole, rest if rest.isdigit() or not rest else f"({rest})")))


def filled(words: str, told: Mapping[str, str]) -> str:
    """The words with values in the places of ``<…>``."""
    return re.sub(r"<([^>]*)>", lambda place: told.get(place[1], place[0]), words)


def title(plugin: str) -> str:
    """What a plugin's part of the page is called."""
    return _declared(plugin).description or plugin


def headline(plugin: str, questions: list[str]) -> str:
    """The question that is told of first, where there is no connectivity that breaks."""
    told = [one for pattern in _declared(plugin).questions for one in questions if matches(one, pattern)]
    return next(iter([*told, *questions]), "")


def inner(what: str) -> str:
    """A feature within a sentence: ``asking for ECN``, ``TCP Fast Open``."""
    return what if what.partition(" ")[0][1:2].isupper() else what[:1].lower() + what[1:]


def rank(question: str) -> int:
    """Where a plugin names a question among its own; those that it does not name come last."""
    told = _declared(question.partition(".")[0]).questions
    return next((place for place, pattern in enumerate(told) if matches(question, pattern)), len(told))


def heading(question: str) -> str:
    """The question as people ask it."""
    what = inner(feature(name_of(question)))
    for ending, text in ((UP_CONFIRMED, f"Does {what} break a connection that works without it?"),
                         (BASELINE_UP, f"Does {what} break a connection that works without it?"),
                         (CONFIRMED, "What do all connections say, further rounds included?"),
                         (AT_FIRST.format("broken"), "Of what was broken at first, what do further rounds say?"),
                         (AT_FIRST.format("transient"),
                          "Of what failed only without it at first, what do further rounds say?"),
                         (".stable.connectivity", "What do further rounds say of suspects?"),
                         (HOP, "Where on the path?")):
        if question.endswith(ending):
            return text
    for pattern, text in _declared(question.partition(".")[0]).questions.items():
        if matches(question, pattern):
            return text
    if question.endswith(".connectivity"):
        return "What do the first two connections say?"
    plugin, _, rest = question.partition(".")
    return f"{title(plugin)}: {rest.replace('.', ' ').replace('_', ' ') or 'what else'}?"


def heading_apart(question: str) -> str:
    """The same beside the one of which further rounds had their say."""
    asked = heading(question)
    return asked.replace("?", ", by the first connections alone?") if question.endswith(BASELINE_UP) else asked


def chance(value: float) -> str:
    """A p-value: two digits, or the power of ten that it is below."""
    if value >= 0.001:
        return f"p = {value:.2g}"
    power = -3
    while power > -12 and value < 10.0 ** (power - 1):
        power -= 1
    return f"p < 10{str(power).translate(SUPERSCRIPTS)}"
