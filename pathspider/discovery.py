"""Find plugins and chains: the classes that the modules of a namespace package hold, ours and other distributions'.

straight.plugin walks the namespace. Its last release needs the ``imp`` module, which Python 3.12 removed; where it
cannot be imported, the standard library finds the same modules. Either way they are imported here, one at a time: one
that fails is named in a warning, and the others are used.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

log = logging.getLogger(__name__)

Base = TypeVar("Base")

_failed: dict[str, str] = {}
"""The modules and classes that cannot be used, with what could not be done to them; it was said of each."""


def module_names(namespace: str) -> list[str]:
    """The names of the modules in a namespace package, without the package's own, sorted. Imports none of them."""
    return sorted(name for name in set(_walk(namespace)) if not name.startswith("_"))


def _walk(namespace: str) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of imp, on Python 3.11
            from straight.plugin.loaders import ModuleLoader  # noqa: PLC0415 - cannot be imported everywhere
    except ImportError:
        pass
    else:
        for path in ModuleLoader()._findPluginFilePaths(namespace):
            yield os.path.splitext(os.path.basename(path))[0]
    # straight.plugin looks along sys.path alone; an installation may hook in elsewhere.
    for info in pkgutil.iter_modules(importlib.import_module(namespace).__path__):
        yield info.name


def classes(namespace: str, base: type[Base], only: str | None = None) -> list[type[Base]]:
    """The subclasses of ``base`` that the modules of ``namespace`` define, in the modules' order.

    :param only: look into this module alone
    """
    found = []
    for name in [only] if only else module_names(namespace):
        module = _import(f"{namespace}.{name}")
        if module is not None:
            found += [value for value in vars(module).values()
                      if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__]
    return found


def whereabouts(namespace: str, name: str) -> str:
    """For an error: where a module is looked for that was not found; that it was found, if it failed."""
    module = f"{namespace}.{name}"
    for failed, what in _failed.items():
        if f"{failed}.".startswith(f"{module}."):
            return f"{'its module' if failed == module else failed} cannot be {what}, for the reason above"
    return "one of your own is found when it is installed with pip, or with PYTHONPATH=. before pspdr (behind sudo), " \
           "from its package's folder"


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        is_skipped(name, "imported", error)
        return None


def is_skipped(name: str, what: str, error: BaseException | str) -> None:
    """Say that a module or a class is not used, once: who looks for one plugin and does not find it looks through all.

    :param what: what could not be done to it: it cannot be ``imported``, for example
    :param error: why, as an exception or in words
    """
    if name in _failed:
        return
    _failed[name] = what
    if isinstance(error, str):
        log.warning("%s cannot be %s and is skipped: %s", name, what, error)
    else:
        log.warning("%s cannot be %s and is skipped: %s: %s", name, what, type(error).__name__, error)
        log.debug("%s", name, exc_info=error)
