"""What not every installation has, and what is said where it is missing."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


class MissingError(Exception):
    """Something optional that is asked for is not installed; the text says what to do."""


@cache
def has_aioquic() -> bool:
    """Whether aioquic is installed; it is not loaded."""
    return find_spec("aioquic") is not None


def require_aioquic(who: str) -> None:
    """Raises :exc:`MissingError` where aioquic is not installed, which ``who`` needs."""
    if not has_aioquic():
        raise MissingError(f"{who} needs the Python package aioquic, which Debian 12 does not have: install it "
                           "in a virtual environment (pip install 'pathspider[quic]')")
