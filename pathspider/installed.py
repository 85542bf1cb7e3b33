"""The plugins and chains that are installed, by name: ours and those of other distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pathspider.discovery import classes, module_names

if TYPE_CHECKING:
    from pathspider.chains.base import Chain

PLUGINS = "pathspider.plugins"
CHAINS = "pathspider.chains"

NO_CHAINS = frozenset({"base"})
"""Modules of the namespace that hold what chains are made of, not chains."""


def available_plugins(words: Sequence[str] = ()) -> list[Any]:
    """The plugins' classes: of the one that the words of a command line name by its module alone, or else of all.

    Loading one alone saves what the others import.
    """
    from pathspider.base import PluggableSpider  # noqa: PLC0415 - not needed for `pspdr --help`

    names = module_names(PLUGINS)
    for word in words:
        if word in names:
            named = [plugin for plugin in classes(PLUGINS, PluggableSpider, only=word) if plugin.name == word]
            if named:
                return named
    return sorted(classes(PLUGINS, PluggableSpider), key=lambda plugin: plugin.name)


def find_plugin(name: str) -> Any | None:
    """The class of the plugin of this name, None where there is none."""
    return next((plugin for plugin in available_plugins([name]) if plugin.name == name), None)


def available_chains() -> dict[str, type[Chain]]:
    """Every chain by its name, which is its module's."""
    from pathspider.chains.base import Chain  # noqa: PLC0415 - native

    found = {}
    for chain in classes(CHAINS, Chain):
        name = chain.__module__.rpartition(".")[2]
        if name not in NO_CHAINS:
            found[name] = chain
    return found
