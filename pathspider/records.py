"""What crosses queues and files: connection states, jobs, connections, flows, records. No behaviour lives here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any, Final, Literal, NamedTuple, NotRequired, Required, TypedDict, cast


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


class Job(TypedDict, total=False):
    """One target as read from the input. Keys that are not named here are kept and come out in the record.

    The types are those of a job that can be measured. Until ``job_problem()`` has looked at it, a value may be
    anything: what somebody wrote.
    """

    dip: str
    """The target's address, IPv4 or IPv6; only ``dnsresolv`` takes a job without one."""
    dp: int
    """The target's port; where it is absent or null in the input, the connection mode's is filled in."""
    domain: str | None
    """The name that HTTP, TLS and DNS ask for."""
    qtype: str
    """The type that a DNS query asks for; A unless given."""
    dip_asn: int | str
    """The number of the target's autonomous system, ``64496`` or ``"AS64496"``."""
    info: Any
    """May hold that number as ``info["ASN"]``; also ``prefix`` and ``country``, as
    ``--prefixes`` puts them there."""
    canid_info: Any
    """May hold it as ``canid_info["ASN"]``."""
    scenario: str
    """In the lab: the name of the path that leads to this target."""


class Connection(TypedDict, total=False):
    """What a connection function tells, and what the run adds.

    A connection function may put in any further key, for its plugin's conclusions. One with types declares it in a
    class that extends this one.
    """

    spdr_state: Required[Conn]
    """How the connection ended; ``OK`` where a connection function tells its port alone."""
    sp: int
    """Our port; 0 where no packet can have left."""
    dip: str | None
    """The address that it went to, where ``pre_connect`` put another in the place of the job's."""
    dp: int
    """The port that it went to: the job's, unless the connection function tells another."""
    proto: int
    """Number of the transport protocol, where the connection function tells it: 6 TCP, 17 UDP, 132 SCTP."""
    config: int
    """Its configuration, 0 for the baseline; from the run."""
    client: Any
    """What is still open and has a ``close()``; the run takes it out and closes it."""
    error: str
    """What the network said, or that it said nothing, for people."""
    local_error: str
    """What failed on our own machine, in a word for a condition; ``spdr_state`` is then ``CONN_SKIPPED``."""
    skipped: str
    """Why the experiment does not exist for this target, in a word for a condition; ``CONN_SKIPPED`` then, too."""
    http_status: int
    """Status code of the HTTP response. :rfc:`9110`"""
    http_version: str | None
    """Version of HTTP in which the response came, ``"1.1"`` for example; None where libcurl does not tell."""
    http2_error: str
    """``HTTP_1_1_REQUIRED`` where the server ended HTTP/2 so, and there was no response. :rfc:`9113`, section 7"""
    curl_http_version: int
    """The same as libcurl numbers it; as with other ``curl_<name>``, where it was asked for."""
    http_info: dict[int, Any]
    """All that libcurl was asked for, by pycurl's constant."""
    http_headers: list[tuple[str, str]]
    """Names, in lower case, and values of the response's header fields, as they came; where it was asked for."""
    http_body: str
    """The first 64 KiB of the response's body, one character an octet (latin-1); where it was asked for."""
    syn_data_acked: bool
    """Whether the SYN-ACK acknowledged all data that the SYN carried; where TCP Fast Open was asked for. :rfc:`7413`"""
    dns_rcode: int
    """Response code of the DNS response. :rfc:`1035`"""
    variant: str
    """The row of a traversal plugin's table that was tried."""
    forged: str
    """The packet of a traversal plugin as it was forged: its first 640 octets, in hexadecimal."""
    mtu_passed: int | None
    """Octets of the largest packet that was acknowledged, or answered, by the plugin ``pmtud``; None: of none."""
    mtu_told: int | None
    """The size that a router said it takes, last, where it can be."""
    mtu_invalid: int | None
    """The same where it cannot be: not below the size that was sent, or below what each link takes."""
    mtu_silent: int | None
    """Octets of the smallest packet that vanished, while the same in smaller ones arrived, and nobody said why."""
    mtu_unclear: int | None
    """Octets of a packet that was not answered, nor was the same in smaller ones."""
    tls_hello: str
    """The ClientHello that was sent, by its name in the plugin ``tls``."""
    tls_segments: str
    """Octets of each part of it that left, in a segment of its own: ``1300,505``."""
    tls_answer: str
    """What came back: ``server_hello``, ``alert:<number>``, ``other``, ``reset``, ``closed``, ``none``; or
    ``no_connection``, where it was not sent."""
    quic_alt_svc: bool
    """Whether the response over TCP told of HTTP/3, in the header field Alt-Svc. :rfc:`7838`"""
    quic_answer: str
    """What came back: ``response``, ``closed:<error>``, ``unusable``, ``other_version``, ``icmp``, ``handshake`` or
    ``none``, as the plugin ``quic`` has it in conditions."""
    quic_version: int
    """The version of QUIC that was agreed on."""
    quic_offered: list[int]
    """Those of a Version Negotiation packet, where one came."""
    quic_marked: int
    """Datagrams that left with ECT(0), where a response had come."""
    quic_marked_acked: int
    """Packets among these that were acknowledged."""
    quic_counts: list[int] | None
    """How many packets with ECT(0), ECT(1) and CE the server counted meanwhile; None: it did not say."""
    quic_unmarked_acked: bool
    """Whether a packet without a mark was acknowledged, where none with a mark had been."""
    quic_spins: str
    """The spin bit of a PING, and behind it that of the packet that acknowledged it: ``11,00,11``. Without those behind
    which something else left with another one."""


Flow = dict[str, Any]
"""What the observer saw of one flow: the fields of its chains, ``pkt_first`` and ``pkt_last`` (seconds since the
epoch). Merged with its connection it also has what that told, ``observed`` (bool), and the job's keys.

A dict, since a plugin chooses which chains' fields there are, and chains and plugins compute many of these names."""

Period = TypedDict("Period", {"from": str, "to": str})
"""Two moments, UTC, ``YYYY-MM-DD HH:MM:SS.ffffff``."""


class Hop(TypedDict):
    """What a router on the way has quoted of a packet whose TTL ran out there."""

    ttl: int
    """The one that the packet left with."""
    addr: str
    """The router's address."""
    rtt: float
    """Seconds until its answer came."""
    quoted: dict[str, Any]
    """What it quoted of the packet, as far as it is of interest: names of :class:`~pathspider.quotation.Quotation`."""
    octets: int
    """How much of the packet it quoted."""
    ASN: NotRequired[int]
    """The AS that originates the router's prefix, where ``--prefixes`` knows it; of several the first."""


class RoundRecord(TypedDict, total=False):
    """One round of a confirmation."""

    order: list[int]
    """The configurations of its connections as they were made."""
    states: list[int]
    """How each of these ended: its ``spdr_state``."""
    tries: list[int]
    """How often each of these was tried: SYNs, or datagrams, before the answer. Where that was counted."""
    time: Period
    conditions: list[str]
    """What this round said by itself."""
    flow_results: list[Flow]
    """With ``--output-flows``: as a record's."""


class Reached(TypedDict):
    """How far packets came that were sent with ever larger TTLs."""

    ttl: int
    """The smallest one to which something else than a router's time exceeded was the answer; the largest that was tried
    where there was no such answer."""
    came: Literal["accepted", "refused", "nothing"]
    """That answer: one that accepts the packet, a RST or an ICMP error, or none."""
    addr: NotRequired[str]
    """Whose it was."""


class Record(Job, total=False):
    """One line of output: the job, and what was found of its target."""

    path: list[str | None]
    """From the vantage point's address to the target's, ``*`` for all between, with ASes where they are known."""
    conditions: list[str]
    """What was found, or why there is no verdict."""
    time: Period
    """The first packet's moment, or the first connection's, and the end of the last connection."""
    run: str
    """The id of the run that this record is of."""
    order: list[int]
    """The configurations of the connections as they were made, where there were several."""
    flow_results: list[Flow]
    """With ``--output-flows``: one for each connection, in the order of the plan."""
    evidence: str
    """With ``--evidence``: the file of that folder in which its packets are."""
    missed_flows: int
    """With ``--output-flows``: how many flows were expected and not observed."""
    rounds: list[RoundRecord]
    """Of a suspect: what was seen when its connections were made again."""
    hops: dict[str, list[Hop]]
    """With ``--locate``, of a target that was looked for: the routers that answered the baseline's packets (``A``) and
    the experiment's (``B``)."""
    reached: dict[str, Reached]
    """With ``--locate``, of a target that was looked for: how far these packets came."""
    domain_ascii: str
    """``domain`` as it went on the wire, where that is another spelling."""
    error: str
    """What went wrong in a plugin that left this job without a measurement."""


RECORD_KEYS: Final = frozenset(Record.__annotations__.keys() - Job.__annotations__.keys())
"""The keys that a measurement adds to a job."""


def to_measure(job: Job) -> Job:
    """A job as it is measured: one that is the record of an earlier measurement loses what that one found."""
    if RECORD_KEYS.isdisjoint(job):
        return job
    return cast(Job, {key: value for key, value in job.items() if key not in RECORD_KEYS})


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
    source: tuple[str | None, str | None] | None = None
    """The addresses of ours that they left from, by IP version; None: the usual ones of the run."""


class Unmeasured(NamedTuple):
    """A job that ends without a measurement; its record says why."""

    job: Job
    condition: str
    error: str = ""
    moment: float = 0.0
    """When it was decided, seconds since the epoch; 0: now."""
