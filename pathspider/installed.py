"""The plugins and chains that are installed, ours and those of other distributions, and what plugins declare."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pathspider.conditions import PLACEHOLDERS, RUN, RUN_CONDITIONS, matches
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
    return sorted(filter(has_command, classes(PLUGINS, PluggableSpider)), key=lambda plugin: plugin.name)


def has_command(plugin: Any) -> bool:
    """Whether a class has a name for its sub-command, or adds that by itself: others are what plugins extend."""
    from pathspider.base import PluggableSpider, Spider  # noqa: PLC0415 - not needed for `pspdr --help`

    ours = (Spider.register_args.__func__, PluggableSpider.register_args.__func__)  # type: ignore[attr-defined]
    return plugin.name not in ("", Spider.name) or getattr(plugin.register_args, "__func__", None) not in ours


@cache
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


def declared_conditions() -> dict[str, dict[str, str]]:
    """Every condition with its meaning: of the run itself under ``pathspider``, then those of each plugin by its name.

    What a plugin says of the run itself (``pathspider.skipped:…``) stands under ``pathspider``, and names the plugin.
    """
    of_run = dict(RUN_CONDITIONS)
    groups = {RUN: of_run}
    for plugin in available_plugins():
        groups[plugin.name] = {}
        for condition, meaning in plugin.conditions.items():
            if condition.startswith(f"{RUN}."):
                general = f"{of_run[condition]}; " if condition in of_run else ""
                of_run[condition] = f"{general}{plugin.name}: {meaning}"
            else:
                groups[plugin.name][condition] = meaning
    return groups


def declared(condition: str, plugin: str) -> tuple[str, str] | None:
    """A condition as it is declared, values in ``<…>``, and its meaning; ``None`` where nobody has declared it.

    :param plugin: the name of the plugin that concluded it
    """
    found = find_plugin(plugin)
    own, placeholders = (found.conditions, found.placeholders) if found else ({}, {})
    for known in (RUN_CONDITIONS, own):
        for text, meaning in known.items():
            if matches(condition, text, {**PLACEHOLDERS, **placeholders}):
                return text, meaning
    return None
