"""The story of one target: what was found of it, its rounds, the way there, its packets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import wrap
from typing import Any

from pathspider.conditions import RUN
from pathspider.installed import declared
from pathspider.records import Conn, Flow, Record
from pathspider.show.diagram import diagram
from pathspider.show.overview import crop, target_of
from pathspider.show.packets import PacketsError, Step, flag_names, stories
from pathspider.targets.names import canonical_domain
from pathspider.targets.problems import canonical_address, is_address
from pathspider.text import printable

FIELD_STEPS = (
    ("tcp_synflags_fwd", True), ("tcp_synflags_rev", False), ("tcp_fin_fwd", True), ("tcp_fin_rev", False),
    ("tcp_rst_fwd", True), ("tcp_rst_rev", False))
"""What fields of a flow tell of its packets, in the order in which such packets mostly are."""


class Wanted:
    """Which target is asked for.

    :param text: its address or its name, however it is written
    """

    def __init__(self, text: str) -> None:
        self.key = "dip" if is_address(text.strip("[]")) else "domain"
        self._form = canonical_address if self.key == "dip" else canonical_domain
        self._value = self._form(text.strip("[]"))

    def __call__(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is of it."""
        with suppress(TypeError, AttributeError):
            return bool(self._form(record.get(self.key)) == self._value)
        return False


def story(record: Record, width: int, evidence: Path | None = None, unicode: bool = True) -> Iterator[str]:
    """The lines of a record's story.

    :param width: columns; only what has to be read whole is longer
    :param evidence: the folder of packets
    :param unicode: whether there are more than ASCII's characters
    """
    yield target_of(record)
    time: Any = record.get("time")
    if isinstance(time, dict):
        yield f"  measured {printable(str(time.get('from')))[:23]} to {printable(str(time.get('to')))[11:23]} UTC"
    path: Any = record.get("path")
    if isinstance(path, list):
        yield "  path " + " ".join(printable(str(one or "?")) for one in path)
    if record.get("error"):
        yield f"  error {printable(str(record['error']))}"
    yield ""
    yield "What was found"
    for condition in record["conditions"]:
        yield f"  {printable(condition)}"
        if meaning := meaning_of(condition, record["conditions"]):
            yield from wrap(meaning, max(20, width), initial_indent="      ", subsequent_indent="      ")
    yield from _rounds(record, width)
    yield from _hops(record, width)
    yield from _connections(record, width, evidence, unicode)


def meaning_of(condition: str, found: list[str]) -> str:
    """What a condition says; empty where nobody has declared it."""
    plugins = [condition.partition(".")[0], *(one.partition(".")[0] for one in found)]
    plugin = next((one for one in plugins if one != RUN), RUN)
    known = declared(condition, plugin)
    return known[1] if known else ""


def _connections(record: Record, width: int, evidence: Path | None, unicode: bool) -> Iterator[str]:
    name = record.get("evidence")
    if isinstance(name, str) and evidence is not None:
        yield ""
        root = evidence.resolve()
        path = (root / name).resolve()
        try:
            if not path.is_relative_to(root):
                raise PacketsError("leads out of the folder")
            told = stories(path)
        except PacketsError as error:
            yield f"Packets: {printable(str(root / name))}: {error}"
        else:
            yield f"Packets, from {printable(str(path))}"
            for one in told:
                yield ""
                yield from _titled(printable(one.title) or "packets of another connection", width)
                yield from diagram(one.steps, width, unicode)
            return
    elif isinstance(name, str):
        yield ""
        yield f"Packets are in {printable(name)}; --evidence DIR names that file's folder"
    flows: Any = record.get("flow_results")
    for flow in flows if isinstance(flows, list) else ():
        if isinstance(flow, dict):
            yield ""
            yield from _titled(_flow_title(flow), width)
            steps = list(steps_of(flow))
            for step in steps:
                yield f"  {'to the target' if step.forward else 'from the target':16} {step.what}"
            yield from (f"  {line}" for line in _flow_facts(flow))


def _titled(title: str, width: int) -> Iterator[str]:
    yield from wrap(title, max(20, width), subsequent_indent="  ")


def _flow_title(flow: Flow) -> str:
    config, state = flow.get("config"), flow.get("spdr_state")
    ended = Conn(state).name.lower() if isinstance(state, int) and state in [*Conn] else "unknown"
    why = flow.get("error") or flow.get("local_error") or flow.get("skipped")
    return printable(f"configuration {config} ({'experiment' if config else 'baseline'}): {ended}"
                     + (f" ({why})" if why else "") + ("" if flow.get("observed", True) else "; not observed"))


def steps_of(flow: Flow) -> Iterator[Step]:
    """What a flow's fields tell of its packets."""
    for name, forward in FIELD_STEPS:
        value = flow.get(name)
        if name.startswith("tcp_synflags"):
            if isinstance(value, int):
                count = flow.get("evidence_syns_fwd")
                times = f", {count} times" if forward and isinstance(count, int) and count > 1 else ""
                yield Step(0.0, forward, flag_names(value) + times)
        elif value:
            yield Step(0.0, forward, name[4:7].upper())


def _flow_facts(flow: Flow) -> Iterator[str]:
    counts = [flow.get(name) for name in ("pkt_fwd", "pkt_rev", "oct_fwd", "oct_rev")]
    if all(isinstance(one, int) for one in counts):
        yield f"{counts[0]} packets ({counts[2]} octets) to the target, {counts[1]} ({counts[3]} octets) from it"
    if isinstance(failure := flow.get("evidence_failure"), str):
        yield f"it came as far as: {printable(failure)}"
    if flow.get("evidence_icmp_type") is not None:
        yield printable(f"ICMP type {flow['evidence_icmp_type']} code {flow.get('evidence_icmp_code')} from "
                        f"{flow.get('evidence_icmp_from')}")


def _rounds(record: Record, width: int) -> Iterator[str]:
    rounds: Any = record.get("rounds")
    if not isinstance(rounds, list) or not rounds:
        return
    yield ""
    yield "Measured again"
    for number, one in enumerate(rounds, 1):
        if not isinstance(one, dict):
            continue
        tries = one.get("tries") or []
        made = []
        for place, (config, state) in enumerate(zip(one.get("order", []), one.get("states", []), strict=False)):
            ended = Conn(state).name.lower() if state in [*Conn] else str(state)
            count = f" after {tries[place]} tries" if place < len(tries) and tries[place] != 1 else ""
            made.append(f"{'experiment' if config else 'baseline'} {ended}{count}")
        time = one.get("time")
        begun = str(time.get("from"))[11:19] if isinstance(time, dict) else ""
        yield crop(printable(f"  round {number}  {begun}  {', '.join(made)}"), width)
        yield crop(printable(f"           {' '.join(map(str, one.get('conditions', [])))}"), width)


def _hops(record: Record, width: int) -> Iterator[str]:
    """Which routers answered; where it was located."""
    hops: Any = record.get("hops")
    if not isinstance(hops, dict):
        return
    for way, name in (("A", "baseline"), ("B", "experiment")):
        listed = hops.get(way)
        if not isinstance(listed, list) or not listed:
            continue
        yield ""
        yield f"Hops of the {name}'s packets"
        for hop in listed:
            if isinstance(hop, dict):
                rtt = f"{hop['rtt'] * 1000:8.1f} ms" if isinstance(hop.get("rtt"), int | float) else ""
                quoted: Any = hop.get("quoted")
                told = ", ".join(f"{key} {value}" for key, value in quoted.items()) if isinstance(quoted, dict) else ""
                yield crop(printable(f"  {hop.get('ttl')!s:>3}  {hop.get('addr')!s:<39} {rtt}  {told}").rstrip(), width)

