"""One stream of records out of a campaign's result files, with the facts of the runs that they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathspider.atomic import atomic_write
from pathspider.campaign.coverage import Coverage, Measured
from pathspider.campaign.folder import Campaign, Damaged
from pathspider.campaign.results import Head
from pathspider.run.metadata import ENDING, Facts
from pathspider.writing import json_line

COUNTED = ("records", "missed_flows", "packets_lost", "jobs_failed")


class RunFacts:
    """Facts of the runs that result files are of; each run measured some of the chunks.

    :param slots: only theirs
    """

    def __init__(self, campaign: Campaign, slots: Sequence[str] | None = None) -> None:
        self.campaign = campaign
        self.coverage = Coverage(campaign.definition, slots)
        """How many targets these are of."""
        self._runs: dict[str, Facts] = {}
        self._chunks: dict[str, int] = {}

    def add(self, head: Head) -> None:
        """Note a chunk's facts."""
        facts: Facts = head["facts"]
        self.coverage.add(head["slot"], head["chunk"])
        known = self._runs.setdefault(facts["run"], {**facts, "conditions": {}, "local_errors": {}, "alarms": [],
                                                     **dict.fromkeys(COUNTED, 0)})
        self._chunks[facts["run"]] = self._chunks.get(facts["run"], 0) + 1
        for name in COUNTED:
            known[name] += facts.get(name, 0)
        for name in ("conditions", "local_errors"):
            for word, count in facts.get(name, {}).items():
                known[name][word] = known[name].get(word, 0) + count
        known["alarms"] += [one for one in facts.get("alarms", ()) if one not in known["alarms"]]
        known["begin"] = min(known["begin"], facts["begin"])
        known["end"] = max(known["end"], facts["end"])

    def runs(self) -> list[Facts]:
        """All of them, in the order in which they began."""
        definition = self.campaign.definition
        complete = not any(True for _ in self.campaign.left())
        targets = {"file": str(self.campaign.folder / "targets.ndjson"), "sha256": definition.sha256,
                   "bytes": (self.campaign.folder / "targets.ndjson").stat().st_size, "jobs": definition.targets,
                   "bad_lines": 0, "repeated": 0, "complete": complete}
        return [self._as_metadata(facts) | {"targets": targets}
                for facts in sorted(self._runs.values(), key=lambda one: str(one["begin"]))]

    def _as_metadata(self, facts: Facts) -> Facts:
        chunk = {"id": self.campaign.definition.id, "label": self.campaign.definition.label,
                 "chunks": self._chunks[facts["run"]], "measured": self.coverage.rows()}
        kept = {name: value for name, value in facts.items()
                if name not in ("jobs", "discarded", "packets_lost", "jobs_failed", "unfinished")}
        return {**kept, "ended": {"why": "input", "what": ""}, "status": 0, "without_record": 0, "campaign": chunk,
                "packets": {"observed": 0, "lost": facts["packets_lost"]}, "pcap": None, "evidence": None}


def records(campaign: Campaign, facts: RunFacts | None = None, slots: Sequence[str] | None = None,
            damaged: list[Damaged] | None = None) -> Iterator[bytes]:
    """All records of whole results, as lines.

    :param facts: is told whose they are
    :param slots: only theirs
    :param damaged: gets the results that are not whole
    """
    for whole in campaign.results(campaign.there(slots), [] if damaged is None else damaged):
        yield from whole.lines()
        if facts is not None:
            facts.add(whole.head)


def write_metadata(name: str, facts: RunFacts) -> None:
    """Write the facts of the runs to this file."""
    with atomic_write(name) as stream:
        stream.write(json_line({"runs": facts.runs()}))


Stamp = Mapping[str, str]
"""What a vantage point's file of records was written of: each file of results as :func:`_state` has it, with what is
wrong with it, empty where nothing is."""


def by_vantage(campaign: Campaign, damaged: list[Damaged] | None = None,
               coverage: Coverage | None = None) -> dict[str, Path]:
    """A file of records for each vantage point that has some, with its metadata beside it: ``records/NAME.ndjson``.

    Where its results are others than those that it was written of, it is written anew, and they are read; those that
    are the same files as then are not.

    :param damaged: gets the results that are not whole
    :param coverage: gets those that are
    """
    found: dict[str, Path] = {}
    damaged = [] if damaged is None else damaged
    coverage = Coverage(campaign.definition) if coverage is None else coverage
    stamps = {path.stem: _read_stamp(path) for path in campaign.folder.glob("records/*.chunks")
              if path.with_suffix(".ndjson").exists()}
    for name, chunks in _measured(campaign, stamps, damaged).items():
        path = campaign.folder / "records" / f"{name}.ndjson"
        known = stamps.get(name, {})
        if known.keys() == chunks.keys():
            damaged += [Damaged(*chunks[state], campaign.path(*chunks[state]), why) for state, why in known.items()
                        if why]
        else:
            known = _write(campaign, path, chunks, damaged)
        if not all(known.values()):
            found[name] = path
        for state, why in known.items():
            if not why:
                coverage.add(*chunks[state])
    for path in found.values():
        _tell_measured(Path(f"{path}{ENDING}"), coverage.rows())
    return found


def _measured(campaign: Campaign, stamps: Mapping[str, Stamp],
              damaged: list[Damaged]) -> dict[str, dict[str, tuple[str, int]]]:
    """By vantage point, the chunks that it has measured, by the states of their files."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    names = {state: name for name, stamp in stamps.items() for state in stamp}
    for place in campaign.there():
        state = _state(campaign.path(*place))
        if (name := names.get(state)) is None:
            head = campaign.look(*place, thoroughly=False)
            if isinstance(head, Damaged):
                damaged.append(head)
                continue
            name = head["vantage"]
        found.setdefault(name, {})[state] = place
    return found


def _write(campaign: Campaign, path: Path, chunks: Mapping[str, tuple[str, int]], damaged: list[Damaged]) -> Stamp:
    """Write a vantage point's records, and what they are of, which is returned."""
    path.parent.mkdir(exist_ok=True)
    facts, bad = RunFacts(campaign), list[Damaged]()
    with atomic_write(path) as stream:
        for whole in campaign.results(chunks.values(), bad):
            stream.writelines(whole.lines())
            facts.add(whole.head)
    write_metadata(f"{path}{ENDING}", facts)
    damaged += bad
    wrong = {(one.slot, one.number): one for one in bad}
    stamp = {state: wrong[place].why if place in wrong else "" for state, place in chunks.items()
             if place not in wrong or wrong[place].is_read}  # what could not be read is looked at the next time, too
    with atomic_write(path.with_suffix(".chunks")) as marks:
        marks.write(json_line(stamp))
    return stamp


def _tell_measured(path: Path, rows: list[Measured]) -> None:
    """Have a vantage point's metadata tell how far the campaign is, which others go on with: its own records stay the
    same."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        runs = json.loads(path.read_bytes())["runs"]
        now = [{**run, "campaign": {**run["campaign"], "measured": rows}, "targets": {
            **run["targets"], "complete": run["targets"]["complete"] or all(
                row["measured"] == row["targets"] for row in rows)}} for run in runs]
        if now != runs:
            with atomic_write(path) as stream:
                stream.write(json_line({"runs": now}))


def _read_stamp(path: Path) -> Stamp:
    """A stamp; nothing of one that cannot be read, or that an earlier version has written."""
    with suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
        if isinstance(known, dict) and all(isinstance(why, str) for why in known.values()):
            return known
    return {}


def _state(chunk: Path) -> str:
    """A file of results: another one, or the same when it was changed, tells another state. A copy of it does, too."""
    with suppress(OSError):
        status = chunk.stat()
        return f"{chunk.parent.name}/{chunk.name} {status.st_ino} {status.st_size} {status.st_ctime_ns}"
    return f"{chunk.parent.name}/{chunk.name}"


def summary(campaign: Campaign) -> dict[str, Any]:
    """How many chunks there are, done, given up and left."""
    slots = campaign.definition.slots
    return {"chunks": sum(campaign.order(slot).chunks for slot in slots),
            "done": sum(len(campaign.done(slot)) for slot in slots), "given_up": len(campaign.dead()),
            "left": sum(1 for _ in campaign.left())}
