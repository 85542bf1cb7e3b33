"""Target lists: what a file says, in whatever of the usual forms it is.

Read are jobs as JSON objects; an address, ``address:port``, ``[address]:port``, a name or a URL; ``address,port``,
``rank,domain``, ``dip,dp,domain`` and ``dip,dp,domain,rank``; CSV with a header row that names its columns; what ZMap
and zgrab2 put out; and zone files. So lists that are published can be taken as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, cast

from pathspider.records import Job
from pathspider.targets.formats import FORMATS, ListFormat, Parse
from pathspider.targets.lines import (
    FORMS,
    SCHEME,
    cells,
    delimiter_of,
    header_columns,
    is_zgrab2,
    parse_endpoint,
    parse_port,
    parse_row,
    parse_url,
    scanned,
    split,
    without_wildcard,
)
from pathspider.targets.problems import is_address
from pathspider.targets.reading import JSON_ARRAY, JobReader, LineError, parse_ndjson
from pathspider.targets.unpacking import UnreadableError
from pathspider.targets.zone import ZoneParser, looks_like_zone

CSV_COLUMNS = {
    2: ("rank", "domain"),
    3: ("dip", "dp", "domain"),
    4: ("dip", "dp", "domain", "rank"),
}
"""What the columns of a CSV line mean, by how many there are."""


class TargetReader(JobReader):
    """As :class:`~pathspider.targets.reading.JobReader`, for target lists: a line's content tells its format.

    :param csv_input: each line is one of CSV with the columns of :data:`CSV_COLUMNS`, and nothing else
    :param form: the list is in this one of :data:`~pathspider.targets.formats.FORMATS`
    :param columns: keys of a job by the name of their column in CSV, or of the key in JSON; by its number, from 1 on,
        where there is no header row
    """

    what = "targets"

    def __init__(self, lines: IO[bytes], name: str, *, csv_input: bool = False, seed: int | None = None,
                 form: str | None = None, columns: Mapping[str, str] | None = None) -> None:
        super().__init__(lines, name, parse_csv if csv_input else parse_target, seed)
        self.csv_input = csv_input
        self._form = form
        self._format: ListFormat | None = None if form is None else FORMATS[form]
        self._columns = columns or {}
        self._header_read = False
        if self._format is not None and self._format.parse is not None:
            self._take(self._format.parse)

    def _take(self, parse: Parse) -> None:
        """Read lines so from now on."""
        if isinstance(parse, ZoneParser):
            parse, self.strip = ZoneParser(in_order=self.seed is None), str.rstrip
        if self._format is not None and self._format.published:
            self.parse = _Listed(parse, cast(str, self._form))
        else:
            self.parse = parse

    def _begins_with(self, text: str) -> bool:
        if self.csv_input:
            if text.startswith("{") or JSON_ARRAY.match(text):
                raise UnreadableError("this looks like JSON: leave --csv-input out")
            self._begun = True
            return False
        if text.startswith(("#", ";")):
            return True
        if super()._begins_with(text):
            return True
        if self._format is None and not self._columns and looks_like_zone(text) and self._zone() is None:
            self._take(ZoneParser())
        zone = self._zone()
        if zone is not None:
            preamble = zone.is_preamble(text)
            self._begun = not preamble
            return preamble
        if text.startswith("{"):
            if self._columns:
                self._take(renamed(self._columns))
            return False
        return self._begins_with_columns(text)

    def _zone(self) -> ZoneParser | None:
        parse = self.parse.parse if isinstance(self.parse, _Listed) else self.parse
        return parse if isinstance(parse, ZoneParser) else None

    def _begins_with_columns(self, text: str) -> bool:
        """Whether this is the header row."""
        if self._header_read:
            return False
        if self._columns and all(name.isdecimal() for name in self._columns):
            places = {int(name) - 1: key for name, key in self._columns.items()}
            self._take(parse_row(places, delimiter_of(text), exactly=False))
            return False
        try:
            columns = header_columns(text, self._columns)
        except LineError as error:
            raise UnreadableError(f"--column: {error}") from None
        if columns is not None:
            self._take(parse_row(columns, delimiter_of(text)))
        elif self._format is not None and self._format.parse is None:
            raise UnreadableError(f"this begins with {text!r:.100}, where for {self._form} there has to be a header "
                                  "row that names a column for addresses, names or URLs")
        self._header_read = columns is not None
        return self._header_read


class _Listed:
    """Parses lines, and puts the name of the list into the jobs."""

    def __init__(self, parse: Parse, name: str) -> None:
        self.parse = parse
        self._name = name

    def __call__(self, line: str) -> Job | None:
        job = self.parse(line)
        return job if job is None or "list" in job else cast(Job, {**job, "list": self._name})


def renamed(columns: Mapping[str, str]) -> Parse:
    """What parses JSON objects that have what is meant under other keys.

    :param columns: the keys of a job by theirs
    """

    def parse(line: str) -> Job | None:
        if line[0] == "#":
            return None
        value = cast("dict[str, Any]", parse_ndjson(line))
        missing = next((name for name in columns if name not in value), None)
        if missing is not None:
            raise LineError(f"no key {missing!r} in {line!r:.100}")
        return cast(Job, {columns.get(key, key): one for key, one in value.items()
                          if key in columns or key not in columns.values()})

    return parse


def parse_target(line: str) -> Job | None:
    """One line of a target list as a job; None for a comment; :exc:`LineError` for what is neither."""
    if line[0] == "{":
        return parse_object(line)
    if line[0] == "#":
        return None
    if SCHEME.match(line):
        return parse_url(line.partition(" #")[0].strip().strip('"'))
    match row := cells(line):
        case [one]:
            return parse_endpoint(one)
        case [address, port] if is_address(address):
            return cast(Job, {"dip": address, "dp": parse_port(port)})
        case [number, _] | [_, number, _] | [_, number, _, _] if number.isdecimal():
            return _parse_columns(row, line)
        case _:
            raise LineError(f"{len(row)} columns that are none of {FORMS}; other columns need a header row")


def parse_object(line: str) -> Job:
    """A job as a JSON object, or what ZMap or zgrab2 put out; :exc:`LineError` if it is something else."""
    job = parse_ndjson(line)
    value = cast("dict[str, Any]", job)
    found = scanned(value) if "saddr" in value or is_zgrab2(value) else None
    return job if found is None or "dip" in value else found


def parse_csv(line: str) -> Job:
    """One line of CSV as a job, its columns as in :data:`CSV_COLUMNS`; :exc:`LineError` if it is something else."""
    return _parse_columns([cell.strip() for cell in split(line)], line)


def _parse_columns(row: list[str], line: str) -> Job:
    """The cells of a line as :func:`parse_csv` has them."""
    columns = CSV_COLUMNS.get(len(row))
    if columns is None:
        known = "2 (rank,domain), 3 (dip,dp,domain) or 4 (dip,dp,domain,rank)"
        raise LineError(f"{len(row)} columns, where {known} are known")
    job: dict[str, Any] = dict(zip(columns, row, strict=True))
    job["domain"] = without_wildcard(job["domain"])
    if len(row) == 2 and not job["rank"].isdecimal():
        raise LineError(f"rank {job['rank']!r} is not a number{_header_hint(line)}")
    if "dp" in job:
        try:
            job["dp"] = int(job["dp"])
        except ValueError:
            raise LineError(f"port {job['dp']!r} is not a number{_header_hint(line)}") from None
    return cast(Job, job)


def _header_hint(line: str) -> str:
    return " (a header row is read without --csv-input)" if header_columns(line) else ""
