"""Devices that look at ClientHellos: what they take offence at, and what they do."""

import unittest

from scapy.all import IP, TCP, IPv6, Raw

from pathspider.helpers.hello import client_hello, record
from pathspider.lab.hellos import DOES, SAYS, SEES, HelloDevice, hello_device
from pathspider.lab.mangler import Packet

PLAIN, ECH = record(client_hello("a.example")), [record(client_hello("a.example", ech=True)) for _ in range(30)]
LARGE = client_hello("a.example", octets=1800)
WHOLE, FIRST, SECOND = record(LARGE), record(LARGE[:1295]), record(LARGE[1295:])


def packet(data=b"", flags="PA", back=False, port=40000, six=False, **fields):
    ends = ("2001:db8::1", "2001:db8::2") if six else ("192.0.2.1", "192.0.2.2")
    ports = (port, 443)
    source, target = reversed(ends) if back else ends
    sport, dport = reversed(ports) if back else ports
    made = (IPv6 if six else IP)(src=source, dst=target) / TCP(sport=sport, dport=dport, flags=flags, **fields)
    return Packet.parse(bytes(made / Raw(data)))


class TestSees(unittest.TestCase):
    def test_what_looks_like_a_record_by_chance(self):
        for data, offends in ((b"\x16", True), (b"\x16rest", True), (b"\x16\3\1\0\2", False), (b"rest", True),
                              (b"", False)):
            self.assertIs(SEES["no_record"][1](data), offends, data)

    def test_each_kind(self):
        rows = [("any", {"plain", "ech", "cut", "first"}), ("ech", {"ech"}), ("cut", {"cut", "first"}),
                ("cut_segment", {"cut"}), ("cut_record", {"first"}), ("no_record", {"rest"})]
        segments = {"plain": [PLAIN], "ech": ECH, "cut": [WHOLE[:1300]], "rest": [WHOLE[1300:]], "first": [FIRST],
                    "second": [SECOND], "nothing": [b""]}
        self.assertEqual({name for name, _ in rows}, set(SEES))
        for name, offending in rows:
            for kind, every in segments.items():
                for data in every:
                    self.assertEqual(SEES[name][1](data), kind in offending, (name, kind))


class TestDoes(unittest.TestCase):
    def test_who_passes(self):
        for does in DOES:
            device = HelloDevice("ech", does)
            for one, towards in ((packet(flags="S"), True), (packet(flags="SA", back=True), False),
                                 (packet(PLAIN), True), (packet(ECH[0], back=True), False), (packet(flags="R"), True)):
                self.assertIs(device(one, towards), one)

    def test_what_becomes_of_the_segment(self):
        for six in (False, True):
            for does in ("drop", "block"):
                self.assertIsNone(HelloDevice("ech", does)(packet(ECH[0], six=six), True))
            sent = packet(ECH[0], six=six, seq=1000, ack=77)
            sent.header[7 if six else 8] = 2
            answer = HelloDevice("ech", "reset")(sent, True)
            self.assertEqual((answer.flags, IPv6(answer.build()).hlim if six else IP(answer.build()).ttl), (4, 64))
            for does, data in SAYS.items():
                made = (IPv6 if six else IP)(HelloDevice("ech", does)(sent, True).build())
                self.assertEqual((made.src, made.dst), ("2001:db8::2", "2001:db8::1") if six else
                                 ("192.0.2.2", "192.0.2.1"))
                self.assertEqual((made[TCP].seq, made[TCP].ack, bytes(made[TCP].payload)),
                                 (77, 1000 + len(ECH[0]), data))
                self.assertEqual(str(made[TCP].flags), "A" if data else "FA")

    def test_how_long(self):
        """drop: this segment; block: this pair of addresses; all others: this connection."""
        for does in DOES:
            device = HelloDevice("ech", does)
            device(packet(ECH[0]), True)
            passes = [device(one, towards) is one for one, towards in (
                (packet(PLAIN), True), (packet(flags="A", back=True), False), (packet(flags="S", port=40001), True),
                (packet(PLAIN, six=True), True))]
            expected = {"drop": [True] * 4, "block": [False, False, False, True]}
            self.assertEqual(passes, expected.get(does, [False, False, True, True]), does)

    def test_words(self):
        self.assertEqual(hello_device("cut", "reset").about,
                         "takes offence at ClientHellos of several segments: reset")


if __name__ == "__main__":
    unittest.main()
