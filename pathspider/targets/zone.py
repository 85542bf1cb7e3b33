"""Names out of a zone file, as registries publish theirs: those that are delegated. :rfc:`1035` section 5

Files of ICANN's CZDS have each record whole in a line, with a TTL, in lower case. Other master files are read too,
where a delegation's record stands in one line.
"""

from __future__ import annotations

import re

from pathspider.records import Job
from pathspider.targets.reading import LineError

CLASS = re.compile(r"IN|CH|HS", re.IGNORECASE)
TTL = re.compile(r"\d[\dsmhdw]*", re.IGNORECASE | re.ASCII)
RECORD = re.compile(r"\S+\.\s+\d+\s+in\s+[a-z]+[a-z0-9]*\s+\S", re.IGNORECASE | re.ASCII)
DIRECTIVE = re.compile(r"\$(?:ORIGIN|TTL)\s", re.IGNORECASE)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
TYPE = re.compile(r"[A-Z][A-Z0-9-]*", re.IGNORECASE | re.ASCII)


def looks_like_zone(line: str) -> bool:
    """Whether a file with this as its first line is a zone file."""
    return RECORD.match(line) is not None or DIRECTIVE.match(line) is not None


class ZoneParser:
    """Parses lines, with the white space before them: a job for each name that is delegated, once where its records
    follow each other; None for other lines.

    :param in_order: the lines come as they stand in the file
    """

    def __init__(self, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self._origin = ""
        self._apex: str | None = None
        self._owner: str | None = None
        self._open = 0
        self._last: str | None = None

    def is_preamble(self, line: str) -> bool:
        """Whether this is a comment, a directive, or the zone's own record, SOA; what it says is kept."""
        fields = self._fields(line)
        if not fields or self._open or fields[0].startswith("$") or self._kind(fields)[1] == "SOA":
            self(line)
            return True
        return False

    def __call__(self, line: str) -> Job | None:
        bare = QUOTED.sub('""', line).partition(";")[0]
        inside = self._open > 0
        self._open = max(0, self._open + bare.count("(") - bare.count(")"))
        if not self._in_order and (self._open or (line[:1].isspace() and bare.strip()) or DIRECTIVE.match(line)):
            raise LineError("in this zone file lines depend on those before: it cannot be shuffled; shuffle what "
                            "`pspdr filter` makes of it")
        fields = bare.split()
        if inside or not fields:
            return None
        if fields[0].startswith("$"):
            self._directive(fields)
            return None
        if not bare[0].isspace():
            self._owner = None  # where the name is none, the lines behind belong to nobody
            self._owner = self._absolute(fields[0])
        place, kind = self._kind(fields, owned=not bare[0].isspace())
        if kind is None:
            raise LineError(f"{line.strip()!r:.100} is no record of a zone file")
        if kind == "SOA":
            self._apex = self._owner
        if kind != "NS" or self._owner is None or self._owner in (self._apex, self._last):
            return None
        if len(fields) != place + 2:
            raise LineError(f"{line.strip()!r:.100} names no name server")
        if "\\" in self._owner:
            raise LineError(f"{self._owner!r:.100} has an escape in it, as no host's name has")
        self._last = self._owner
        return Job(domain=self._owner.removeprefix("*."))

    @staticmethod
    def _fields(line: str) -> list[str]:
        return line.partition(";")[0].split()

    @staticmethod
    def _kind(fields: list[str], *, owned: bool = True) -> tuple[int, str | None]:
        """The type of a record, in capital letters, and which field that is."""
        place = int(owned)
        while place < len(fields) and (CLASS.fullmatch(fields[place]) or TTL.fullmatch(fields[place])):
            place += 1
        if place == len(fields) or not TYPE.fullmatch(fields[place]):
            return place, None
        return place, fields[place].upper()

    def _directive(self, fields: list[str]) -> None:
        match [fields[0].upper(), *fields[1:]]:
            case ["$ORIGIN", origin]:
                self._origin = self._absolute(origin)
            case ["$ORIGIN", *_]:
                self._origin = ""  # names below are relative to what nobody knows
                raise LineError(f"{' '.join(fields)!r:.100}: one name is needed")
            case ["$TTL", _]:
                pass
            case _:
                raise LineError(f"{' '.join(fields)!r:.100}: only $ORIGIN and $TTL are known")

    def _absolute(self, name: str) -> str:
        """A name in small letters, without a dot at its end."""
        if name == "@":
            return self._origin
        name = name.lower()
        if name.endswith("."):
            return name[:-1]
        if not self._origin:
            raise LineError(f"{name!r:.100} is relative, and no $ORIGIN stands before it")
        return f"{name}.{self._origin}"
