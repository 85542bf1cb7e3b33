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
from pathspider.run.target import Target, lives, shows, with_hops, within
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
        return shows(found, made_of, spider, record), lives(found, made_of, spider, record)

    def test_syns(self):
        differ = self.material(PLAIN, ASKING)
        self.assertEqual(self.shows(ECN, differ), (True, False))
        self.assertEqual(self.shows(ECN, self.material(PLAIN, PLAIN)), (False, False))
        self.assertEqual(self.shows(ECN, self.material(PLAIN, PLAIN, configs=(0, 0))), (True, False))
        self.assertEqual(self.shows(MARKS, differ), (False, False))

    def test_data(self):
        with_data = self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED))
        self.assertEqual(self.shows(MARKS, with_data), (True, True))
        self.assertEqual(self.shows(MARKS, with_data._replace(experiment=ASKING._replace(data=DATA))), (False, True))
        self.assertEqual(self.shows(ECN, with_data), (True, False))

    def test_a_connection_of_datagrams_is_beside_itself(self):
        marked = bytes(IP(src=OWN, dst=OWN, tos=2) / UDP(sport=1, dport=PORT) / Raw(b"later"))
        made_of = self.material(PLAIN, Specimen(query(), marked, 56, accepted=True))
        both = within(MARKS, made_of)
        self.assertEqual((both.baseline, both.configs), (made_of.experiment, (1, 1)))
        sent = as_quoted(both.experiment.first)
        self.assertEqual((sent.ecn, sent.payload, both.experiment.accepted), (2, b"query", False))
        for kind in ("changed", "dropped"):
            self.assertEqual(self.shows(MARKS._replace(kind=kind), both), (True, False))
        for other, found in ((made_of, Finding("quic", "dropped", ("proto",))), (made_of, MARKS._replace(fields=())),
                             (self.material(PLAIN, Specimen(query())), MARKS),
                             (self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED)), MARKS)):
            self.assertIs(within(found, other), other)
        self.assertEqual(self.shows(Finding("quic", "dropped", ("proto",)), made_of), (False, False))  # it was accepted
        self.assertEqual(self.shows(Finding("quic", "dropped", ("proto",)), self.material(PLAIN, Specimen(query()))),
                         (True, False))

    def test_connections_that_cannot_be_made_again(self):
        """The SYNs alone have no marks: with them it would be said that nothing changes them on the way."""
        with_data = self.material(PLAIN._replace(data=DATA), ASKING._replace(data=MARKED))
        for made_of, how in ((with_data, {"options": None}), (with_data, {"connect": "tcp"}),
                             (with_data, {"connect": "mine"}), (with_data._replace(came_up=False), {}),
                             (with_data._replace(experiment=ASKING), {}),
                             (with_data._replace(experiment=Specimen(query(), MARKED)), {})):
            self.assertEqual(self.shows(MARKS, made_of, **how), (False, False))
        self.assertEqual(self.shows(MARKS._replace(kind="dropped"), with_data), (False, False))


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
