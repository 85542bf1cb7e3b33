"""A report as one HTML page that holds all it needs: no other file, no network, no library."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from itertools import chain, islice

from pathspider.report import comparison, sections, wording
from pathspider.report.answers import answers, listed_questions
from pathspider.report.markup import heading_of, section, text_of
from pathspider.report.summary import Report

MOST_NAMED = 6
"""Plugins that the title names."""


def as_html(report: Report) -> Iterator[str]:
    """The page, piece by piece."""
    several = len(report.tallies) > 1
    parts = [
        *([("compared", heading_of(comparison.heading(report)), comparison.compared(report))] if several else []),
        *((f"plugin{number}", f"{heading_of(wording.title(plugin))} <code>{heading_of(plugin)}</code>",
           answers(report, questions))
          for number, (plugin, questions) in enumerate(listed_questions(report).items())),
        ("where", "Where on the path?", comparison.located(report)),
        ("crossed", "The same targets, asked otherwise", comparison.crossed(report)),
        ("changed", comparison.heading_of_targets(report), comparison.changed(report)),
        ("without", "What has no verdict, and why?", sections.without(report)),
        ("files", "What was measured?", sections.measured(report)),
        ("reading", "How to read this", sections.reading()),
    ]
    begun = ((anchor, heading, next(pieces, ""), pieces) for anchor, heading, pieces in parts)
    shown = [part for part in begun if part[2]]
    subtitle = "".join(f" · {part}" for part in (*map(text_of, islice(report.plugins, MOST_NAMED)),
                                                *(f'<span class="figure">{days}</span>' for days in _days(report))))
    style, script = (files("pathspider.report").joinpath(name).read_text(encoding="utf-8")
                     for name in ("page.css", "page.js"))
    policy = (f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
              "base-uri 'none'; form-action 'none'")
    yield (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
           f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
           f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
           f"<title>{text_of(report.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n")
    yield '<a class="skip" href="#main">To the results</a>\n<header>\n'
    yield f"<h1>{text_of(report.title)}{subtitle}</h1>\n</header>\n<main id=\"main\">\n"
    yield from sections.finding(report)
    yield '<nav aria-label="Contents"><ul>\n'
    yield from (f'<li><a href="#{anchor}">{heading.partition(" <")[0]}</a></li>\n' for anchor, heading, _, _ in shown)
    yield "</ul></nav>\n"
    for anchor, heading, first, pieces in shown:
        yield from section(anchor, heading, chain([first], pieces))
    yield f'</main>\n<footer class="soft">Made by PATHspider {text_of(report.version)} on {report.made[:16]} UTC.'
    yield "</footer>\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _days(report: Report) -> Iterator[str]:
    """On which days was measured."""
    days = sorted({text[:10] for tally in report.tallies for text in (tally.first, tally.last) if text})
    if days:
        yield days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
