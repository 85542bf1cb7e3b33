"""Where lines go: a terminal, which has a size and colours, or a pipe, which has neither."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from pathspider.text import printable

WIDTH = 80
"""Columns of what is no terminal."""
NARROWEST = 40
REDRAWN = 0.5
"""Seconds between two drawings of a line that tells how far something is."""
RED, PLAIN, HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[31m", "\x1b[0m", "\x1b[H", "\x1b[K", "\x1b[J"
ODD = (".broken", ".transient", ".unstable")
"""Words that are coloured."""


class Terminal:
    """Writes lines.

    :param stream: to write to
    :param environment: ``NO_COLOR`` and ``TERM`` count. https://no-color.org/
    """

    def __init__(self, stream: TextIO, environment: os._Environ[str] | dict[str, str] = os.environ) -> None:
        self._stream = stream
        dumb = environment.get("TERM", "dumb") == "dumb"
        self.is_terminal = stream.isatty() and not dumb
        self.has_colours = self.is_terminal and not environment.get("NO_COLOR")
        self.unicode = "utf" in (stream.encoding or "").lower()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now; of a pipe, columns that fit everywhere, and no end of lines."""
        if not self.is_terminal:
            return WIDTH, 1 << 30
        size = shutil.get_terminal_size((WIDTH, 24))
        return max(NARROWEST, size.columns), max(5, size.lines)

    def write(self, lines: Iterable[str]) -> None:
        """Lines, one below the other."""
        self._stream.writelines(f"{self._coloured(line)}\n" for line in lines)
        self._stream.flush()

    def redraw(self, lines: Iterable[str]) -> None:
        """Lines in the place of all that is on the screen."""
        self._stream.write(HOME + "".join(f"{self._coloured(line)}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW)
        self._stream.flush()

    def _coloured(self, line: str) -> str:
        line = printable(line)
        if not self.unicode:
            line = line.encode("ascii", "replace").decode("ascii")
        odd = self.has_colours and any(f"{one} " in f"{line} " for one in ODD)
        return f"{RED}{line}{PLAIN}" if odd else line


def width(stream: TextIO) -> int:
    """Columns of the terminal; 80 where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
