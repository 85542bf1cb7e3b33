"""Whether files that are compared are of other places, or of other times: what they say differs, or changed."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from pathspider.report.counting import Tally
from pathspider.report.summary import Report


class Relation(NamedTuple):
    """How the files of a report differ."""

    places: bool
    """They were measured from different vantage points."""
    times: bool
    """They are of the same one, one after the other."""

    @property
    def verb(self) -> str:
        return "changed" if self.times else "differs"

    @property
    def noun(self) -> str:
        return "vantage points" if self.places else "times" if self.times else "files"


def relation_of(report: Report) -> Relation:
    """By the metadata's names of vantage points or, where there are none, by the addresses that were measured from."""
    names = [vantage_names(tally) for tally in report.tallies]
    if not all(names):
        names = [{source.partition(" ")[0] for source in tally.sources} for tally in report.tallies]
    places = len(names) > 1 and all(names) and not any(one & other for place, one in enumerate(names)
                                                       for other in names[place + 1:])
    return Relation(places, not places and in_turn(report.tallies))


def vantage_names(tally: Tally) -> set[str]:
    """How runs call the place that they are made from."""
    places = (facts.get("vantage") for facts in tally.facts)
    return {str(name) for place in places
            if isinstance(place, dict) and (name := place.get("name") or place.get("host"))}


def in_turn(tallies: list[Tally]) -> bool:
    """Whether each file was begun after the one before it had ended; they may be given in any order."""
    spans = sorted((tally.first, tally.last) for tally in tallies)
    return len(spans) > 1 and all(spans[0]) and all(
        one[1] < other[0] for one, other in pairwise(spans))
