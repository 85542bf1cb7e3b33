"""The forge model: packets that no kernel would send, made with Scapy.

A forged packet belongs to no socket, so :mod:`pathspider.helpers.forged` holds its source port, receives what comes
back and keeps the kernel from answering it. Importing this module imports Scapy, which takes half a second.
"""

from __future__ import annotations

import argparse
import errno
import random
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import isgeneratorfunction
from typing import Any, ClassVar, NamedTuple, cast

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import NoPayload, Packet, Raw

from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCP_ACK, TCP_RST, TCP_SYN
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers import poller
from pathspider.helpers.dns import belongs, query
from pathspider.helpers.dns import judge as judge_answer
from pathspider.helpers.forged import Flow, Link, LocalError, NetworkError
from pathspider.helpers.poller import clock
from pathspider.helpers.segments import flags_of, following, is_bogus_syn_ack, refusing, syn_verdict
from pathspider.helpers.sockets import RESEND_AFTER, Source, errno_name, failed, is_ipv6, local_error
from pathspider.helpers.templates import Template, Templates, layers, number
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, Conn, Connection, Job

FORGE_ATTEMPTS = 16
"""How often ``forge`` is called again when the source port that it chose is taken."""

RAW_SOCKETS = 3
"""Of one worker for one IP version: a sender, and receivers for two transport protocols."""


class PortTaken(Exception):  # noqa: N818 - a state of the world
    """The source port that :meth:`ForgeSpider.forge` chose is in use."""


class Sent(NamedTuple):
    """A packet that has left."""

    flow: Flow
    raw: bytes
    deadline: float
    reply: bytes | None
    connection: Connection | None
    """What came of it; None where it was answered, and the plugin goes on from there."""


class Worker:
    """What one worker keeps for all of its packets."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        """Its raw sockets, by our own address: they are made once."""
        self.packets: dict[Any, tuple[Packet, Template]] = {}
        """Of each kind, the last one, of which the next is made: to build one takes longer."""


class ForgeSpider(DesynchronizedSpider):
    """A spider whose connections are forged packets: ``packets`` for each target, made by :meth:`forge`.

    Each packet has a flow of its own: with source port 0 it gets a free port, which no real connection has or can get.
    It is sent again while it is unanswered. An answered SYN is followed by ACK and RST, an unanswered one by RST, so
    that the target is left as it was found. A SYN-ACK that acknowledges another SYN is no answer: it gets a RST, and
    the first such has the SYN sent again at once, as Linux does it.
    """

    chains = [BasicChain]
    capabilities: ClassVar[Sequence[str]] = ("CAP_NET_RAW", "CAP_NET_ADMIN")  # the latter for a filter
    packets: ClassVar[int] = 0
    """How many packets are forged for each target."""
    resend: ClassVar[bool] = True
    """Send an unanswered packet again (see :data:`pathspider.helpers.sockets.RESEND_AFTER`)."""

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self._own = threading.local()
        """``worker``, whose packets this thread forges."""
        self._made_links: list[Link] = []
        self._templates = Templates()
        go_on = type(self).go_on
        self._may_block = go_on is not ForgeSpider.go_on and not isgeneratorfunction(go_on)
        """Whether ``go_on`` is a plugin's that may wait by itself: then it has to stay in the worker's thread."""

    # -- what a plugin fills in ----------------------------------------------------------------------------------

    def forge(self, job: Job, seq: int) -> Any:
        """The packet number ``seq``, from 0, for a job: Scapy, from layer 3 on.

        Source port 0 lets the spider choose a free one; another is taken as it is, and ``forge`` is called again when
        it is in use.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forge()")

    def setup(self, job: Job) -> Job | None:
        """Prepare for a job, once, before its first packet. Unless None is returned, that is the job from there on."""
        return None

    def not_applicable(self, job: Job) -> str | None:
        """Why the experiment does not exist for this target, in a word, or None: the job then is not measured."""
        return None

    def check(self, job: Job) -> None:
        """Raises ``LocalError`` where something of a job is such that no packet can be made for it: nothing leaves."""

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        """What came back for ``packet``: ``CONN_OK``, ``CONN_FAILED``, or None if it is not the answer.

        All connections wait meanwhile: it must not block.

        :param reply: for TCP the segment from its header on; for UDP the datagram's payload
        """
        return tcp_answer(packet, reply) if tcp_of(packet) else CONN_OK

    def go_on(  # noqa: PLR0917 - all that is known of the exchange
        self, job: Job, packet: Packet, raw: bytes, reply: bytes, flow: Flow, deadline: float
    ) -> Connection | poller.Exchange[Connection]:
        """``packet`` (``raw`` as octets) was answered by ``reply``: what comes of it. A plugin may go on from here.

        It may be a generator that yields what it waits for (``flow.arrival(until)``) and returns the connection: that
        spares changes of threads. ``NetworkError`` and ``LocalError``, which the flow raises, need not be caught.
        """
        return accepted(packet, reply)

    def take_leave(self, job: Job, raw: bytes, flow: Flow, reply: bytes | None) -> None:
        """The SYN ``raw`` was answered by ``reply``, if at all, and no more is wanted: leave nothing open."""
        take_leave(raw, flow, reply)

    # -- the model -----------------------------------------------------------------------------------------------

    def configuration_count(self) -> int:
        return self.packets

    def pre_connect(self, job: Job) -> Job | None:
        return self.setup(job)

    def perform(self, job: Job, config: int) -> Connection:
        return self.connect(job, config)

    def descriptors(self) -> int:
        return super().descriptors() + 2 * RAW_SOCKETS

    def finish(self) -> None:
        """Close the workers' raw sockets."""
        super().finish()
        while self._made_links:
            self._made_links.pop().close()

    def connect(self, job: Job, seq: int) -> Connection:
        """Forge packet number ``seq``, send it, and wait for the answer, at most ``--timeout`` seconds."""
        return poller.at_once(self._whole(job, seq, self._worker(), self._refused(job), together=False))

    def exchange(self, job: Job, config: int) -> poller.Exchange[Connection]:
        worker, refused = self._worker(), self._refused(job)
        return self._for_worker(worker, self.source, self._whole(job, config, worker, refused, together=True))

    def _refused(self, job: Job) -> Connection | None:
        """What comes of a job for which nothing leaves; None for others."""
        if reason := self.not_applicable(job):
            return {"spdr_state": CONN_SKIPPED, "sp": 0, "skipped": reason}
        six = is_ipv6(job["dip"])
        if self.source[six] is None:
            return local_error("no_ipv6_source" if six else "no_ipv4_source")
        try:
            self.check(job)
        except LocalError as error:
            return local_error(str(error))
        return None

    def _for_worker(self, worker: Worker, source: Source, exchange: poller.Exchange[Connection]
                    ) -> poller.Exchange[Connection]:
        """An exchange at each step of which the thread has what a worker keeps, and its addresses for its target."""
        found: Any = None
        while True:
            self._own.worker, self._job.source = worker, source
            try:
                step = exchange.throw(found) if isinstance(found, Exception) else exchange.send(found)
            except StopIteration as end:
                return cast(Connection, end.value)
            try:
                found = yield step
            except Exception as error:  # the poller cannot wait: the exchange knows what that means for it
                found = error

    def _worker(self) -> Worker:
        """What the worker of this thread keeps; in the poller's thread, the one whose packet is forged."""
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = Worker()
        return worker

    def _link(self, own: str, worker: Worker) -> Link:
        if own not in worker.links:
            try:
                worker.links[own] = Link(own)
                self._made_links.append(worker.links[own])
            except PermissionError:
                raise  # true for all jobs
            except OSError as error:
                raise LocalError(errno_name(error.errno or 0)) from error
        return worker.links[own]

    def _whole(self, job: Job, seq: int, worker: Worker, refused: Connection | None, *, together: bool
               ) -> poller.Exchange[Connection]:
        """All of :meth:`connect`.

        :param refused: where nothing is to leave, what comes of that
        :param together: all of it is in the poller's thread. Else it waits for nothing, and the poller has but what
            does: plugins that may block forge and go on in the worker's thread
        """
        raw, connection = None, refused
        if connection is None:
            try:
                link = self._link(cast(str, self.source[is_ipv6(job["dip"])]), worker)
                packet, sent = yield from self._sent(job, seq, link, together=together)
            except LocalError as error:
                connection = local_error(str(error))
            else:
                flow, raw, outcome = sent.flow, sent.raw, sent.connection
                if outcome is None:
                    try:
                        outcome = self._gone_on(job, packet, sent)
                    except BaseException:
                        flow.close()
                        raise
                connection = {"sp": flow.source_port, "dp": flow.target[1], "proto": flow.protocol, "client": flow,
                              **outcome}
        self._note(connection, job, seq, raw)
        return connection

    def _note(self, connection: Connection, job: Job, seq: int, raw: bytes | None) -> None:
        """Note what else there is to say of a connection, whose packet has left as ``raw``, if at all."""

    def _maker(self, packet: Packet) -> Callable[[Packet], bytes]:
        """What makes the octets of a packet, when all of its fields are set."""
        return self._templates.octets

    def _sent(self, job: Job, seq: int, link: Link, *, together: bool) -> poller.Exchange[tuple[Packet, Sent]]:
        """A packet that was forged, and what became of it."""
        for _ in range(FORGE_ATTEMPTS):
            packet = self.forge(job, seq)
            if not isinstance(packet, IP | IPv6):
                raise TypeError(f"forge() returned {packet!r:.80}, where a Scapy packet with an IP header is needed")
            course = self._course(job, packet, link, self._maker(packet))
            with suppress(PortTaken):
                return packet, (yield from course) if together else poller.run(course, here=False)
        raise LocalError("EADDRINUSE")

    def _course(self, job: Job, packet: Packet, link: Link, octets: Callable[[Packet], bytes]) -> poller.Exchange[Sent]:
        """Give a packet its port, send it, again while there is no answer, and take leave, unless the plugin goes on.

        In the poller's thread: a hundred workers that each call the kernel a dozen times would wait for the
        interpreter's lock most of the time.
        """
        flow = self._open(packet, link)
        try:
            raw, deadline = octets(packet), clock() + self.args.timeout
            reply, connection = None, None
            try:
                reply, connection = yield from self._exchange(job, packet, raw, flow, deadline)
                if connection is None and not self._may_block:
                    try:
                        went_on = self.go_on(job, packet, raw, cast(bytes, reply), flow, deadline)
                        connection = went_on if isinstance(went_on, dict) else (yield from went_on)
                    except (NetworkError, LocalError) as error:
                        connection = troubled(flow, error)
            finally:
                goes_on = self._may_block and reply is not None and connection is None
                if is_syn(packet) and not goes_on:
                    self.take_leave(job, raw, flow, reply)
        except BaseException:
            flow.close()
            raise
        return Sent(flow, raw, deadline, reply, connection)

    def _open(self, packet: Packet, link: Link) -> Flow:
        """The flow that holds a packet's source port, which it gets."""
        transport = tcp_of(packet) or packet.getlayer(UDP) or packet.payload
        protocol = {TCP: socket.IPPROTO_TCP, UDP: socket.IPPROTO_UDP}.get(type(transport))
        # int(): Scapy's random values are drawn each time that they are looked at
        source_port, target_port = (int(getattr(transport, name, 0)) for name in ("sport", "dport"))
        try:
            flow = Flow(link, protocol or last_protocol(packet), source_port, (number(packet, "dst"), target_port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken from error
            raise LocalError(errno_name(error.errno or 0)) from error
        if protocol:
            transport.sport = flow.source_port
            if transport.fields.get("dport") is not target_port:
                transport.dport = target_port
        return flow

    def _exchange(self, job: Job, packet: Packet, raw: bytes, flow: Flow, deadline: float
                  ) -> poller.Exchange[tuple[bytes | None, Connection | None]]:
        """Send a packet, ``raw`` as octets, until it is answered: answer and result, which is None if it is good."""
        began = deadline - self.args.timeout
        pauses = RESEND_AFTER if self.resend else ()
        syn = is_syn(packet)
        refused = False
        try:
            for until in [*(began + pause for pause in pauses if pause < self.args.timeout), deadline]:
                flow.send(raw)
                waits = True
                while waits:
                    for reply in flow.read():  # in a near network it is there
                        if (state := self.judge(job, packet, reply)) is not None:
                            bad = failed(state, flow.source_port, "the answer refuses it")
                            return reply, None if state == CONN_OK else bad
                        if syn and is_bogus_syn_ack(packet[TCP].seq, len(packet[TCP].payload), reply):
                            flow.send(refusing(raw, reply))
                            if self.resend and not refused:
                                flow.send(raw)
                            refused = True
                    waits = bool((yield flow.arrival(until)))
        except (NetworkError, LocalError) as error:
            return None, troubled(flow, error)
        return None, failed(CONN_TIMEOUT, flow.source_port, "no answer")

    def _gone_on(self, job: Job, packet: Packet, sent: Sent) -> Connection:
        """What comes of a packet that was answered, where the plugin goes on from there."""
        flow, reply = sent.flow, cast(bytes, sent.reply)
        try:
            went_on = self.go_on(job, packet, sent.raw, reply, flow, sent.deadline)
            return went_on if isinstance(went_on, dict) else poller.run(went_on)
        except (NetworkError, LocalError) as error:
            return troubled(flow, error)
        finally:
            if is_syn(packet):
                self.take_leave(job, sent.raw, flow, reply)

    # -- for plugins: packets as an ordinary host sends them -------------------------------------------------------

    def ip_header(self, job: Job, **fields: Any) -> Packet:
        """An IPv4 or IPv6 header from here to the job's target, as Linux sends it; ``fields`` as Scapy names them."""
        if is_ipv6(job["dip"]):
            return IPv6(**{"src": self.source[1], "dst": job["dip"], "hlim": 64,
                           "fl": random.getrandbits(20), **fields})
        return IP(**{"src": self.source[0], "dst": job["dip"], "ttl": 64, "flags": "DF",
                     "id": random.randrange(1, 1 << 16), **fields})

    def tcp_syn(self, job: Job, **fields: Any) -> Packet:
        """A SYN to the job's port with the options that Linux sends: some firewalls drop a SYN without timestamps."""
        mss = 1440 if is_ipv6(job["dip"]) else 1460
        options = [("MSS", mss), ("SAckOK", b""), ("Timestamp", (random.getrandbits(32), 0)), ("NOP", None),
                   ("WScale", 7)]
        return TCP(**{"sport": 0, "dport": job["dp"], "flags": "S", "seq": random.getrandbits(32), "window": 64240,
                      "options": options, **fields})

    def renumber(self, packet: Packet, job: Job) -> Packet:
        """Make a SYN, of :meth:`ip_header` and :meth:`tcp_syn`, into another one like it, to this job's target. It may
        have extension headers, with the target among the addresses of their routes.

        Its fields are set as such: Scapy takes longer.
        """
        header, before, six = packet.fields, packet.fields["dst"], isinstance(packet, IPv6)
        header |= {"src": self.source[six], "dst": job["dip"]}
        if six:
            header["fl"] = random.getrandbits(20)
        else:
            header["id"] = random.randrange(1, 1 << 16)
        *extensions, tcp = layers(packet.payload)
        for extension in extensions:
            if isinstance(extension, IPv6ExtHdrFragment):
                extension.fields["id"] = random.getrandbits(32)
            elif "addresses" in extension.fields:
                extension.fields["addresses"] = [job["dip"] if one == before else one
                                                 for one in extension.fields["addresses"]]
        segment = tcp.fields
        segment |= {"sport": 0, "dport": job["dp"], "seq": random.getrandbits(32), "options": [
            (kind, (random.getrandbits(32), 0) if kind == "Timestamp" else value)
            for kind, value in segment["options"]]}
        return packet

    def udp_datagram(self, job: Job, payload: bytes, **fields: Any) -> Packet:
        """A datagram to the job's port."""
        return UDP(**{"sport": 0, "dport": job["dp"], **fields}) / Raw(payload)

    def dns_query(self, job: Job, **fields: Any) -> Packet:
        """A datagram with a DNS query for the job's domain; ``fields`` are those of the UDP header."""
        try:
            message = query(job).pack()
        except ValueError as error:
            raise LocalError("bad_domain") from error
        return self.udp_datagram(job, message, **fields)

    def dns_answer(self, packet: Packet, reply: bytes) -> Conn | None:
        """Whether a datagram's payload is a valid response to the query in ``packet``; None where it is of another
        query, by id or question: the answer is still waited for."""
        message = bytes(packet[UDP].payload)
        return answer_state(message, reply) if belongs(message, reply) else None


def troubled(flow: Flow, error: NetworkError | LocalError) -> Connection:
    """The result of a flow that broke off."""
    if isinstance(error, LocalError):
        return local_error(str(error), flow.source_port)
    return failed(CONN_FAILED, flow.source_port, str(error))


def take_leave(syn: bytes, flow: Flow, reply: bytes | None) -> None:
    """Complete the handshake if there is a SYN-ACK to do it with, then reset. No verdict depends on it."""
    flags = flags_of(reply or b"")
    if flags & TCP_RST:
        return
    try:
        if flags & TCP_SYN:
            flow.send(following(syn, TCP_ACK, reply))
        flow.send(following(syn, TCP_RST))
    except LocalError:
        pass


def accepted(packet: Packet, reply: bytes) -> Connection:
    """The result of a packet that was answered; of a DNS query it tells the response code."""
    result: Connection = {"spdr_state": CONN_OK}
    if tcp_of(packet) is None and UDP in packet:
        answer = judge_answer(bytes(packet[UDP].payload), reply, 0)
        if "dns_rcode" in answer:
            result["dns_rcode"] = answer["dns_rcode"]
    return result


def answer_state(message: bytes, reply: bytes) -> Conn:
    """Whether ``reply`` is a valid DNS response to the query ``message``, whatever it answers."""
    return judge_answer(message, reply, 0)["spdr_state"]


def last_protocol(packet: Packet) -> int:
    """The transport protocol's number of a packet that has neither TCP nor UDP."""
    protocol: int = type(packet)(bytes(packet)).fields["nh" if isinstance(packet, IPv6) else "proto"]
    return protocol


def tcp_of(packet: Packet) -> TCP | None:
    """Its TCP segment, without Scapy's detour."""
    layer = packet.payload
    while type(layer) is not TCP:
        if isinstance(layer, NoPayload):
            return None
        layer = layer.payload
    return layer


def is_syn(packet: Packet) -> bool:
    """True for a packet that opens a TCP connection."""
    segment = tcp_of(packet)
    return segment is not None and opens(segment)


def opens(segment: TCP) -> bool:
    """Whether a TCP segment opens a connection."""
    flags: int = number(segment, "flags").value
    return flags & (TCP_SYN | TCP_ACK | TCP_RST) == TCP_SYN


def tcp_answer(packet: Packet, reply: bytes) -> Conn | None:
    """What a TCP segment says to a forged one: to a SYN, a SYN-ACK accepts; to others, anything but a RST."""
    sent = tcp_of(packet)
    if sent is None or not opens(sent):
        return CONN_FAILED if flags_of(reply) & TCP_RST else CONN_OK
    verdict = syn_verdict(number(sent, "seq"), len(sent.payload), reply)
    return None if verdict is None else CONN_OK if verdict else CONN_FAILED
