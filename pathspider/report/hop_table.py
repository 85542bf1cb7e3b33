"""The hops of one record as a table for people: what each saw of the baseline and of the experiment, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pathspider.conditions import HOP_CONDITION
from pathspider.records import Hop, Reached, Record
from pathspider.text import printable

ECN = ("not-ECT", "ECT(1)", "ECT(0)", "CE")
"""Codepoints. :rfc:`3168`, section 5"""
TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
"""By their bits. :rfc:`9293`, :rfc:`3168`, :rfc:`9768`"""
HEAD = ("hop", "address", "AS", "rtt", "baseline", "experiment", "octets", "")
MOST_ADDRESS = 45
"""Characters of an address, of which strangers may have made more."""
SIDES = ("A", "B")
"""The baseline's and the experiment's packets."""
MOST_SILENT = 5
"""Rows of silence behind the last hop that answered."""
NOTHING = "*"
"""Nobody answered, or was not asked."""


def hop_table(record: Record, fields: Sequence[str]) -> str:
    """The table, under a line that names the target and what was found; without ``hops`` that line alone.

    :param fields: what the experiment is about, by the names of :class:`~pathspider.quotation.Quotation`; none:
        all that hops told
    """
    port = f" port {record['dp']}" if "dp" in record else ""
    head = printable(f"{record.get('dip')}{port}: {', '.join(record.get('conditions', []))}")
    if "hops" not in record:
        return head
    fields = fields or sorted({name for hop in record["hops"]["B"] for name in hop["quoted"]})
    ends = [record.get("reached", {}).get(side) for side in SIDES]
    lost = [f"nobody accepted or refused the {name} up to TTL {end['ttl']}"
            for name, end in zip(HEAD[4:6], ends, strict=True) if end and "addr" not in end]
    return "\n".join([head, *(f"  {line}" for line in (*aligned([HEAD, *_rows(record, ends, fields)]), *lost))])


def _rows(record: Record, ends: Sequence[Reached | None], fields: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each TTL."""
    sides = [{hop["ttl"]: hop for hop in record["hops"][side]} for side in SIDES]
    before: Mapping[str, Any] | None = None
    known: dict[str, int] = {}
    found = [match for one in record["conditions"] if (match := HOP_CONDITION.fullmatch(one))]
    interval = {int(end) for match in found if match["word"] in ("changed", "dropped")
                for end in match["value"].split("-")}
    answered = max((*sides[0], *sides[1], *(end["ttl"] for end in ends if end and "addr" in end)), default=0)
    silent = max((end["ttl"] for end in ends if end and "addr" not in end), default=0)
    for ttl in range(1, max(answered, min(answered + MOST_SILENT, silent)) + 1):
        one, other = (side.get(ttl) for side in sides)
        marks = [*differences(before, other, fields), *path_differences(one, other)]
        for addr in dict.fromkeys(hop["addr"] for hop in (one, other) if hop is not None):
            if (first := known.setdefault(addr, ttl)) != ttl:
                marks.append(f"that is hop {first} again")
        if ttl in interval:
            marks.append("<")
        before = other["quoted"] if other is not None else before
        yield str(ttl), *told(ttl, (one, other), ends, fields), " ".join(marks)


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Lines of columns, without that of the ASes where none is known."""
    if all(row[2] in (HEAD[2], "") for row in rows):
        rows = [(*row[:2], *row[3:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def told(ttl: int, both: Sequence[Hop | None], ends: Sequence[Reached | None], fields: Sequence[str]
         ) -> tuple[str, ...]:
    """The cells of one hop, or of what answered in its place."""
    hops = [hop for hop in both if hop is not None]
    there = [end["addr"] for end in ends if end and end["ttl"] == ttl and "addr" in end]
    addresses = list(dict.fromkeys([*(hop["addr"] for hop in hops), *there]))
    rtts = [hop["rtt"] for hop in hops]
    octets = list(dict.fromkeys(str(hop["octets"]) for hop in hops))
    systems = dict.fromkeys(f"AS{hop['ASN']}" for hop in hops if "ASN" in hop)
    return (" / ".join(addresses) or NOTHING, " / ".join(systems),
            f"{min(rtts) * 1000:.1f} ms" if rtts else "",
            *(seen(ttl, hop, end, fields) for hop, end in zip(both, ends, strict=True)), "/".join(octets))


def seen(ttl: int, hop: Hop | None, end: Reached | None, fields: Sequence[str]) -> str:
    """What a hop quoted of the fields, or what became there of the packet."""
    if hop is None and end is not None and ttl >= end["ttl"] + (end["came"] == "nothing"):
        return end["came"] if ttl == end["ttl"] else ""
    if hop is None:
        return NOTHING
    quoted = [shown(name, hop["quoted"][name]) if name in hop["quoted"] else "not quoted" for name in fields]
    return " ".join([*quoted, *([end["came"]] if end is not None and end["ttl"] == ttl and "addr" in end else [])])


def shown(name: str, value: Any) -> str:
    """A field's value for people."""
    if name == "ecn" and value in range(4):
        return ECN[value]
    if name == "tcp_flags" and isinstance(value, int):
        return ",".join(flag for bit, flag in enumerate(TCP_FLAGS) if value >> bit & 1) or "none"
    if isinstance(value, list):
        value = ",".join(map(str, value)) or "none"
    return f"{name} {value}"


def differences(before: Mapping[str, Any] | None, other: Hop | None, fields: Sequence[str]) -> list[str]:
    """How what a hop quoted of the experiment differs from what the one before it did."""
    if before is None or other is None:
        return []
    quoted = other["quoted"]
    return [f"{name} changed" for name in fields if name in before and name in quoted and before[name] != quoted[name]]


def path_differences(one: Hop | None, other: Hop | None) -> list[str]:
    """Whether both packets met the same hop, as far as it answered."""
    if one is not None and other is None:
        return ["no answer to the experiment"]
    return ["other hops"] if one is not None and other is not None and one["addr"] != other["addr"] else []
