"""A plugin's part of the page: its questions, the plot that shows the answer, and the figures beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pathspider.installed import declared
from pathspider.report import wording
from pathspider.report.beside import beside, is_beside
from pathspider.report.confirmed import AT_FIRST, CONFIRMED, UP_CONFIRMED
from pathspider.report.figures import with_interval
from pathspider.report.markup import Cell, columns, details, heading_of, of_total, table, text_of, with_bounds
from pathspider.report.plot import Row, shares
from pathspider.report.questions import BASELINE_UP, HOP, natural_key
from pathspider.report.summary import Count, Report

MOST_ANSWERS = 16
"""Answers to a question that are listed, the most frequent ones; the other formats have all."""
MOST_COLUMNS = 5
"""Answers that a matrix has columns for."""
MOST_PLOTTED = 24
"""Rows of a plot."""
MOST_QUESTIONS = 100
"""Questions that are listed, those with the most records."""
MOST_VALUES = 5
FEW_FILES = 2
"""Files of which what is left, and what stands beside connectivity, are told in full."""

COMPLEMENTS = ("works", "not_seen", "not_received", "not_acked", "failed", "offline")
"""Answers that are what is left: a plot leaves them out."""
APART = (CONFIRMED, AT_FIRST.format("broken"), AT_FIRST.format("transient"))
"""Questions, by their endings, for those who want to know how the first one's answer was come by."""


def listed_questions(report: Report) -> dict[str, list[str]]:
    """The questions that are listed, by plugin; how often the feature breaks what works comes first."""
    asked: Counter[str] = Counter()
    for plugin in report.plugins:
        for question in report.questions(plugin):
            if not is_beside(question) and not question.endswith(HOP):
                asked[question] = sum({count.file: count.total for count in report.of(question, "all")}.values())
    kept = {question for question, _ in asked.most_common(MOST_QUESTIONS)}
    listed = {plugin: sorted((one for one in report.questions(plugin) if one in kept), key=_place)
              for plugin in report.plugins}
    return {plugin: questions for plugin, questions in listed.items() if questions}


def _place(question: str) -> tuple[int, int]:
    endings = (UP_CONFIRMED, BASELINE_UP)
    place = next((place for place, ending in enumerate(endings) if question.endswith(ending)), len(endings))
    return place, wording.rank(question)


def is_apart(question: str, questions: list[str]) -> bool:
    """Whether a question is shown only to those who ask: others tell what it is made of."""
    plain, _, ending = question.partition(" ")
    if not ending:
        return plain.endswith(".connectivity") and (plain + BASELINE_UP in questions or ".stable." in plain)
    return question.endswith(APART) or (question.endswith(BASELINE_UP)
                                        and question.replace(BASELINE_UP, UP_CONFIRMED) in questions)


def answers(report: Report, questions: list[str]) -> Iterator[str]:
    """A plugin's questions."""
    for question in questions:
        if not is_apart(question, questions):
            yield from _heading(question, wording.heading(question))
            yield from _question(report, question)
    if apart := [question for question in questions if is_apart(question, questions)]:
        yield from details("First connections and further rounds, apart", (
            piece for question in apart
            for piece in (*_heading(question, wording.heading_apart(question)), *_question(report, question))))
    if (count := sum(len(report.questions(plugin)) for plugin in report.plugins)) > MOST_QUESTIONS:
        yield (f"<p>Here are the {MOST_QUESTIONS} questions with the most records, of {count:,}; JSON and CSV have "
               "them all.</p>\n")


def _heading(question: str, heading: str) -> Iterator[str]:
    yield f"<h3>{heading_of(heading)} <code>{text_of(question)}</code></h3>\n"


def _question(report: Report, question: str) -> Iterator[str]:
    everything = report.of(question, "all")
    given: Counter[str] = Counter()
    for count in everything:
        given[count.answer.answer] += count.number
    kept = {answer for answer, _ in given.most_common(MOST_ANSWERS)}
    plugin = question.partition(".")[0]
    if unanswered := [tally for tally in report.unanswered(question)
                      if report.given_by[report.tallies.index(tally)][plugin]]:
        yield f"<p>No answers in {text_of(', '.join(tally.label for tally in unanswered))}.</p>\n"
    if len(given) > len(kept):
        yield f"<p>The {len(kept)} most frequent of {len(given)} answers; JSON and CSV have them all.</p>\n"
    listed = sorted((count for count in everything if count.answer.answer in kept), key=_order)
    if question.endswith((BASELINE_UP, UP_CONFIRMED)) and len({count.file for count in listed}) > FEW_FILES:
        listed = [count for count in listed if count.answer.answer == "broken"]
    yield from columns(_plot(report, question, listed, given), _counts(report, question, listed))
    if question.endswith((BASELINE_UP, UP_CONFIRMED)):
        yield from _beside(report, wording.name_of(question))
    yield '<div class="more">\n'
    if meanings := [*_meanings(everything, kept)]:
        yield from details("What the answers mean", ["<ul>\n", *meanings, "</ul>\n"])
    yield from _groups(report, question, given)
    yield "</div>\n"


def _order(count: Count) -> tuple[bool, list[tuple[int, str]], int]:
    """What is broken first."""
    return count.answer.answer != "broken", natural_key(count.answer.answer), count.file


def _plot(report: Report, question: str, counts: list[Count], given: Counter[str]) -> Iterator[str]:
    """The plot: without the complement, for it says the same again."""
    answered = set(given)
    if len(answered) > 1:
        answered -= {next((one for one in COMPLEMENTS if one in answered), "")}
        if len(given) == len(answered) == 2:
            answered -= {given.most_common(1)[0][0]}
    several = len({count.file for count in counts}) > 1
    most = max(MOST_PLOTTED // len(report.tallies), 1)
    plotted = {answer for answer, _ in given.most_common() if answer in answered}
    if len(plotted) > most:
        plotted = {answer for answer, _ in given.most_common(most)}
        yield f"<p>The plot has the {len(plotted)} most frequent.</p>\n"
    yield from shares(f"Shares of the answers to {question}, with intervals", [
        Row(count.answer.answer, report.tallies[count.file].label if several else "", count.file if several else 0,
            count.share) for count in counts if count.answer.answer in plotted])


def _counts(report: Report, question: str, counts: list[Count]) -> Iterator[str]:
    """A table of counts, with a column for each IP version if there are several."""
    several = len({count.file for count in counts}) > 1
    by_version = {(count.file, count.answer.answer, count.group[1]): count for count in report.of(question, "ip")}
    versions = sorted({group for _, _, group in by_version})
    versions = versions if len(versions) > 1 else []
    yield from table(f"{question}: all records", [
        "Answer", *(["Results"] if several else []), "Count", "Share", *versions], (
        [count.answer.answer, *([report.tallies[count.file].label] if several else []),
         of_total(count.number, count.total), with_bounds(count.share),
         *(with_bounds(one.share) if (one := by_version.get((count.file, count.answer.answer, version))) else ""
           for version in versions)] for count in counts))


def _beside(report: Report, name: str) -> Iterator[str]:
    """What connections that came up were like, outside of connectivity's shares."""
    lines = []
    found = [*beside(report, name)]
    several = len({one.file for one in found}) > 1
    for one in found:
        where = f"{report.tallies[one.file].label}: " if several else ""
        values = ", ".join(f"{value} {count:,} times" for value, count in one.values[:MOST_VALUES])
        if len(one.values) > MOST_VALUES:
            values += ", …"
        lines.append(f"<li>{text_of(where)}{one.number:,} of {one.total:,} targets {text_of(one.text)}: "
                     f'<b class="figure">{with_interval(one.share)}</b> '
                     f"<code>{text_of(one.condition)}</code>"
                     f"{f' ({text_of(values)})' if values else ''}</li>\n")
    if lines:
        said = ["<ul>\n", *lines, "</ul>\n"]
        if len({one.file for one in found}) > FEW_FILES:
            yield from details("What stands beside that, and in none of these shares", said)
        else:
            yield "<p>Beside that, and in none of these shares:</p>\n" + "".join(said)


def _meanings(counts: list[Count], kept: set[str]) -> Iterator[str]:
    """What each answer means, as its plugin declares it."""
    given = {count.answer for count in counts if count.answer.answer in kept}
    seen = set()
    for answer in sorted(given, key=lambda one: natural_key(one.answer)):
        text, meaning = declared(answer.condition, answer.plugin) or ("", "")
        if meaning and text not in seen:
            seen.add(text)
            name = text if ":" in text else answer.answer
            yield f"<li><b>{text_of(name)}</b>: {text_of(meaning)}</li>\n"


def _groups(report: Report, question: str, given: Counter[str]) -> Iterator[str]:
    """The answers by autonomous system and by country, a row each."""
    largest = {*report.largest, "others"}
    systems = [count for count in report.of(question, "as") if count.group[1] in largest]
    listed, known = len(report.largest), report.targets.system_count
    more = f" ({listed} of {known}; JSON and CSV have them all)" if listed < known else ""
    for head, counts, what in (("AS", systems, f"By autonomous system{more}"),
                               ("Country", report.of(question, "country"), "By country")):
        if counts:
            yield from details(what, _matrix(report, f"{question}: {what[:1].lower()}{what[1:].partition(' (')[0]}",
                                             head, counts, given))


def _matrix(report: Report, caption: str, head: str, counts: list[Count], given: Counter[str]) -> Iterator[str]:
    """Groups by answer: in each cell the share; the most frequent answers have columns."""
    wanted = sorted((answer for answer, _ in given.most_common(MOST_COLUMNS)),
                    key=lambda one: (one != "broken", natural_key(one)))
    rows: dict[tuple[str, int], dict[str, Count]] = {}
    for count in counts:
        rows.setdefault((count.group[1], count.file), {})[count.answer.answer] = count
    several = len({count.file for count in counts}) > 1

    def line(group: str, file: int, cells: dict[str, Count]) -> list[Cell | str]:
        total = next(iter(cells.values())).total
        return [group, *([report.tallies[file].label] if several else []), Cell(f"{total:,}", total, "number"),
                *(with_bounds(cells[answer].share) if answer in cells else "" for answer in wanted)]

    if len(given) > len(wanted):
        caption += f", the {len(wanted)} most frequent answers"
    yield from table(caption, [head, *(["Results"] if several else []), "Of", *wanted],
                     (line(group, file, cells) for (group, file), cells in rows.items()))
