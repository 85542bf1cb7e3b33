"""One target while it is looked at: real sockets over loopback, and errors as routers would send them."""

import argparse
import random
import tempfile
import unittest
from dataclasses import replace
from types import SimpleNamespace

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.helpers.probes import as_quoted
from pathspider.helpers.probing import Heard, Reply, Sender
from pathspider.run import locate
from pathspider.run.localisation import Probe, Word
from pathspider.run.locate import Finding, Material
from pathspider.run.options import RunOptions
from pathspider.run.specimen import Specimen
from pathspider.run.target import Target, lives, way_of, with_hops, within
from pathspider.targets.prefixes import Prefixes
from tests.run import quotations

OWN = "127.0.0.1"
PORT = 9


def syn(flags, **header):
    return bytes(IP(src=OWN, dst=OWN, **header) / TCP(sport=1, dport=PORT, flags=flags))


def query(**fields):
    return bytes(IP(src=OWN, dst=OWN) / UDP(sport=1, dport=PORT, **fields) / Raw(b"query"))


PLAIN, ASKING = Specimen(syn("S"), ttl=56), Specimen(syn("SEC"))
DATA, MARKED = bytes(IP() / TCP() / Raw(b"x")), bytes(IP(tos=2) / TCP() / Raw(b"x"))
ECN = Finding("ecn", "changed", ("tcp_flags",))
MARKS = Finding("ecn", "changed", ("ecn",))


class Looking(unittest.TestCase):
    """A target, and a path that is made up: eight routers, of which one changes the experiment."""

    def setUp(self):
        self.sender = Sender(OWN)
        self.addCleanup(self.sender.close)
        self.sent = []
        self.prefixes = None
        self.sender.send = lambda packet, target: bool(self.sent.append(packet)) or True

    def target(self, found=ECN, baseline=PLAIN, experiment=ASKING, *, whole=False):
        record = {"dip": OWN, "dp": PORT, "conditions": ["ecn.negotiation.failed"], "path": [OWN, "*", OWN]}
        spider = SimpleNamespace(args=argparse.Namespace(connect="tcp"), live_options=lambda config: None,
                                 options=RunOptions(prefixes=self.prefixes))
        made_of = Material(baseline, experiment, True, (0, 1))
        one = Target(record, found, made_of, self.sender, spider, whole=whole, random=random.Random(1))
        self.addCleanup(one.close)
        return one

    def heard(self, packet=None, addr="", **other):
        """The error about the packet that was sent last."""
        packet = packet or self.sent[-1]
        quotation = replace(as_quoted(packet), **other)
        return Heard(addr or f"10.0.{packet[8]}.1", quotation, 0.0)

    def walk(self, target, change=4, spoil=lambda heard: heard):
        """Answer each probe as the path does, until there is a word."""
        now = 0.0
        while target.word is None:
            now += 2
            self.assertTrue(target.send(now), target.failed)
            side, ttl = target.wanted
            if ttl > 8:
                if side == "P":
                    target.hear(self.heard(addr=OWN, kind="unreachable"))
                else:
                    target.reply(target._flows[side], Reply(True, 56, 0.0))
            else:
                changed = {"tcp_flags": 2} if side in "BF" and ttl > change else {}
                target.hear(spoil(self.heard(**changed)))
            target.look(now + 1)
        return target.word


class TestSearch(Looking):
    def test_an_interval(self):
        target = self.target()
        self.assertEqual(self.walk(target), Word("changed", "4-5"))
        target.tell()
        record = target.record
        self.assertEqual(record["conditions"], ["ecn.negotiation.failed", "ecn.hop.changed:4-5"])
        flags = {hop["ttl"]: hop["quoted"]["tcp_flags"] for hop in record["hops"]["B"]}
        self.assertEqual((flags[4], flags[5], flags[8]), (0xC2, 2, 2))
        self.assertEqual({hop["quoted"]["tcp_flags"] for hop in record["hops"]["A"]}, {2})
        self.assertEqual([hop["addr"] for hop in record["hops"]["B"]], [f"10.0.{ttl}.1" for ttl in sorted(flags)])
        self.assertEqual(record["path"], [OWN, "*", "10.0.4.1", "10.0.5.1", "10.0.6.1", "10.0.7.1", "10.0.8.1", OWN])

    def test_the_as_of_each_hop(self):
        with tempfile.NamedTemporaryFile("w", suffix=".pfx2as") as table:
            table.write("10.0.4.0\t24\t64500\n10.0.5.0\t24\t64503_64504\n")
            table.flush()
            self.prefixes = Prefixes.read([table.name])
        target = self.target()
        self.walk(target)
        target.tell()
        self.assertEqual({hop["ttl"]: hop.get("ASN") for hop in target.record["hops"]["B"] if hop["ttl"] in (4, 5, 8)},
                         {4: 64500, 5: 64503, 8: None})

    def test_the_whole_path(self):
        target = self.target(whole=True)
        self.assertEqual(self.walk(target), Word("changed", "4-5"))
        target.tell()
        self.assertEqual(target.record["path"], [OWN, *(f"10.0.{ttl}.1" for ttl in range(1, 9)), OWN])

    def test_datagrams(self):
        found = Finding("udpzero", "changed", ("checksum",))
        target = self.target(found, Specimen(query()), Specimen(query(chksum=0)))
        self.assertEqual(self.walk(target, change=99), Word("reverse_or_target"))
        checksums = {as_quoted(one).checksum for one in self.sent if as_quoted(one).dport == PORT}
        self.assertIn(0, checksums)

    def test_a_datagram_beside_a_syn(self):
        """What is like the experiment, and says nothing; and datagrams to other ports."""
        initial = bytes(IP(src=OWN, dst=OWN) / UDP(sport=1, dport=PORT) / Raw(b"\xc0\0\0\0\1\0\0" + bytes(99)))
        found = Finding("quic", "dropped", ("proto",))
        target = self.target(found, PLAIN, Specimen(initial))
        now = 0.0
        while target.word is None:
            now += 2
            self.assertTrue(target.send(now))
            side, ttl = target.wanted
            quoted = as_quoted(self.sent[-1])
            if side == "A":
                self.assertEqual((quoted.proto, quoted.dport), (6, PORT))
                target.hear(self.heard()) if ttl < 9 else target.reply(target._flows["A"], Reply(True, 56, 0.0))
            else:
                self.assertEqual((quoted.proto, quoted.sport), (17, target._flow("B").port))
            if side == "C":
                self.assertEqual((len(self.sent[-1]), quoted.dport), (len(initial), PORT))
                self.assertFalse(quoted.payload[0] & 0xC0)
            if side == "P" or (side == "B" and ttl < 5):
                target.hear(self.heard())
            target.look(now + 1)
        self.assertEqual(target.word, Word("dropped", "4-5"))
        ports = [as_quoted(one).dport for one in self.sent if as_quoted(one).dport not in (PORT, None)]
        self.assertGreater(len(ports), 10)
        self.assertEqual(len({*ports}), len(ports))

    def test_nothing_is_said_where_nothing_was_suspected(self):
        target = self.target(ECN._replace(suspected=False))
        self.assertEqual(self.walk(target, change=99), Word("reverse_or_target"))
        target.tell()
        self.assertEqual(target.record["conditions"], ["ecn.negotiation.failed"])
        self.assertTrue(target.record["hops"]["B"])

    def test_translated_quotations(self):
        """A NAT that writes other addresses and ports into them leaves the sequence number, or the identification."""
        def translate(heard):
            return heard._replace(quotation=replace(heard.quotation, src=b"\x0a\0\0\7", sport=7))

        self.assertEqual(self.walk(self.target(), spoil=translate), Word("changed", "4-5"))
        found = Finding("udpzero", "changed", ("checksum",))
        target = self.target(found, Specimen(query()), Specimen(query(chksum=0)))
        self.assertEqual(self.walk(target, change=99, spoil=translate), Word("reverse_or_target"))

    def test_our_own_machine_fails(self):
        target = self.target()
        self.sender.send = lambda packet, to: False
        self.assertFalse(target.send(0.0))
        self.assertTrue(target.look(0.0))
        self.assertIsNone(target.word)


class TestHearing(Looking):
    def asked(self, **options):
        target = self.target(**options)
        target.send(1.0)
        return target

    def test_others(self):
        target = self.asked()
        for other in ({"sport": 3, "seq": 4}, {"dst": b"\1\2\3\4", "seq": 4}, {"proto": 1},
                      {"sport": None, "seq": None}):
            self.assertFalse(target.hear(self.heard(**other)))
            self.assertTrue(target.under_way)

    def test_worth_a_look(self):
        target = self.asked()
        for other, worth in (({}, True), ({"dst": b"\1\2\3\4"}, True), ({"dst": b"\1\2\3\4", "seq": 5}, False),
                             ({"seq": None}, True), ({"dst": None, "seq": None}, False)):
            self.assertEqual(target.may_be_meant(self.heard(**other)), worth)

    def test_late_ones(self):
        target = self.asked()
        late = self.heard()
        target.look(1.0 + locate.PATIENCE)
        target.send(3.0)
        self.assertTrue(target.hear(late))
        self.assertTrue(target.under_way)
        swapped = late._replace(quotation=replace(late.quotation, ident=(late.quotation.ident & 255) << 8
                                                  | late.quotation.ident >> 8))
        self.assertTrue(target.hear(swapped))
        self.assertTrue(target.under_way)
        target.hear(self.heard())
        self.assertFalse(target.under_way)

    def six(self, **found):
        """A target with an IPv6 address that was sent its first probe."""
        self.sender = Sender("::1")
        self.addCleanup(self.sender.close)
        self.sender.send = lambda packet, target: bool(self.sent.append(packet)) or True
        ends = IPv6(src="::1", dst="::1")
        syns = [Specimen(bytes(ends / TCP(sport=1, dport=PORT, flags=flags, window=64240)), ttl=56)
                for flags in ("S", "SEC")]
        target = self.target(ECN._replace(**found), *syns)
        target.send(1.0)
        return target

    def test_late_ones_over_ipv6(self):
        """The window tells them apart, unless it is what is looked for."""
        target = self.six()
        late = self.heard()
        target.look(1.0 + locate.PATIENCE)
        target.send(3.0)
        self.assertTrue(target.hear(late))
        self.assertTrue(target.under_way)
        rewritten = self.heard(window=100)
        self.assertFalse(target._is_late("A", rewritten.quotation))
        self.assertFalse(target._is_late("A", self.heard(window=None).quotation))
        target.hear(self.heard())
        self.assertFalse(target.under_way)
        self.six(fields=("window",))
        self.assertEqual(as_quoted(self.sent[-1]).window, 64240)

    def test_an_identification_that_something_rewrote(self):
        target = self.asked()
        target.hear(self.heard(ident=1 << 15))
        self.assertFalse(target.under_way)

    def test_too_big_is_no_answer(self):
        target = self.asked()
        self.assertTrue(target.hear(self.heard(kind="too_big")))
        self.assertTrue(target.under_way)

    def test_silence(self):
        target = self.asked()
        self.assertFalse(target.look(1.5))
        self.assertTrue(target.under_way)
        target.look(2.1)
        self.assertFalse(target.under_way)
        self.assertEqual(target.wanted, Probe("A", 9))

    def test_replies_to_another_flow(self):
        target = self.asked()
        other = target._flow("B")
        target.reply(other, Reply(True, 56, 0.0))
        self.assertTrue(target.under_way)

    def test_an_answer_that_may_have_been_sent_again(self):
        """It counts only if no hop says anything, and is asked for in another flow."""
        again = Reply(True, 56, 0.0, repeated=True)
        target = self.asked()
        self.assertEqual(target.wanted, Probe("A", 9))
        target.reply(target._flows["A"], again)
        self.assertTrue(target.under_way)
        target.hear(self.heard())
        self.assertEqual(target.wanted, Probe("A", 11))
        target.send(3.0)
        target.reply(target._flows["A"], again)
        target.look(3.0 + locate.PATIENCE)
        self.assertEqual(target.wanted, Probe("N", 11))
        target.send(5.0)
        self.assertNotEqual(target._flows["N"].port, target._flows["A"].port)
        self.assertEqual(as_quoted(self.sent[-1]).tcp_flags, 2)
        target.reply(target._flows["N"], Reply(True, 56, 0.0))
        self.assertNotIn("N", target._flows)
        self.assertEqual(target.wanted, Probe("A", 10))


class TestData(Looking):
    """Data in forged connections, on a path of eight hops with a device behind one of them; over IPv4."""

    GOOD, BAD, REST = b"good", b"bad!", b"rest"

    def looking(self, *segments, does="drop", at=4, kind="dropped", fields=(), offends=BAD, answers=True):
        """The word, where the experiment's data are these; the target has it."""
        def packet(data, tos=0):
            return bytes(IP(src=OWN, dst=OWN, tos=tos) / TCP(sport=1, dport=PORT, flags="PA") / Raw(data))

        spider = SimpleNamespace(args=argparse.Namespace(connect="https"), live_options=lambda config: None,
                                 options=RunOptions(), is_answer=lambda octets: octets == b"hello")
        baseline = Specimen(syn("S"), packet(self.GOOD), ttl=56, accepted=True)
        data = [packet(one, tos=1 if fields else 0) for one in segments]
        experiment = Specimen(syn("S"), data[0], accepted=True, more=tuple(data[1:]))
        record = {"dip": OWN, "dp": PORT, "conditions": [], "path": [OWN, "*", OWN]}
        self.does, self.at, self.offends, self.answers = does, at, offends, answers
        self.over, self.held, self.opened, self.got = set(), set(), 0, {}
        self.one = target = Target(record, Finding("x", kind, fields), Material(baseline, experiment, True, (0, 1)),
                                   self.sender, spider, whole=False, random=random.Random(1))
        self.addCleanup(target.close)
        now, seen = 0.0, len(self.sent)
        while target.word is None:
            now += 2
            target.send(now)
            self.assertFalse(target.failed)
            while seen < len(self.sent):
                self.pass_on(self.sent[seen])
                seen += 1
            target.look(now + 1.5)
        return target.word

    def flow(self, packet):
        return next((flow for flow in self.one._flows.values() if flow.port == packet[TCP].sport), None)

    def tell(self, packet, flags, data=b"", ttl=56, ack=None):
        """A segment back, in answer to a packet."""
        if (flow := self.flow(packet)) is None:
            return
        sent = packet[TCP]
        ack = sent.seq + len(sent.payload) + bool(sent.flags.S) if ack is None else ack
        back = bytes(TCP(sport=PORT, dport=sent.sport, seq=501 - bool("S" in flags), ack=ack % 2**32, flags=flags)
                     / Raw(data))
        flow._came = lambda: iter([(back, ttl, 0.0)])
        for reply in flow.read():
            self.one.reply(flow, reply)

    def pass_on(self, octets):
        """What becomes of a packet."""
        packet = IP(octets)
        if UDP in packet:
            self.one.hear(self.heard(octets, addr=OWN, kind="unreachable"))
            return
        flags, data, port = packet[TCP].flags, bytes(packet[TCP].payload), packet[TCP].sport
        if flags.S:
            self.opened += 1
        if packet.ttl <= self.at:
            self.one.hear(self.heard(octets))
            return
        if port in self.over or flags.R:
            return
        spoilt = data == self.offends
        if spoilt and self.does == "hold" and port not in self.held:
            self.held.add(port)
            return
        if spoilt and self.does != "clear":
            if self.does in ("reset", "alert"):
                self.over.add(port)
            if self.does in ("reset", "inject"):
                self.tell(packet, "R", ttl=60)
            if self.does == "alert":
                self.tell(packet, "A", b"alert", ttl=60)
            if self.does != "inject":
                return
        if packet.ttl <= 8:
            changes = {"traffic_class": 0} if spoilt and self.does == "clear" else {}
            self.one.hear(self.heard(octets, **changes))
            return
        self.arrives(packet, flags, data)

    def arrives(self, packet, flags, data):
        """What the target says: an acknowledgement of what is without a gap, and an answer to the last of it."""
        port, sent = packet[TCP].sport, packet[TCP]
        if flags.S:
            self.got[port] = (sent.seq + 1) % 2**32
            self.tell(packet, "SA")
        elif data:
            if port in self.held and data == self.REST:  # what was held is let go, too
                self.got[port] = sent.seq
            if sent.seq == self.got[port]:
                self.got[port] = (sent.seq + len(data)) % 2**32
            self.tell(packet, "A", ack=self.got[port])
            if self.answers and data == self.GOOD:
                self.tell(packet, "A", b"hello")

    def test_what_a_device_does(self):
        for at in (1, 4, 7):
            for does in ("drop", "reset", "alert"):
                self.assertEqual(self.looking(self.BAD, does=does, at=at), Word("dropped", f"{at}-{at + 1}"), does)
                self.assertLessEqual(self.opened, 9)

    def test_the_second_segment(self):
        for does in ("drop", "reset", "alert"):
            self.assertEqual(self.looking(b"begins", self.BAD, does=does), Word("dropped", "4-5"))
            self.assertLessEqual(self.opened, 9)

    def test_the_first_of_two(self):
        for does in ("drop", "reset", "alert"):
            self.assertEqual(self.looking(self.BAD, self.REST, does=does), Word("dropped", "4-5"))
            self.assertEqual(self.one._segment, 0)
            self.assertLessEqual(self.opened, 10)

    def test_a_device_that_waits_for_the_rest_drops_nothing(self):
        self.assertEqual(self.looking(self.BAD, self.REST, does="hold"), Word("not_located", "unstable"))

    def test_what_is_refused_and_comes_further(self):
        """A device that sends a RST, and lets the packet pass: hops behind it quote it."""
        self.assertEqual(self.looking(self.BAD, does="inject"), Word("not_located", "unstable"))

    def test_the_last_router_or_the_target(self):
        for does in ("drop", "reset", "alert"):
            self.assertEqual(self.looking(self.BAD, does=does, at=8), Word("reverse_or_target"))
        # acknowledged, and not answered: nothing is dropped
        self.assertEqual(self.looking(self.BAD, does="drop", offends=None), Word("reverse_or_target"))

    def test_what_is_answered_is_not_dropped(self):
        self.assertEqual(self.looking(self.GOOD, does="drop"), Word("not_located", "unstable"))

    def test_a_change(self):
        word = self.looking(self.BAD, does="clear", kind="changed", fields=("ecn",), at=3)
        self.assertEqual(word, Word("changed", "3-4"))
        self.assertLessEqual(self.opened, 4)
        word = self.looking(self.BAD, does="clear", kind="changed", fields=("ecn",), offends=None)
        self.assertEqual(word, Word("reverse_or_target"))

    def test_one_after_the_other(self):
        """No packet but an ACK, or the end of a connection, leaves beside a probe."""
        self.looking(b"begins", self.BAD, does="reset")
        heavy = [packet for packet in map(IP, self.sent) if UDP in packet or packet[TCP].payload or packet[TCP].flags.S]
        self.assertLessEqual(len(heavy), self.one._search.sent + 2 * self.opened)

    def test_a_control_in_another_flow(self):
        """The target has ended the experiment's: behind the control, the experiment is asked for in the new one."""
        def pass_on(octets):
            target, packet = self.one, IP(octets)
            TestData.pass_on(self, octets)
            if target.wanted.side == "C" and UDP not in packet and not ended and (flow := target._flows.get("B")):
                ended.append(flow.port)
                packet[TCP].sport = flow.port
                self.tell(packet, "FA", ack=flow.seq)

        ended, self.pass_on = [], pass_on
        self.assertEqual(self.looking(self.BAD), Word("dropped", "4-5"))
        control = next(at for at, one in enumerate(self.sent) if as_quoted(one).payload == self.GOOD
                       and as_quoted(one).sport == self.one._experiment_port and as_quoted(one).ttl == 5)
        self.assertNotEqual(self.one._experiment_port, ended[0])
        behind = [one for one in map(as_quoted, self.sent[control + 1:]) if one.payload == self.BAD]
        self.assertEqual([(one.sport, one.ttl) for one in behind], [(self.one._experiment_port, 5)] * 3)

    def test_nothing_comes_up(self):
        self.pass_on = lambda octets: None
        self.assertEqual(self.looking(self.BAD), Word("not_located", "no_answer"))
        self.assertEqual(len(self.sent), 2 * 4)  # three SYNs, and a RST

    def test_a_target_that_ends_each(self):
        """There is a limit."""
        def pass_on(octets):
            packet = IP(octets)
            if packet[TCP].flags.S:
                self.opened += 1
                self.tell(packet, "SA")
                self.tell(packet, "FA", ack=packet[TCP].seq + 1)

        self.pass_on = pass_on
        self.assertEqual(self.looking(self.BAD), Word("not_located", "unstable"))
        self.assertLessEqual(self.opened, 20)


class TestSpoiled(unittest.TestCase):
    """Whatever routers quote: no exception, no interval that is not true. ``make fuzz`` has a hundred times more."""

    def test_spoiled_quotations(self):
        words, wrong, count = quotations.fuzz(1000, seed=7)
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(count, 1000)
        self.assertGreaterEqual(words.keys(), {"changed", "dropped", "first", "reverse_or_target", "not_located"})


class TestWhatIsLookedFor(unittest.TestCase):
    def material(self, one, other, *, up=True, configs=(0, 1)):
        return Material(one, other, up, configs)

    def shows(self, found, made_of, connect="http", options=()):
        spider = SimpleNamespace(args=argparse.Namespace(connect=connect), live_options=lambda config: options)
        record = {"dip": OWN, "dp": PORT}
        return way_of(found, made_of, spider, record), lives(found, made_of, spider, record)

    def test_syns(self):
        differ = self.material(PLAIN, ASKING)
        self.assertEqual(self.shows(ECN, differ), ("first", False))
        self.assertEqual(self.shows(ECN, self.material(PLAIN, PLAIN)), (None, False))
        self.assertEqual(self.shows(ECN, self.material(PLAIN, PLAIN, configs=(0, 0))), ("first", False))
        self.assertEqual(self.shows(MARKS, differ), (None, False))

    def test_data(self):
        with_data = self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED))
        self.assertEqual(self.shows(MARKS, with_data), ("live", True))
        self.assertEqual(self.shows(MARKS, with_data._replace(experiment=ASKING._replace(data=DATA))), (None, True))
        self.assertEqual(self.shows(ECN, with_data), ("first", False))

    def test_a_connection_of_datagrams_is_beside_itself(self):
        marked = bytes(IP(src=OWN, dst=OWN, tos=2) / UDP(sport=1, dport=PORT) / Raw(b"later"))
        made_of = self.material(PLAIN, Specimen(query(), marked, 56, accepted=True))
        both = within(MARKS, made_of)
        self.assertEqual((both.baseline, both.configs), (made_of.experiment, (1, 1)))
        sent = as_quoted(both.experiment.first)
        self.assertEqual((sent.ecn, sent.payload, both.experiment.accepted), (2, b"query", False))
        for kind in ("changed", "dropped"):
            self.assertEqual(self.shows(MARKS._replace(kind=kind), both), ("first", False))
        for other, found in ((made_of, Finding("quic", "dropped", ("proto",))), (made_of, MARKS._replace(fields=())),
                             (self.material(PLAIN, Specimen(query())), MARKS),
                             (self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED)), MARKS)):
            self.assertIs(within(found, other), other)
        self.assertEqual(self.shows(Finding("quic", "dropped", ("proto",)), made_of), (None, False))  # it was accepted
        self.assertEqual(self.shows(Finding("quic", "dropped", ("proto",)), self.material(PLAIN, Specimen(query()))),
                         ("first", False))

    def test_connections_that_cannot_be_made_again(self):
        """The SYNs alone have no marks: with them it would be said that nothing changes them on the way."""
        with_data = self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED))
        for how in {"options": None}, {"connect": "tcp"}, {"connect": "mine"}:
            self.assertEqual(self.shows(MARKS, with_data, **how), ("data", False))
        for made_of in (with_data._replace(came_up=False), with_data._replace(experiment=ASKING),
                        with_data._replace(experiment=Specimen(query(), MARKED)),
                        with_data._replace(experiment=Specimen(syn("SEC") + b"data", MARKED))):
            self.assertEqual(self.shows(MARKS, made_of, options=None), (None, False))
        self.assertEqual(self.shows(MARKS._replace(kind="dropped"), with_data), (None, False))

    def test_a_syn_that_was_accepted_was_not_dropped(self):
        """Data behind it may have been, if something tells them from the baseline's."""
        broken = MARKS._replace(kind="dropped")
        for one, other, way in ((DATA, MARKED, "data"), (DATA, DATA, None), (DATA, DATA + b"more", "data"),
                                (DATA, b"", None), (b"", MARKED, None)):
            made_of = self.material(PLAIN._replace(data=one), ASKING._replace(data=other, accepted=True), up=False)
            self.assertEqual(self.shows(broken, made_of), (way, False))


class TestPaths(unittest.TestCase):
    def test_with_hops(self):
        for seen, distance, expected in (
                ({}, None, ["*"]), ({}, 1, []), ({}, 9, ["*"]), ({1: "a", 2: "b"}, 3, ["a", "b"]),
                ({2: "b", 4: "d"}, 6, ["*", "b", "*", "d", "*"]), ({1: "a"}, None, ["a", "*"]),
                ({1: "a", 2: "b", 5: "e"}, 6, ["a", "b", "*", "e"])):
            self.assertEqual(with_hops(["us", "*", "AS1", "them"], seen, distance), ["us", *expected, "AS1", "them"])
        self.assertEqual(with_hops(["us", "them"], {1: "a"}, 2), ["us", "them"])


if __name__ == "__main__":
    unittest.main()
