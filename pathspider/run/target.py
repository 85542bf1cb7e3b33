"""One target that is being located: its flows, the probe under way, and what its record will tell."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pathspider.helpers.probes import (
    as_quoted,
    datagram,
    ends_of,
    hops_of_reply,
    is_quic,
    is_same,
    noise,
    protocol_of,
    window_of,
)
from pathspider.helpers.probing import ForgedConnection, ForgedFlow, Heard, LiveFlow, Reply, Sender, ports_of
from pathspider.helpers.requests import request_of
from pathspider.helpers.segments import payload_of, traffic_class_of, with_traffic_class
from pathspider.helpers.sockets import errno_name
from pathspider.quotation import TIME_EXCEEDED, TOO_BIG, Quotation
from pathspider.run import locate
from pathspider.run.localisation import (
    BASELINE,
    CONTROL,
    EXPERIMENT,
    FLOWS,
    FRESH,
    FRESH_BASELINE,
    MOST_PROBES,
    OTHER,
    Answer,
    Came,
    Probe,
    Search,
    Side,
    Word,
    not_located,
)
from pathspider.run.locate import Finding, Material
from pathspider.targets.problems import target_asn

if TYPE_CHECKING:
    from pathspider.records import Hop, Reached, Record
    from pathspider.run.experiment import Experiment
    from pathspider.run.specimen import Specimen

ON_EVERY_PACKET = frozenset({"ecn", "dscp", "traffic_class", "evil"})
"""Fields that packets behind the handshake have, too."""
NOBODY, NOBODIES = 33434, 64
"""The first UDP port where nobody listens, and how many there are, as traceroute(8) has them."""
MOST_CONNECTIONS = 10
"""Of the kernel's, for one target: a server may end one whose request is slow."""
COMES_UP = 5.0
"""Seconds in which one comes up, or its last octet arrives."""
MOST_WHOLE = 200
"""Probes of a search that asks every hop."""
CONNECTION_FLOWS = 3
"""Fresh flows, where each is a connection."""
MOST_FORGED = 20
"""Forged connections with one target: one that is refused, or that the target ends, is over."""
TRIES, MOST_FAILURES = 3, 2
"""How often a SYN of theirs is sent, or a segment that is delivered; how many of them in a row may not come up."""


def request(spider: Experiment, record: Record) -> bytes:
    """What a connection of the kernel's would ask this target for."""
    return request_of(getattr(getattr(spider, "args", None), "connect", None), record)


def lives(found: Finding, made_of: Material, spider: Experiment, record: Record) -> bool:
    """Whether probes are to be in connections of the kernel's: the experiment's came up, all packets of it show it, and
    another one like it can be made."""
    return (found.kind == "changed" and made_of.came_up and bool(made_of.experiment.data)
            and ON_EVERY_PACKET.issuperset(found.fields)
            and protocol_of(made_of.experiment.first) == socket.IPPROTO_TCP
            and all(spider.live_options(config) is not None for config in made_of.configs)
            and len(request(spider, record)) > 1)


Way = Literal["first", "live", "data"]
"""What probes are: first packets, octets in connections of the kernel's, or data in forged connections."""


def way_of(found: Finding, made_of: Material, spider: Experiment, record: Record) -> Way | None:
    """How it is looked for; None where what would be sent for the experiment does not differ from the baseline's in
    what is looked for. Where there is no baseline, it is enough that the experiment has it.

    A SYN that was accepted was not dropped: what followed may have been. What data alone have, they alone show.
    """
    if found.kind == "dropped" and made_of.experiment.accepted:
        return "data" if has_data(made_of) and not are_alike(made_of) else None
    live = lives(found, made_of, spider, record)
    if made_of.configs[0] == made_of.configs[1] or differ(
            found, *(one.data if live else one.first for one in (made_of.experiment, made_of.baseline))):
        return "live" if live else "first"
    if (found.kind == "changed" and not live and made_of.came_up and has_data(made_of)
            and differ(found, made_of.experiment.data, made_of.baseline.data)):
        return "data"
    return None


def differ(found: Finding, experiment: bytes, baseline: bytes) -> bool:
    """Whether two packets do, in the fields that are looked for."""
    sent, control = as_quoted(experiment), as_quoted(baseline)
    return sent is not None and control is not None and is_same(sent, control, found.fields) is False


def has_data(made_of: Material) -> bool:
    """Whether both connections were TCP, with data behind an ordinary SYN."""
    return all(one.data and protocol_of(one.first) == socket.IPPROTO_TCP and not payload_of(one.first)
               for one in (made_of.experiment, made_of.baseline))


def are_alike(made_of: Material) -> bool:
    """Whether nothing tells the experiment's data from the baseline's."""
    one, other = made_of.experiment, made_of.baseline
    return (not locate.differing_data(made_of)
            and [*map(payload_of, one.segments)] == [*map(payload_of, other.segments)])


def within(found: Finding, made_of: Material) -> Material:
    """What a mark is looked for with, where a connection of datagrams begins without it: its own first datagram is the
    baseline, and the same one with the mark the experiment. So both are of one protocol, and answered by one server."""
    first, marked = made_of.experiment.first, made_of.experiment.data
    if (not marked or not found.fields or not ON_EVERY_PACKET.issuperset(found.fields)
            or protocol_of(first) != socket.IPPROTO_UDP):
        return made_of
    _, config = made_of.configs
    first = with_traffic_class(first, traffic_class_of(marked))
    return made_of._replace(baseline=made_of.experiment, configs=(config, config),
                            experiment=made_of.experiment._replace(first=first, accepted=False))


class Target:
    """What is known of one target while it is looked at.

    :param record: as it was judged; :meth:`tell` adds to it
    :param whole: ask every hop
    :raises OSError: there is no socket, no port, or no permission
    """

    _failures = 0
    """Forged connections in a row that did not come up."""
    _others = 0
    """How many packets went to ports where nobody listens."""
    _other_ports = (0, NOBODY)
    """Of the last one."""
    _experiment_port = 0
    """Of the flow in which the experiment was sent last."""
    _is_elsewhere = False
    """Whether the last control was sent in another one."""

    def __init__(self, record: Record, found: Finding, made_of: Material, sender: Sender, spider: Experiment, *,
                 whole: bool, random: random.Random) -> None:
        self.record = record
        self.finding = found
        _, self.address = ends_of(made_of.experiment.first)
        self.word: Word | None = None
        self.due = 0.0
        """The moment before which no probe is sent."""
        self.watch: Callable[[Any, Target | None], None] = lambda flow, target: None
        """Has a flow listened to."""
        self.routers: dict[int, str] = {}
        """Who answered, by TTL."""
        self.answered: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        """How often routers answered, and how often they did not what had to come to them."""
        self.packed = socket.inet_pton(socket.AF_INET6 if ":" in self.address else socket.AF_INET, self.address)
        self._to = (self.address, ports_of(made_of.experiment.first)[1])
        self._sender = sender
        self._spider = spider
        self._made_of = made_of
        self._request = request(spider, record)
        options = [spider.live_options(config) for config in made_of.configs]
        self._options = dict(zip((BASELINE, EXPERIMENT), options, strict=True)) | {
            FRESH: options[1], FRESH_BASELINE: options[0]}
        way = way_of(found, made_of, spider, record) or "first"
        self.is_live, self._has_data = way == "live", way == "data"
        baseline, experiment = (one.first for one in (made_of.baseline, made_of.experiment))
        unlike = protocol_of(experiment) == socket.IPPROTO_UDP != protocol_of(baseline)
        self._noise = noise(experiment) if unlike else None  # the control, where the baseline's packet cannot be one
        self._search = Search(found.kind, hops_of_reply(made_of.baseline.ttl), MOST_WHOLE if whole else MOST_PROBES,
                              FLOWS if way == "first" else CONNECTION_FLOWS, unlike=unlike, once=is_quic(baseline))
        self._steps = self._search.steps(whole=whole)
        self._specimens: dict[Side, Specimen] = {BASELINE: made_of.baseline, EXPERIMENT: made_of.experiment,
                           FRESH: made_of.experiment, FRESH_BASELINE: made_of.baseline}
        self._segment = len(made_of.experiment.segments) - 1 if found.kind == "dropped" else 0
        """Which of the experiment's data segments probes are, and those before it delivered."""
        self._is_settled = self._segment == 0
        """Whether that is known."""
        self._sent: dict[Side, Quotation | None] = {side: as_quoted(self._template(side)) for side in self._specimens}
        self._flows: dict[Side, ForgedFlow | LiveFlow] = {}
        self._finished: list[LiveFlow] = []
        self._connections = 0
        self._numbers: set[int] = set()
        self._number = random.randrange(1, 1 << 15)
        self._left_at = 0.0
        """When the probe under way left, seconds since the epoch."""
        self._until = 0.0
        self._waits_since = 0.0
        self.under_way = False
        self._doubtful: Answer | None = None
        """An answer to the probe under way, unless a hop gives one."""
        self.failed = False
        """Our own machine could not send."""
        self.hops: dict[str, dict[int, Hop]] = {BASELINE: {}, EXPERIMENT: {}}
        self.wanted: Probe = next(self._steps)

    @property
    def trouble(self) -> str:
        """Why our own machine could not send, in a word."""
        return self._sender.trouble if self.failed else ""

    @property
    def moment(self) -> float:
        """When something is to be done, but for what comes."""
        return self._until if self.under_way else self.due

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, now: float) -> bool:
        """Send the probe that is wanted; False if that is not yet possible, or never."""
        side, ttl = self.wanted
        self._number = self._number % 0xFFFF + 1
        number = 0 if "window" in self.finding.fields and ":" in self.address else self._number
        try:
            if side == OTHER:
                flow = self._flows.get(EXPERIMENT) or self._flow(BASELINE if self._has_data else EXPERIMENT)
                self._others += 1
                self._other_ports = flow.port, NOBODY + self._others % NOBODIES
                sent = self._sender.send(datagram(self._sender.own, self.address, self._other_ports, ttl, self._number),
                                         self.address)
            else:
                flow = self._flow(EXPERIMENT if side == CONTROL else side)
                if isinstance(flow, LiveFlow) and not self._is_ready(flow, side, now):
                    return False
                if isinstance(flow, ForgedConnection) and not flow.is_ready:
                    return self._bring_up(flow, EXPERIMENT if side == CONTROL else side, now)
                if flow is self._flows.get(EXPERIMENT):
                    self._is_settled = True
                    self._is_elsewhere = side == CONTROL and flow.port != self._experiment_port
                    self._experiment_port = self._experiment_port if side == CONTROL else flow.port
                self._left_at = time.time()
                sent = flow.send(ttl, number, self._noise or self._template(BASELINE) if side == CONTROL else None)
        except OSError as error:
            sent, self._sender.trouble = False, errno_name(error.errno or 0)
        if not sent:
            self.failed = True
            self.due = now
            return False
        if side == OTHER:
            self._left_at = time.time()
        self._numbers.add(self._number)
        self.under_way = True
        self.due, self._until = now + locate.BETWEEN, now + locate.PATIENCE
        return True

    def _template(self, side: Side) -> bytes:
        """What the probes of a side are like."""
        made_of = self._specimens[side]
        if self._has_data:
            return made_of.segments[self._segment if side in (EXPERIMENT, FRESH) else 0]
        return made_of.data if self.is_live else made_of.first

    def _flow(self, side: Side) -> ForgedFlow | LiveFlow:
        """The flow of a side, which is opened when it is first needed."""
        if side not in self._flows:
            flow: ForgedFlow | LiveFlow
            if self.is_live:
                self._connections += 1
                flow = LiveFlow(self._sender.own, self._to, self._request, self._options[side] or ())
                self._waits_since = 0.0
            elif self._has_data:
                self._connections += 1
                flow = self._connection(side)
                self.watch(flow, self)
            else:
                flow = ForgedFlow(self._sender, self._template(side), self._to)
                self.watch(flow, self)
            self._flows[side] = flow
        return self._flows[side]

    def _is_ready(self, flow: LiveFlow, side: Side, now: float) -> bool:
        """Whether an octet may go. A connection that is over makes room for another one, a few times."""
        if flow.is_over or (self._waits_since and now - self._waits_since > COMES_UP):
            self._waits_since = 0.0
            self._leave(side)
            if self._connections >= MOST_CONNECTIONS:
                self._end(not_located("unstable"))
            return False
        if flow.is_ready:
            self._waits_since = 0.0
            return True
        self._waits_since = self._waits_since or now
        self.due = now + 0.05
        return False

    def _connection(self, side: Side) -> ForgedConnection:
        """A forged connection for the probes of a side."""
        made_of, asks = self._specimens[side], side in (EXPERIMENT, FRESH)
        return ForgedConnection(
            self._sender, made_of.first, self._to, self._template(side),
            before=made_of.segments[:self._segment] if asks else (),
            judge=self._spider.is_answer if asks and self.finding.kind == "dropped" else None)

    def _bring_up(self, flow: ForgedConnection, side: Side, now: float) -> bool:
        """Bring a forged connection a step further, at a probe's pace; whether a packet left. One that is over, or does
        not come up, makes room for another one, a few times."""
        if not flow.is_over and now < flow.until:
            self.due = now + 0.05
            return False
        if not flow.is_over and flow.tries < TRIES:
            self.due, flow.until = now + locate.BETWEEN, now + locate.PATIENCE
            self.failed = not flow.step()
            return not self.failed
        if not flow.is_over and flow.is_connected and not self._is_settled and not flow.is_whole:
            self.due, flow.until = now + locate.BETWEEN, now + locate.PATIENCE
            self.failed = not flow.send_rest()
            return not self.failed
        came_up = flow.is_connected and flow.delivered == len(flow.before)
        self._leave(side)
        self.due = now
        if came_up:
            self._failures = 0
        elif flow.is_connected and not self._is_settled:  # the experiment's, whose data are not acknowledged from here
            if flow.is_whole and flow.is_over:
                self._end(not_located("unstable"))  # they are as soon as the rest is there: none was dropped
            self._segment = flow.delivered
            self._is_settled = True
            self._sent = {one: as_quoted(self._template(one)) for one in self._specimens}
        else:
            self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._end(not_located("unstable" if flow.was_refused else "no_answer"))
        elif self._connections >= MOST_FORGED:
            self._end(not_located("unstable"))
        return False

    # -- hearing -------------------------------------------------------------------------------------------------------

    def may_be_meant(self, heard: Heard) -> bool:
        """Whether an ICMP error is worth a closer look: it is about a packet to this address, or has a sequence number
        of ours."""
        quoted = heard.quotation
        return quoted.dst == self.packed or (
            quoted.seq is not None and any(quoted.seq == flow.seq for flow in self._flows.values()))

    def hear(self, heard: Heard) -> bool:
        """Whether an ICMP error is about a probe of this target."""
        quoted = heard.quotation
        side = self._side_of(quoted)
        if side is None:
            return False
        if not self.under_way or side != self.wanted.side or self._is_late(side, quoted):
            return True
        if quoted.kind == TOO_BIG:
            return True
        if quoted.kind != TIME_EXCEEDED:
            self._answer(Answer(Came.REFUSED, heard.addr))
            return True
        flow_side = EXPERIMENT if side == CONTROL else side
        if side in self.hops:
            self._note(side, heard)
        if self._doubtful is not None and self._has_data:  # who has refused it let it pass as well
            self._end(not_located("unstable"))
            return True
        sent = self._sent.get(flow_side)
        same = None if sent is None else is_same(sent, quoted, self.finding.fields)
        self.routers[self.wanted.ttl] = heard.addr
        self.answered[heard.addr] += 1
        saw = tuple(quoted.field(name) for name in self.finding.fields)
        self._answer(Answer(Came.TARGET if heard.addr == self.address else Came.HOP, heard.addr, same, saw=saw,
                            elsewhere=side == CONTROL and self._is_elsewhere))
        return True

    def _side_of(self, quoted: Quotation) -> Side | None:
        """Whose probe is quoted: by addresses and ports or, where NAT has written others into it, by sequence number
        or identification."""
        if quoted.proto not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
            return None
        wanted = self.wanted.side
        to_us = quoted.dst == self.packed
        if wanted == OTHER and quoted.dport == self._other_ports[1] and quoted.proto == socket.IPPROTO_UDP:
            return OTHER if to_us and (quoted.ident == self._number or quoted.sport == self._other_ports[0]) else None
        for side, flow in self._flows.items():
            if quoted.proto != flow.protocol:
                continue
            by_ports = to_us and (quoted.sport, quoted.dport) == (flow.port, flow.target[1])
            by_seq = flow.seq is not None and quoted.seq == flow.seq
            by_number = (to_us and flow.protocol == socket.IPPROTO_UDP and quoted.version == 4 and self.under_way
                         and quoted.ident == self._number and quoted.dport == flow.target[1])
            if by_ports or by_seq or (by_number and wanted == side):
                return CONTROL if (side, wanted) == (EXPERIMENT, CONTROL) else side
        return None

    def _is_late(self, side: Side, quoted: Quotation) -> bool:
        """Whether what is quoted was sent before the probe under way."""
        flow = self._flows.get(EXPERIMENT if side == CONTROL else side)
        if isinstance(flow, LiveFlow):
            return not flow.is_current(quoted.seq)
        if quoted.version == 6:
            windows = {*map(window_of, self._numbers)} if quoted.proto == socket.IPPROTO_TCP else set()
            return quoted.window != window_of(self._number) and quoted.window in windows
        if quoted.ident is None:
            return False
        swapped = (quoted.ident & 0xFF) << 8 | quoted.ident >> 8  # some routers quote it so
        return self._number not in (quoted.ident, swapped) and bool(self._numbers & {quoted.ident, swapped})

    def _note(self, side: str, heard: Heard) -> None:
        """Keep for the record what a hop has said first."""
        names = dict.fromkeys((*self.finding.fields, "dscp", "ecn"))
        facts = {name: [*value] if isinstance(value, tuple) else value
                 for name in names if (value := heard.quotation.field(name)) is not None}
        rtt = max(0.0, heard.moment - self._left_at)
        hop: Hop = {
            "ttl": self.wanted.ttl, "addr": heard.addr, "rtt": round(rtt, 6),
            "quoted": facts, "octets": heard.quotation.octets}
        prefixes = self._spider.options.prefixes
        if prefixes is not None and (asn := target_asn({"info": {**prefixes.locate(heard.addr)}})):
            hop["ASN"] = int(asn)
        self.hops[side].setdefault(self.wanted.ttl, hop)

    def reply(self, flow: ForgedFlow | LiveFlow, reply: Reply) -> None:
        """The target has sent something to a forged flow."""
        side = self.wanted.side
        if self.under_way and self._flows.get(EXPERIMENT if side == CONTROL else side) is flow and side != OTHER:
            answer = Answer(Came.TARGET if reply.accepted else Came.REFUSED, self.address, ttl=reply.ttl,
                            repeated=reply.repeated)
            if reply.repeated or (self._has_data and self._may_come_further(answer)):
                self._doubtful = answer
            else:
                self._answer(answer)

    def _may_come_further(self, answer: Answer) -> bool:
        """Whether a probe may be quoted behind who refused it: some answer, and let pass what they answer."""
        distance = self._search.distance
        return answer.came is Came.REFUSED and distance is not None and self.wanted.ttl < distance

    def look(self, now: float) -> bool:
        """Look whether time is up, or an octet has arrived. True: the search is over, or cannot go on."""
        if self.under_way:
            flow = self._flows.get(self.wanted.side)
            if isinstance(flow, LiveFlow) and flow.arrived:
                self._answer(Answer(Came.TARGET, self.address))
            elif now >= self._until:
                if self.wanted.side != EXPERIMENT and (router := self.routers.get(self.wanted.ttl)):
                    self.missed[router] += 1
                self._answer(self._doubtful or self._what_came_otherwise())
        return self.word is not None or self.failed

    def _what_came_otherwise(self) -> Answer | None:
        """What a forged connection tells of a probe that nobody answered in time. One in which it may have been
        delivered is over."""
        side, ttl = self.wanted
        flow = self._flows.get(EXPERIMENT if side == CONTROL else side)
        if not isinstance(flow, ForgedConnection):
            return None
        if flow.acknowledged or self._search.distance is None or ttl >= self._search.distance:
            flow.is_over = True
        if not flow.acknowledged:
            return None
        return Answer(Came.REFUSED if flow.is_answered else Came.TAKEN, self.address)

    def _answer(self, answer: Answer | None) -> None:
        self.under_way, self._doubtful = False, None
        if answer is not None and answer.came is Came.TAKEN and self._segment < len(self._made_of.experiment.more):
            self._end(not_located("unstable"))  # it was not acknowledged before
            return
        try:
            if self.wanted.side in (FRESH, FRESH_BASELINE):
                self._leave(self.wanted.side)
            self.wanted = self._steps.send(answer)
        except StopIteration as end:
            self._end(end.value)

    def _end(self, word: Word) -> None:
        self.word, self.under_way = word, False
        self._steps.close()

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> Sequence[LiveFlow]:
        """Let the ports go; the kernel's connections that are still to be closed."""
        for side in [*self._flows]:
            self._leave(side)
        finished, self._finished = self._finished, []
        return finished

    def _leave(self, side: Side) -> None:
        """Nothing more is sent in the flow of a side; the next probe there has a new one."""
        flow = self._flows.pop(side)
        if isinstance(flow, LiveFlow):
            flow.finish()
            self._finished.append(flow)
        else:
            self.watch(flow, None)
            flow.close()

    def tell(self) -> None:
        """Add to the record what was found."""
        assert self.word is not None
        if self.finding.suspected or self.word.interval:
            self.record["conditions"] = [*self.record["conditions"], self.word.condition(self.finding.feature)]
        self.record["hops"] = {side: [hops[ttl] for ttl in sorted(hops)] for side, hops in self.hops.items()}
        self.record["reached"] = {side: reached(*end) for side, end in self._search.reached().items()}
        seen = {ttl: hop["addr"] for hops in (self.hops[BASELINE], self.hops[EXPERIMENT]) for ttl, hop in hops.items()}
        ends = (end["ttl"] for end in self.record["reached"].values() if end.get("addr") == self.address)
        self.record["path"] = with_hops(self.record["path"], seen, self._search.distance or min(ends, default=None))



def reached(ttl: int, answer: Answer | None) -> Reached:
    """How far packets came, as a record tells it."""
    if answer is None:
        return {"ttl": ttl, "came": "nothing"}
    return {"ttl": ttl, "came": "refused" if answer.came is Came.REFUSED else "accepted", "addr": answer.addr}


def with_hops(path: Sequence[str | None], seen: dict[int, str], distance: int | None) -> list[str | None]:
    """A path with the hops that were seen, ``*`` for those between them that were not.

    :param seen: hops by TTL
    :param distance: the target's; None: not known
    """
    if "*" not in path or not (seen or distance):
        return [*path]
    at = path.index("*")
    middle: list[str | None] = []
    for ttl in range(1, distance if distance is not None else max(seen) + 2):
        hop = seen.get(ttl, "*")
        if hop != "*" or middle[-1:] != ["*"]:
            middle.append(hop)
    return [*path[:at], *middle, *path[at + 1:]]
