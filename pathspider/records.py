"""What crosses queues and files: connection states, jobs, connections, flows, records. No behaviour lives here."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, Final, Literal, TypedDict


class Conn(IntEnum):
    """How one connection ended: the value of ``spdr_state``."""

    OK = 0
    TIMEOUT = 1
    FAILED = 2
    SKIPPED = 3
    DISCARD = 4
    """No record is wanted for this job."""


CONN_OK: Final = Conn.OK
CONN_TIMEOUT: Final = Conn.TIMEOUT
CONN_FAILED: Final = Conn.FAILED
CONN_SKIPPED: Final = Conn.SKIPPED
CONN_DISCARD: Final = Conn.DISCARD


class Sentinel(Enum):
    """The end of a stream of jobs, results or flows."""

    SHUTDOWN = "shutdown"


SHUTDOWN_SENTINEL: Final = Sentinel.SHUTDOWN

Shutdown = Literal[Sentinel.SHUTDOWN]

Job = dict[str, Any]
"""One target as read from the input: ``dip`` (str) and, as the plugin needs, ``dp`` (int), ``domain`` (str).
Keys that no plugin knows are kept and come out in the record."""

Connection = dict[str, Any]
"""What a connection function tells: ``spdr_state`` (:class:`Conn`), ``sp`` (int, local port; 0 where no packet can have
left), and what the helper adds."""

Flow = dict[str, Any]
"""What the observer saw of one flow: the fields of its chains, ``pkt_first`` and ``pkt_last`` (seconds)."""


class Period(TypedDict):
    """A span of time, UTC, ``YYYY-MM-DD HH:MM:SS.ffffff``."""

    to: str


Record = dict[str, Any]
"""One line of output: the job's keys, ``path``, ``conditions``, ``time``, and, where asked for, ``flow_results`` and
``missed_flows``."""
