"""The runs that result files are of, by the metadata beside them, and whether they were made alike."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from pathspider.campaign.coverage import merged, not_all, rows_of
from pathspider.report.counting import Tally
from pathspider.run.metadata import (
    ENDING,
    NO_DIFFERENCE,
    Facts,
    MetadataError,
    differences,
    name_of,
    other_versions,
    read,
)

log = logging.getLogger("pathspider")

HEADS = ["Results", "Run", "Plugin", "PATHspider", "Mode", "Vantage point", "Begin (UTC)", "End (UTC)", "Ended by",
         "Target list", "Options"]

OF_A_PLACE = frozenset({"csv_input", "interface", "output_flows", "vantage", "vantage_lookup"})
"""Options that tell where was measured, and in which form it is told: files that are compared may differ in them."""

LOAD = frozenset({"locate_rate", "max_targets", "per_address", "rate", "workers"})
"""Options that do not change what is found of a target, and that are told: how hard was measured, and of how much."""

MOST_RUNS = 20
"""Runs of a file that are told."""


PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
"""Endings of compressed files, which the name of the metadata may have or not."""


def read_runs(tally: Tally) -> None:
    """Have a tally know the facts of the runs that its records are of, where there is metadata beside its file."""
    if tally.name == "-":
        return
    names = [tally.name, *(tally.name.removesuffix(ending) for ending in PACKED if tally.name.endswith(ending))]
    path = next((path for name in names if (path := Path(name + ENDING)).is_file()), None)
    if path is None:
        return
    try:
        with path.open("rb") as stream:
            found = read(stream)
    except (OSError, MetadataError) as error:
        log.warning("%s: %s; the report says nothing of these runs", path, getattr(error, "strerror", None) or error)
        return
    tally.facts = [one for one in found if not tally.runs or one["run"] in tally.runs][:MOST_RUNS]
    if unknown := [run for run in tally.runs if run not in {one["run"] for one in found}]:
        log.warning("%s says nothing of run %s, of which there are records in %s", path, unknown[0], tally.name)


def cells(tally: Tally) -> Iterator[list[str]]:
    """What is told of each run of a file, as :data:`HEADS` name it."""
    for facts in tally.facts:
        plugin, vantage, ended, targets = (part if isinstance(part := facts.get(name), dict) else {}
                                           for name in ("plugin", "vantage", "ended", "targets"))
        place = [str(vantage[key]) for key in ("name", "host", "interface", "ipv4", "ipv6") if vantage.get(key)]
        why = [str(ended[key]) for key in ("why", "what") if ended.get(key)]
        yield [tally.label, facts["run"], f"{name_of(facts)} {plugin.get('version', '')}".strip(),
               _text(facts.get("pathspider")), _text(facts.get("connect")), ", ".join(place),
               _text(facts.get("begin"))[:19], _text(facts.get("end"))[:19], ": ".join(why) or "nothing that was told",
               _list(targets), " ".join(_options(facts))]


def differing(tallies: list[Tally]) -> Iterator[tuple[str, str]]:
    """For each two runs of one plugin that were not made alike: of which files they are, and in what they differ."""
    @cache
    def compared(one: str, other: str) -> str:
        before, now = alike[one], alike[other]
        return "; ".join([*differences(before, now, but=OF_A_PLACE), *other_versions(before, now)])

    runs = [(tally.label, _made(facts), facts) for tally in tallies for facts in tally.facts]
    alike = {made: facts for _, made, facts in reversed(runs)}
    told: set[tuple[str, str]] = set()
    for (first, one, before), (second, other, now) in combinations(runs, 2):
        if one != other and name_of(before) == name_of(now) and (what := compared(one, other)):
            files = first if first == second else f"{first} and {second}"
            if (files, what) not in told:
                told.add((files, what))
                yield files, what


def unfinished(tallies: list[Tally]) -> Iterator[tuple[str, str]]:
    """The campaigns of which files have records, and whose targets were not all measured when these were written: what
    they are called, and who has not measured all."""
    found: dict[str, list[Facts]] = {}
    for facts in (facts for tally in tallies for facts in tally.facts):
        if isinstance(campaign := facts.get("campaign"), dict):
            found.setdefault(str(campaign.get("id")), []).append(facts)
    for runs in found.values():
        if who := not_all(merged(map(rows_of, runs))):
            targets = runs[0].get("targets")
            folder = Path(str(targets.get("file"))).parent.name if isinstance(targets, dict) else ""
            yield str(runs[0]["campaign"].get("label") or folder or runs[0]["campaign"].get("id")), who


def _made(facts: Facts) -> str:
    """The same for runs that were made alike: all that is compared."""
    options = facts.get("options")
    groups = options if isinstance(options, dict) else {}
    kept = {group: {name: value for name, value in found.items() if name not in NO_DIFFERENCE | OF_A_PLACE}
            for group, found in groups.items() if isinstance(found, dict)}
    compared = [facts.get("plugin"), facts.get("pathspider"), facts.get("blocklist_sha256"), kept]
    return json.dumps(compared, sort_keys=True)


def _options(facts: Facts) -> Iterator[str]:
    options = facts.get("options")
    for group in ("measure", "plugin"):
        found = options.get(group) if isinstance(options, dict) else None
        if isinstance(found, dict):
            idle = {"locate_rate"} if not found.get("locate") else set()
            yield from (f"{name}={value}" for name, value in found.items() if name not in NO_DIFFERENCE - LOAD | idle
                        and value is not None and value is not False and value != [])
    campaign = facts.get("campaign")
    if isinstance(campaign, dict):
        yield f"campaign={campaign.get('label') or campaign.get('id')}"


def _list(targets: dict[str, Any]) -> str:
    if not targets:
        return ""
    digest = str(targets.get("sha256") or "unknown")[:12]
    rest = "" if targets.get("complete") else ", not read to its end"
    return f"{targets.get('file')} (SHA-256 {digest}, {targets.get('jobs')} jobs{rest})"


def _text(value: object) -> str:
    return "" if value is None else str(value)
