"""What several vantage points say of one target: does a feature break on every path to it, or on some?

Compared are ``works`` and ``broken``, the stable word where there is one. Of ``transient``, ``offline``, ``unstable``
and of records without a verdict, nothing follows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pathspider.records import Record
from pathspider.targets.problems import TARGET_KEYS, identity, target_asn

CONNECTIVITY = re.compile(r"(?P<name>[^.]+)\.(?P<stable>stable\.)?connectivity\.(?P<word>[^.:]+)")
WORDS = ("works", "broken")


@dataclass
class Target:
    """What is known of a target."""

    job: dict[str, Any]
    asn: str | None
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the feature and the vantage point."""


@dataclass
class Feature:
    """How many targets there are of each kind."""

    works: int = 0
    """It works on every path that was seen."""
    broken: int = 0
    """It breaks on every path that was seen."""
    path_dependent: int = 0
    """It works on some, and breaks on others."""
    by_as: Counter[str] = field(default_factory=Counter)
    """Those that depend on the path, by the target's AS; only those whose AS is known."""


class Comparison:
    """Takes records, vantage point by vantage point. Memory grows with the number of targets, some 500 octets each."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}

    def add(self, vantage: str, records: Iterable[Record]) -> None:
        """Take the records of a vantage point."""
        for record in records:
            words = dict(verdicts(record.get("conditions", [])))
            if words:
                key = repr(identity(record))
                if key not in self._targets:
                    job = {name: record[name] for name in TARGET_KEYS if name in record}  # type: ignore[literal-required]
                    self._targets[key] = Target(job, target_asn(record))
                for name, word in words.items():
                    self._targets[key].words.setdefault(name, {})[vantage] = word

    def features(self) -> dict[str, Feature]:
        """By the feature's name: what targets say that two vantage points or more have a verdict of."""
        found: dict[str, Feature] = {}
        for target in self._targets.values():
            for name, words in target.words.items():
                if len(words) > 1:
                    feature = found.setdefault(name, Feature())
                    if len({*words.values()}) > 1:
                        feature.path_dependent += 1
                        feature.by_as.update([f"AS{target.asn}"] if target.asn else [])
                    elif "works" in words.values():
                        feature.works += 1
                    else:
                        feature.broken += 1
        return dict(sorted(found.items()))

    def path_dependent(self) -> Iterator[dict[str, Any]]:
        """The targets on whose paths a feature works for some and breaks for others, with the word of each."""
        for target in self._targets.values():
            for name, words in sorted(target.words.items()):
                if len({*words.values()}) > 1:
                    yield {**target.job, "feature": name, "multipoint": "path_dependent", "vantages": words}


def verdicts(conditions: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each feature's name and word, where that is one that can be compared: the stable one, if there is one."""
    first: dict[str, str] = {}
    stable: dict[str, str] = {}
    for condition in conditions:
        if (found := CONNECTIVITY.fullmatch(condition)) is not None:
            (stable if found["stable"] else first)[found["name"]] = found["word"]
    yield from ((name, word) for name, word in {**first, **stable}.items() if word in WORDS)


def table(features: Mapping[str, Feature]) -> str:
    """As text."""
    lines = [f"{'feature':12} {'works':>10} {'broken':>10} {'depends on the path':>20}  most of these in"]
    for name, one in features.items():
        systems = ", ".join(f"{system} ({count})" for system, count in one.by_as.most_common(3))
        lines.append(f"{name:12} {one.works:>10,} {one.broken:>10,} {one.path_dependent:>20,}  {systems}".rstrip())
    return "\n".join(lines)
