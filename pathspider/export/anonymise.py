"""Records that do not tell which targets they are of: what stays is named here, and all else goes.

A key that nobody has thought of may tell the target (a rank, a URL, a banner), so further keys of jobs are left out
rather than looked at.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

from pathspider.export.columns import is_time
from pathspider.export.cryptopan import CryptoPAn
from pathspider.records import Record
from pathspider.targets.names import canonical_domain

KEPT = frozenset({"dip", "dp", "domain", "domain_ascii", "qtype", "scenario", "path", "conditions", "time", "run",
                  "order", "rounds", "missed_flows", "hops"})
"""Keys of a record that stay, their addresses and names replaced."""
SYSTEMS = ("dip_asn", "info", "canid_info")
"""Where the job may tell the target's AS."""
OF_ROUND = frozenset({"order", "states", "tries", "time", "conditions"})
"""Keys of a round that stay: of flows there is nothing left."""
OF_HOP = frozenset({"ttl", "addr", "rtt", "quoted", "octets"})

ADDRESS = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3}|"
                     r"(?<![0-9])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])")
"""What may be an address, in a text."""
SYSTEM = re.compile(r"AS[0-9]+")
LOST = "[address]"
"""In the place of what looks like an address and is none."""


class Anonymiser:
    """Makes such records, with a key: the same key gives the same addresses and names.

    :param keep_as: leave numbers of autonomous systems. Whoever knows what an AS announces can tell by them which
        prefixes stand for which
    """

    def __init__(self, key: bytes, *, keep_as: bool = False) -> None:
        self._addresses = CryptoPAn(key)
        self._key = hmac.digest(key, b"PATHspider names", sha256)
        self.keep_as = keep_as
        self.text = lru_cache(maxsize=100_000)(self._text)
        self.left_out: Counter[str] = Counter()
        """Records by the key that was left out of them."""

    def record(self, record: Record) -> Record:
        """What may be told of a record."""
        kept: dict[str, Any] = {}
        for key, value in cast("dict[str, Any]", record).items():
            if key in KEPT:
                kept[key] = self._value(key, value)
            elif self.keep_as and key in SYSTEMS:
                kept[key] = {"ASN": value.get("ASN")} if isinstance(value, dict) else value
            elif value is not None:
                self.left_out[key] += 1
        return cast(Record, kept)

    def _value(self, key: str, value: Any) -> Any:
        if key in ("domain", "domain_ascii"):
            return self.name(value) if isinstance(value, str) else None
        if key == "path":
            return self._path(value)
        if key == "rounds":
            return self._entries(value, OF_ROUND)
        if key == "conditions":
            return [self.condition(one) for one in value]
        if key == "time":
            return {end: value[end] for end in ("from", "to") if isinstance(value, dict) and is_time(value.get(end))}
        if key == "hops":
            ways = value.items() if isinstance(value, dict) else ()
            return {way: self._entries(hops, OF_HOP) for way, hops in ways if way in ("A", "B")}
        return self._all(value)

    def _entries(self, value: Any, keys: frozenset[str]) -> list[dict[str, Any]]:
        return [{key: self._value(key, inner) if key in ("conditions", "time") else self._all(inner) for key, inner in one.items() if key in keys}
                for one in (value if isinstance(value, list) else ()) if isinstance(one, dict)]

    def _path(self, path: Any) -> Any:
        if not isinstance(path, list):
            return None
        return [self._all(one) for one in path if self.keep_as or not (isinstance(one, str) and SYSTEM.fullmatch(one))]

    def condition(self, condition: str) -> str:
        """A condition, addresses in its value replaced."""
        name, colon, value = condition.partition(":")
        return f"{self.text(name)}{colon}{self.text(value)}" if "." in name else self.text(condition)

    def _all(self, value: Any) -> Any:
        """A value of whatever kind, addresses in its texts replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._all(one) for one in value]
        if isinstance(value, dict):
            return {self.text(key): self._all(one) for key, one in value.items()}
        return value

    def _text(self, text: str) -> str:
        """A text, each address in it replaced."""
        try:
            return self._addresses.text(text)
        except ValueError:
            return ADDRESS.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        try:
            return self._addresses.text(match[0])
        except ValueError:
            return match[0] if _harmless(match[0]) else LOST

    def name(self, domain: str) -> str:
        """A name that stands for this one, however that is spelt; an address stays one."""
        try:
            return self._addresses.text(domain)
        except ValueError:
            canonical = str(canonical_domain(domain)).encode("utf-8", "backslashreplace")
            return f"n{hmac.digest(self._key, canonical, sha256).hex()[:20]}.invalid"


def _harmless(text: str) -> bool:
    """Whether this is a time of the day, or values behind colons (``200:403``), and no part of an address."""
    return re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}|(?::?[0-9]{1,5}){1,3}", text) is not None
