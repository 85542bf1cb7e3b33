"""Compiled twins of the shipped chains: the same files, called by the flow table at C speed.

A twin takes the place of a chain class only while the chain's file, and those it is built on, are what the twin was
compiled from. An edited chain, a subclass, and everything with ``PATHSPIDER_PURE_CHAINS`` set, runs as plain Python.
"""

from __future__ import annotations

import importlib
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

CHAINS = "pathspider.chains."
FOUNDATIONS = ("base", "kind", "tcp")
"""Modules that other chains are built on."""


def twin(chain: type[Any]) -> type[Any]:
    """The compiled twin of a chain class; the class itself where there is none, or an outdated one."""
    if os.environ.get("PATHSPIDER_PURE_CHAINS") or not chain.__module__.startswith(CHAINS):
        return chain
    name = chain.__module__.removeprefix(CHAINS)
    if not all(_is_current(part) for part in (name, *FOUNDATIONS)):
        return chain
    found: type[Any] = getattr(_module(name), chain.__name__, chain)
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except Exception:  # not built, or built for something else: the plain chain does as well
        return None


def _is_current(name: str) -> bool:
    """Whether the module's twin was compiled from the module's file as it is."""
    module = sys.modules.get(CHAINS + name) or importlib.import_module(CHAINS + name)
    compiled = _module(name)
    if compiled is None or not module.__file__:
        return False
    try:
        return bool(sha256(Path(module.__file__).read_bytes()).hexdigest() == compiled.SOURCE_DIGEST)
    except OSError:
        return False
