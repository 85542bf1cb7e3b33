"""The tables of figures.rst: what benchmarks measured, as they wrote it to benchmarks/results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generated import directive, plain, title
from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

TITLES = {
    "measure": "Measuring, beside a plain libcurl loop", "verdicts": "Verdicts where packets are lost",
    "confirm": "What further rounds confirm", "health": "A machine that stops", "wire": "What is on the wire",
    "observe": "Reading captures, beside other flow meters", "live": "Capturing live",
    "tbit": "ECN, beside scamper's tbit", "locate": "Looking for the place on the path",
    "places": "Places that are known, found", "inflow": "Probes within connections",
    "resolve": "Names to addresses, beside dnsperf", "targets": "Lists, beside shuf and ipaddress",
    "campaign": "Campaigns", "report": "Reports of a million records", "export": "Exporting a million records",
}
"""What each benchmark is about, in this order."""

MISSING = "\N{EN DASH}"
"""Stands where a thing was not measured."""

HEADS = {
    "wall": "Wall (s)", "seconds": "Seconds", "cpu": "CPU (s)", "memory": "Memory (MiB)", "MiB": "Output (MiB)",
    "ratio": "Times the yardstick", "cpu_ratio": "Times its CPU", "rate": "A second", "alone": "A second of CPU",
    "yard_wall": "Yardstick, wall (s)", "yard_cpu": "Its CPU (s)", "gap": "A to B (s)", "stop": "Stop (s)",
    "minutes": "All (minutes)", "load": "Load (s)", "lookup": "A lookup (µs)", "parse": "ipaddress (µs)",
    "shuf_cpu": "shuf, CPU (s)", "shuf_memory": "shuf, memory (MiB)",
}
"""Columns whose heads say more than their names."""

PARTS = {"observe": {"ratio": "Times tracestats"}, "report": {"ratio": "CPU, times json.loads"},
         "resolve": {"rate": "Names a second", "alone": "Names a second of CPU"},
         "live": {"rate": "Sent a second", "loss": "Loss (share)"}}
"""What a column is called in one benchmark alone."""


def results() -> dict[str, dict[str, Any]]:
    """What there is of each benchmark, in the order of the page."""
    return {name: json.loads(path.read_text(encoding="utf-8")) for name in TITLES
            if (path := RESULTS / f"{name}.json").exists()}


def named(text: str) -> str:
    """What a row is called, with its options as such."""
    return re.sub(r"(?<![\w-])--[a-z][a-z-]+", r"``\g<0>``", plain(text))


def shown(value: object) -> str:
    """A figure: three digits, or all that are before the point."""
    if value is None:
        return MISSING
    if isinstance(value, bool | str):
        return plain(str(value))
    assert isinstance(value, int | float)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0.1 <= abs(value) < 10 else f"{value:.3g}"


def figures() -> Iterator[str]:
    """All tables, each with what it was measured on."""
    for name, found in results().items():
        made, rows = found["made"], found["rows"]
        yield from title(TITLES[name])
        processor, system, versions = (plain(made[key]) for key in ("processor", "system", "versions"))
        yield from (f"``{made['command']}``, {made['date']} UTC; {processor}, {made['processors']} cores, "
                    f"{made['memory']} GiB; {system}; {versions}; load before it began: {made['load']:.1f}.", "")
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        heads = {**HEADS, **PARTS.get(name, {})}
        yield from (".. list-table::", "   :header-rows: 1", "")
        for cells in (["What"] + [heads.get(one, one.replace("_", " ").capitalize()) for one in columns],
                      *([named(row), *(shown(rows[row].get(one)) for one in columns)] for row in rows)):
            yield from (f"   {'*' if not place else ' '} - {cell}" for place, cell in enumerate(cells))
        yield ""


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("pathspider-figures", directive(figures))
    app.connect("env-get-outdated", lambda *_: ["figures"])  # they may be others
    return {"parallel_read_safe": True}
