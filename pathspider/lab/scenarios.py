"""All scenarios of the lab: from here come the rules, the targets, the table and the checks."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from typing import Any

from pathspider.lab.addresses import clean_address
from pathspider.lab.errors import LabError
from pathspider.lab.families import dscp, ecn, evilbit, h2, mss, tfo, udpopts, udpzero
from pathspider.lab.scenario import PLAIN_ROOM, PORTS, Case, Family, cases_of

FAMILIES: dict[str, Family] = {
    "ecn": Family(1, ecn.SCENARIOS),
    "dscp": Family(2, dscp.SCENARIOS),
    "tfo": Family(3, tfo.SCENARIOS),
    "h2": Family(4, h2.SCENARIOS),
    "evilbit": Family(5, evilbit.SCENARIOS),
    "mss": Family(6, mss.SCENARIOS),
    "udpzero": Family(7, udpzero.SCENARIOS),
    "udpopts": Family(8, udpopts.SCENARIOS),
}
"""Plugin (or file of a user) -> its scenarios."""


OWN_FAMILIES = 200
"""Number of the first family that a user adds."""


def add_scenarios(path: str) -> None:
    """Add the scenarios of a user's file: a Python file that defines ``SCENARIOS``, a list of :class:`Scenario`.

    They form a family of their own. Raises LabError when the file cannot be used.
    """
    try:
        scenarios = list(runpy.run_path(path)["SCENARIOS"])
        names = {one.name for one in scenarios}
    except Exception as error:
        raise LabError(f"{path}: no usable SCENARIOS in it: {error!r}") from error
    known = {one.name for family in FAMILIES.values() for one in family.scenarios}
    if twice := sorted(known & names):
        raise LabError(f"{path}: scenarios called {', '.join(twice)} exist already; give yours other names")
    number = OWN_FAMILIES + sum(family.number >= OWN_FAMILIES for family in FAMILIES.values())
    FAMILIES[os.path.abspath(path)] = Family(number, scenarios)


def all_cases(plugin: str | None = None, connect: str | None = None, version: int | None = None) -> list[Case]:
    """Every case, or those of one plugin, connection mode, IP version."""
    return [case for family in FAMILIES.values() for case in cases_of(family)
            if plugin in (None, case.scenario.plugin) and (connect is None or connect == case.scenario.connect)
            and version in (None, case.version)]


def no_ecn_addresses() -> list[str]:
    """The addresses that lead to servers whose kernel knows neither ECN nor TCP Fast Open."""
    return [case.address for case in all_cases() if case.scenario.server in PLAIN_ROOM]


def served_by(*kinds: str) -> dict[str, str]:
    """Address -> kind, of the cases whose server is of one of these kinds."""
    return {case.address: case.scenario.server for case in all_cases() if case.scenario.server in kinds}


def mangled() -> dict[str, list[str]]:
    """Address -> what the middlebox in user space does there, of the cases that need it."""
    found = {case.address: [one.mangle for one in case.scenario.path if one.mangle] for case in all_cases()}
    return {address: names for address, names in found.items() if names}


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
