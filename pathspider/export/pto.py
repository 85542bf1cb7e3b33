"""Records as observations of the Path Transparency Observatory: an Observation Set File.

https://github.com/mami-project/pto3-go/blob/master/doc/OBSETS.md, and of the metadata doc/API.md there: a JSON object,
and for each condition of a record an array of set, start, end, path, condition and, where there is one, value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

from pathspider.conditions import RUN
from pathspider.export.columns import is_time
from pathspider.records import Record
from pathspider.version import __version__

ANALYZER = "https://pathspider.net/"
UNKNOWN = "*"
SYSTEM = re.compile(r"AS[0-9]{1,10}", re.ASCII)
CHUNK = 1 << 20


def element(part: str | None) -> str:
    """A part of a record's path as a path element: IPv6 addresses are in brackets, what is unknown is ``*``."""
    if part is None or part == UNKNOWN or SYSTEM.fullmatch(part):
        return part or UNKNOWN
    address = ip_address(part.partition("%")[0])
    return f"[{address.compressed}]" if address.version == 6 else address.compressed


def path_elements(path: Sequence[str | None]) -> str:
    """A record's path as a path; ``ValueError`` where a part is nothing that a path can have.

    Hops that are not known are one ``*`` together: it stands for any number of them.
    """
    found: list[str] = []
    for one in map(element, path):
        if not (one == UNKNOWN and found[-1:] == [UNKNOWN]):
            found.append(one)
    return " ".join(found)


def moment(time: str) -> str:
    """A record's time in the form of :rfc:`3339`."""
    return f"{time.replace(' ', 'T')}Z"


class ObservationSet:
    """Observations, in a temporary file until all conditions are known, which the file tells at its begin."""

    def __init__(self) -> None:
        self._file = TemporaryFile(prefix="pspdr-export-")  # noqa: SIM115 - the with statement is around this object
        self._conditions: set[str] = set()
        self.first = self.last = ""
        self.runs: dict[str, None] = {}
        self.observations = 0
        self.without_path = 0
        """Records whose path, or time, is none."""
        self.without_verdict = 0
        """Records that say nothing of a path."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Take a record's conditions, but for those that tell of the run and of no path."""
        told = [one for one in record["conditions"] if not one.startswith(f"{RUN}.")]
        if not told:
            self.without_verdict += 1
            return
        path, time = record.get("path"), record.get("time")
        try:
            way = path_elements(path if isinstance(path, list) else [])
        except (ValueError, TypeError, AttributeError):
            way = ""
        if not way or not isinstance(time, dict) or not (is_time(time.get("from")) and is_time(time.get("to"))):
            self.without_path += 1
            return
        start, end = moment(time["from"]), moment(time["to"])
        self.first = min(self.first or start, start)
        self.last = max(self.last, end)
        if isinstance(run := record.get("run"), str) and len(self.runs) < 1000:
            self.runs[run] = None
        for condition in told:
            name, _, value = condition.partition(":")
            self._conditions.add(name)
            self._file.write(json.dumps(["", start, end, way, name, *([value] if value else [])]).encode() + b"\n")
            self.observations += 1

    @property
    def kinds(self) -> int:
        """Different conditions, without their values."""
        return len(self._conditions)

    def metadata(self, sources: Sequence[str], analyzer: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The object at the begin.

        :param sources: URLs, in the observatory, of what this is made of
        :param analyzer: a URL that tells how it was made
        :param facts: further ones; their names begin with no underscore
        """
        return {"_sources": list(sources), "_analyzer": analyzer, "_conditions": sorted(self._conditions),
                "time_start": self.first or None, "time_end": self.last or None,
                "pathspider": __version__, "runs": list(self.runs), **facts}

    def pieces(self, metadata: Mapping[str, Any]) -> Iterator[bytes]:
        """The file: its metadata, then the observations in the order of the records."""
        yield json.dumps({key: value for key, value in metadata.items() if value is not None}).encode() + b"\n"
        self._file.seek(0)
        while piece := self._file.read(CHUNK):
            yield piece
