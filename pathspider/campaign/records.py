"""One stream of records out of a campaign's result files, with the facts of the runs that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pathspider.atomic import atomic_write
from pathspider.campaign.folder import Campaign, Damaged
from pathspider.campaign.results import Unpacked
from pathspider.run.metadata import ENDING, Facts
from pathspider.writing import json_line

COUNTED = ("records", "missed_flows", "packets_lost", "jobs_failed")


class RunFacts:
    """Facts of the runs that result files are of; each run measured some of the chunks."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._runs: dict[str, Facts] = {}
        self._chunks: dict[str, int] = {}

    def add(self, facts: Facts) -> None:
        """Note a chunk's facts."""
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
                 "chunks": self._chunks[facts["run"]]}
        kept = {name: value for name, value in facts.items()
                if name not in ("jobs", "discarded", "packets_lost", "jobs_failed")}
        return {**kept, "ended": {"why": "input", "what": ""}, "status": 0, "without_record": 0, "campaign": chunk,
                "packets": {"observed": 0, "lost": facts["packets_lost"]}, "pcap": None, "evidence": None}


def records(campaign: Campaign, facts: RunFacts | None = None, slots: Sequence[str] | None = None,
            damaged: list[Damaged] | None = None) -> Iterator[bytes]:
    """All records of whole results, as lines.

    :param facts: is told whose they are
    :param slots: only theirs
    :param damaged: gets the results that are not whole
    """
    for _, unpacked in campaign.results(slots, damaged):
        yield from unpacked.lines()
        if facts is not None:
            facts.add(unpacked.head["facts"])


def write_metadata(name: str, facts: RunFacts) -> None:
    """Write the facts of the runs to this file."""
    with atomic_write(name) as stream:
        stream.write(json_line({"runs": facts.runs()}))


def by_vantage(campaign: Campaign, damaged: list[Damaged] | None = None) -> dict[str, Path]:
    """A file of records for each vantage point that has some, with its metadata beside it: ``records/NAME.ndjson``.

    Where results have come since it was written, it is written anew.

    :param damaged: gets the results that are not whole
    """
    found: dict[str, Path] = {}
    for name, chunks in _measured(campaign, damaged).items():
        path = campaign.folder / "records" / f"{name}.ndjson"
        stamp = path.with_suffix(".chunks")
        now = "\n".join(sorted(map(_state, chunks))) + "\n"
        if not (path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == now):
            path.parent.mkdir(exist_ok=True)
            facts = RunFacts(campaign)
            with atomic_write(path) as stream:
                _write(chunks, stream, facts)
            write_metadata(f"{path}{ENDING}", facts)
            with atomic_write(stamp) as marks:
                marks.write(now.encode())
        found[name] = path
    return found


def _measured(campaign: Campaign, damaged: list[Damaged] | None) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, unpacked in campaign.results(damaged=damaged):
        found.setdefault(unpacked.head["vantage"], []).append(path)
    return found


def _state(chunk: Path) -> str:
    """A file of results: another one, of the same chunk, tells another state."""
    status = chunk.stat()
    return f"{chunk.parent.name}/{chunk.name} {status.st_size} {status.st_mtime_ns}"


def _write(chunks: Sequence[Path], stream: IO[bytes], facts: RunFacts) -> None:
    for path in chunks:
        with path.open("rb") as results:
            unpacked = Unpacked(results)
            stream.writelines(unpacked.lines())
            facts.add(unpacked.head["facts"])


def summary(campaign: Campaign) -> dict[str, Any]:
    """How many chunks there are, done, given up and left."""
    slots = campaign.definition.slots
    return {"chunks": sum(campaign.order(slot).chunks for slot in slots),
            "done": sum(len(campaign.done(slot)) for slot in slots), "given_up": len(campaign.dead()),
            "left": sum(1 for _ in campaign.left())}
