"""The plugin that a scenario names, among those that ``pspdr measure`` has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pathspider.lab.errors import LabError

if TYPE_CHECKING:
    from pathspider.base import Spider


@cache
def find_plugin(name: str) -> type[Spider]:
    """The class of a plugin. Raises LabError, with how own plugins are found, where there is none."""
    from pathspider.cmd.measure import PLUGINS, available_plugins  # noqa: PLC0415 - imports a plugin
    from pathspider.discovery import whereabouts  # noqa: PLC0415

    for plugin in available_plugins([name]):
        if plugin.name == name:
            found: type[Spider] = plugin
            return found
    raise LabError(f"there is no plugin called {name!r}; {whereabouts(PLUGINS, name)}")
