"""A report as one HTML page that holds all it needs: no other file, no network, no library."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files

from pathspider.report import sections
from pathspider.report.markup import heading_of, section, text_of
from pathspider.report.summary import Report


def as_html(report: Report) -> Iterator[str]:
    """The page, piece by piece."""
    parts = [
        ("files", "What was measured", sections.measured(report)),
        *((f"plugin{number}", heading_of(plugin), sections.answers(report, questions))
          for number, (plugin, questions) in enumerate(sections.listed_questions(report).items())),
        ("without", "Without a verdict", sections.without(report)),
        ("changed", "Targets that changed", sections.changed(report)),
        ("reading", "How to read this", sections.reading()),
    ]
    style, script = (files("pathspider.report").joinpath(name).read_text(encoding="utf-8")
                     for name in ("page.css", "page.js"))
    policy = (f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
              "base-uri 'none'; form-action 'none'")
    yield (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
           f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
           f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
           f"<title>{text_of(report.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n")
    yield '<a class="skip" href="#main">To the results</a>\n<header>\n'
    yield f"<h1>{text_of(report.title)}</h1>\n"
    yield f'<p class="soft">Made by PATHspider {text_of(report.version)} on {report.made[:16]} UTC.</p>\n</header>\n'
    yield '<nav aria-label="Contents"><ul>\n'
    yield from (f'<li><a href="#{anchor}">{heading}</a></li>\n' for anchor, heading, _ in parts)
    yield '</ul></nav>\n<main id="main">\n'
    for part in parts:
        yield from section(*part)
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
