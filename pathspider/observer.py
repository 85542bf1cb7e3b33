"""The observer: packet source -> flow table -> chains -> flow queue. The shell; flow logic is in the native core."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

from pathspider.libtrace._core import FlowTable, PacketStore, Reassembly, Tap, link_name
from pathspider.libtrace.compiled import twin
from pathspider.libtrace.errors import CaptureError
from pathspider.libtrace.sources import Capture, Captures, Comment, parse
from pathspider.network.interfaces import interface_name
from pathspider.pcapng import Interface
from pathspider.records import SHUTDOWN_SENTINEL, Flow

__all__ = ["CaptureError", "DummyObserver", "Observer", "PacketClockTimer", "Stats"]


FLUSH = 2000
"""Records handed on at once when all flows end: who writes them need not hold all of them twice."""


class FlowQueue(Protocol):
    """What flows are put into: a :class:`queue.Queue` or anything with its ``put``."""

    def put(self, item: Any) -> None: ...


class Stats(NamedTuple):
    """What the observer has seen so far; all are counts."""

    packets: int
    """Packets handed to the flow table; one that was put together counts as its fragments."""
    flows: int
    """Flows that were begun."""
    dropped_kernel: int
    """Packets lost before they could be read: the kernel's buffer was full. Of a pcapng file, those that it says were
    lost when it was made."""
    dropped_ring: int
    """Packets read and lost because the chains were too slow for them."""
    not_ip: int
    """Packets without an IP header: ARP and the like; and those of link types that we do not know."""
    truncated: int
    """Packets whose headers were cut by the snaplen or by their sender."""
    malformed: int
    """Packets of which a header contradicts itself; :attr:`Observer.malformed` tells why. Those whose IP header is
    right belong to flows nevertheless."""
    evicted: int
    """Flows ended early because too many were open."""
    discarded: int
    """Flows that a chain did not want."""
    open: int
    """Flows that are open now."""
    ring_peak: int
    """Highest fill of the ring between reader and chains, bytes."""
    shortened: int = 0
    """Flows of which some packets had to go that were held."""
    unheld: int = 0
    """Flows of which all packets had to go that were held."""
    fragments: int = 0
    """Fragments that were put together, and duplicates of these."""
    reassembled: int = 0
    """Packets that they made."""
    unassembled: int = 0
    """Packets whose fragments were not put together; :attr:`Observer.unassembled` tells why."""


class PacketClockTimer(NamedTuple):
    """Something to do when the packet clock reaches a time."""

    time: float
    """Seconds since 1970, on the packets' clock."""
    fn: Callable[[], None]
    """What to call then."""


class Observer:
    """Reads packets from the source that a libtrace URI names, sorts them into flows, and shows both to chains.

    When the constructor returns, packets are being captured.

    :param lturi: ``int:IF`` or a name of an interface; ``pcapfile:FILE`` or its name; ``-``; any libtrace URI; or a
        list of ordinary capture files, read in the order of their first packets: flows go on from one to the next
    :param chains: chain classes (or instances); none: packets are counted, no flow records are made
    :param idle_timeout: seconds of packet time after which a quiet flow ends
    :param expiry_timeout: seconds of packet time for which a complete flow still takes late packets
    :param bpf: filter, see pcap-filter(7)
    :param snaplen: bytes kept of each packet
    :param buffer_size: bytes of the kernel's buffer and of the ring behind it (live captures)
    :param max_flows: flows that may be open at once; beyond it, the quietest ends early
    :param active_timeout: seconds of packet time after which a flow that goes on ends, and its next forward packet
        begins a new one (any packet after twice that time); 0: never
    :param packets: how many are looked at; then observing ends
    :param duration: seconds for which is observed, of a live capture; of a file, those of its packets' time, from the
        first one on
    :param decapsulate: flows are those of the packets inside of tunnels; records name the tunnels, ``encapsulation``
    :param outer: records have ``vlan`` and ``mpls``: ids and labels of the flow's first packet; with ``decapsulate``
        also ``tunnel_ends``: between which addresses its tunnels are
    :param reassemble: puts the fragments of a packet together: the chains see it whole, once, when its last fragment
        has come. They count as they were on the wire: ``ip.packets`` and ``ip.octets``
    :raises pathspider.libtrace.CaptureError: the source cannot be opened
    """

    def __init__(self, lturi: str | Sequence[str], chains: Iterable[Any] | None = None, idle_timeout: float = 30,
                 expiry_timeout: float = 5, *, bpf: str | None = None, snaplen: int = 65535,
                 buffer_size: int = 64 << 20, max_flows: int = 131072, active_timeout: float = 0,
                 packets: int | None = None, duration: float | None = None, decapsulate: bool = False,
                 outer: bool = False, reassemble: bool = False) -> None:
        instances = [twin(chain)() if isinstance(chain, type) else chain for chain in chains or ()]
        self._observing = bool(instances)
        self._store: PacketStore | None = None
        self._make_table = partial(FlowTable, instances, idle_timeout, expiry_timeout, max_flows,
                                   active_timeout=active_timeout, decapsulate=decapsulate, outer=outer)
        self._table = self._make_table()
        self._bpf, self._snaplen = bpf, snaplen
        self._fragments = Reassembly() if reassemble else None
        self._capture: Capture
        if isinstance(lturi, str):
            self._capture = Capture(_by_known_name(lturi), bpf, snaplen, buffer_size, fragments=self._fragments,
                                    decapsulate=decapsulate)
        else:
            self._capture = Captures(lturi, bpf, snaplen, fragments=self._fragments, decapsulate=decapsulate)
        self._live_for = duration if self._capture.live else None
        self._capture.limit(packets, None if self._capture.live else duration)
        self._flushes: deque[tuple[int, Callable[[], None]]] = deque()
        """Whom to tell when the flows that are open have been given out, by the number of the flush."""
        self._flushing = threading.RLock()

    def run_flow_enqueuer(self, flowqueue: FlowQueue, irqueue: queue.Queue[Any] | None = None) -> None:
        """Blocks; puts the records of flows into ``flowqueue`` as they end.

        Ends when the source ends, on :meth:`stop`, or when ``SHUTDOWN_SENTINEL`` arrives on ``irqueue``. Packets that
        were captured before are still processed, then every open flow ends, and ``SHUTDOWN_SENTINEL`` is put - also
        when this raises.

        :raises pathspider.libtrace.CaptureError: the source broke off
        """

        def sink(flows: list[Flow]) -> None:
            for flow in flows:
                flowqueue.put(flow)

        listener = _Listener(irqueue, self.stop) if irqueue is not None else None
        try:
            self._observe(sink)
        finally:
            if listener is not None:
                listener.end()
            flowqueue.put(SHUTDOWN_SENTINEL)
            self._capture.close()  # the kernel takes its time for this: nobody has to wait for it

    def run(self, sink: Callable[[list[Flow]], None], *, compact: bool = False,
            prepare: Callable[[FlowTable], None] | None = None) -> None:
        """As :meth:`run_flow_enqueuer`, but gives lists of records to a function; no sentinel.

        :param compact: the records may be other than dicts; ``pathspider.libtrace.json_lines`` takes them
        :param prepare: called with the flow table before any packet
        """
        self._table.compact = compact
        if prepare is not None:
            prepare(self._table)
        try:
            self._observe(sink)
        finally:
            self._capture.close()

    def _observe(self, sink: Callable[[list[Flow]], None]) -> None:
        if not self._observing:
            sink = _drop
        table, capture = self._table, self._capture
        alarm = None if self._live_for is None else threading.Timer(self._live_for, self.stop)
        try:
            if alarm is not None:
                alarm.name, alarm.daemon = "observer-duration", True
                alarm.start()
            while (flows := capture.feed(table)) is not None:
                if flows:
                    sink(flows)
                self._tell_flushed(capture.flushed)
        finally:
            if alarm is not None:
                alarm.cancel()
            while flows := table.flush(FLUSH):
                sink(flows)
            self._tell_flushed(None)

    def _tell_flushed(self, number: int | None) -> None:
        """Tell those whose flush has been done, up to this one; None: all of them."""
        done = []
        with self._flushing:
            while self._flushes and (number is None or self._flushes[0][0] <= number):
                done.append(self._flushes.popleft()[1])
        for ended in done:
            ended()

    def flush(self, ended: Callable[[], None] | None = None) -> None:
        """Thread-safe: the flows of the packets that were captured by now end, and observing goes on. On an interface,
        fragments that wait for others are let go before; those of a file still wait.

        :param ended: called, by the observer's thread, when they have been given out
        """
        with self._flushing:
            number = self._capture.flush()
            if ended is not None:
                self._flushes.append((number, ended))

    def end_flow(self, target: str, protocol: int, dp: int, sp: int, after: float = 1.0) -> None:
        """The flow of a connection that is over ends soon, though it is neither complete nor quiet for long.

        Thread-safe, returns at once; made to be called for each connection. The flow is found when it is due: packets
        that are captured until then belong to it, also when they reach us late. On a live capture it ends without
        further packets too; a file's clock goes on by its packets. Nothing happens where the flow has ended by then
        (it was complete for ``expiry_timeout``), where it was never seen, or where its first packet went from
        ``target`` to here. A flow of the same ports that begins after this call is not meant.

        :param target: the other end's address, IPv4 or IPv6
        :param protocol: number of the transport protocol: 6 TCP, 17 UDP, 132 SCTP
        :param dp: the target's port
        :param sp: this host's port
        :param after: seconds of capture time from now for which late packets are still taken
        :raises ValueError: no address, protocol, port or time
        """
        self._capture.end_flow(self._table, target, protocol, dp, sp, after)

    def backlog(self) -> float:
        """How far the chains are behind a live capture: the age in seconds of the packet that they look at, or of the
        oldest one that waits for them (also because whoever takes the flows is slow).

        Thread-safe. 0.0 when no packet waits, and where packets come from a file. What the kernel holds back is not
        seen: a packet on a quiet interface for up to 10 ms, and more only while our reader thread gets no CPU.
        """
        return self._capture.backlog()

    def hold(self, octets: int) -> None:
        """Before it runs: hold the first packets of each flow, which its record then has as ``_packets``.

        :param octets: of memory for all of them
        :raises ValueError: fragments are put together: what is held is what was captured
        """
        if self._fragments is not None:
            raise ValueError("an observer that reassembles holds no packets: the flow table does not see the fragments")
        self._store = PacketStore(octets)
        self._table = self._make_table(self._store)

    def position(self) -> tuple[int, int] | None:
        """Thread-safe: how many octets of a list of files were read, as they are on the disk, and of how many; None of
        other sources."""
        return self._capture.position()

    @property
    def live(self) -> bool:
        """Whether packets are captured as they pass; else they are read."""
        return self._capture.live

    def interface(self) -> Interface | None:
        """Where packets are captured live, and how; None for other sources, and when it is over."""
        link = self._capture.link()
        return None if link is None else Interface(self._capture.target.name, link, self._snaplen, self._bpf)

    def tap(self, room: int) -> Tap:
        """From now on, every packet that is captured live also goes to the tap that is returned. It can be asked for
        once, never slows down the capture, and ends with it.

        :param room: octets that may wait there
        """
        return self._capture.tap(room)

    def stop(self) -> None:
        """Thread-safe, returns at once: :meth:`run_flow_enqueuer` ends after the packets captured by now."""
        self._capture.stop()

    def close(self) -> None:
        """Frees the source of an observer that was never run. Thread-safe; one that runs comes to its end, without the
        packets that wait."""
        self._capture.close()

    @property
    def stats(self) -> Stats:
        """Counts so far; they stay when the observer has ended."""
        table, counts, store = self._table, self._capture.counts(), self._store
        return Stats(table.packets, table.flows, counts["dropped_kernel"], counts["dropped_ring"], table.not_ip,
                     table.truncated, table.malformed, table.evicted, table.discarded, len(table), counts["peak"],
                     store.shortened if store else 0, store.lost if store else 0,
                     *self._joined(), sum(self.unassembled.values()))

    def _joined(self) -> tuple[int, int]:
        """Fragments that were put together, and the packets that they made."""
        counts = self._fragments.counts() if self._fragments else {"joined": 0, "whole": 0}
        return counts["joined"], counts["whole"]

    @property
    def malformed(self) -> dict[str, int]:
        """What was wrong with malformed packets so far, in words, and with how many."""
        return self._table.reasons

    @property
    def turned_back(self) -> int:
        """How often the packets' time went back by more than a second, so far: what came before had a wrong time,
        and may have ended flows that went on, or the capture's clock was set."""
        return self._table.turned_back

    @property
    def unassembled(self) -> dict[str, int]:
        """Why fragments were not put together so far, in words, and of how many packets."""
        refused: dict[str, int] = self._fragments.counts()["refused"] if self._fragments else {}
        return refused

    @property
    def unknown_links(self) -> dict[str, int]:
        """Link types that we do not know, by number and pcap's name, and how many packets had them."""
        return {f"{number} ({name})" if (name := link_name(number)) else str(number): count
                for number, count in self._table.unknown_links.items()}

    def comments(self) -> tuple[int, list[Comment]]:
        """How many comments a pcapng file has, as far as it was read, and the first of them."""
        return self._capture.comments()


def _by_known_name(lturi: str) -> str:
    """A URI by which libpcap finds an interface that is named by an alternative name."""
    kind, name = parse(lturi)
    return f"int:{interface_name(name)}" if kind == "live" else lturi


def _drop(flows: list[Flow]) -> None:
    """Where flows go that no chain has looked at."""


class _Listener:
    """Waits for the sentinel on the interrupt queue, for someone who is busy otherwise."""

    def __init__(self, irqueue: queue.Queue[Any], stop: Callable[[], None]) -> None:
        self.irqueue, self.stop, self.over = irqueue, stop, False
        self.thread = threading.Thread(target=self._listen, name="observer-interrupts", daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        while not self.over:
            if self.irqueue.get() is SHUTDOWN_SENTINEL:
                self.stop()
                return

    def end(self) -> None:
        """Lets the thread go when the source ended by itself. Nobody else reads this queue."""
        self.over = True
        if self.thread.is_alive():
            with suppress(queue.Full):
                self.irqueue.put_nowait(SHUTDOWN_SENTINEL)


class DummyObserver:
    """Has the API of :class:`Observer` and observes nothing. For tests, and for plugins without chains."""

    def __init__(self, lturi: str = "", chains: Iterable[Any] | None = None, idle_timeout: float = 30,
                 expiry_timeout: float = 5, **options: Any) -> None:
        self._ended: queue.Queue[Any] = queue.Queue()
        self.stats = Stats(*(0,) * len(Stats._fields))

    def hold(self, octets: int) -> None:
        """There are no packets to hold."""

    def position(self) -> None:
        """There are no files."""

    def interface(self) -> Interface | None:
        """Nothing is captured."""
        return None

    def run_flow_enqueuer(self, flowqueue: FlowQueue, irqueue: queue.Queue[Any] | None = None) -> None:
        """Blocks until ``SHUTDOWN_SENTINEL`` arrives on ``irqueue`` (or :meth:`stop`) and passes it on."""
        listener = _Listener(irqueue, self.stop) if irqueue is not None else None
        try:
            self._ended.get()
        finally:
            if listener is not None:
                listener.end()
            flowqueue.put(SHUTDOWN_SENTINEL)

    def flush(self, ended: Callable[[], None] | None = None) -> None:
        """There are no flows to end."""
        if ended is not None:
            ended()

    def end_flow(self, target: str, protocol: int, dp: int, sp: int, after: float = 1.0) -> None:
        """There is no flow to end."""

    def backlog(self) -> float:
        """Nothing waits: 0.0."""
        return 0.0

    def stop(self) -> None:
        """Thread-safe, returns at once."""
        self._ended.put(None)

    def close(self) -> None:
        """There is nothing to free."""
