"""What was found, in sentences with the number for an abstract: the report begins with these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pathspider.report import wording
from pathspider.report.confirmed import AT_FIRST, CONFIRMED, UP_CONFIRMED
from pathspider.report.figures import points, with_interval
from pathspider.report.pairs import MOST_PLACES, Pairs
from pathspider.report.questions import BASELINE_UP, natural_key
from pathspider.report.statistics import Share, wilson
from pathspider.report.summary import Compared, Count, Report
from pathspider.report.targets import PATH_DEPENDENT, disagreement
from pathspider.report.vantage import Relation, relation_of

Sentence = list[tuple[str, bool]]
"""Text in pieces, and whether each is what the sentence is about."""

MOST_NAMED = 3
"""Places that a sentence names."""
MOST_FEATURES = 50
"""Features, or plugins without one, that sentences tell of: those with the most records, or the first."""
MOST_SHARES = 2
"""Files of which a sentence gives each share; of more, the least and the most."""


class Noise(NamedTuple):
    """The noise floor: connections that failed without the feature alone, which the feature cannot have done."""

    transient: int
    total: int
    """Of these, and those that worked both ways."""

    @property
    def share(self) -> Share:
        return wilson(self.transient, self.total)


class Suspects(NamedTuple):
    """What further rounds made of what was broken at first."""

    broken: int
    """At first."""
    confirmed: int
    unfinished: int

    @property
    def rejected(self) -> int:
        return self.broken - self.confirmed - self.unfinished


class Finding:
    """How often a feature breaks what works without it, file by file."""

    def __init__(self, report: Report, question: str) -> None:
        self.report = report
        self.question = question
        self.name = wording.name_of(question)
        self.confirmed = question.endswith(UP_CONFIRMED)
        self.first_pair = f"{self.name}.connectivity"
        self.counts = {count.file: count for count in report.of(question, "all") if count.answer.answer == "broken"}
        self.compared = next((one for one in report.compared(question) if one.first.answer.answer == "broken"), None)
        """The first two files that answer it."""

    @property
    def files(self) -> list[int]:
        return sorted(self.counts)

    def version(self, file: int, version: str) -> Count | None:
        """The count of an IP version."""
        return next((count for count in self.report.of(self.question, "ip") if count.file == file
                     and count.group[1] == version and count.answer.answer == "broken"), None)

    def noise(self, file: int) -> Noise | None:
        """None where nothing worked."""
        question = self.first_pair + (CONFIRMED if self.confirmed else "")
        given = {count.answer.answer: count.number for count in self.report.of(question, "all") if count.file == file}
        transient, works = given.get("transient", 0), given.get("works", 0)
        return Noise(transient, transient + works) if transient + works else None

    def suspects(self, file: int) -> Suspects | None:
        """None where none were measured again."""
        counts = [count for count in self.report.of(self.first_pair + AT_FIRST.format("broken"), "all")
                  if count.file == file]
        given = {count.answer.answer: count.number for count in counts}
        return Suspects(counts[0].total, given.get("broken", 0), given.get("unconfirmed", 0)) if counts else None


def findings(report: Report) -> list[Finding]:
    """Of each feature, clear differences first; of too many, those with the most records."""
    found = [Finding(report, question) for plugin in report.plugins for question in report.questions(plugin)
             if question.endswith(UP_CONFIRMED)
             or (question.endswith(BASELINE_UP)
                 and question.replace(BASELINE_UP, UP_CONFIRMED) not in report.questions(plugin))]
    most = sorted(found, key=lambda one: -sum(count.total for count in one.counts.values()))[:MOST_FEATURES]
    told = [one for one in found if one in most]
    return sorted(told, key=lambda one: not (one.compared and one.compared.clear))


def lead(finding: Finding) -> Iterator[Sentence]:
    """The number for an abstract and, with several files, what is different, and where."""
    report, counts = finding.report, finding.counts
    what, files = wording.feature(finding.name), finding.files
    is_any = any(one.number for one in counts.values())
    said = ", confirmed" if finding.confirmed else ", not confirmed" if is_any else ""
    if len(files) == 1:
        count = counts[files[0]]
        yield [(f"{what} breaks ", False), (f"{count.number:,} of {count.total:,}", True),
               (f" reachable targets{said}: ", False), (with_interval(count.share), True), (".", False)]
        return
    if len(files) <= MOST_SHARES:
        first, last = files
        yield [(f"{report.tallies[last].label}: {wording.inner(what)} breaks ", False),
               (with_interval(counts[last].share), True),
               (f" of reachable targets{said}; {report.tallies[first].label}: ", False),
               (with_interval(counts[first].share), True), (".", False)]
    else:
        low, *_, high = sorted(files, key=lambda file: counts[file].share.value)
        yield [(f"{what} breaks between ", False), (with_interval(counts[low].share), True),
               (f" of reachable targets ({report.tallies[low].label}) and ", False),
               (with_interval(counts[high].share), True), (f" ({report.tallies[high].label}){said}.", False)]
    relation = relation_of(report)
    if len(files) > MOST_SHARES and relation.places and (dependent := path_dependent(finding)):
        number, total = dependent
        yield [(f"{number:,} of {total:,}", True), (f" targets {'is' if number == 1 else 'are'} path-dependent: broken "
                                                    "from one vantage point, and not from another.", False)]
    if best := clearest(finding):
        yield from difference(finding, best, relation)


def clearest(finding: Finding) -> Compared | None:
    """Of the comparisons with the first file, the one that chance explains least."""
    pairs = [one for one in finding.report.compared(finding.question) if one.first.answer.answer == "broken"]
    return min(pairs, key=lambda one: (not one.clear, 1 if one.adjusted is None else one.adjusted,
                                       -abs(one.difference.value)), default=None)


def difference(finding: Finding, one: Compared, relation: Relation) -> Iterator[Sentence]:
    """What is different between two files, and where."""
    report = finding.report
    first, second = (report.tallies[count.file].label for count in (one.first, one.second))
    if one.pairs is None:
        clear = "a clear difference" if one.clear else "no clear difference"
        value, low, high = points(one.difference)
        yield [(f"Of other targets each, {first} and {second} make {clear}: ", False),
               (f"{value} points ({low} to {high})", one.clear), (".", False)]
        return
    pairs = one.pairs
    if not pairs.gained + pairs.lost:
        yield [(f"Of {pairs.total:,} targets in both {first} and {second}, none {relation.verb}.", False)]
        return
    end = f" ({wording.chance(pairs.p)}, exact){'' if one.clear else ': no clear difference'}."
    if relation.times:
        gained, lost = f"{pairs.gained:,} broke", f" from {first} to {second}, {pairs.lost or 'none'} recovered"
    else:
        at = "from" if relation.places else "in"
        gained = f"{pairs.gained:,} {'is' if pairs.gained == 1 else 'are'} broken {at} {second} alone"
        lost = f", {pairs.lost or 'none'} {at} {first} alone"
    yield [(f"Of the same {pairs.total:,} targets, ", False), (gained, pairs.gained > 0), (lost + end, False)]
    if one.clear and (where := gathered(finding, pairs)):
        yield where


def gathered(finding: Finding, pairs: Pairs) -> Sentence:
    """In which places it is that targets changed; nothing where it is in no few of them."""
    for kind in ("as", "country", "prefix"):
        change = finding.report.pairs.where(kind, pairs)
        more = pairs.gained >= pairs.lost
        clear = [place for place in change.places if place.clear and (place.gained > place.lost) == more]
        inside = sum(place.gained if more else place.lost for place in clear)
        total = pairs.gained if more else pairs.lost
        if not clear or inside < total / 2:
            continue
        names = sorted((place.name for place in clear[:MOST_NAMED]), key=natural_key)
        rest = len(clear) - len(names)
        listed = ", ".join(names) + f" and {rest} more" if rest else " and ".join(filter(None, (
            ", ".join(names[:-1]), names[-1])))
        prefix = {"as": "", "country": "the country " if len(clear) == 1 else "the countries ", "prefix": ""}[kind]
        amount = "All of it" if inside == total else f"{inside:,} of {total:,}"
        return [(f"{amount} {'is' if inside == total else 'are'} in {prefix}", False), (listed, True), (".", False)]
    return []


def path_dependent(finding: Finding) -> tuple[int, int] | None:
    """Targets on which vantage points disagree, of those that at least two of them tell of."""
    question = finding.first_pair + (CONFIRMED if finding.confirmed else "")
    points_of = finding.report.targets.points
    found = {word: points_of[question, word] for word in ("works", "broken", PATH_DEPENDENT)}
    return (found[PATH_DEPENDENT], sum(found.values())) if sum(found.values()) else None


def path_dependent_in(report: Report, question: str) -> tuple[list[tuple[str, int]], int]:
    """The autonomous systems with the most targets on which vantage points disagree, how many these are, and how many
    there are in all systems."""
    found = [(name, targets) for name, targets, _ in report.targets.places.of("as", {disagreement(question): 1})]
    return found[:MOST_PLACES], sum(targets for _, targets in found)


def evidence(finding: Finding) -> Iterator[str]:
    """What stands behind the number: IP versions, the noise floor, what further rounds said."""
    several = len(finding.files) > 1
    for file in finding.files:
        parts = [f"{version} {with_interval(count.share)}" for version in ("IPv4", "IPv6")
                 if (count := finding.version(file, version))]
        if noise := finding.noise(file):
            parts.append(f"noise floor {with_interval(noise.share)}: "
                         f"{noise.transient or 'no'} {'target' if noise.transient == 1 else 'targets'} failed only "
                         "without it")
        if found := finding.suspects(file):
            rest = f", {found.unfinished:,} came to no end" if found.unfinished else ""
            parts.append(f"of {found.broken:,} broken at first, further rounds confirmed {found.confirmed:,} "
                         f"and rejected {found.rejected:,}{rest}")
        if parts:
            text = "; ".join(parts) + "."
            yield f"{finding.report.tallies[file].label}: {text}" if several else text[:1].upper() + text[1:]


def located(finding: Finding) -> str:
    """Where on the path it is, for targets that were looked for: the most frequent intervals, by the ASes of both ends
    where these are known; empty without any."""
    counter: Counter[str] = Counter()
    rest = 0
    for tally in finding.report.tallies:
        for one, count in tally.hops.items():
            if one.name == finding.name and one.low and one.high:
                ends = one.low.system and one.high.system and (one.low.system, one.high.system)
                counter["{} between {} and {}".format(one.word, *(ends or (one.low, one.high)))] += count
            elif one.name == finding.name:
                rest += count
    said = [f"{count:,} {what}" for what, count in counter.most_common()]
    if len(said) > MOST_NAMED:
        rest_of = len(said) - MOST_NAMED
        said = [*said[:MOST_NAMED], f"{rest_of:,} more {'interval' if rest_of == 1 else 'intervals'}"]
    return "; ".join([*said, *([f"{rest:,} not between two hops"] if rest else [])])


def others(report: Report) -> Iterator[tuple[str, Sentence]]:
    """Of each plugin without such a feature: its first question, and what is said most."""
    told = {finding.name.partition(".")[0] for finding in findings(report)}
    for plugin in report.plugins[:MOST_FEATURES]:
        question = wording.headline(plugin, report.questions(plugin))
        if plugin in told or not question:
            continue
        sentence: Sentence = [(f"{wording.title(plugin)}: ", False)]
        for file in sorted({count.file for count in report.of(question, "all")}):
            counts = sorted((count for count in report.of(question, "all") if count.file == file and count.number),
                            key=lambda count: -count.number)[:MOST_SHARES]
            sentence += [(f"{report.tallies[file].label}: " if len(report.tallies) > 1 else "", False)]
            for place, count in enumerate(counts):
                sentence += [(", " if place else "", False), (f"{count.answer.answer} ", False),
                             (with_interval(count.share), True)]
            sentence += [(f", of {counts[0].total:,}. " if counts else "", False)]
        yield question, sentence


def plain(sentence: Sentence) -> str:
    """Without marks."""
    return "".join(text for text, _ in sentence)
