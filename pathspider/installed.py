"""The plugins and chains that are installed, ours and those of other distributions, and what plugins declare."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pathspider.conditions import (
    HOP_CONDITION,
    HOPS,
    LOSSY,
    PLACEHOLDERS,
    RUN,
    RUN_CONDITIONS,
    STABLE,
    STABLE_CONDITION,
    matches,
)
from pathspider.discovery import classes, is_skipped, module_names

if TYPE_CHECKING:
    from pathspider.chains.base import Chain

PLUGINS = "pathspider.plugins"
CHAINS = "pathspider.chains"

NO_CHAINS = frozenset({"base", "plainsyn"})
"""Modules of the namespace that hold what chains are made of, and a chain that is of use to one plugin alone."""


def available_plugins(named: str | None = None) -> list[Any]:
    """The plugins' classes, by name: of the one of this name alone, if the module of that name has it, or else of all.

    Loading one alone saves what the others import. A class that cannot be offered is named in a warning, once.
    """
    from pathspider.base import PluggableSpider  # noqa: PLC0415 - not needed for `pspdr --help`

    if named in module_names(PLUGINS):
        found = [plugin for plugin in classes(PLUGINS, PluggableSpider, only=named) if plugin.name == named]
        if found:
            return found
    found = []
    for plugin in classes(PLUGINS, PluggableSpider):
        if problem := why_not_offered(plugin):
            if not plugin.__subclasses__():  # others extend it: it is what they share
                is_skipped(f"{plugin.__module__}.{plugin.__name__}", "offered", problem)
        else:
            found.append(plugin)
    return sorted(found, key=lambda plugin: plugin.name)


def why_not_offered(plugin: Any) -> str:
    """What keeps a class from having a sub-command, for people; empty where nothing does."""
    from pathspider.base import PluggableSpider, Spider  # noqa: PLC0415 - not needed for `pspdr --help`

    ours = (Spider.register_args.__func__, PluggableSpider.register_args.__func__)  # type: ignore[attr-defined]
    if getattr(plugin.register_args, "__func__", None) not in ours:
        return ""  # it adds one by itself
    name = plugin.name
    if name in ("", Spider.name):
        return "it has no name of its own"
    if not isinstance(name, str):
        return f"its name is {name!r}, where a word is needed"
    if "name" not in vars(plugin) and any(vars(one).get("name") == name and issubclass(one, PluggableSpider)
                                          for one in plugin.__mro__[1:]):
        return f"it has the name of the plugin that it extends, {name}"
    return ""


@cache
def find_plugin(name: str) -> Any | None:
    """The class of the plugin of this name, None where there is none."""
    return next((plugin for plugin in available_plugins(name) if plugin.name == name), None)


def passive_plugins(named: Sequence[str] = ()) -> list[Any]:
    """The plugins that can tell something of flows of others, by name; those of these names alone, where there are any.

    One whose declaration cannot be is named in a warning, and left out.

    :raises KeyError: for a name that none of them has
    """
    if not named:
        return [plugin for plugin in available_plugins() if tells_of_others(plugin)]
    found = {name: plugin for name in named for plugin in available_plugins(name)
             if plugin.name == name and tells_of_others(plugin)}
    return [found[name] for name in sorted(set(named))]


def tells_of_others(plugin: Any) -> bool:
    """Whether a plugin can tell something of flows of others: it names the chains that it needs for that."""
    from pathspider.chains.base import Chain  # noqa: PLC0415 - native

    chains = plugin.passive_chains
    if isinstance(chains, Sequence) and all(isinstance(one, type) and issubclass(one, Chain) for one in chains):
        return bool(chains)
    is_skipped(f"{plugin.__module__}.{plugin.__name__}", "asked of flows of others",
               f"its passive_chains are {chains!r}, where a list of chains' classes is needed")
    return False


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
    if stable := STABLE_CONDITION.fullmatch(condition):
        if meaning := STABLE.get(stable["word"]):
            return condition, meaning
        first = declared(f"{stable['name']}.{stable['what']}.{stable['word']}", plugin)
        return first and (condition, f"in every further round: {first[1]}")
    if hop := HOP_CONDITION.fullmatch(condition):
        said = condition.removeprefix(f"{hop['name']}.hop.")
        for text, meaning in HOPS.items():
            if matches(said, text):
                return f"{hop['name']}.hop.{text}", meaning
    found = find_plugin(plugin)
    own, placeholders = (found.conditions, found.placeholders) if found else ({}, {})
    for known in (RUN_CONDITIONS, own):
        for text, meaning in known.items():
            if matches(condition, text, {**PLACEHOLDERS, **placeholders}):
                return text, meaning
    return (condition, LOSSY) if condition.endswith(".lossy") else None
