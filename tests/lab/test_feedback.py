"""Servers that count, and that keep silent, as the path to them is seen; checksums as they must be."""

import unittest

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.chains.tcp import parse_options
from pathspider.lab.feedback import AccurateServer, WithoutEcho
from pathspider.lab.mangler import mangle

ENDS = {IP: ("192.0.2.1", "192.0.2.2"), IPv6: ("2001:db8::1", "2001:db8::2")}
PACKED = {IP: bytes((192, 0, 2, 2)), IPv6: bytes.fromhex("20010db8") + bytes(11) + b"\2"}
ASKS, AE, CWR, ECE = 0x1C2, 0x100, 0x80, 0x40
TIMESTAMP = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]


class Path:
    """Packets of one connection, through a mangler."""

    def __init__(self, header, mangler):
        self.header, self.table = header, {PACKED[header]: [mangler]}

    def passes(self, flags, payload=b"", *, back=False, mark=0, port=5000, options=()):
        """A packet as it goes on."""
        ends, field = ENDS[self.header][::-1 if back else 1], "tos" if self.header is IP else "tc"
        ports = (80, port) if back else (port, 80)
        packet = self.header(src=ends[0], dst=ends[1], **{field: mark}) / TCP(
            sport=ports[0], dport=ports[1], flags=flags, options=[*options])
        made = self.header(mangle(bytes(packet / Raw(payload)), self.table))
        again = made.copy()
        del again[TCP].chksum
        if self.header is IP:
            del again.chksum
        if bytes(again) != bytes(made):
            raise AssertionError("checksums are wrong")
        return made


def option(packet):
    """The counters of octets, ECT(1), CE, ECT(0), of a packet; None without."""
    data = bytes(packet[TCP])
    value = parse_options(data[20:packet[TCP].dataofs * 4]).get(174)
    return value and [int.from_bytes(value[at:at + 3], "big") for at in (0, 3, 6)]


class TestAccurateServer(unittest.TestCase):
    def test_it_says_how_the_syn_came_and_what_it_counts(self):
        for header in ENDS:
            path = Path(header, AccurateServer())
            self.assertEqual(path.passes(ASKS, mark=1)[TCP].flags, "S")  # to who knows no ECN
            self.assertEqual(int(path.passes("SA", back=True)[TCP].flags), 0x12 | CWR | ECE)
            for mark, counted, code in ((0, [1, 0, 1], 5), (1, [4, 0, 1], 5), (2, [4, 0, 4], 5), (3, [4, 3, 4], 6),
                                        (3, [4, 6, 4], 7), (3, [4, 9, 4], 0), (1, [7, 9, 4], 0)):
                path.passes("PA", b"abc", mark=mark)
                for payload in (b"", b"answer"):
                    said = path.passes("A", payload, back=True, options=TIMESTAMP)
                    self.assertEqual(option(said), counted)
                    self.assertEqual(int(said[TCP].flags) >> 6, code)
                    self.assertEqual(bytes(said[TCP].payload), payload)

    def test_what_it_sends(self):
        for header, field in ((IP, "tos"), (IPv6, "tc")):
            for ect1 in (False, True):
                path = Path(header, AccurateServer(ect1=ect1, option=False))
                path.passes(ASKS)
                for flags in ("SA", "A"):
                    said = path.passes(flags, back=True)
                    self.assertEqual(getattr(said, field), int(ect1))
                    self.assertIsNone(option(said))

    def test_who_did_not_ask(self):
        path = Path(IP, AccurateServer(ect1=True))
        for flags in ("S", "SEC"):
            self.assertEqual(path.passes(flags)[TCP].flags, "S")
            for answer in ("SA", "A"):
                said = path.passes(answer, back=True)
                self.assertEqual((said[TCP].flags, said.tos, option(said)), (answer, 0, None))
        path.passes(ASKS)
        self.assertEqual(path.passes("SA", back=True, port=5001)[TCP].flags, "SA")

    def test_where_a_header_has_no_room(self):
        path = Path(IP, AccurateServer())
        path.passes(ASKS)
        full = [(99, bytes(30))]
        said = path.passes("A", back=True, options=full)
        self.assertEqual((option(said), said[TCP].dataofs), (None, 13))


class TestWithoutEcho(unittest.TestCase):
    def test_ece_alone_is_taken(self):
        path = Path(IPv6, WithoutEcho())
        for flags, back, left in (("SAE", True, "SAE"), ("AE", True, "A"), ("PAEC", True, "PAC"), ("AE", False, "AE")):
            self.assertEqual(path.passes(flags, back=back)[TCP].flags, left)


if __name__ == "__main__":
    unittest.main()
