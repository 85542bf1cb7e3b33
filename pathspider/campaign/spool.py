"""What a vantage point has measured and not yet sent, and what it has sent: a chunk that comes again is sent again, or
said to be done, and never measured twice.

Names of files are those of chunks whose parts have been checked.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import remove_drafts, sync, write_once
from pathspider.campaign.results import is_complete

log = logging.getLogger("pathspider")

KEPT = 60 * 86400.0
"""Seconds for which is remembered what was sent."""


class Spool:
    """Results in a folder, on the disk when :meth:`put` returns."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._waiting, self._sent = self.folder / "waiting", self.folder / "sent"
        try:
            for path in (self._waiting, self._sent):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            remove_drafts(self.folder)
            self._remove_torn()
        except OSError as error:
            raise CampaignError(f"spool {error.filename or folder}: {error.strerror}") from None
        self._forget()

    def _remove_torn(self) -> None:
        """The coordinator would refuse what is not whole. Its chunk was not acknowledged: it comes again."""
        for path in self._waiting.iterdir():
            with path.open("rb") as stream:
                is_whole = is_complete(stream)
            if not is_whole:
                path.unlink()
                log.warning("%s is torn, and was removed: this chunk is measured again when it comes again", path)

    def _forget(self) -> None:
        old = time.time() - KEPT
        for path in self._sent.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < old:
                    path.unlink()

    def put(self, key: str, data: bytes) -> None:
        """Keep the results of a chunk."""
        write_once(self._waiting / key, data)

    def get(self, key: str) -> bytes | None:
        """The results of a chunk that wait to be sent; None if there are none."""
        try:
            return (self._waiting / key).read_bytes()
        except FileNotFoundError:
            return None

    def sent(self, key: str) -> None:
        """The broker has the results of a chunk."""
        (self._sent / key).touch()
        sync(self._sent)
        with suppress(FileNotFoundError):
            (self._waiting / key).unlink()

    def was_sent(self, key: str) -> bool:
        """Whether the broker has got the results of a chunk."""
        return (self._sent / key).exists()

    def waiting(self) -> Iterator[str]:
        """The chunks whose results wait to be sent, the oldest first."""
        names = [path for path in self._waiting.iterdir() if not path.name.startswith(".")]
        yield from (path.name for path in sorted(names, key=lambda path: path.stat().st_mtime))

    def room(self) -> int:
        """Octets that are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize
