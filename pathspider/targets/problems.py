"""What makes a job a target that can be measured, and which one it is."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
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
    broadcast = octets == b"\xff\xff\xff\xff"
    return "dip_not_unicast" if multicast or broadcast or not any(octets) else None


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


def identity(job: Mapping[str, Any], keys: Sequence[str] = TARGET_KEYS) -> list[Any]:
    """What tells a job's target from others: the values of these keys, each in its canonical form."""
    return [canonical(key, job.get(key)) for key in keys]


MEANT = {
    **dict.fromkeys(("dip", "ip", "saddr", "address", "addr", "ip_address", "ipaddress", "ip_addr", "ipaddr", "ipv4",
                     "ipv6", "ip4", "ip6", "ipv4_addr", "ipv6_addr", "dst", "dst_ip", "target_ip"), "dip"),
    **dict.fromkeys(("dp", "port", "dport", "dst_port", "target_port"), "dp"),
    **dict.fromkeys(("domain", "host", "hostname", "name", "fqdn", "domain_name", "sni", "origin"), "domain"),
    "rank": "rank",
}
"""What others call the keys of a job, in lower case."""

NAME = re.compile(r"""(?!\.)(?:[^\s/:@,;=()\[\]{}<>'"#?&%*\\|!$^`~+.\x00-\x1f\x7f]{1,63}\.)+(?!\d+\.?$)"""
                  r"""[^\s/:@,;=()\[\]{}<>'"#?&%*\\|!$^`~+.\x00-\x1f\x7f]{1,63}\.?""")


def is_address(text: Any) -> bool:
    """Whether this is an address, of whatever kind, with or without a zone."""
    return isinstance(text, str) and _address_problem(text) != "dip_not_an_address"


def looks_like_name(text: Any) -> bool:
    """Whether this may be a domain name of several labels; what a resolver makes of it is another question."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None and len(text) <= 254


RESOLVE = "`pspdr measure dnsresolv` resolves names into jobs"


def key_advice(job: Mapping[str, Any], keys: Sequence[str] = TARGET_KEYS) -> Iterator[str]:
    """What to tell of a job that lacks what is needed, where there is something like it; the same for all of a kind.

    :param keys: those that are needed or read
    """
    for key, what in (("dip", "address"), ("dp", "port"), ("domain", "name")):
        if key in job or key not in keys or (key == "domain" and "dip" in keys):
            continue
        meant = next((name for name in job if _is_meant(key, name.lower(), job[name])), None)
        if meant is not None:
            yield f'a target\'s {what} is read from the key "{key}", not from "{meant}"'
    if "dip" in keys:
        if looks_like_name(job.get("dip")):
            yield f'a name stands where the address has to be, under "dip": as "domain", {RESOLVE}'
        elif "dip" not in job and looks_like_name(job.get("domain")):
            yield f"a name alone cannot be measured, it needs an address: {RESOLVE}"


def _is_meant(key: str, other: str, value: Any) -> bool:
    """Whether under the key ``other`` there is what belongs under ``key``: of a host, the value tells which."""
    meant = MEANT.get(other)
    if key == "dip":
        return meant in ("dip", "domain") and is_address(value)
    return meant == key and (key == "dp" or (isinstance(value, str) and not is_address(value)))


def target_asn(job: Job) -> str | None:
    """The number of the target's AS, digits only, or None; of several that originate its prefix, the first: the one
    that most see."""
    info, canid = job.get("info"), job.get("canid_info")
    candidates = [job.get("dip_asn")]
    candidates += [place.get("ASN") for place in (info, canid) if isinstance(place, dict)]
    for named in candidates:
        candidate = named
        if isinstance(candidate, list):  # in which lists are AS sets: nobody knows which of them it is
            candidate = next((one for one in candidate if not isinstance(one, list)), None)
        if candidate is None:
            continue
        digits = str(candidate).upper().removeprefix("AS")
        if isinstance(candidate, float):
            digits = digits.removesuffix(".0")  # tables with gaps in them have whole numbers so
        if digits.isascii() and digits.isdigit():
            return digits
    return None
