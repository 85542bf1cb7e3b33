"""The published formats of target lists, by name: for ``--list-format``, where a list's content shall not tell.

``docs/lists.rst`` says where each list is published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from pathspider.records import Job
from pathspider.targets import lines
from pathspider.targets.names import URL
from pathspider.targets.problems import is_address, looks_like_name
from pathspider.targets.reading import LineError, parse_ndjson
from pathspider.targets.zone import ZoneParser

Parse = Callable[[str], Job | None]


class ListFormat(NamedTuple):
    """How a list is written."""

    what: str
    """For the help and the documentation."""
    parse: Parse | None
    """What a line is that stands below no header row; None where there has to be one."""
    published: bool = True
    """Whether it is that of one publisher: jobs have its name under ``list``."""


def parse_ranked(line: str) -> Job | None:
    """``rank,domain``"""
    match lines.cells(line):
        case [rank, name] if rank.isdecimal():
            return cast(Job, {"rank": rank, **parse_name(name)})
        case []:
            return None
    raise LineError(f"{line!r:.100}: rank,domain is needed")


def parse_name(line: str) -> Job:
    """A name alone; one label is enough, as Cisco Umbrella's list has top-level domains."""
    name = lines.without_wildcard(line)
    if is_address(name) or not looks_like_name(name if "." in name[:-1] else f"{name.removesuffix('.')}.x"):
        raise LineError(f"{line!r:.100}: a name is needed")
    return Job(domain=name)


def parse_names(line: str) -> Job | None:
    """A name, with or without a comment."""
    match lines.cells(line):
        case [name]:
            return parse_name(name)
        case []:
            return None
    raise LineError(f"{line!r:.100}: a name alone is needed")


def parse_urls(line: str) -> Job | None:
    """A URL, with or without its scheme."""
    text = line.partition(" #")[0].strip().strip('"')
    if not text or text.startswith("#"):
        return None
    return lines.parse_url(text) if URL in text else cast(Job, {**lines.parse_url(f"//{text}"), "url": text})


def parse_endpoints(line: str) -> Job | None:
    """An address or a name with a port: ``address,port``, ``address:port``, ``[address]:port``"""
    match lines.cells(line):
        case [host, port]:
            return {**lines.parse_endpoint(host), "dp": lines.parse_port(port)}
        case [one] if "dp" in (job := lines.parse_endpoint(one)):
            return job
        case []:
            return None
    raise LineError(f"{line!r:.100}: address,port or address:port is needed")


def parse_scan(line: str) -> Job | None:
    """A line of ZMap's or zgrab2's output in JSON, or an address."""
    if not line.startswith("{"):
        match lines.cells(line):
            case [one] if "dip" in (job := lines.parse_endpoint(one)):
                return job
            case []:
                return None
        raise LineError(f"{line!r:.100}: an address or a JSON object is needed")
    found = lines.scanned(cast("dict[str, Any]", parse_ndjson(line)))
    if found is None:
        raise LineError(f"{line!r:.100}: neither saddr, as of ZMap, nor ip or domain, as of zgrab2")
    return found


FORMATS = {
    "tranco": ListFormat("Tranco: rank,domain", parse_ranked),
    "umbrella": ListFormat("Cisco Umbrella Popularity List: rank,domain", parse_ranked),
    "alexa": ListFormat("Alexa's top sites, and lists in their style: rank,domain", parse_ranked),
    "majestic": ListFormat("The Majestic Million: CSV with a header row", None),
    "crux": ListFormat("Chrome UX Report: origin,rank with a header row", None),
    "radar": ListFormat("Cloudflare Radar's domain rankings: names below the header row domain", parse_names),
    "citizenlab": ListFormat("Citizen Lab's test lists: URLs and categories, CSV with a header row", None),
    "opendns": ListFormat("OpenDNS's public domain lists: a name a line", parse_names),
    "czds": ListFormat("Zone files of registries, as of ICANN's CZDS: names with NS records", ZoneParser()),
    "ct": ListFormat("Names of certificates, with wildcards", parse_names, published=False),
    "zmap": ListFormat("ZMap's output: addresses, CSV with a header row, or JSON", parse_scan, published=False),
    "zgrab2": ListFormat("zgrab2's output: JSON with ip and domain", parse_scan, published=False),
    "names": ListFormat("A name a line", parse_names, published=False),
    "urls": ListFormat("A URL a line", parse_urls, published=False),
    "endpoints": ListFormat("address,port or address:port, as trackers and the DHT have peers", parse_endpoints,
                            published=False),
    "csv": ListFormat("CSV with a header row", None, published=False),
    "ndjson": ListFormat("Jobs: JSON objects", parse_ndjson, published=False),
}
"""By name."""
