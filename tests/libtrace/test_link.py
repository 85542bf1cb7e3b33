"""Link layers: whichever a packet came in, it is the same packet."""

import unittest

from scapy.all import IP, TCP, IPv6

from pathspider.libtrace import FlowTable
from pathspider.libtrace._core import flow_key
from tests.libtrace.links import ADDRESSES, SNAP, be16, ieee80211, links, mpls

FOUR = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1234, dport=80))
SIX = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1234, dport=80))
OK, NOT_IP, TRUNCATED, MALFORMED = range(4)


class Links(unittest.TestCase):
    def test_every_link_layer_leads_to_the_same_packet(self):
        for six, packet in enumerate((FOUR, SIX)):
            want = flow_key(packet, 101)
            self.assertEqual(want[0], OK)
            for name, linktype, frame in links(packet, bool(six)):
                with self.subTest(name=name, version=6 if six else 4):
                    self.assertEqual(flow_key(frame, linktype), want)

    def test_a_cut_anywhere_is_said_to_be_one(self):
        for name, linktype, frame in links(FOUR):
            for cut in range(1, len(frame) - len(FOUR)):
                with self.subTest(name=name, cut=cut):
                    self.assertEqual(flow_key(frame[:cut], linktype)[1], None)
            self.assertEqual(flow_key(frame[:-21], linktype)[0], TRUNCATED, name)

    def test_what_is_in_no_packet_of_ours(self):
        arp = be16(0x0806) + bytes(28)
        for name, linktype, frame in (
            ("ARP behind tags", 1, ADDRESSES + be16(0x88A8, 1, 0x8100, 2) + arp),
            ("spanning tree", 1, ADDRESSES + be16(38) + b"\x42\x42\x03" + bytes(35)),
            ("another organisation's SNAP", 1, ADDRESSES + be16(40) + b"\xaa\xaa\x03\0\0\x0c\x08\0" + FOUR),
            ("PPPoE discovery", 1, ADDRESSES + be16(0x8863) + b"\x11\x09\0\0\0\0"),
            ("PPPoE session, not data", 1, ADDRESSES + be16(0x8864) + b"\x11\xa7\0\0\0\0" + be16(0x21) + FOUR),
            ("LCP", 9, b"\xff\x03\xc0\x21" + bytes(8)),
            ("pseudo-wire", 1, ADDRESSES + be16(0x8847) + mpls(16, packet=bytes(4) + ADDRESSES + be16(0x0800) + FOUR)),
            ("beacon", 105, b"\x80\0" + bytes(22) + SNAP + be16(0x0800) + FOUR),
            ("acknowledgement", 105, b"\xd4\0" + bytes(8)),
            ("null data", 105, b"\x48\x01" + bytes(22)),
            ("encrypted", 105, ieee80211(b"", b"\x08\x41")[:24] + bytes(range(60))),
            ("netlink", 113, be16(4, 824) + bytes(10) + be16(0x0800) + FOUR),
            ("NULL of another family", 0, b"\x07\0\0\0" + FOUR),
            ("FDDI's station management", 10, b"\x4f" + ADDRESSES + SNAP + be16(0x0800) + FOUR),
            ("PPI with what we do not know", 192, b"\0\0\x08\0\x93\0\0\0" + FOUR),
        ):
            with self.subTest(name=name):
                self.assertEqual(flow_key(frame, linktype)[0], NOT_IP)

    def test_impossible_lengths_and_endless_nesting(self):
        for linktype, frame in ((127, b"\0\0\x04\0" + bytes(40)), (192, b"\0\0\x04\0\x69\0\0\0" + bytes(40)),
                                (192, b"\0\0\x08\0\xc0\0\0\0" * 100), (239, b"\x02\0\0\0\x02\0\x01\0" + bytes(40)),
                                (178, b"XYZ\0" + bytes(40)), (119, bytes(200)), (117, bytes(100))):
            with self.subTest(linktype=linktype):
                self.assertEqual(flow_key(frame, linktype)[0], MALFORMED)
        for frame in (ADDRESSES + be16(0x8100, 7) * 60000, ADDRESSES + (be16(0x88E7) + bytes(4) + ADDRESSES) * 10000,
                      ADDRESSES + be16(0x8847) + bytes(200_000)):
            self.assertEqual(flow_key(frame)[0], TRUNCATED)

    def test_an_unknown_link_type_is_counted_by_number(self):
        table = FlowTable()
        for linktype in (147, 147, 9999):
            table.feed(FOUR, 1.0, linktype)
        self.assertEqual((table.packets, table.not_ip, table.unknown_links), (3, 3, {147: 2, 9999: 1}))

    def test_the_outermost_tag_is_the_vlan(self):
        vlans = []

        class Chain:
            def new_flow(self, rec, ip):
                vlans.append(ip.vlan_id)
                return True

        for tags in ((), (5,), (5, 6), (5, 6, 7)):
            frame = ADDRESSES + b"".join(be16(0x9100, tag | 0xE000) for tag in tags) + be16(0x0800) + FOUR
            FlowTable([Chain()]).feed(frame, 1.0)
        self.assertEqual(vlans, [None, 5, 5, 5])


if __name__ == "__main__":
    unittest.main()
