"""The stage that judges: a job's connections and flows in, its record out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pathspider import conditions
from pathspider.chains.evidence import BAD_ANSWER, BY_ICMP
from pathspider.records import CONN_DISCARD, CONN_FAILED, CONN_TIMEOUT, Connection, Flow, Job, Record, Unmeasured
from pathspider.run.match import Merged
from pathspider.targets.names import both_spellings
from pathspider.targets.problems import target_asn

if TYPE_CHECKING:
    from pathspider.helpers.sockets import Source
    from pathspider.run.experiment import Experiment
    from pathspider.run.options import Beginnings


class Judge:
    """Makes records: what the plugin says of the flows, or why it is not asked."""

    def __init__(self, spider: Experiment) -> None:
        self.spider = spider
        self.options = spider.options
        self.source = spider.source
        self.unseen = {name: field.initial for chain in spider.observed_chains()
                       for name, field in chain.fields.items() if not name.startswith("_")}
        """The chains' fields before the first packet."""
        self.beginnings: Beginnings = spider.options.beginnings or ([self.source[0]], [self.source[1]])
        """Of paths that begin with the usual source addresses."""

    def record(self, merged: Merged) -> Iterator[Record]:
        """The record of a measured job; none if the plugin wants none."""
        result = merged.result
        job, connections = result.job, result.connections
        if any(connection["spdr_state"] == CONN_DISCARD for connection in connections):
            return
        flows = [self._joined(job, flow, connection)
                 for flow, connection in zip(merged.flows, connections, strict=True)]
        found = conditions.local_errors(connections)
        if not found:
            found = conditions.skipped(connections)
            if not found and self.spider.capture_losses() > result.losses:
                found = [conditions.NOT_OBSERVED, conditions.CAPTURE_LOST]
            found = conditions.missed_flows(found or self._concluded(flows), merged.missed)
        began = first_packet(merged.flows, result.began)
        record: Record = {
            "path": path_to(job, self._beginnings(result.source)),
            "conditions": found,
            "time": {"from": timestamp(began), "to": timestamp(max(began, result.ended))},
            "run": self.options.run,
        }
        if len(result.order) > 1:
            record["order"] = list(result.order)
        if self.options.output_flows:
            record["flow_results"] = flows
            record["missed_flows"] = merged.missed
        yield {**job, **both_spellings(job), **record}

    def _concluded(self, flows: list[Flow]) -> list[str]:
        """What the plugin concludes, and of responses, where it wants that."""
        found = checked(self.spider.combine_flows(flows))
        if not self.spider.compares_responses:
            return found
        return conditions.with_responses(found, flows, self.spider.compared)

    def _beginnings(self, source: Source | None) -> Beginnings:
        """How paths from these addresses begin: what was looked up is true of the usual ones alone."""
        if source is None:
            return self.beginnings
        four, six = (looked_up if own == usual else [own]
                     for own, usual, looked_up in zip(source, self.source, self.beginnings, strict=True))
        return four, six

    def _joined(self, job: Job, flow: Flow | None, connection: Connection) -> Flow:
        """A connection, its flow and its job as one; of a flow that was not observed, what chains note of no packet."""
        # A job's own keys never stand in for what was observed; the target is spelled as in the job.
        unseen = self.unseen if flow is None else {}
        noted = unseen if flow is None else flow
        kept = {key: value for key, value in job.items() if key in ("dip", "dp") or key not in noted}
        joined = {**unseen, **self.spider.merge(flow, cast(Connection, {**kept, **connection}))}
        joined["spdr_state"] = int(joined["spdr_state"])
        if "evidence_failure" in noted:
            joined |= failure(joined)
        return joined

    def unmeasured(self, item: Unmeasured) -> Iterator[Record]:
        """The record of a job that was not measured."""
        moment = timestamp(item.moment or time.time())
        record: Record = {"path": path_to(item.job, self.beginnings), "conditions": [item.condition],
                          "time": {"from": moment, "to": moment}, "run": self.options.run}
        if item.error:
            record["error"] = item.error
        yield {**item.job, **both_spellings(item.job), **record}


BY_ICMP_ERRORS = frozenset({"EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENONET", "EPROTO", "EACCES", "ENOPROTOOPT"})
"""Errors of a connection that come of ICMP errors: icmp(7), and Linux's icmp_err_convert. ECONNREFUSED may be a RST."""


def failure(flow: Flow) -> Flow:
    """How a connection failed, of which :class:`~pathspider.chains.evidence.EvidenceChain` knows the packets alone.

    What came up has not failed, and of what our own machine broke off nothing can be said. ``icmp`` is also what an
    ICMP error ended though a SYN-ACK came behind it. What failed though an answer came got one that is none:
    ``bad_answer``.
    """
    if flow["spdr_state"] not in (CONN_TIMEOUT, CONN_FAILED):
        return {"evidence_failure": None, "evidence_failed_at": None}
    if flow.get("evidence_icmp_type") is not None and flow.get("error") in BY_ICMP_ERRORS:
        return {"evidence_failure": BY_ICMP}
    if flow.get("evidence_failure") is None and flow.get("evidence_answered_at") is not None:
        return {"evidence_failure": BAD_ANSWER, "evidence_failed_at": flow["evidence_answered_at"]}
    return {}


def checked(conditions: Iterable[str] | None, returned_by: str = "combine_flows") -> list[str]:
    """What a plugin concluded, as a list; ``TypeError`` where it is not what the API asks for."""
    found = [conditions] if isinstance(conditions, str) else list(conditions or ())
    if isinstance(conditions, str) or not all(isinstance(condition, str) for condition in found):
        raise TypeError(f"{returned_by}() returned {conditions!r}, where a list of strings is needed")
    return found


def first_packet(flows: list[Flow | None], otherwise: float) -> float:
    """The time of the first packet of all flows, seconds since the epoch, by the capture's clock."""
    return min((flow["pkt_first"] for flow in flows if flow and flow.get("pkt_first") is not None), default=otherwise)


def path_to(job: Job, beginnings: Beginnings) -> list[str | None]:
    """The path from the vantage point to a job's target: ``[sip, "*", dip]``, with the target's AS where it is known.

    The AS comes from the job: ``dip_asn``, ``info.ASN`` or ``canid_info.ASN``.
    """
    dip = job.get("dip")
    beginning = beginnings[isinstance(dip, str) and ":" in dip]
    asn = target_asn(job)
    return [*beginning, "*", *([f"AS{asn}"] if asn else []), dip]


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as UTC, ``YYYY-MM-DD HH:MM:SS.ffffff``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "microseconds").removesuffix("+00:00")
