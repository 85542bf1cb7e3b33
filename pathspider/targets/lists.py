"""Target lists: what a line says, in whatever of the usual forms it is.

Read are jobs as JSON objects; an address, ``address:port``, ``[address]:port`` or a name; ``address,port``,
``rank,domain``, ``dip,dp,domain`` and ``dip,dp,domain,rank``; and CSV with a header row that names its columns. So
lists that are published can be taken as they come: Tranco and Umbrella (``rank,domain``), hitlists (an address a line),
ZMap's output (``saddr``).
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from pathspider.records import Job
from pathspider.targets.names import URL
from pathspider.targets.problems import MEANT, is_address, looks_like_name
from pathspider.targets.reading import JSON_ARRAY, JobReader, LineError, parse_ndjson
from pathspider.targets.unpacking import UnreadableError

CSV_COLUMNS = {
    2: ("rank", "domain"),
    3: ("dip", "dp", "domain"),
    4: ("dip", "dp", "domain", "rank"),
}
"""What the columns of a CSV line mean, by how many there are."""

FORMS = "a JSON object, an address, address,port, a name, rank,domain or dip,dp,domain"
"""What a line can be, for messages."""

ORIGIN = re.compile(r"https?://([^/@?#\s]+)/?", re.IGNORECASE)
COLUMN_NAME = re.compile(r"[^\W\d][\w .:-]*")


class TargetReader(JobReader):
    """As :class:`~pathspider.targets.reading.JobReader`, for target lists: a line's content tells its format.

    :param csv_input: each line is one of CSV with the columns of :data:`CSV_COLUMNS`, and nothing else
    """

    def __init__(self, lines: IO[bytes], name: str, *, csv_input: bool = False, seed: int | None = None) -> None:
        super().__init__(lines, name, parse_csv if csv_input else parse_target, seed)
        self.csv_input = csv_input

    def _begins_with(self, text: str) -> bool:
        if self.csv_input:
            if text.startswith("{") or JSON_ARRAY.match(text):
                raise UnreadableError("this looks like JSON: leave --csv-input out")
            self._begun = True
            return False
        if text.startswith("#"):
            return True
        if super()._begins_with(text):
            return True
        columns = header_columns(text)
        if columns is not None:
            self.parse = parse_row(columns)
        return columns is not None


def parse_target(line: str) -> Job | None:
    """One line of a target list as a job; None for a comment; :exc:`LineError` for what is neither."""
    if line[0] == "{":
        return parse_ndjson(line)
    if line[0] == "#":
        return None
    cells = [cell.strip() for cell in split(line.partition(" #")[0])]
    match cells:
        case [one]:
            return parse_endpoint(one)
        case [address, port] if is_address(address):
            return cast(Job, {"dip": address, "dp": parse_port(port)})
        case [rank, _] if rank.isdecimal():
            return parse_csv(line)
        case [_, _, _] | [_, _, _, _] if cells[1].isdecimal():
            return parse_csv(line)
    raise LineError(f"{len(cells)} columns that are none of {FORMS}; other columns need a header row")


def parse_endpoint(text: str) -> Job:
    """An address or a name, with or without a port, as a job; :exc:`LineError` for what is none."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon = text, ""
    if is_address(text) or not colon:
        host, colon = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not is_address(host):
            raise LineError(f"{host!r} in brackets is no IPv6 address")
    if "://" in text:
        raise LineError("a URL, where a name or an address is needed")
    if is_address(host):
        job = {"dip": host}
    elif looks_like_name(host):
        job = {"domain": host}
    else:
        raise LineError(_no_endpoint(text))
    return cast(Job, job | ({"dp": parse_port(port)} if colon else {}))


def _no_endpoint(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"not a target: {FORMS} can be one"
    return f"a network of {network.num_addresses} addresses, where single ones are needed"


def parse_port(text: str) -> int:
    """A port's number, of whatever size; :exc:`LineError` for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise LineError(f"port {text!r} is not a number")
    return int(text)


def split(line: str) -> list[str]:
    """The cells of a line of CSV; :exc:`LineError` if it is none."""
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration) as error:
        raise LineError(f"not CSV: {error}") from None


def parse_csv(line: str) -> Job:
    """One line of CSV as a job, its columns as in :data:`CSV_COLUMNS`; :exc:`LineError` if it is something else."""
    row = split(line)
    columns = CSV_COLUMNS.get(len(row))
    if columns is None:
        known = "2 (rank,domain), 3 (dip,dp,domain) or 4 (dip,dp,domain,rank)"
        raise LineError(f"{len(row)} columns, where {known} are known")
    job: dict[str, Any] = dict(zip(columns, (cell.strip() for cell in row), strict=True))
    header = " (a header row is read without --csv-input)" if header_columns(line) else ""
    if len(row) == 2 and not job["rank"].isdecimal():
        raise LineError(f"rank {job['rank']!r} is not a number{header}")
    if "dp" in job:
        try:
            job["dp"] = int(job["dp"])
        except ValueError:
            raise LineError(f"port {job['dp']!r} is not a number{header}") from None
    return cast(Job, job)


def header_columns(line: str) -> dict[int, str] | None:
    """The key of a job that each column of a header row means, or the column's own name; None if it is no such row.

    It is one if all cells are names, and one of them means an address or a domain. ZMap calls a target's address
    ``saddr``, and its port ``sport``: they are the source of what it received.
    """
    try:
        names = [name.strip() for name in split(line)]
    except LineError:
        return None
    if not all(COLUMN_NAME.fullmatch(name) for name in names):
        return None
    meant: Mapping[str, str] = MEANT
    if "saddr" in names:
        meant = {**{name: key for name, key in MEANT.items() if key != "dp"}, "sport": "dp"}
    columns: dict[int, str] = {}
    for place, name in enumerate(names):
        key = meant.get(name.lower(), name)
        columns[place] = name if key in columns.values() else key
    return columns if not {"dip", "domain"}.isdisjoint(columns.values()) else None


def parse_row(columns: Mapping[int, str]) -> Callable[[str], Job | None]:
    """What parses the rows below a header: empty cells are left out, and keys that jobs do not have are kept."""

    def parse(line: str) -> Job | None:
        if line.startswith("#"):
            return None
        row = split(line)
        if len(row) != len(columns):
            raise LineError(f"{len(row)} columns, where the header row has {len(columns)}")
        job: dict[str, Any] = {columns[place]: cell.strip() for place, cell in enumerate(row) if cell.strip()}
        if "dp" in job:
            job["dp"] = parse_port(job["dp"])
        if URL in job.get("domain", ""):
            job = {**parse_origin(job.pop("domain")), **job}
        return cast(Job, job)

    return parse


def parse_origin(text: str) -> Job:
    """The origin of a Web site (:rfc:`6454`), of which lists such as CrUX are made, as a job: its host, and the port
    where it names one. :exc:`LineError` for what is none."""
    origin = ORIGIN.fullmatch(text)
    if origin is None:
        raise LineError(f"{text!r:.100} is no origin such as https://www.example.org")
    return parse_endpoint(origin[1])
