"""The router's ruleset, made from the scenarios.

One chain for each case and direction, and two maps that lead to them by address: a clean packet costs two look-ups,
however many scenarios there are.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

from pathspider.lab.addresses import CLEAN_4, CLEAN_6
from pathspider.lab.errors import LabError
from pathspider.lab.hops import ROUTER, hop_of, quirks
from pathspider.lab.impairments import GATEWAY, PAIRS, SETS
from pathspider.lab.scenario import Case, Scenario
from pathspider.lab.scenarios import FAMILIES, all_cases
from pathspider.text import did_you_mean

TABLE = "pathspider_lab"
REMEMBERED = 1 << 20
"""Entries that a set of connections can hold."""


def ruleset(cases: Iterable[Case], behind: Scenario | None = None, loss: float = 0.0) -> str:
    """The text that ``nft -f`` reads.

    :param behind: the path to all clean targets, too
    :param loss: of all packets, both ways, so many per cent are lost at random
    """
    sets, chains = [f"limit gateway {{ {GATEWAY}; }}"], []
    maps: dict[str, list[str]] = {f"{way} {version}": [] for version in (4, 6) for way in ("towards", "back")}
    hook = []
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        for name in SETS:
            key = f"{kind} . {kind}" + ("" if name in PAIRS else " . inet_service")
            sets.append(f"set {name}_{version} {{ type {key}; flags dynamic, timeout; size {REMEMBERED}; }}")

    def add_chain(name: str, comment: str, rules: list[str]) -> None:
        chains.append(f'chain {name} {{ comment "{comment}"\n' + "".join(f"\t{rule}\n" for rule in rules) + "}")

    for case in cases:
        for way, rules in rules_of(case.scenario, case.version).items():
            if rules:
                chain = f"{way}_{case.family}_{case.number}_{case.version}"
                add_chain(chain, case.scenario.name, rules)
                maps[f"{way} {case.version}"].append(f"{case.address} : goto {chain}")
    for version in (4, 6):
        for way in ("towards", "back"):
            match = f"{'ip' if version == 4 else 'ip6'} {'daddr' if way == 'towards' else 'saddr'}"
            if maps[f"{way} {version}"]:
                hook.append(f"{match} vmap {{ {', '.join(maps[f'{way} {version}'])} }}")
            if behind is not None and (rules := rules_of(behind, version)[way]):
                add_chain(f"{way}_clean_{version}", behind.name, rules)
                hook.append(f"{match} {CLEAN_4 if version == 4 else CLEAN_6} goto {way}_clean_{version}")
    lost = [f"numgen random mod 100000 < {round(1000 * loss)} drop"] if loss else []
    forward = ["chain forward {", "type filter hook forward priority 0; policy accept;", *lost, *hook, "}"]
    return "\n".join([f"table inet {TABLE} {{", *sets, *chains, *forward, "}", ""])


def rules_of(scenario: Scenario, version: int) -> dict[str, list[str]]:
    """The rules of a path over one IP version, ``towards`` the target and ``back``."""
    found: dict[str, list[str]] = {"towards": [], "back": []}
    for impairment in scenario.path:
        towards, back = impairment.rules(version)
        found["towards"] += towards
        found["back"] += back
    return found


def load_rules(behind: str = "", loss: float = 0.0, hop: int = ROUTER) -> None:
    """Give the rules of all scenarios, as far as they are this hop's, to the current network namespace, in one
    transaction.

    :param behind: the scenario whose path leads to all clean targets
    :param loss: per cent of all packets that are lost
    """
    cases = all_cases()
    whole = hop == ROUTER
    text = ruleset([case for case in cases if hop_of(case) == hop], find_nft_scenario(behind) if whole and behind
                   else None, loss if whole else 0.0) + quirks(hop, cases)
    done = subprocess.run(["nft", "-f", "-"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise LabError(refusal(text, done.stderr.decode(errors="replace")))


def find_nft_scenario(name: str) -> Scenario:
    """The scenario of this name, whose path nft can do alone. Raises LabError for others."""
    scenarios = {one.name: one for family in FAMILIES.values() for one in family.scenarios}
    scenario = scenarios.get(name)
    if scenario is None:
        raise LabError(f"no scenario is called {name!r}; pspdr lab list shows all" + did_you_mean(name, scenarios))
    if scenario.server or scenario.port or any(one.mangler for one in scenario.path):
        raise LabError(f"scenario {name!r} is more than rules of the router ({scenario.about}): the path to the clean "
                       "targets cannot be like it")
    return scenario


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
