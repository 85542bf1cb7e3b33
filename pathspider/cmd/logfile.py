"""``--log-file``: messages, each with its time, also those that ``--quiet`` keeps from standard error."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pathspider.cmd.main import UsageError, escape_controls

ours = logging.getLogger("pathspider")


class LogFile(logging.FileHandler):
    """Appends messages to a file, with times in UTC. Where it takes no more, that is said once, and the run goes on."""

    def __init__(self, name: str) -> None:
        super().__init__(name, encoding="utf-8")
        formatter = logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s",
                                      "%Y-%m-%d %H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)
        self.addFilter(escape_controls)

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Instead of a traceback for each message."""
        logging.getLogger().removeHandler(self)
        ours.warning("log file %s takes no more; messages go on here alone", self.baseFilename)


@contextmanager
def logging_to(name: str | None) -> Iterator[None]:
    """Append the messages of the body to a file too, those for information always; to none where there is no name.

    :raises UsageError: if it cannot be opened
    """
    if name is None:
        yield
        return
    try:
        handler = LogFile(name)
    except OSError as error:
        raise UsageError(f"log file {name}: {error.strerror}") from None
    root, level = logging.getLogger(), ours.level
    others = [(other, other.level) for other in root.handlers]
    for other, _ in others:
        other.setLevel(max(other.level, level))  # as told as before
    ours.setLevel(min(level or logging.INFO, logging.INFO))
    root.addHandler(handler)
    try:
        yield
    except UsageError as error:
        handler.handle(ours.makeRecord(ours.name, logging.ERROR, "", 0, str(error), (), None))
        raise
    finally:
        root.removeHandler(handler)
        with suppress(OSError):  # of a full disk it has been told
            handler.close()
        ours.setLevel(level)
        for other, before in others:
            other.setLevel(before)
