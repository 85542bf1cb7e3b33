"""Verdicts that more than one plugin reaches.

A path's fault and our own are kept apart here: what the network did becomes a plugin's condition, what we failed to do
or to see becomes a ``pathspider.*`` condition, and never the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from pathspider.records import CONN_OK, CONN_SKIPPED, Connection, Flow

NOT_OBSERVED = "pathspider.not_observed"
"""A flow that a conclusion needs was not observed, so there is no conclusion."""
NOT_MEASURED = "pathspider.not_measured"
"""The run ended before this job was measured."""
INVALID_JOB = "pathspider.invalid_job"
"""The job cannot be measured as it stands; what is wrong follows after a colon."""
BLOCKLISTED = "pathspider.blocklisted"
"""The target is in a network that asked not to be measured."""
SKIPPED = "pathspider.skipped"
"""The experiment does not exist for this target; the reason follows after a colon."""


def connectivity(name: str, baseline: bool, experiment: bool) -> str:
    """The connectivity condition of ``name`` from whether each connection came up.

    ======== ========== =============
    baseline experiment condition
    ======== ========== =============
    up       up         ``works``
    up       not        ``broken``
    not      up         ``transient``
    not      not        ``offline``
    ======== ========== =============
    """
    verdict = {(True, True): "works", (True, False): "broken", (False, True): "transient", (False, False): "offline"}
    return f"{name}.connectivity.{verdict[baseline, experiment]}"


def succeeded(flow: Flow) -> bool:
    """True if the connection of this flow came up."""
    return bool(flow["spdr_state"] == CONN_OK)


def local_errors(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.local_error:…`` for each kind of fault of our own machine, in order of appearance."""
    errors = [str(connection["local_error"]) for connection in connections if connection.get("local_error")]
    return [f"pathspider.local_error:{error}" for error in dict.fromkeys(errors)]


def skipped(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.skipped:…`` for each reason why a connection was not attempted, in order of appearance."""
    reasons = [
        str(connection.get("skipped", "not_applicable"))
        for connection in connections
        if connection["spdr_state"] == CONN_SKIPPED and not connection.get("local_error")
    ]
    return [f"{SKIPPED}:{reason}" for reason in dict.fromkeys(reasons)]


CAPTURE_LOST = "pathspider.local_error:capture_lost_packets"
"""The capture lost packets while this job was measured; what it did not see may have been there."""


def missed_flows(count: int) -> list[str]:
    """What to say of ``count`` flows that were expected and not observed: nothing when it is 0."""
    return [NOT_OBSERVED, f"pathspider.missed_flows:{count}"] if count else []
