"""One field of a flow record, as a chain declares it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Field(NamedTuple):
    """One field of a flow record."""

    type: type
    """Type of the value once it is set."""
    initial: Any
    """Value in a new flow record; immutable, since all flows share it."""
    doc: str
    """What the value means."""
