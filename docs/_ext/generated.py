"""Pages that the program itself fills: its commands, the fields of its chains, its conditions."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from pathspider.chains.base import Chain
from pathspider.cmd.describe import Argument, program
from pathspider.conditions import DOCUMENTED
from pathspider.discovery import classes


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{letter}" if letter in "\\*`_|" else letter for letter in text)


def title(text: str) -> Iterator[str]:
    yield from ("", text, "-" * len(text), "")


def entry(term: str, meaning: str) -> Iterator[str]:
    """One entry of a definition list."""
    yield from (term, f"    {plain(' '.join(meaning.split())) or chr(92) + ' '}", "")


def term(argument: Argument) -> str:
    """An option with its value, or the name of a positional argument."""
    flags = argument.flags or (argument.metavar,)
    value = f" {argument.metavar}" if argument.flags and argument.metavar else ""
    return ", ".join(f"``{flag}{value}``" for flag in flags)


def commands() -> Iterator[str]:
    for command in program().walk():
        yield from title(" ".join(command.words))
        yield from plain(cleandoc(command.description)).splitlines()
        yield from ("", "::", "", f"    {command.usage}", "")
        for argument in command.arguments:
            yield from entry(term(argument), argument.help)


def chains() -> Iterator[str]:
    for chain in classes("pathspider.chains", Chain):
        if chain.fields:
            yield from title(chain.__name__)
            yield from cleandoc(chain.__doc__ or "").splitlines()
            yield from ("", f"For ``pspdr observe``: ``{chain.__module__.rpartition('.')[2]}``.", "")
            for name, field in chain.fields.items():
                yield from entry(f"``{name}`` ({field.type.__name__}; at first {field.initial!r})", field.doc)


def conditions() -> Iterator[str]:
    for plugin, meanings in DOCUMENTED.items():
        yield from title(plugin)
        for condition, meaning in meanings.items():
            yield from entry(f"``{condition}``", meaning)


def directive(lines: Any) -> type[SphinxDirective]:
    """A directive whose content is what a function yields."""

    class Generated(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            holder = nodes.section(document=self.state.document)
            holder.document = self.state.document
            nested_parse_with_titles(self.state, StringList(list(lines()), source=lines.__name__), holder)
            return holder.children

    return Generated


def setup(app: Sphinx) -> dict[str, bool]:
    for lines in (commands, chains, conditions):
        app.add_directive(f"pathspider-{lines.__name__}", directive(lines))
    return {"parallel_read_safe": True}
