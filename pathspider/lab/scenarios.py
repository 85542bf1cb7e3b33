"""All scenarios of the lab: from here come the rules, the targets, the table and the checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pathspider.lab.addresses import clean_address
from pathspider.lab.families import ecn
from pathspider.lab.scenario import PORTS, Case, Family, cases_of

FAMILIES: dict[str, Family] = {
    "ecn": Family(1, ecn.SCENARIOS),
}
"""Plugin -> its scenarios."""


def all_cases(plugin: str | None = None, connect: str | None = None, version: int | None = None) -> list[Case]:
    """Every case, or those of one plugin, connection mode, IP version. Raises KeyError for a plugin without any."""
    families = FAMILIES.values() if plugin is None else [FAMILIES[plugin]]
    return [case for family in families for case in cases_of(family)
            if connect in (None, case.scenario.connect) and version in (None, case.version)]


def no_ecn_addresses() -> list[str]:
    """The addresses that lead to servers without ECN."""
    return [case.address for case in all_cases() if case.scenario.server == "no-ecn"]


def clean_jobs(number: int, connect: str = "http", version: int | None = None) -> Iterator[dict[str, Any]]:
    """``number`` jobs of the clean range, IPv4 and IPv6 in turn unless told otherwise."""
    versions = (4, 6) if version is None else (version,)
    for index in range(number):
        round_, turn = divmod(index, len(versions))
        yield {"dip": clean_address(round_, versions[turn]), "dp": PORTS[connect],
               "domain": f"clean-{index + 1}.lab.test", "scenario": "clean"}


def twin_of(case: Case) -> Case | None:
    """The clean case that is measured in the same way over the same IP version."""
    for other in all_cases(case.scenario.plugin, version=case.version):
        if other.scenario.clean and list(other.scenario.measure) == list(case.scenario.measure):
            return other
    return None
