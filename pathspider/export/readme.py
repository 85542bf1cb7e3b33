"""What an archive of results says of itself: for people, and where a person has to write something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pathspider.run.metadata import Facts, name_of
from pathspider.text import printable
from pathspider.version import __version__

OPEN = "**TO BE WRITTEN:**"
"""Where the archive's authors have to say something."""
MOST_CONDITIONS = 200


@dataclass
class Contents:
    """What is in one file of records."""

    name: str
    records: int = 0
    first: str = ""
    last: str = ""
    conditions: Counter[str] = field(default_factory=Counter)
    """Records by condition, without the value behind the colon."""
    runs: list[Facts] = field(default_factory=list)


def readme(folder: str, contents: Sequence[Contents], *, title: str = "", licence: str = "", creators: str = "",
           evidence: int = 0) -> str:
    """``README.md``.

    :param folder: the archive's name without its ending
    :param evidence: files of packets
    """
    runs = [run for one in contents for run in one.runs]
    plugins = sorted({name_of(run) for run in runs})
    name = title or (f"Path transparency measured with PATHspider: {', '.join(plugins)}" if plugins else folder)
    period = _period(contents)
    lines = [
        f"# {_cell(name)}", "",
        "Results of [PATHspider](https://pathspider.net/), which measures whether the Internet's path to a target "
        "breaks, strips or rewrites a protocol feature.", "",
        "## Files", "", "| file | records | from (UTC) | to (UTC) |", "|---|---:|---|---|",
        *(f"| `{_cell(one.name)}` | {one.records} | {one.first[:19]} | {one.last[:19]} |" for one in contents), "",
        "Each line of these is a JSON object: a target, and in `conditions` what was found of it. `schemas/` describes "
        "them, and `NAME.meta.json` the runs. Times are UTC.",
        *([f"`evidence/` has the packets of {evidence} targets (pcapng); `evidence` in a record names the file."]
          if evidence else []),
        "`SHA256SUMS` has checksums: `sha256sum -c SHA256SUMS`, or `pspdr bundle --verify` for the schemas too.", "",
        "## How it was measured", "",
        *(_of_run(run) for run in runs),
        *([] if runs else [f"{OPEN} there was no metadata beside the records: by what, from where, with which "
                           "options?"]), "",
        "## What was found", "", "| file | condition | records |", "|---|---|---:|",
        *(f"| `{_cell(one.name)}` | `{_cell(condition)}` | {count} |" for one in contents
          for condition, count in sorted(one.conditions.items())[:MOST_CONDITIONS]), "",
        "## Ethics", "",
        f"{OPEN} how targets were chosen, the rate, how the vantage point told who it was, who objected, what was "
        "anonymised.", "",
        "## Licence", "", _cell(licence) or f"{OPEN} for example CC BY 4.0.", "",
        "## Citation", "",
        f"{_cell(creators) or f'{OPEN} authors'}: {_cell(name)}. {period[:4] or f'{OPEN} year'}. {OPEN} publisher, "
        "DOI.", "",
        "Measured with PATHspider"
        f" {', '.join(sorted({str(run.get('pathspider')) for run in runs})) or f'({OPEN} version)'}:", "",
        "> I. Learmonth, B. Trammell, M. Kühlewind, G. Fairhurst: PATHspider: A tool for active measurement of path "
        "transparency. Applied Networking Research Workshop (ANRW) 2016. https://doi.org/10.1145/2959424.2959441", "",
        f"This archive was made by PATHspider {__version__}.", ""]
    return "\n".join(lines)


def _period(contents: Sequence[Contents]) -> str:
    return max((one.last for one in contents), default="")


def _of_run(run: Facts) -> str:
    plugin: dict[str, Any] = run["plugin"] if isinstance(run.get("plugin"), dict) else {}
    vantage: dict[str, Any] = run["vantage"] if isinstance(run.get("vantage"), dict) else {}
    mode = f", mode `{_cell(str(run['connect']))}`" if run.get("connect") else ""
    place = f" from {_cell(str(vantage['name']))}" if vantage.get("name") else ""
    version, ours, begin, end = (_cell(str(one)) for one in (
        plugin.get("version", ""), run.get("pathspider"), run.get("begin"), run.get("end") or "an end not told"))
    return (f"* run `{_cell(str(run.get('run')))}`: plugin `{_cell(name_of(run))}` {version}{mode}{place}, "
            f"PATHspider {ours}, {begin[:19]} to {end[:19]}")


def _cell(text: str) -> str:
    """A text that ends no cell, no code and no line."""
    return printable(text).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
