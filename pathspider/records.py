"""What crosses queues and files: connection states, jobs, connections, flows, records. No behaviour lives here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any, Final, Literal, NamedTuple


class Conn(IntEnum):
    """How one connection ended: the value of ``spdr_state``."""

    OK = 0
    TIMEOUT = 1
    FAILED = 2
    SKIPPED = 3
    """Nothing can be said of the path: the job cannot be measured this way (``skipped``), or our own machine failed
    (``local_error``)."""
    DISCARD = 4
    """No record is wanted for this job."""


CONN_OK: Final = Conn.OK
CONN_TIMEOUT: Final = Conn.TIMEOUT
CONN_FAILED: Final = Conn.FAILED
CONN_SKIPPED: Final = Conn.SKIPPED
CONN_DISCARD: Final = Conn.DISCARD


class Sentinel(Enum):
    """The end of a stream of jobs, results, flows or records."""

    SHUTDOWN = "shutdown"


SHUTDOWN_SENTINEL: Final = Sentinel.SHUTDOWN
Shutdown = Literal[Sentinel.SHUTDOWN]

Job = dict[str, Any]
"""One target as read from the input: ``dip`` (str, IPv4 or IPv6 address) and, as the plugin needs, ``dp`` (int, port)
and ``domain`` (str). Keys that no plugin knows are kept and come out in the record."""

Connection = dict[str, Any]
"""What a connection function tells: ``spdr_state`` (:class:`Conn`), ``sp`` (int, local port; 0 where no packet can have
left), ``local_error`` (str) where our own machine failed, and what the helper adds."""

Flow = dict[str, Any]
"""What the observer saw of one flow: the fields of its chains, ``pkt_first`` and ``pkt_last`` (seconds). Merged with
its connection it also has ``config`` (0 for the baseline), ``spdr_state`` and ``observed`` (bool)."""

Record = dict[str, Any]
"""One line of output: the job's keys, ``path`` (list of str), ``conditions`` (list of str), ``time`` (``from`` and
``to``, UTC), and, where asked for, ``flow_results`` (list of :data:`Flow`) and ``missed_flows`` (int)."""

RECORD_KEYS: Final = frozenset({"path", "conditions", "time", "order", "flow_results", "missed_flows", "error"})
"""The keys that a measurement adds to a job."""


def to_measure(job: Job) -> Job:
    """A job as it is measured: one that is the record of an earlier measurement loses what that one found."""
    if RECORD_KEYS.isdisjoint(job):
        return job
    return {key: value for key, value in job.items() if key not in RECORD_KEYS}


class Result(NamedTuple):
    """One job's connections, all made, on their way to the merger."""

    job: Job
    connections: list[Connection]
    """In the order of the plan; ``config`` tells each one's configuration."""
    began: float
    ended: float
    """Seconds since the epoch: start of the first connection, end of the last."""
    losses: int = 0
    """Packets that the capture had lost when the first connection began."""
    order: Sequence[int] = ()
    """The configurations in the order in which the connections were made."""
    spans: Sequence[tuple[float, float]] = ()
    """When each connection began and ended, in monotonic seconds."""


class Unmeasured(NamedTuple):
    """A job that ends without a measurement; its record says why."""

    job: Job
    condition: str
    error: str = ""
    moment: float = 0.0
    """When it was decided, seconds since the epoch; 0: now."""
