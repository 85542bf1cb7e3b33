"""Fragments put together: any split of a packet gives the record of the packet, and overlaps never do."""

import random
import tempfile
import unittest
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import (
    AH,
    ICMP,
    IP,
    TCP,
    UDP,
    VXLAN,
    Dot1Q,
    Ether,
    ICMPv6EchoRequest,
    IPOption_NOP,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    Raw,
)

from pathspider.chains.base import Chain
from pathspider.chains.basic import BasicChain
from pathspider.libtrace import CaptureError, FlowTable
from pathspider.libtrace._core import Reassembly
from pathspider.libtrace.compiled import twin
from pathspider.observer import Observer
from tests.chains.flows import NAMES, chain_of
from tests.chains.test_dns import ANSWER
from tests.helpers import quic
from tests.libtrace import fuzz
from tests.libtrace.frames import MACS, in_namespace, pair, pcap, pcapng, send, tcp4, udp4
from tests.libtrace.frames import ip as configure
from tests.libtrace.pieces import checksum, framed, piece, piece4, piece6, split

ENDS4 = {"src": "192.0.2.1", "dst": "198.51.100.1"}
ENDS6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7), (34, b"12345678")]

PACKETS = [
    bytes(packet)
    for packet in (
        IP(**ENDS4, tos=2) / UDP(sport=53, dport=5353) / Raw(ANSWER),
        IP(**ENDS4, tos=40, flags="evil") / TCP(sport=1234, dport=80, flags="SEC", options=OPTIONS) / Raw(b"early dat"),
        IP(**ENDS4, options=[IPOption_NOP()] * 4) / TCP(sport=80, dport=1234, flags="SA", ack=1, options=OPTIONS),
        IP(**ENDS4) / UDP(sport=4433, dport=443) / Raw(quic.CLIENT_INITIAL),
        IP(**ENDS4) / ICMP(type=8) / Raw(bytes(range(64))),
        IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / IP(**ENDS4) / UDP(sport=5, dport=6) / b"xxxx",
        IP(**ENDS4) / AH(nh=17, icv=bytes(12), payloadlen=4) / UDP(sport=5, dport=6) / Raw(bytes(40)),
        IPv6(**ENDS6, tc=1) / UDP(sport=53, dport=5353) / Raw(ANSWER),
        IPv6(**ENDS6) / TCP(sport=1234, dport=80, flags="SEC", options=OPTIONS) / Raw(b"early data"),
        IPv6(**ENDS6) / IPv6ExtHdrDestOpt() / UDP(sport=5, dport=6) / Raw(bytes(40)),
        IPv6(**ENDS6) / ICMPv6EchoRequest(data=bytes(50)),
    )
]

FIXED = {6: 20, 17: 8, 58: 8, 60: 16}
"""Octets that the first fragment of an IPv6 packet needs, by what follows its header."""


def chains() -> list[Chain]:
    return [twin(chain_of(name))() for name in NAMES]


def content(packet: bytes) -> int:
    """Octets of a packet behind its header."""
    return len(packet) - ((packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40)


def records(frames: list[bytes], at: float = 1000.0, linktype: int = 1, **options: Any) -> list[dict[str, Any]]:
    """Of all chains, with fragments put together."""
    table, fragments = FlowTable(chains()), Reassembly(**options)
    found = [flow for data in frames for flow in fragments.feed(table, data, at, linktype)]
    return found + fragments.end(table) + table.flush()


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """A packet, and the octets of its fragments."""
    packet = draw(st.sampled_from(PACKETS))
    least = FIXED[packet[6]] if packet[0] >> 4 == 6 else 1
    blocks = range((least + 7) // 8, (content(packet) + 7) // 8)
    cuts = draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=8, unique=True))
    edges = [0, *(8 * cut for cut in sorted(cuts)), content(packet)]
    return packet, list(pairwise(edges))


class AnySplit(unittest.TestCase):
    @given(cuttings(), st.randoms(use_true_random=False), st.integers(0, 3))
    @settings(max_examples=150, deadline=None)
    def test_order_and_duplicates_make_no_difference(self, cutting, chance, padding):
        packet, ranges = cutting
        pieces = [piece(packet, *one) for one in ranges]
        pieces += chance.choices(pieces, k=chance.randrange(3))
        chance.shuffle(pieces)
        (expected,) = records([framed(packet)])
        (found,) = records([framed(one, padding * 9) for one in pieces])
        way = "rev" if expected["pkt_rev"] else "fwd"
        self.assertEqual((found[f"pkt_{way}"], found[f"oct_{way}"]), (len(pieces), sum(map(len, pieces))))
        for record in (expected, found):  # a packet that is put together has no size; a piece that is left over has
            del record[f"pkt_{way}"], record[f"oct_{way}"], record["size_fwd"], record["size_rev"]
            del record["headers_fwd"], record["headers_rev"]  # fragments have an identification of their own
        self.assertEqual(found, expected)

    @given(cuttings(), st.randoms(use_true_random=False))
    @settings(max_examples=150, deadline=None)
    def test_overlaps_never_make_a_packet(self, cutting, chance):
        packet, ranges = cutting
        chance.shuffle(ranges)
        pieces = [piece(packet, *one) for one in ranges]
        place = chance.randrange(len(pieces) - 1)  # the packet is not whole before both of them have come
        start, end = ranges[place]
        blocks = range(start // 8, (end + 7) // 8)
        kind, at = chance.randrange(3), place + chance.randrange(2)
        if kind == 0 and len(blocks) > 1:  # a part of one that is there
            odd = piece(packet, start, start + 8, more=True)
        elif kind == 1 and start > 8:  # more than one; before both it would stand for them
            at = place + 1
            odd = piece(packet, start - 8, end)
        else:  # other content
            there = pieces[place][start - end:]
            odd = piece(packet, start, end, content=bytes(octet ^ 1 for octet in there))
        pieces.insert(at, odd)
        table, fragments = FlowTable(chains()), Reassembly()
        for one in pieces:
            fragments.feed(table, framed(one), 1000.0)
        fragments.end(table)
        counts = fragments.counts()
        self.assertEqual((counts["whole"], counts["joined"], counts["held"]), (0, 0, 0))
        self.assertIn(counts["refused"], ({"with overlaps": 1}, {"with headers beyond the first fragment": 1}))
        self.assertEqual(table.packets, len(pieces))

    def test_without_it_flows_are_as_they_were(self):
        """And where there are no fragments, with it too."""
        frames = [data for linktype, data in fuzz.corpus() if linktype == 1]
        whole = [data for data in frames if data not in fragmented(frames)]
        self.assertGreater(len(frames), len(whole))
        table = FlowTable(chains())
        found = [flow for data in whole for flow in table.feed(data, 1000.0)] + table.flush()
        self.assertEqual(records(whole), found)


def fragmented(frames: list[bytes]) -> list[bytes]:
    """Those of the frames that a reassembly does not let pass."""
    found = []
    for data in frames:
        table, fragments = FlowTable([]), Reassembly()
        fragments.feed(table, data, 1000.0)
        if fragments.counts()["held"] or fragments.counts()["refused"]:
            found.append(data)
    return found


UDP4 = bytes(IP(**ENDS4, id=1) / UDP(sport=5, dport=6) / Raw(bytes(range(64))))
"""72 octets behind the header."""
UDP6 = bytes(IPv6(**ENDS6) / UDP(sport=5, dport=6) / Raw(bytes(range(64))))


class Looks(Chain):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def new_flow(self, rec, ip):
        return True

    def ip4(self, rec, ip, rev):
        self.seen.append(ip)
        return True

    ip6 = ip4


class Case(unittest.TestCase):
    def setUp(self):
        self.looks = Looks()
        self.table, self.fragments = FlowTable([BasicChain(), self.looks]), Reassembly()

    def feed(self, *packets, at=1000.0, link=framed):
        for packet in packets:
            self.fragments.feed(self.table, link(packet), at)

    def flows(self):
        """Ports, packets and octets of each, by ports."""
        self.fragments.end(self.table)
        return sorted(((flow["sp"], flow["dp"], flow["pkt_fwd"], flow["oct_fwd"]) for flow in self.table.flush()),
                      key=lambda flow: (flow[0] is None, flow))

    def refused(self):
        return self.fragments.counts()["refused"]

    def whole(self):
        return self.fragments.counts()["whole"]


class WholePackets(Case):
    def test_what_a_chain_sees_is_what_a_host_would(self):
        for packet in (UDP4, UDP6):
            self.feed(*split(packet, 24, 48))
            ip, = self.looks.seen
            self.looks.seen.clear()
            self.assertEqual((ip.packets, ip.octets), (3, sum(map(len, split(packet, 24, 48)))))
            self.assertEqual(ip.pkt_len, 92 if ip.version == 4 else 72)
            self.assertEqual((ip.size, ip.wire_len, ip.udp.payload.data), (len(packet), len(packet) + 14, packet[-64:]))
            self.assertTrue(ip.test_trans_cksm())
            if ip.version == 4:
                self.assertEqual((ip.has_mf, ip.frag_offset, ip.ident), (False, 0, 7))
                self.assertTrue(ip.test_l3_cksm())
            else:
                self.assertEqual(ip.next_hdr, 17)
                self.assertEqual(ip.data, packet)

    def test_a_wrong_header_checksum_stays_wrong(self):
        first, second = split(UDP4, 24)
        self.feed(first[:10] + b"\0\0" + first[12:], second)
        self.assertFalse(self.looks.seen[0].test_l3_cksm())

    def test_the_largest_packet_and_none_larger(self):
        for packet, most, head in ((UDP4, 65515, 20), (UDP6, 65535, 40)):
            for size, whole in ((most, 1), (most + 1, 0)):
                self.setUp()
                large = packet[:head] + bytes(size)
                self.feed(*split(large, *range(1480, size, 1480)))
                self.assertEqual(self.whole(), whole)
        # a first header that is longer than what the others left room for
        optioned = bytes(IP(**ENDS4, proto=17, options=[IPOption_NOP()] * 40))
        self.feed(piece4(optioned, 0, 8, more=True, content=bytes(8)),
                  *[piece4(UDP4, at, at + 8, more=at + 8000 < 65512, content=bytes(min(65512 - at, 8000)))
                    for at in range(8, 65512, 8000)])
        self.assertEqual((self.whole(), self.refused()), (0, {"of contradictory lengths": 1}))

    def test_tiny_ones_of_ipv4(self):
        packet = PACKETS[1]
        self.feed(*split(packet, *range(8, content(packet), 8)))
        self.assertEqual(self.looks.seen[0].tcp.options_data[:4], b"\x02\x04\x05\xb4")

    def test_hop_by_hop_headers_stay(self):
        packet = bytes(IPv6(**ENDS6) / IPv6ExtHdrHopByHop() / UDP(sport=5, dport=6) / Raw(bytes(40)))
        self.feed(*split(packet, 16, head=48))
        self.assertEqual(self.looks.seen[0].data, packet)

    def test_headers_of_later_fragments_do_not_matter(self):
        """RFC 8200 4.5: not even what they say follows."""
        first, second = split(UDP6, 24)
        self.feed(first, second[:40] + b"\x06" + second[41:])
        self.assertEqual(self.flows(), [(5, 6, 2, len(first) + len(second))])

    def test_atomic_fragments_are_whole_beside_others_of_their_number(self):
        """RFC 6946."""
        first, second = split(UDP6, 24)
        atomic = piece6(UDP6, 0, 72)
        self.feed(first, atomic, second)
        self.assertEqual(self.flows(), [(5, 6, 3, len(first) + len(second) + len(atomic))])
        self.assertEqual(self.fragments.counts()["joined"], 2)

    def test_the_reserved_flag_and_dont_fragment_are_those_of_the_first(self):
        packet = bytearray(UDP4)
        packet[6] = 0xC0
        self.feed(*split(bytes(packet), 24))
        self.assertEqual((self.looks.seen[0].has_rf, self.looks.seen[0].has_df), (True, True))

    def test_the_time_is_that_of_the_last_to_come(self):
        first, second = split(UDP4, 24)
        self.feed(second, at=1000.0)
        self.feed(first, at=1002.5)
        (flow,) = self.table.flush()
        self.assertEqual((flow["pkt_first"], flow["pkt_last"]), (1002.5, 1002.5))
        self.assertEqual(self.table.packets, 2)

    def test_two_packets_whose_fragments_mingle(self):
        one, two = split(UDP4, 24, ident=1), split(UDP4[:20] + b"\0\x09" + UDP4[22:], 24, ident=2)
        self.feed(one[1], two[0], one[0], two[1])
        self.assertEqual([flow[:3] for flow in self.flows()], [(5, 6, 2), (9, 6, 2)])

    def test_who_is_meant(self):
        """The same number in the other direction, on another VLAN, of another protocol: other packets."""
        first, second = split(UDP4, 24)
        back = second[:12] + second[16:20] + second[12:16] + second[20:]
        other = second[:9] + b"\x06" + second[10:]
        self.feed(first, back, other)
        self.feed(second, link=lambda packet: bytes(Ether(**MACS) / Dot1Q(vlan=5) / IP(packet)))
        self.fragments.feed(self.table, second, 1000.0, 101)
        self.assertEqual(self.fragments.counts()["held"], 5)
        self.feed(second)
        self.assertEqual((self.whole(), self.looks.seen[0].packets), (1, 2))

    def test_a_tagged_frame_stays_one(self):
        self.feed(*split(UDP4, 24), link=lambda packet: bytes(Ether(**MACS) / Dot1Q(vlan=5) / IP(packet)))
        self.assertEqual((self.looks.seen[0].vlan_id, self.looks.seen[0].ethertype), (5, 0x800))
        self.assertEqual(self.looks.seen[0].layer2.data[-72:], UDP4[20:])


class Marks(Case):
    """RFC 3168 5.3."""

    NOT, ECT1, ECT0, CE = range(4)

    def mark(self, *marks):
        for packet in (UDP4, UDP6):
            self.setUp()
            edges = [*range(0, 24 * len(marks), 24), 72]
            pieces = [bytearray(piece(packet, *one)) for one in pairwise(edges)]
            for one, mark in zip(pieces, marks, strict=True):
                if one[0] >> 4 == 4:
                    one[1] = mark
                    one[10:12] = b"\0\0"
                    one[10:12] = checksum(bytes(one[:20])).to_bytes(2, "big")
                else:
                    one[1] = mark << 4
            self.feed(*map(bytes, pieces))
            yield self.looks.seen[0] if self.whole() else None

    def test_congestion_is_kept(self):
        for marks in ((2, 3), (3, 2), (1, 1, 3), (2, 1, 3)):
            for ip in self.mark(*marks):
                self.assertEqual(ip.traffic_class & 3, 3, marks)
                if ip.version == 4:
                    self.assertTrue(ip.test_l3_cksm())

    def test_the_same_mark_stays(self):
        for mark in range(4):
            for ip in self.mark(mark, mark):
                self.assertEqual(ip.traffic_class & 3, mark)

    def test_of_both_kinds_of_ect_the_first_fragment_s(self):
        for ip in self.mark(2, 1):
            self.assertEqual(ip.traffic_class & 3, 2)

    def test_with_and_without_ecn_is_no_packet(self):
        for marks in ((0, 3), (3, 0), (0, 2), (1, 0), (2, 3, 0)):
            for ip in self.mark(*marks):
                self.assertIsNone(ip)
                self.assertEqual(self.refused(), {"with and without ECN": 1})
                self.assertEqual(len(self.looks.seen), len(marks))
                self.assertEqual([seen.traffic_class & 3 for seen in self.looks.seen], list(marks))


class Duplicates(Case):
    def test_they_count_and_belong_to_the_packet_also_when_it_is_whole(self):
        first, second = split(UDP4, 24)
        self.feed(first, first, second, second, first)  # as a capture on all interfaces sees them
        self.assertEqual(self.fragments.counts()["joined"], 5)
        self.assertEqual(self.flows(), [(5, 6, 5, 3 * len(first) + 2 * len(second))])
        self.assertEqual(self.whole(), 1)

    def test_they_are_no_reason_to_take_an_old_fragment_for_a_new_packet_s(self):
        """RFC 4963: the number is used again at once."""
        first, second = split(UDP4, 24)
        other = split(UDP4[:28] + bytes(64), 24)
        self.feed(first, second, second, other[0], other[1])
        self.assertEqual([ip.udp.payload.data for ip in self.looks.seen if ip.udp], [UDP4[28:], bytes(64)])

    def test_another_packet_of_the_same_number_begins_anew(self):
        self.feed(*split(UDP4, 24))
        self.feed(*split(UDP4[:28] + bytes(64), 40))
        self.assertEqual((self.whole(), self.refused()), (2, {}))

    def test_after_a_second_they_are_another_packet(self):
        first, second = split(UDP4, 24)
        self.feed(first, second)
        self.feed(second, at=1001.1)
        self.feed(first, at=1001.1)
        self.assertEqual(self.whole(), 2)


class Tunnels(unittest.TestCase):
    INSIDE = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1000, dport=53) / Raw(bytes(3000))
    PIECES = split(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4444, dport=4789) / VXLAN(vni=7)
                         / Ether(**MACS) / INSIDE), 1400, 2800)

    def flows(self, pieces):
        """Port and counts of each flow, and in which tunnels it is."""
        table, fragments = FlowTable([BasicChain()], decapsulate=True), Reassembly()
        for one in pieces:
            fragments.feed(table, framed(one), 1000.0)
        fragments.end(table)
        found = [(flow["dp"], flow["pkt_fwd"], flow["oct_fwd"], flow["encapsulation"]) for flow in table.flush()]
        self.assertEqual(table.packets, len(pieces))
        return found

    def test_the_packet_inside_of_one_in_fragments_counts_as_itself(self):
        for pieces in (self.PIECES, self.PIECES[::-1]):
            self.assertEqual(self.flows(pieces), [(53, 1, 3028, ["vxlan:7"])])

    def test_what_is_incomplete_is_looked_into_as_well(self):
        self.assertEqual(self.flows(self.PIECES[:2]), [(53, 1, 3028, ["vxlan:7"]), (None, 1, 1420, [])])


class ICMPErrors(Case):
    def test_a_duplicate_of_one_whose_flow_has_ended(self):
        first, second = split(PACKETS[5], 24)
        self.feed(first, second)
        (flow,) = self.table.flush()
        self.assertEqual((flow["sp"], flow["pkt_rev"]), (5, 2))
        self.feed(second)
        (flow,) = self.table.flush()
        self.assertEqual((flow["sp"], flow["pkt_rev"]), (None, 1))


class Refused(Case):
    """What is not put together goes on as it is, and is counted."""

    def test_what_comes_after_an_overlap_is_refused_too(self):
        first, second, third = split(UDP4, 24, 48)
        self.feed(first, piece4(UDP4, 16, 40), second, third, first)
        self.assertEqual((self.whole(), self.refused()), (0, {"with overlaps": 1}))
        self.assertEqual([flow[2] for flow in self.flows()], [2, 3])

    def test_two_ends(self):
        for pieces in (
            (piece4(UDP4, 48, 72), piece4(UDP4, 24, 48, more=False)),
            (piece4(UDP4, 24, 48, more=False), piece4(UDP4, 48, 72)),
            (piece4(UDP4, 24, 48, more=False), piece4(UDP4, 48, 72, more=True)),
        ):
            self.setUp()
            self.feed(*pieces, piece4(UDP4, 0, 24))
            self.assertEqual((self.whole(), self.refused()), (0, {"of contradictory lengths": 1}))

    def test_impossible_ones_are_malformed_and_leave_the_others_alone(self):
        first, second = split(UDP4, 24)
        self.feed(first, piece4(UDP4, 24, 37, more=True), piece4(UDP4, 24, 24, more=True),
                  piece4(UDP4, 65528, 65528, content=bytes(8), more=False), second)
        self.assertEqual((self.whole(), self.refused()), (1, {}))
        self.assertEqual(self.table.reasons, {"fragment of an impossible length": 3})

    def test_ipv6_headers_beyond_the_first_fragment(self):
        """RFC 7112. IPv4 has no such rule."""
        tcp = PACKETS[8]
        options = bytes(IPv6(**ENDS6) / IPv6ExtHdrDestOpt() / UDP(sport=5, dport=6) / Raw(bytes(40)))
        for packet, cut in ((tcp, 16), (options, 8)):
            self.setUp()
            self.feed(*split(packet, cut))
            self.assertEqual((self.whole(), self.refused()), (0, {"with headers beyond the first fragment": 1}))
            self.assertEqual(self.table.packets, 2)

    def test_a_fragment_of_a_fragment(self):
        nested = bytes(IPv6(**ENDS6) / IPv6ExtHdrFragment(m=1) / IPv6ExtHdrFragment(offset=2) / Raw(bytes(24)))
        self.feed(nested, bytes(IPv6(**ENDS6) / IPv6ExtHdrFragment(offset=4) / Raw(bytes(8))))
        self.assertEqual(self.whole(), 0)

    def test_what_was_cut_by_the_snaplen(self):
        first, second, third = split(UDP4, 24, 48)
        self.feed(first)
        self.fragments.feed(self.table, framed(second)[:50], 1000.0, wire_len=len(second) + 14)
        self.feed(third)
        self.assertEqual((self.whole(), self.refused()), (0, {"cut off in the capture": 1}))
        self.assertEqual(self.fragments.counts()["held"], 0)
        self.assertEqual(self.flows(), [(5, 6, 1, len(first)), (None, None, 2, len(second) + len(third))])


class Bounds(Case):
    def test_time_is_thirty_seconds_of_ipv4_and_sixty_of_ipv6(self):
        for packet, seconds in ((UDP4, 30), (UDP6, 60)):
            for wait, whole in ((seconds - 0.1, 1), (seconds + 0.1, 0)):
                self.setUp()
                first, second = split(packet, 24)
                self.feed(first, at=1000.0)
                self.feed(second, at=1000.0 + wait)
                self.assertEqual(self.whole(), whole)
                self.assertEqual(self.refused(), {} if whole else {"incomplete": 1})

    def test_who_waited_in_vain_keeps_its_time_and_moves_no_clock(self):
        self.feed(split(UDP4, 24)[0], at=1000.0)
        self.fragments.feed(self.table, tcp4("S"), 1020.0)
        ended = self.fragments.feed(self.table, tcp4("S", sport=99), 1035.0)
        self.assertEqual(ended, [])  # a clock set back and on again would have ended the other
        found = {flow["sp"]: (flow["pkt_first"], flow["pkt_last"]) for flow in self.table.flush()}
        self.assertEqual(found, {5: (1000.0, 1000.0), 1234: (1020.0, 1020.0), 99: (1035.0, 1035.0)})

    def test_it_does_not_make_a_flow_end_before_its_last_packet(self):
        later = split(UDP4, 24, 48)[1:]
        self.feed(later[0], at=1000.0)
        self.feed(piece4(UDP4, 24, 48, ident=9), at=1010.0)
        self.fragments.end(self.table)
        (flow,) = self.table.flush()
        self.assertEqual((flow["pkt_first"], flow["pkt_last"], flow["pkt_fwd"]), (1000.0, 1010.0, 2))

    def test_a_clock_that_is_set_back_counts_on(self):
        first, second = split(UDP4, 24)
        self.feed(first, at=1e9)
        self.feed(second, at=1000.0)
        self.assertEqual(self.whole(), 1)
        self.feed(first, at=1e9)  # and on
        self.feed(second, at=1e9 - 0.5)
        self.assertEqual(self.whole(), 2)

    def test_octets(self):
        self.fragments = Reassembly(octets=100_000)
        for number in range(3000):
            self.feed(piece4(UDP4, 0, 24, ident=number))
            self.assertLessEqual(self.fragments.counts()["memory"], 100_000)
        refused = self.refused()["for want of memory"]
        self.assertEqual(refused + self.fragments.counts()["held"], 3000)
        self.feed(piece4(UDP4, 24, 72, ident=2999))  # the oldest went first
        self.assertEqual(self.whole(), 1)
        self.assertEqual(self.table.packets, refused + 2)

    def test_packets(self):
        self.fragments = Reassembly(packets=10)
        for number in range(30):
            self.feed(piece4(UDP4, 0, 24, ident=number), piece6(UDP6, 0, 24, ident=number))
        self.assertEqual((self.fragments.counts()["held"], self.refused()), (10, {"for want of memory": 50}))

    def test_what_is_whole_goes_before_what_is_not(self):
        self.fragments = Reassembly(packets=10)
        first, second = split(UDP4, 24, ident=9999)
        self.feed(first)
        for number in range(30):
            self.feed(*split(UDP4, 24, ident=number))
        self.feed(second)
        self.assertEqual((self.whole(), self.refused()), (31, {}))

    def test_a_packet_that_needs_all_the_room_there_is(self):
        self.fragments = Reassembly(octets=20_000)
        large = UDP4[:20] + bytes(60_000)
        self.feed(*split(large, *range(1000, 60_000, 1000)))
        self.assertEqual((self.whole(), self.refused()), (0, {"for want of memory": 1}))
        self.assertEqual((self.table.packets, self.fragments.counts()["held"]), (60, 0))
        self.fragments.end(self.table)
        self.assertEqual(self.fragments.counts()["memory"], 0)

    def test_thousands_of_fragments_of_one_packet_in_any_order(self):
        pieces = split(UDP4[:20] + bytes(65_000), *range(8, 65_000, 8))
        random.Random(1).shuffle(pieces)
        self.feed(*pieces)
        self.assertEqual((self.whole(), self.looks.seen[0].packets), (1, 8125))


class Sources(unittest.TestCase):
    """With an observer, from files and interfaces."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, data, name="a.pcap"):
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def observe(self, source, **options):
        """Ports and packets of the flows, and the observer."""
        observer = Observer(source, [BasicChain], **{"reassemble": True} | options)
        flows = []
        observer.run(flows.extend)
        return sorted(((flow["sp"], flow["pkt_fwd"]) for flow in flows), key=str), observer

    def test_files_of_either_kind(self):
        frames = [framed(one) for one in split(UDP4, 24, 48)] + [tcp4("S")]
        for data in (pcap(frames), pcapng(frames)):
            path = self.file(data)
            for source in (path, [path]):
                flows, observer = self.observe(source)
                self.assertEqual(flows, [(1234, 1), (5, 3)])
                stats = observer.stats
                self.assertEqual((stats.packets, stats.fragments, stats.reassembled, stats.unassembled), (4, 3, 1, 0))
                self.assertEqual(observer.unassembled, {})
            flows, observer = self.observe(path, reassemble=False)
            self.assertEqual(flows, [(1234, 1), (5, 1), (None, 2)])
            self.assertEqual((observer.stats.packets, observer.stats.fragments, observer.unassembled), (4, 0, {}))

    def test_several_files_are_one_source(self):
        pieces = [framed(one) for one in split(UDP4, 24, 48)]
        names = [self.file(pcap([one], start=1000 + number), f"{number}.pcap") for number, one in enumerate(pieces)]
        flows, observer = self.observe(names)
        self.assertEqual((flows, observer.stats.packets, observer.stats.reassembled), ([(5, 3)], 3, 1))
        flows, observer = self.observe(names[:2])
        self.assertEqual(flows, [(5, 1), (None, 1)])
        self.assertEqual((observer.stats.packets, observer.unassembled), (2, {"incomplete": 1}))

    def test_at_the_end_what_is_incomplete_goes_on(self):
        """Also where the file breaks off."""
        whole = pcap([framed(one) for one in split(UDP4, 24, 48)[:2]])
        for data in (whole, whole + bytes(9)):
            path = self.file(data)
            for source in (path, [path]):
                observer, flows = Observer(source, [BasicChain], reassemble=True), []
                if data is whole:
                    observer.run(flows.extend)
                else:
                    with self.assertRaises(CaptureError):
                        observer.run(flows.extend)
                self.assertEqual(sorted((flow["sp"], flow["pkt_fwd"]) for flow in flows if flow["sp"]), [(5, 1)])
                self.assertEqual((len(flows), observer.unassembled), (2, {"incomplete": 1}))

    def test_limits(self):
        """A packet counts as its fragments, and a fragment that waits not yet."""
        pieces = [framed(one) for one in split(UDP4, 24, 48)]
        path = self.file(pcap([pieces[0], udp4(), pieces[1], pieces[2], udp4(), udp4()]))
        for most, flows in ((1, [(5353, 1)]), (2, [(5, 3), (5353, 1)]), (4, [(5, 3), (5353, 1)]),
                            (5, [(5, 3), (5353, 2)])):
            for source in (path, [path]):
                self.assertEqual(self.observe(source, packets=most)[0], flows, most)

    def test_a_snaplen_cuts_fragments_and_not_what_they_make(self):
        pieces = [framed(one) for one in split(UDP4, 24, 48)]
        path = self.file(pcap(pieces))
        flows, observer = self.observe(path, snaplen=max(map(len, pieces)))
        self.assertEqual((flows, observer.stats.truncated), ([(5, 3)], 0))
        flows, observer = self.observe(path, snaplen=40)
        self.assertEqual((flows, observer.unassembled), ([(5, 1), (None, 2)], {"cut off in the capture": 1}))

    def test_it_holds_no_packets(self):
        observer = Observer(self.file(pcap([])), [BasicChain], reassemble=True)
        self.addCleanup(observer.close)
        with self.assertRaisesRegex(ValueError, "holds no packets"):
            observer.hold(1 << 20)

    def test_live_a_flush_lets_go_what_waits(self):
        pieces = [framed(one) for one in split(UDP4, 24, 48)]

        def run():
            pair()
            for name in ("a0", "b0"):
                configure(f"link set {name} arp off")
            observer, flows, at_flush = Observer("int:b0", [BasicChain], bpf="udp or ip[6:2] & 0x1fff != 0",
                                                 reassemble=True), [], []

            def flushed():
                at_flush.extend(sorted(((flow["sp"], flow["pkt_fwd"]) for flow in flows), key=str))
                observer.stop()

            tap = observer.tap(1 << 20)
            send("a0", [*pieces, pieces[0]])  # the last one is a duplicate
            send("a0", [framed(one) for one in split(UDP4, 24, 48, ident=8)[:2]])
            observer.flush(flushed)
            observer.run(flows.extend)
            return at_flush, observer.stats, observer.unassembled, tap.take(1 << 20, 0)

        at_flush, stats, unassembled, tapped = in_namespace(run)
        self.assertEqual(at_flush, [(5, 5), (None, 1)])
        self.assertEqual((stats.packets, stats.fragments, stats.reassembled), (6, 4, 1))
        self.assertEqual(unassembled, {"incomplete": 1})
        self.assertEqual((tapped[1], all(one in tapped[0] for one in pieces)), (6, True))  # as they were captured


class Fuzz(unittest.TestCase):
    def test_fragments_of_all_kinds(self):
        counts = fuzz.fuzz_fragments(random.Random(1), 10_000)
        self.assertGreater(counts["whole"], 300)
        self.assertEqual(len(counts["refused"]), 7, counts["refused"])


if __name__ == "__main__":
    unittest.main()
