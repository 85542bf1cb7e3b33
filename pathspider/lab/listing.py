"""``pspdr lab list`` and ``pspdr lab targets``: the scenarios, for people and for pipes."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence

from pathspider.conditions import STABLE_CONDITION
from pathspider.helpers.modes import MODES
from pathspider.lab.errors import LabError
from pathspider.lab.hops import PLACE
from pathspider.lab.scenario import Case, Scenario, connect_mode, without_mode
from pathspider.lab.scenarios import FAMILIES, HOPS_FILE, all_cases, clean_jobs
from pathspider.text import did_you_mean


def cases_for(plugins: Sequence[str], connect: str | None = None, version: int | None = None) -> list[Case]:
    """The cases of these plugins, or of all. Raises LabError for a plugin that the lab has no paths for.

    Where paths of eight hops were asked for, those that say what is at which hop, and no others.
    """
    known = {case.scenario.plugin: None for case in all_cases()}
    for plugin in plugins:
        if plugin not in known:
            raise LabError(f"no paths for a plugin called {plugin!r}; there are paths for {', '.join(known)}"
                           + did_you_mean(plugin, known))
    return [case for plugin in (plugins or known) for case in all_cases(plugin, connect, version)
            if HOPS_FILE not in FAMILIES or case.scenario.route is not None]


def show_list(plugins: Sequence[str], *, as_json: bool = False) -> int:
    """Print the table of paths: address, impairment, plugin, expected conditions."""
    cases = cases_for(plugins)
    if as_json:
        for case in cases:
            print(json.dumps({
                "scenario": case.scenario.name, "address": case.address, "impairment": case.scenario.about,
                "measure": list(case.scenario.measure), "expect": sorted(case.truth),
                "confirmed": [sorted(one) for one in case.truths(confirmed=True)], "job": case.job,
                **places(case.scenario)}))
        return 0
    addresses: dict[Scenario, list[str]] = {}
    for case in cases:
        addresses.setdefault(case.scenario, []).append(case.address)
    rows = [("SCENARIO", "ADDRESS", "IMPAIRMENT", "MEASURE", "EXPECTED CONDITIONS")]
    rows += [(scenario.name, "\n".join(where), scenario.about, " ".join(scenario.measure),
              "\n".join(truth(scenario))) for scenario, where in addresses.items()]
    print_table(rows, wrap=(2,))
    return 0


def truth(scenario: Scenario) -> list[str]:
    """The conditions of a scenario, one a line; those that hold over one IP version alone say so. Then what may be
    there instead, and what is stable."""
    versions = scenario.versions
    everywhere = set.intersection(*(set(scenario.truth(version)) for version in versions))
    return sorted(everywhere) + [f"{one} (IPv{version})" for version in versions
                                 for one in sorted(set(scenario.truth(version)) - everywhere)
                                 ] + [f"or {', '.join(sorted(one - everywhere))}" for one in scenario.instead
                                      ] + stable(scenario) + [
        f"*{PLACE}{word}" for one in [scenario.place] if one is not None for word in (one.word, *one.instead)]


def places(scenario: Scenario) -> dict[str, list[str]]:
    """For programs: of a path of eight hops, the words that the search for the place may come to, the best one first;
    none where nothing happens."""
    if scenario.route is None:
        return {}
    return {"hop": [] if scenario.place is None else [scenario.place.word, *scenario.place.instead]}


def stable(scenario: Scenario) -> list[str]:
    """What rounds must come to; of several words that may come out, behind each other."""
    words: dict[str, dict[str, None]] = {}
    for version in scenario.versions:
        for one in scenario.truths(version, confirmed=True):
            for condition in sorted(one):
                if STABLE_CONDITION.fullmatch(condition):
                    like, _, word = condition.rpartition(".")
                    words.setdefault(like, {})[word] = None
    return [f"{like}.{'|'.join(found)}" for like, found in words.items()]


def show_targets(plugin: str | None, connect: str | None, clean: int | None, version: int | None) -> int:
    """Print jobs, one a line: ``clean`` of the clean range, or the paths of a plugin (:func:`cases_of_one_run`)."""
    write = sys.stdout.write
    if clean is not None:
        mode = connect or connect_mode([plugin or "ecn"])
        if mode not in MODES:
            raise LabError(f"no connection mode is called {mode!r}: {', '.join(MODES)}")
        for job in clean_jobs(clean, mode, version):
            write(json.dumps(job) + "\n")
        return 0
    cases = cases_of_one_run(plugin, connect, version) if plugin else cases_for([], connect, version)
    if not cases:
        raise LabError(f"no paths of any plugin with --connect {connect}")
    for case in cases:
        write(json.dumps(case.job) + "\n")
    return 0


def cases_of_one_run(plugin: str, connect: str | None = None, version: int | None = None) -> list[Case]:
    """The cases whose truth holds for one run of a plugin, in this connection mode or else in its own default.

    That run has no further options; where no path of the mode is measured without, it has those of the first path.
    """
    every = cases_for([plugin], None, version)
    mode = connect or connect_mode([plugin])
    cases = [case for case in every if case.scenario.connect == mode]
    if not cases:
        modes = ", ".join(dict.fromkeys(f"--connect {case.scenario.connect}" for case in every))
        asked = f"with --connect {mode}" if connect else f"in its default mode, {mode}"
        raise LabError(f"no paths of {plugin} {asked}; there are some with {modes or 'the other IP version'}")
    further = [without_mode(case.scenario.measure) for case in cases]
    wanted = [plugin] if [plugin] in further else further[0]
    return [case for case, arguments in zip(cases, further, strict=True) if arguments == wanted]


def print_table(rows: Sequence[Sequence[str]], wrap: Sequence[int] = (), width: int | None = None) -> None:
    """Print rows as aligned columns. Cells may have several lines; those of the columns ``wrap`` share what is left."""
    width = width or max(shutil.get_terminal_size((160, 24)).columns, 100)
    longest = [max(len(line) for row in rows for line in row[column].split("\n")) for column in range(len(rows[0]))]
    widths = list(longest)
    left = width - 2 * (len(widths) - 1) - sum(size for column, size in enumerate(widths) if column not in wrap)
    for done, column in enumerate(wrap):
        widths[column] = min(longest[column], max(20, left // (len(wrap) - done)))
        left -= widths[column]
    for row in rows:
        cells = [[part for line in text.split("\n") for part in
                  textwrap.wrap(line, widths[column], break_on_hyphens=False) or [""]]
                 for column, text in enumerate(row)]
        for line in range(max(map(len, cells))):
            print("  ".join((cell[line] if line < len(cell) else "").ljust(size)
                            for cell, size in zip(cells, widths, strict=True)).rstrip())
