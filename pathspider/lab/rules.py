"""The router's ruleset, made from the scenarios.

One chain for each case and direction, and two maps that lead to them by address: a clean packet costs two look-ups,
however many scenarios there are.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

from pathspider.lab.errors import LabError
from pathspider.lab.impairments import SETS
from pathspider.lab.scenario import Case
from pathspider.lab.scenarios import FAMILIES, all_cases

TABLE = "pathspider_lab"
REMEMBERED = 1 << 20
"""Entries that a set of connections can hold."""


def ruleset(cases: Iterable[Case]) -> str:
    """The text that ``nft -f`` reads."""
    sets, chains = [], []
    maps: dict[str, list[str]] = {f"{way} {version}": [] for version in (4, 6) for way in ("towards", "back")}
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        for name in SETS:
            key = f"{kind} . {kind}" + ("" if name == "met" else " . inet_service")
            sets.append(f"set {name}_{version} {{ type {key}; flags dynamic; size {REMEMBERED}; }}")
    for case in cases:
        ways: dict[str, list[str]] = {"towards": [], "back": []}
        for impairment in case.scenario.path:
            towards, back = impairment.rules(case.version)
            ways["towards"] += towards
            ways["back"] += back
        for way, rules in ways.items():
            if rules:
                chain = f"{way}_{case.family}_{case.number}_{case.version}"
                chains.append(f"chain {chain} {{ comment \"{case.scenario.name}\"\n"
                              + "".join(f"\t{rule}\n" for rule in rules) + "}")
                maps[f"{way} {case.version}"].append(f"{case.address} : goto {chain}")
    hook = [
        f"{'ip' if version == 4 else 'ip6'} {'daddr' if way == 'towards' else 'saddr'} "
        f"vmap {{ {', '.join(maps[f'{way} {version}'])} }}"
        for version in (4, 6) for way in ("towards", "back") if maps[f"{way} {version}"]
    ]
    forward = ["chain forward {", "type filter hook forward priority 0; policy accept;", *hook, "}"]
    return "\n".join([f"table inet {TABLE} {{", *sets, *chains, *forward, "}", ""])


def load_rules() -> None:
    """Give the rules of all scenarios to the current network namespace, in one transaction."""
    text = ruleset(all_cases())
    done = subprocess.run(["nft", "-f", "-"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise LabError(refusal(text, done.stderr.decode(errors="replace")))


def refusal(text: str, said: str) -> str:
    """What nft said about a ruleset, by scenario and rule in place of the line."""
    scenarios = {one.name: one for family in FAMILIES.values() for one in family.scenarios}
    lines = text.splitlines()
    found: dict[str, None] = {}
    for number, complaint in re.findall(r"^\S+?:(\d+):[\d-]+: Error: (.*)$", said, re.MULTILINE):
        above = lines[:int(number)]
        heads = [re.search(r'^chain .* comment "(.*)"$', line) for line in above if line.startswith("chain ")]
        if above and heads and heads[-1] is not None and heads[-1][1] in scenarios:
            scenario = scenarios[heads[-1][1]]
            found[f"{scenario.where}: scenario {scenario.name!r}: nft did not take the rule {above[-1].strip()!r}: "
                  f"{complaint}"] = None
    return "\n".join(found) or f"nft did not take the lab's rules: {said.strip()[:3000]}"
