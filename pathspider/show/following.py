"""A file of records that is still being written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pathspider.targets.reading import MAX_LINE

CHUNK = 1 << 20


def follow(path: Path, ended: Callable[[], bool], wait: Callable[[], None]) -> Iterator[list[str]]:
    """The whole lines of a file, as they come; an empty list where none has come since the last.

    It ends when ``ended`` says so and all was read. A file that becomes shorter, as one that is written anew, is read
    from its begin again.

    :param wait: returns when it is worth while to look again
    """
    with path.open("rb") as stream:
        rest = b""
        while True:
            over = ended()  # asked before the file is read: what was written by then is read
            if os.fstat(stream.fileno()).st_size < stream.tell():
                stream.seek(0)
                rest = b""
            while chunk := stream.read(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE:  # no record: one bad line, which goes on
                    lines.append(rest[:1])
                    rest = b""
                if lines:
                    yield [line.decode("utf-8", "replace") for line in lines]
            if over:
                return
            yield []
            wait()


def run_has_ended(metadata: Path | None) -> bool:
    """Whether the last run of these metadata has ended; False where they do not tell."""
    if metadata is None:
        return False
    with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        return json.loads(metadata.read_bytes())["runs"][-1]["end"] is not None
    return False
