"""Small links of the lab: what passes, and what their routers say."""

import unittest

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from pathspider.lab.links import SmallLink, small_link
from pathspider.lab.mangler import Packet

HEADERS = ({"src": "10.10.0.1", "dst": "10.20.26.1"}, {"src": "fd00:10::1", "dst": "fd00:20::26:1"})


def datagram(octets, six=False):
    """A datagram whose IP packet has this size."""
    header = (IPv6 if six else IP)(**HEADERS[six])
    rest = octets - len(header) - 8
    return bytes(header / UDP(sport=5, dport=53) / Raw(bytes(rest)))


class TestSmallLink(unittest.TestCase):
    def test_what_it_takes(self):
        for six in (False, True):
            for says in (None, 1400):
                packet = Packet.parse(datagram(1400, six))
                self.assertIs(SmallLink(1400, says)(packet, True), packet)
                large = Packet.parse(datagram(1401, six))
                self.assertIs(SmallLink(1400, says)(large, False), large)
                self.assertEqual(SmallLink(1400, says)(large, True) is None, says is None)

    def test_what_its_router_says(self):
        said = SmallLink(1400, 1390)(Packet.parse(datagram(1500)), True)
        error = IP(said)
        self.assertEqual((error.dst, error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu, len(error)),
                         ("10.10.0.1", 3, 4, 1390, 20 + 8 + 28))
        self.assertEqual(bytes(error[ICMP].payload), datagram(1500)[:28])
        said6 = SmallLink(1400, 1390)(Packet.parse(datagram(1500, six=True)), True)
        error6 = IPv6(said6)
        self.assertEqual((error6.dst, error6[ICMPv6PacketTooBig].mtu, len(error6)), ("fd00:10::1", 1390, 1280))
        for whole, what in ((error, ICMP), (error6, ICMPv6PacketTooBig)):
            again = whole.copy()
            for header, name in ((again, "chksum"), (again[what], "chksum" if what is ICMP else "cksum")):
                if name in header.fields:
                    delattr(header, name)
            self.assertEqual(bytes(again), bytes(whole))

    def test_how_it_is_told(self):
        for impairment, words in ((small_link(9), "without a word"), (small_link(9, 9), "and says so"),
                                  (small_link(9, 8), "and says 8")):
            self.assertEqual(impairment.about, f"drops packets over 9 octets {words}")


if __name__ == "__main__":
    unittest.main()
