"""A campaign's table on standard error: drawn over and over on a terminal, a line a minute in a log."""

from __future__ import annotations

import time

from pathspider.campaign.progress import Progress, Row, table
from pathspider.cmd.progress import Line
from pathspider.terminal import width


class Table(Line):
    """Shows how far a campaign is while its body runs."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._height = 0
        """Lines from the first of the table to the one where the cursor is."""

    def line(self, now: float) -> str:
        """The table; in a log, a line."""
        moment = time.time()
        rows = self._progress.rows(moment)
        return table(rows, moment) if self._draws else "; ".join(map(brief, rows))

    def last_line(self, now: float) -> str:
        """The table as it is in the end."""
        return self.line(now)

    def _show(self, line: str, end: str = "") -> None:
        up = f"\x1b[{self._height}A" if self._height else ""
        lines = [one[:width(self.stream) - 1] for one in line.split("\n")]
        self._height = 0 if end else len(lines) - 1
        self.stream.write(f"\r{up}\x1b[J" + "\n".join(lines) + end)
        self.stream.flush()


def brief(row: Row) -> str:
    """A row in a few words."""
    total = "" if row.total is None else f"{row.done:,} of {row.total:,}, {row.rate:.1f}/s"
    return f"{row.name}: {total or row.remark or 'is there'}{f', {row.errors} errors' if row.errors else ''}"
