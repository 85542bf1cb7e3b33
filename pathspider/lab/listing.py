"""``pspdr lab list`` and ``pspdr lab targets``: the scenarios, for people and for pipes."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence

from pathspider.lab.errors import LabError
from pathspider.lab.scenario import Case, connect_mode
from pathspider.lab.scenarios import FAMILIES, all_cases, clean_jobs


def cases_for(plugins: Sequence[str], connect: str | None = None, version: int | None = None) -> list[Case]:
    """The cases of these plugins, or of all. Raises LabError for a plugin that the lab has no paths for."""
    for plugin in plugins:
        if plugin not in FAMILIES:
            raise LabError(f"no paths for a plugin called {plugin!r}; there are paths for {', '.join(FAMILIES)}")
    return [case for plugin in (plugins or FAMILIES) for case in all_cases(plugin, connect, version)]


def show_list(plugins: Sequence[str], *, as_json: bool = False) -> int:
    """Print the table of paths: address, impairment, plugin, expected conditions."""
    cases = cases_for(plugins)
    if as_json:
        for case in cases:
            print(json.dumps({
                "scenario": case.scenario.name, "address": case.address, "impairment": case.scenario.about,
                "measure": list(case.scenario.measure), "expect": sorted(case.scenario.expect), "job": case.job}))
        return 0
    rows = [("SCENARIO", "ADDRESS", "IMPAIRMENT", "MEASURE", "EXPECTED CONDITIONS")]
    for case in cases:
        first = (4 in case.scenario.versions) != (case.version == 6)  # texts once for a pair of addresses
        scenario = case.scenario
        rows.append((scenario.name, case.address, scenario.about, " ".join(scenario.measure),
                     ", ".join(sorted(scenario.expect))) if first else ("", case.address, "", "", ""))
    print_table(rows, wrap=(2, 4))
    return 0


def show_targets(plugin: str | None, connect: str | None, clean: int | None, version: int | None) -> int:
    """Print jobs, one a line: ``clean`` of the clean range, or the paths of a plugin."""
    write = sys.stdout.write
    if clean is not None:
        mode = connect or connect_mode([plugin or "ecn"])
        for job in clean_jobs(clean, mode, version):
            write(json.dumps(job) + "\n")
        return 0
    cases = cases_for([plugin] if plugin else [], connect, version)
    if not cases:
        raise LabError(f"no paths of {plugin or 'any plugin'} with --connect {connect}")
    for case in cases:
        write(json.dumps(case.job) + "\n")
    return 0


def print_table(rows: Sequence[Sequence[str]], wrap: Sequence[int] = (), width: int | None = None) -> None:
    """Print rows as aligned columns; the columns ``wrap`` share what the line has left and continue below."""
    width = width or max(shutil.get_terminal_size((160, 24)).columns, 100)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    fixed = sum(size for column, size in enumerate(widths) if column not in wrap) + 2 * (len(widths) - 1)
    for done, column in enumerate(wrap):
        left = max(width - fixed, 20 * (len(wrap) - done))
        widths[column] = min(widths[column], max(left // (len(wrap) - done), 20))
        fixed += widths[column]
    for row in rows:
        cells = [textwrap.wrap(text, widths[column], break_on_hyphens=False) or [""] if column in wrap else [text]
                 for column, text in enumerate(row)]
        for line in range(max(map(len, cells))):
            print("  ".join((cell[line] if line < len(cell) else "").ljust(size)
                            for cell, size in zip(cells, widths, strict=True)).rstrip())
