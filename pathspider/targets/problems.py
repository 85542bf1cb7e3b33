"""What makes a job a target that can be measured, and which one it is."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from pathspider.records import Job
from pathspider.targets.names import ROOT, BadNameError, canonical_domain, to_wire

TARGET_KEYS = ("dip", "dp", "domain")
"""The keys of a job that say what is measured."""

IPV4_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that stands for one of IPv4, :rfc:`4291` section 2.5.5.2."""


def target_problem(job: Job) -> str | None:
    """Why no connection can be made to this job's target, as a word for a condition; None if one can."""
    if "dip" not in job:
        return "dip_missing"
    return _address_problem(job["dip"]) or _port_problem(job.get("dp")) or _domain_problem(job.get("domain"))


def _address_problem(dip: Any) -> str | None:
    address, zone, _ = dip.partition("%") if isinstance(dip, str) else ("", "", "")
    six = ":" in address
    try:
        octets = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    except (OSError, ValueError):
        return "dip_not_an_address"
    if zone:
        return "dip_has_a_zone" if six else "dip_not_an_address"
    if octets.startswith(IPV4_MAPPED):
        return "dip_is_ipv4_mapped"
    multicast = octets[0] == 0xFF if six else octets[0] >> 4 == 0xE
    return "dip_not_unicast" if multicast or not any(octets) else None


def _port_problem(port: Any) -> str | None:
    valid = port is None or (isinstance(port, int) and not isinstance(port, bool) and 0 < port < 1 << 16)
    return None if valid else "dp_not_a_port"


def _domain_problem(domain: Any) -> str | None:
    if not isinstance(domain, str | None):
        return "domain_not_a_string"
    with suppress(BadNameError):
        to_wire(domain or ROOT)
        return None
    return "domain_not_a_name"


def canonical(key: str, value: Any) -> Any:
    """The value of one of :data:`TARGET_KEYS` in the one form that all ways of writing it have in common."""
    return canonical_domain(value) if key == "domain" else canonical_address(value)


def canonical_address(value: Any) -> Any:
    """An IPv6 address in the one form that all ways of writing it have in common, :rfc:`5952`; else as it is."""
    if isinstance(value, str) and ":" in value:
        with suppress(OSError, ValueError):
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, value))
    return value


def target_asn(job: Job) -> str | None:
    """The number of the target's AS, digits only, or None."""
    info, canid = job.get("info"), job.get("canid_info")
    candidates = [job.get("dip_asn")]
    candidates += [place.get("ASN") for place in (info, canid) if isinstance(place, dict)]
    for candidate in candidates:
        if candidate is None:
            continue
        digits = str(candidate).upper().removeprefix("AS")
        if isinstance(candidate, float):
            digits = digits.removesuffix(".0")  # tables with gaps in them have whole numbers so
        if digits.isascii() and digits.isdigit():
            return digits
    return None
