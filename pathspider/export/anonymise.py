"""Records that do not tell which targets they are of: what stays is named here, and all else goes.

A key that nobody has thought of may tell the target (a rank, a URL, a banner), so further keys of jobs are left out
rather than looked at.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

from pathspider.export.columns import is_time
from pathspider.export.cryptopan import CryptoPAn
from pathspider.records import Record
from pathspider.targets.names import canonical_domain

KEPT = frozenset({"dip", "dp", "domain", "domain_ascii", "qtype", "scenario", "path", "conditions", "time", "run",
                  "order", "rounds", "missed_flows", "hops", "reached"})
"""Keys of a record that stay, their addresses and names replaced."""
SYSTEMS = ("dip_asn", "info", "canid_info")
"""Where the job may tell the target's AS."""
OF_ROUND = frozenset({"order", "states", "tries", "time", "conditions"})
"""Keys of a round that stay: of flows there is nothing left."""
OF_HOP = frozenset({"ttl", "addr", "rtt", "quoted", "octets"})
OF_END = frozenset({"ttl", "addr", "came"})

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
        self._ways: dict[str, Callable[[Any], Any]] = {
            "domain": self.name, "domain_ascii": self.name, "path": self._path, "conditions": self._conditions,
            "time": _time, "hops": self._hops, "reached": self._reached,
            "rounds": lambda rounds: self._entries(rounds, OF_ROUND)}
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
        return self._ways.get(key, self._all)(value)

    def _conditions(self, found: Any) -> Any:
        return [self.condition(one) for one in found] if isinstance(found, list) else None

    def _hops(self, hops: Any) -> dict[str, Any]:
        return {way: self._entries(hops[way], OF_HOP) for way in ("A", "B") if isinstance(hops, dict) and way in hops}

    def _reached(self, reached: Any) -> dict[str, Any]:
        return {way: entry for way in ("A", "B") if isinstance(reached, dict)
                for entry in self._entries([reached.get(way)], OF_END)}

    def _entries(self, value: Any, keys: frozenset[str]) -> list[dict[str, Any]]:
        return [{key: self._value(key, inner) for key, inner in one.items() if key in keys}
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

    def name(self, domain: Any) -> str | None:
        """A name that stands for this one, however that is spelt; an address stays one."""
        if not isinstance(domain, str):
            return None
        try:
            return self._addresses.text(domain)
        except ValueError:
            canonical = str(canonical_domain(domain)).encode("utf-8", "backslashreplace")
            return f"n{hmac.digest(self._key, canonical, sha256).hex()[:20]}.invalid"


def _time(time: Any) -> dict[str, str]:
    return {end: time[end] for end in ("from", "to") if isinstance(time, dict) and is_time(time.get(end))}


def _harmless(text: str) -> bool:
    """Whether this is a time of the day, or values behind colons (``200:403``), and no part of an address."""
    return re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}|(?::?[0-9]{1,5}){1,3}", text) is not None
