"""Bring each job's connections together with the flows that were observed of them. Pure: values in, values out.

A connection and its flow share the target's address, the target's port, our source port and, where the connection tells
it, the transport protocol. Either may come first. A flow that no connection claims (other traffic of the machine) and a
connection whose flow never comes (packets lost by the capture) are given up after ``patience`` seconds, so that memory
is bounded by what is under way.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pathspider.records import CONN_SKIPPED, Connection, Flow, Job, Result

Entry = TypeVar("Entry")

Key = tuple[bytes, int, int]
"""The target's address in network order, the target's port, our source port."""


class Merged(NamedTuple):
    """A job that is complete: each connection beside its flow, ``None`` for one that was not observed."""

    result: Result
    flows: list[Flow | None]
    missed: int
    """How many flows were expected and not observed."""


class _Waiting:
    """A result with some of its flows still to come."""

    __slots__ = ("flows", "open", "result", "since")

    def __init__(self, result: Result, since: float) -> None:
        self.result = result
        self.flows: list[Flow | None] = [None] * len(result.connections)
        self.open = 0
        self.since = since

    def likeness(self, place: int, flow: Flow) -> int:
        """How well a flow with its key fits the connection in this place."""
        return likeness(self.result, self.result.connections[place], flow)


def packed(address: str) -> bytes:
    """An address in network order, however it is spelled; raises ``OSError`` for what is not an address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def connection_key(job: Job, connection: Connection) -> Key | None:
    """The key under which this connection's flow will come; None if no packet of it can have left."""
    target = connection.get("dip") or job.get("dip")
    if not connection.get("sp") or not target:
        return None
    return (packed(target), int(connection.get("dp") or job["dp"]), int(connection["sp"]))


def likeness(result: Result, connection: Connection, flow: Flow) -> int:
    """How well a flow with a connection's key fits it: 0 it is another's, 1 it may be its own, 2 in protocol too.

    It is another's with another transport protocol, or where it was over when the job began: what was sent again after
    an earlier flow's end makes a flow of its own, and the port may be used again.
    """
    protocol, over = connection.get("proto"), flow.get("pkt_last")
    if over is not None and over < result.began:
        return 0
    if protocol is None or flow.get("proto") is None:
        return 1
    return 2 if protocol == flow["proto"] else 0


def in_order(result: Result, flows: list[Flow | None]) -> list[Flow | None]:
    """The same flows, of connections that share a key in the order in which these began: what ends first, and comes
    first, need not be the first."""
    ports = [connection.get("sp") for connection in result.connections]
    if len({*ports}) == len(ports):
        return flows
    shared: dict[Key, list[int]] = {}
    for place, connection in enumerate(result.connections):
        if flows[place] is not None and (key := connection_key(result.job, connection)) is not None:
            shared.setdefault(key, []).append(place)
    found = [*flows]
    for places in shared.values():
        mine = [flow for place in places if (flow := flows[place]) is not None and flow.get("pkt_first") is not None]
        if len(places) > 1 and len(mine) == len(places):
            begun = sorted(places, key=lambda place: result.spans[place] if result.spans else (place, 0.0))
            pairs = [*zip(begun, sorted(mine, key=lambda flow: flow["pkt_first"]), strict=True)]
            if all(likeness(result, result.connections[place], flow) for place, flow in pairs):
                for place, flow in pairs:
                    found[place] = flow
    return found


class Matcher:
    """Matches results with flows, one job at a time.

    :param patience: seconds after which an unclaimed flow or an unobserved connection is given up
    :param observing: False where nothing is observed: jobs are then complete as they come, and no flow is missed
    """

    def __init__(self, patience: float, *, observing: bool = True) -> None:
        self.patience = patience
        self.observing = observing
        self._connections: dict[Key, deque[tuple[_Waiting, int]]] = {}
        self._flows: dict[Key, deque[Flow]] = {}
        self._results: dict[int, _Waiting] = {}
        self._flow_order: deque[tuple[float, Key, Flow]] = deque()

    def add_result(self, result: Result, now: float) -> Iterator[Merged]:
        """Take one job's connections; ``now`` is any clock in seconds that does not go back."""
        waiting = _Waiting(result, now)
        keys = [connection_key(result.job, connection) if self.observing else None for connection in result.connections]
        for place, (connection, key) in enumerate(zip(result.connections, keys, strict=True)):
            if key is None:
                continue
            if flow := _take(self._flows, key, partial(likeness, result, connection)):
                waiting.flows[place] = flow
            else:
                waiting.open += 1
                self._connections.setdefault(key, deque()).append((waiting, place))
        if waiting.open:
            self._results[id(waiting)] = waiting
        else:
            yield self._merged(waiting)
        yield from self._give_up(now - self.patience)

    def add_flow(self, flow: Flow, now: float) -> Iterator[Merged]:
        """Take one finished flow."""
        if flow.get("sp") is not None and flow.get("dp") is not None:
            key = (packed(flow["dip"]), flow["dp"], flow["sp"])
            if claimed := _take(self._connections, key, lambda claim: claim[0].likeness(claim[1], flow)):
                waiting, place = claimed
                waiting.flows[place] = flow
                waiting.open -= 1
                if not waiting.open:
                    del self._results[id(waiting)]
                    yield self._merged(waiting)
            else:
                self._flows.setdefault(key, deque()).append(flow)
                self._flow_order.append((now, key, flow))
        yield from self._give_up(now - self.patience)

    def finish(self) -> Iterator[Merged]:
        """No more flows will come: give out what is left, with its flows missed."""
        yield from self._give_up(float("inf"))

    def _give_up(self, before: float) -> Iterator[Merged]:
        while self._flow_order and self._flow_order[0][0] < before:
            _, key, flow = self._flow_order.popleft()
            _discard(self._flows, key, flow)
        while self._results:
            waiting = next(iter(self._results.values()))
            if waiting.since >= before:
                break
            del self._results[id(waiting)]
            for place, connection in enumerate(waiting.result.connections):
                missing = connection_key(waiting.result.job, connection)
                if missing is not None and waiting.flows[place] is None:
                    _discard(self._connections, missing, (waiting, place))
            yield self._merged(waiting)

    def _merged(self, waiting: _Waiting) -> Merged:
        missed = 0
        if self.observing:
            pairs = zip(waiting.flows, waiting.result.connections, strict=True)
            missed = sum(flow is None and connection["spdr_state"] != CONN_SKIPPED for flow, connection in pairs)
        return Merged(waiting.result, in_order(waiting.result, waiting.flows), missed)


def _take(table: dict[Key, deque[Entry]], key: Key, likeness: Callable[[Entry], int]) -> Entry | None:
    """Remove and return the oldest of the likest entries under ``key``; None if there is none."""
    entries = table.get(key)
    if entries is None:
        return None
    found = [likeness(entry) for entry in entries]
    if not any(found):
        return None
    place = found.index(max(found))
    entry = entries[place]
    del entries[place]
    if not entries:
        del table[key]
    return entry


def _discard(table: dict[Key, Any], key: Key, entry: Any) -> None:
    """Remove this very entry from under ``key``, if it is still there."""
    entries = table.get(key)
    if entries is None:
        return
    for place, candidate in enumerate(entries):
        if candidate is entry or candidate == entry:
            del entries[place]
            break
    if not entries:
        del table[key]
