"""What a line of a target list says: addresses, names, URLs, rows of CSV, results of scanners."""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from pathspider.records import Job
from pathspider.targets.names import URL
from pathspider.targets.problems import MEANT, is_address, looks_like_name
from pathspider.targets.reading import LineError

FORMS = "a JSON object, an address, address,port, a name, a URL, rank,domain or dip,dp,domain"
"""What a line can be, for messages."""

WILDCARD = "*."
ORIGIN = re.compile(r"https?://([^/@?#\s]+)/?", re.IGNORECASE)
SCHEME = re.compile(r'"?[a-z][a-z0-9+.-]*://', re.IGNORECASE)
COLUMN_NAME = re.compile(r"[^\W\d][\w .:-]*")
DELIMITERS = ",\t;|"
SHORT = 10_000
"""Characters that are fewer than the module csv takes for a cell."""

HEADER_MEANT = {**MEANT, "url": "url", "globalrank": "rank", "category_code": "category", "categories": "category"}
"""What others call the keys of a job in header rows: beside what is usual, the columns of Majestic, Citizen Lab and
Cloudflare Radar."""

TARGET_COLUMNS = {"dip", "domain", "url"}


def parse_endpoint(text: str) -> Job:
    """An address or a name, with or without a port, as a job; :exc:`LineError` for what is none. Of ``*.example.org``,
    as in certificates, the name behind the wildcard is meant."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon = text, ""
    if is_address(text) or not colon:
        host, colon = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not is_address(host):
            raise LineError(f"{host!r} in brackets is no IPv6 address")
    host = without_wildcard(host)
    if URL in text:
        raise LineError("a URL, where a name or an address is needed")
    if is_address(host):
        job = {"dip": host}
    elif looks_like_name(host):
        job = {"domain": host}
    else:
        raise LineError(_no_endpoint(text))
    return cast(Job, job | ({"dp": parse_port(port)} if colon else {}))


def without_wildcard(name: str) -> str:
    """The name below which a wildcard stands, :rfc:`4592`; any other as it is."""
    while name.startswith(WILDCARD):
        name = name[len(WILDCARD):]
    return name


def _no_endpoint(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"{text!r:.100} is not a target: {FORMS} can be one"
    return f"a network of {network.num_addresses} addresses, where single ones are needed"


def parse_port(text: str) -> int:
    """A port's number, of whatever size; :exc:`LineError` for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise LineError(f"port {text!r} is not a number")
    return int(text)


def parse_url(text: str) -> Job:
    """A URL as a job: its host, the port where it names one, and itself as ``url``. :exc:`LineError` for what is
    none."""
    authority = re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0].rpartition("@")[2]
    if not authority or text[:1].isspace():
        raise LineError(f"{text!r:.100} is no URL such as https://www.example.org/")
    return cast(Job, {**parse_endpoint(authority.removesuffix(":")), "url": text})


def parse_origin(text: str) -> Job:
    """The origin of a Web site (:rfc:`6454`), of which lists such as CrUX are made, as a job: its host, and the port
    where it names one. :exc:`LineError` for what is none."""
    origin = ORIGIN.fullmatch(text)
    if origin is None:
        raise LineError(f"{text!r:.100} is no origin such as https://www.example.org")
    return parse_endpoint(origin[1])


def split(line: str, delimiter: str = ",") -> list[str]:
    """The cells of a line of CSV; :exc:`LineError` if it is none."""
    if line and len(line) < SHORT and '"' not in line and "\r" not in line and "\n" not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], strict=True, delimiter=delimiter))
    except (csv.Error, StopIteration) as error:
        raise LineError(f"not CSV: {error}") from None


def cells(line: str) -> list[str]:
    """The cells of a line without a comment, and without white space around them; none of a comment alone."""
    if line.startswith("#"):
        return []
    return [cell.strip() for cell in split(line.partition(" #")[0])]


def delimiter_of(line: str) -> str:
    """What stands between the cells of a header row: the first of :data:`DELIMITERS` that is in it."""
    return next((one for one in DELIMITERS if one in line), ",")


def header_columns(line: str, named: Mapping[str, str] | None = None) -> dict[int, str] | None:
    """The key of a job that each column of a header row means, or the column's own name; None if it is no such row.

    It is one if all cells are names, and one of them means an address or a domain. ZMap calls a target's address
    ``saddr``, and its port ``sport``: they are the source of what it received.

    :param named: keys of a job, by the name of their column; :exc:`LineError` for one that is not there
    """
    try:
        names = [name.strip() for name in split(line, delimiter_of(line))]
    except LineError:
        return None
    if named:
        missing = [name for name in named if name not in names]
        if missing:
            raise LineError(f"no column {missing[0]!r} in the header row {', '.join(names)!r:.200}")
    elif not all(COLUMN_NAME.fullmatch(name) for name in names):
        return None
    named = named or {}
    meant: Mapping[str, str] = HEADER_MEANT
    if "saddr" in names:
        meant = {**{name: key for name, key in HEADER_MEANT.items() if key != "dp"}, "sport": "dp"}
    columns: dict[int, str] = {}
    for place, name in enumerate(names):
        key = named.get(name) or meant.get(name.lower(), name)
        taken = key in columns.values() or (name not in named and key in named.values())
        columns[place] = name if taken else key
    return None if TARGET_COLUMNS.isdisjoint(columns.values()) else columns


def parse_row(columns: Mapping[int, str], delimiter: str = ",", *,
              exactly: bool = True) -> Callable[[str], Job | None]:
    """What parses the rows below a header: empty cells are left out, and keys that jobs do not have are kept.

    :param exactly: rows have these columns and no others
    """

    def parse(line: str) -> Job | None:
        if line.startswith("#"):
            return None
        row = split(line, delimiter)
        if len(row) != len(columns) if exactly else len(row) <= max(columns):
            raise LineError(f"{len(row)} columns, where " + (f"the header row has {len(columns)}" if exactly
                                                             else f"there have to be {max(columns) + 1}"))
        job: dict[str, Any] = {key: row[place].strip() for place, key in columns.items() if row[place].strip()}
        if "dp" in job:
            job["dp"] = parse_port(job["dp"])
        if URL in job.get("domain", ""):
            job = {**parse_origin(job.pop("domain")), **job}
        if "domain" in job:
            job["domain"] = without_wildcard(job["domain"])
        if "url" in job and not {"dip", "domain"} & job.keys():
            job = {**parse_url(job["url"]), **job}
        return cast(Job, job)

    return parse


def scanned(value: dict[str, Any]) -> Job | None:
    """What a scanner found, as a job: a line of ZMap (``saddr``, ``sport``) or zgrab2 (``ip``, ``domain``, and
    ``data``, which is left out); None if it is neither."""
    if "saddr" in value:
        meant = {"saddr": "dip", "sport": "dp"}
    elif "dip" not in value and ("ip" in value or "domain" in value):
        meant = {"ip": "dip", "port": "dp"}
    else:
        return None
    found = {meant.get(key, key): one for key, one in value.items() if one not in ("", None)}
    if is_zgrab2(value):
        del found["data"]
    return cast(Job, found)


def is_zgrab2(value: Mapping[str, Any]) -> bool:
    """Whether this is a result of zgrab2: what each module found stands under ``data``."""
    data = value.get("data")
    return isinstance(data, dict) and bool(data) and all(
        isinstance(one, dict) and "status" in one and "protocol" in one for one in data.values())
