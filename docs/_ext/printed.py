"""What the pages need on paper: a list of contents at the front, and commands that never break inside an option."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Any

from docutils import nodes
from pygments.formatters import HtmlFormatter
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.highlighting import PygmentsBridge

SHORT = 34
"""Characters of a word in a line of text that fit a phone."""
FITS = 80
"""Characters of a word in a block of code that fit a sheet of paper."""

RUN = re.compile(r"(?:</span>)*((?:<[^>]*>|[^\s<])+?)((?:<span[^>]*>)*(?=\s|$))")


class WholeWords(HtmlFormatter):  # Pygments of Debian 12 has no HtmlFormatter[str]
    """Words with a hyphen in them are marked, so that the style sheet can keep a line from ending within."""

    def _format_lines(self, tokensource: Any) -> Iterator[tuple[int, str]]:
        for kind, line in super()._format_lines(tokensource):
            yield kind, RUN.sub(self.mark, line)

    @staticmethod
    def mark(match: re.Match[str]) -> str:
        whole, word = match[0], match[1]
        text = unescape(re.sub("<[^>]*>", "", word))
        if "-" not in text or len(text) > FITS or word.count("<span") != word.count("</span>"):
            return whole
        return whole.replace(word, f'<span class="whole">{word}</span>', 1)


def keep_whole(_: Sphinx, doctree: nodes.document, __: str) -> None:
    """Mark code in the text whose words are all short: a line need not end within one."""
    for code in doctree.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) <= SHORT:
            code["classes"].append("short")


def entries(environment: BuildEnvironment, page: str) -> Iterator[str]:
    """The pages below a page, as lists of HTML."""
    for tree in environment.get_doctree(page).findall(addnodes.toctree):
        if tree["caption"]:
            yield f'<p class="caption">{escape(tree["caption"])}</p>'
        yield "<ol>"
        for _, name in tree["entries"]:
            title = escape(environment.titles[name].astext())
            yield f'<li><a href="#document-{name}"><span>{title}</span><span data-page="{name}"></span></a>'
            yield from entries(environment, name)
            yield "</li>"
        yield "</ol>"


def contents(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a list of all pages behind the title of the single page; docs/pdf.py fills in their numbers."""
    if app.builder.name != "singlehtml" or page != app.config.root_doc:
        return
    version = f"<p>Version {escape(app.config.release)}</p>"
    text = "\n".join(['<nav class="printed-contents">', version, *entries(app.env, page), "</nav>"])
    section = next(iter(doctree.findall(nodes.section)))
    section.insert(section.first_child_matching_class(nodes.paragraph) + 1, nodes.raw("", text, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    PygmentsBridge.html_formatter = WholeWords
    app.connect("doctree-resolved", keep_whole)
    app.connect("doctree-resolved", contents)
    return {"parallel_read_safe": True}
