"""Pieces of HTML that sections of the page are made of: headings, tables, and strangers' text made harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain
from typing import NamedTuple

from pathspider.report.figures import bounds, percent
from pathspider.report.statistics import Share
from pathspider.text import printable

MOST_HEAD = 24
"""Characters of a stranger's text that a column's head has."""


class Cell(NamedTuple):
    """A cell: its text, the number by which its column is sorted, and how the page shows it."""

    text: str
    value: float | None = None
    kind: str = ""
    more: str = ""
    """What stands behind it in small letters."""


def text_of(value: str) -> str:
    """A stranger's text as HTML."""
    return escape(printable(value))


def heading_of(name: str) -> str:
    """A stranger's text as a heading: it cannot be empty."""
    return text_of(name) or "(no name)"


def number(value: int) -> Cell:
    return Cell(f"{value:,}", value, "number")


def share(value: float) -> Cell:
    return Cell(percent(value), value, "number")


def short(label: str) -> str:
    """A stranger's text as a column's head, which may not be wide."""
    return label if len(label) <= MOST_HEAD else label[:MOST_HEAD - 1] + "…"


def with_bounds(share: Share) -> Cell:
    """A share, and its interval beside it."""
    return Cell(percent(share.value), share.value, "number share", f"({bounds(share)})")


def of_total(count: int, total: int) -> Cell:
    """How many of how many; sorted by the part."""
    return Cell(f"{count:,}", count / total if total else 0, "number", f"of {total:,}")


def many(text: str) -> Cell:
    """A text of many words, which may be broken between lines."""
    return Cell(text, kind="many")


def section(anchor: str, heading: str, pieces: Iterable[str]) -> Iterator[str]:
    """A part of the page that can be linked to."""
    yield f'<section>\n<h2 id="{anchor}">{heading}</h2>\n'
    yield from pieces
    yield "</section>\n"


def details(summary: str, pieces: Iterable[str]) -> Iterator[str]:
    """What is shown to those who ask for it, and on paper."""
    yield f"<details><summary>{summary}</summary>\n"
    yield from pieces
    yield "</details>\n"


MOST_COLUMNS = 2
"""Columns up to which a table fits a phone; rows of wider ones are lists there."""


DENSE = 6
"""Columns of more than which a tablet makes a list, too, and elsewhere intervals stand below their shares."""


def table(caption: str, heads: list[str], rows: Iterable[list[Cell | str]], most: int = MOST_COLUMNS) -> Iterator[str]:
    """A table that can be sorted; the first column names the row. ``most`` columns fit a phone."""
    cells = ([one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows)
    first = next(cells, [])
    name = text_of(caption)
    wide = " stack" * (len(heads) > most) + " dense" * (len(heads) > DENSE)
    yield f'<div class="scroll" role="group" aria-label="{name}" tabindex="0"><table class="sortable{wide}">\n'
    yield f"<caption>{name}</caption>\n<thead><tr>"
    for place, head in enumerate(heads):
        yield f'<th scope="col"{_kind(first[place]) if first else ""}>{text_of(head)}</th>'
    yield "</tr></thead>\n<tbody>\n"
    for row in chain([first] if first else [], cells):
        yield f'<tr><th scope="row">{_text(row[0])}</th>'
        yield "".join(f"<td{_kind(cell)}{_value(cell)}{_head(head) if wide else ''}>{_text(cell)}</td>"
                      for head, cell in zip(heads[1:], row[1:], strict=True)) + "</tr>\n"
    yield "</tbody>\n</table></div>\n"


def columns(*pieces: Iterable[str]) -> Iterator[str]:
    """Beside each other, where there is room."""
    yield '<div class="two">\n'
    for one in pieces:
        yield "<div>\n"
        yield from one
        yield "</div>\n"
    yield "</div>\n"


def _text(cell: Cell) -> str:
    return text_of(cell.text) + (f' <span class="iv">{text_of(cell.more)}</span>' if cell.more else "")


def _head(head: str) -> str:
    return f' data-head="{text_of(head)}"'


def _kind(cell: Cell) -> str:
    return f' class="{cell.kind}"' if cell.kind else ""


def _value(cell: Cell) -> str:
    return "" if cell.value is None else f' data-value="{cell.value!r}"'
