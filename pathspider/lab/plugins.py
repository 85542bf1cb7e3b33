"""The plugin that a scenario names, among those that ``pspdr measure`` has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pathspider import installed
from pathspider.discovery import whereabouts
from pathspider.lab.errors import LabError

if TYPE_CHECKING:
    from pathspider.base import Spider


@cache
def find_plugin(name: str) -> type[Spider]:
    """The class of a plugin. Raises LabError, with how own plugins are found, where there is none."""
    plugin: type[Spider] | None = installed.find_plugin(name)
    if plugin is None:
        raise LabError(f"there is no plugin called {name!r}; {whereabouts(installed.PLUGINS, name)}")
    return plugin
