"""Addresses that are no targets on the Internet: IANA's registries of special-purpose addresses, :rfc:`6890`.

https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

from functools import cache

from pathspider.lab.addresses import CASES_4, CASES_6, CLEAN_4, CLEAN_6
from pathspider.targets.prefixtable import PrefixTable

NOT_REACHABLE = {
    "0.0.0.0/8": "This network",
    "10.0.0.0/8": "Private-Use",
    "100.64.0.0/10": "Shared Address Space",
    "127.0.0.0/8": "Loopback",
    "169.254.0.0/16": "Link Local",
    "172.16.0.0/12": "Private-Use",
    "192.0.0.0/24": "IETF Protocol Assignments",
    "192.0.2.0/24": "Documentation (TEST-NET-1)",
    "192.88.99.0/24": "Deprecated (6to4 Relay Anycast)",
    "192.168.0.0/16": "Private-Use",
    "198.18.0.0/15": "Benchmarking",
    "198.51.100.0/24": "Documentation (TEST-NET-2)",
    "203.0.113.0/24": "Documentation (TEST-NET-3)",
    "240.0.0.0/4": "Reserved",
    "::/128": "Unspecified Address",
    "::1/128": "Loopback Address",
    "::ffff:0:0/96": "IPv4-mapped Address",
    "64:ff9b:1::/48": "IPv4-IPv6 Translation",
    "100::/64": "Discard-Only Address Block",
    "100:0:0:1::/64": "Dummy IPv6 Prefix",
    "2001::/23": "IETF Protocol Assignments",
    "2001:db8::/32": "Documentation",
    "2002::/16": "6to4",
    "3fff::/20": "Documentation",
    "5f00::/16": "Segment Routing (SRv6) SIDs",
    "fc00::/7": "Unique-Local",
    "fe80::/10": "Link-Local Unicast",
}
"""Blocks that the registries do not call globally reachable, by name; smaller ones of the same kind within them are
left out. For 6to4, Teredo (in 2001::/23) and ORCHID (there too) they say neither."""

REACHABLE = ("192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32",
             "2001:4:112::/48", "2001:20::/28", "2001:30::/28")
"""Within those, what they call so."""

LAB = (CASES_4, CASES_6, CLEAN_4, CLEAN_6)
"""Of ``pspdr lab``: ``pspdr measure`` itself refuses them where they are somebody else's."""


@cache
def _table() -> PrefixTable[str]:
    table: PrefixTable[str] = PrefixTable()
    for prefix, name in NOT_REACHABLE.items():
        table.insert(prefix, name)
    for prefix in (*REACHABLE, *LAB):
        table.insert(prefix, "")
    return table


def special_purpose(address: str) -> str:
    """The name of the registered block that an address (valid, as text) is in; empty for what may be anywhere on the
    Internet, and for addresses of the lab."""
    found = _table().find(address)
    return "" if found is None else found[1]
