"""Pieces of HTML that sections of the page are made of: headings, tables, and strangers' text made harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain
from typing import NamedTuple

from pathspider.report.figures import percent
from pathspider.text import printable


class Cell(NamedTuple):
    """A cell: its text, the number by which its column is sorted, and how the page shows it."""

    text: str
    value: float | None = None
    kind: str = ""


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


def table(caption: str, heads: list[str], rows: Iterable[list[Cell | str]]) -> Iterator[str]:
    """A table that can be sorted and, where it is too wide, scrolled; the first column names the row."""
    cells = ([one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows)
    first = next(cells, [])
    name = text_of(caption)
    yield f'<div class="scroll" role="group" aria-label="{name}" tabindex="0"><table class="sortable">\n'
    yield f"<caption>{name}</caption>\n<thead><tr>"
    for place, head in enumerate(heads):
        yield f'<th scope="col"{_kind(first[place]) if first else ""}>{text_of(head)}</th>'
    yield "</tr></thead>\n<tbody>\n"
    for row in chain([first] if first else [], cells):
        yield f'<tr><th scope="row">{text_of(row[0].text)}</th>'
        yield "".join(f"<td{_kind(cell)}{_value(cell)}>{text_of(cell.text)}</td>" for cell in row[1:]) + "</tr>\n"
    yield "</tbody>\n</table></div>\n"


def _kind(cell: Cell) -> str:
    return f' class="{cell.kind}"' if cell.kind else ""


def _value(cell: Cell) -> str:
    return "" if cell.value is None else f' data-value="{cell.value!r}"'
