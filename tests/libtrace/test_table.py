"""The flow table on the packets' own clock."""

import gc
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, UDP, Raw

from pathspider.chains.base import Chain, Field
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.libtrace import FlowTable, flow_key
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


def table(*chains, **options):
    return FlowTable([BasicChain(), TCPChain(), *chains], **options)


class Timeouts(unittest.TestCase):
    def test_a_quiet_flow_ends_after_idle_timeout(self):
        flows = table(idle_timeout=30)
        self.assertEqual(flows.feed(udp4(), 100.0), [])
        self.assertEqual(flows.feed(udp4(), 120.0), [])
        self.assertEqual(flows.feed(tcp4("S"), 149.9), [])
        (ended,) = flows.feed(tcp4("S"), 150.0)
        self.assertEqual(
            (ended["proto"], ended["pkt_fwd"], ended["pkt_first"], ended["pkt_last"]), (17, 2, 100.0, 120.0)
        )

    def test_a_complete_flow_takes_late_packets_until_expiry(self):
        flows = table(expiry_timeout=5)
        flows.feed(tcp4("S"), 100.0)
        flows.feed(tcp4("RA", rev=True), 101.0)
        self.assertEqual(flows.feed(tcp4("A"), 105.9), [])
        (ended,) = flows.feed(udp4(), 106.0)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"], ended["tcp_rst_rev"]), (2, 1, True))

    def test_late_packets_do_not_prolong_a_complete_flow(self):
        flows = table(expiry_timeout=5)
        flows.feed(tcp4("S"), 100.0)
        flows.feed(tcp4("R", rev=True), 100.0)
        for at in (102.0, 104.0):
            flows.feed(tcp4("R", rev=True), at)
        self.assertEqual(len(flows.advance(105.0)), 1)

    def test_time_passes_without_packets(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        self.assertEqual(flows.advance(129.0), [])
        self.assertEqual(len(flows.advance(131.0)), 1)
        self.assertEqual(len(flows), 0)

    def test_flush_ends_all_and_observing_goes_on(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        flows.feed(tcp4("R"), 100.0)
        self.assertEqual(len(flows.flush()), 2)
        flows.feed(udp4(), 101.0)
        (ended,) = flows.flush()
        self.assertEqual(ended["pkt_fwd"], 1)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0, 4e9), min_size=1, max_size=8))
    def test_no_jump_of_the_clock_strands_flows(self, times):
        flows = table()
        ended = []
        for number, at in enumerate(times):
            ended += flows.feed(udp4(sport=number + 1), at)
        for second in range(32):  # from wherever the clock has got to, 31 seconds later all are gone
            ended += flows.feed(tcp4("A"), times[-1] + second)
        self.assertEqual(sorted(f["sp"] for f in ended if f["proto"] == 17), list(range(1, len(times) + 1)))

    def test_reordered_packets_do_not_move_the_clock(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        flows.feed(udp4(sport=2), 99.5)
        self.assertEqual(len(flows.advance(130.0)), 2)


class Ports(unittest.TestCase):
    def test_a_fresh_syn_on_a_complete_flow_starts_another(self):
        flows = table()
        flows.feed(tcp4("S", seq=1), 100.0)
        flows.feed(tcp4("RA", rev=True), 100.1)
        self.assertEqual(flows.feed(tcp4("S", seq=1), 100.2), [])  # a retransmission
        (ended,) = flows.feed(tcp4("S", seq=77), 100.3)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"]), (2, 1))
        self.assertEqual([f["pkt_fwd"] for f in flows.flush()], [1])

    def test_a_fresh_syn_on_an_open_flow_belongs_to_it(self):
        flows = table()
        flows.feed(tcp4("S", seq=1), 100.0)
        self.assertEqual(flows.feed(tcp4("S", seq=77), 100.3), [])
        self.assertEqual(len(flows), 1)


class Limits(unittest.TestCase):
    def test_beyond_the_cap_the_quietest_flow_ends(self):
        flows = table(max_flows=10)
        ended = []
        for port in range(1, 101):
            ended += flows.feed(udp4(sport=port), 100.0 + port / 1000)
            ended += flows.feed(udp4(sport=1), 100.0 + port / 1000)
            self.assertLessEqual(len(flows), 10)
        self.assertEqual(flows.evicted, 90)
        self.assertEqual([f["sp"] for f in ended], list(range(2, 92)))

    def test_many_flows(self):
        flows = table()
        for port in range(1, 20001):
            flows.feed(udp4(sport=port) if port == 1 else udp4_port(port), 100.0)
        self.assertEqual(len(flows), 20000)
        self.assertEqual({f["sp"] for f in flows.flush()}, set(range(1, 20001)))


UDP_FRAME = udp4(sport=1)


def udp4_port(port):
    return UDP_FRAME[:34] + port.to_bytes(2, "big") + UDP_FRAME[36:]


class Refuses(Chain):
    def new_flow(self, rec, ip):
        return None if ip.udp is not None else True


class Breaks(Chain):
    def tcp(self, rec, tcp, rev):
        raise RuntimeError("broken chain")


class Keeps(Chain):
    fields = {"kept": Field(bool, True, "test")}

    def __init__(self):
        super().__init__()
        self.views = []

    def ip4(self, rec, ip, rev):
        self.views.append(ip)
        return True

    def tcp(self, rec, tcp, rev):
        self.views.append(tcp.payload)
        return True


class ThirdParty:
    """Written for python-libtrace: no base class of ours, new_flow by hand."""

    def new_flow(self, rec, ip):
        rec["third"] = 0
        return True

    def ip4(self, rec, ip, rev):
        rec["third"] += ip.size
        return True


class Chains(unittest.TestCase):
    def test_a_refused_flow_is_not_emitted_nor_asked_for_again(self):
        flows = table(Refuses())
        flows.feed(udp4(), 1.0)
        flows.feed(udp4(), 2.0)
        flows.feed(tcp4("S"), 2.0)
        self.assertEqual([f["proto"] for f in flows.flush()], [6])
        self.assertEqual(flows.discarded, 1)

    def test_a_chain_that_raises_is_named(self):
        flows = table(Breaks())
        with self.assertRaises(RuntimeError) as caught:
            flows.feed(tcp4("S"), 1.0)
        self.assertIn("Breaks.tcp", caught.exception.__notes__[0])
        self.assertEqual(len(flows.flush()), 1)

    def test_views_that_a_chain_keeps_stay_as_they_were(self):
        keeps = Keeps()
        flows = table(keeps)
        for number in range(50):
            flows.feed(tcp4("PA", payload=b"%d" % number, tos=number * 4), float(number))
        gc.collect()
        self.assertEqual([v.traffic_class for v in keeps.views[::2]], [n * 4 for n in range(50)])
        self.assertEqual([v.data for v in keeps.views[1::2]], [b"%d" % n for n in range(50)])
        self.assertEqual(keeps.views[0].tcp.payload.data, b"0")

    def test_a_chain_without_our_base_class(self):
        flows = table(ThirdParty())
        flows.feed(tcp4("S"), 1.0)
        flows.feed(tcp6("S"), 1.0)
        self.assertEqual([f["third"] for f in flows.flush()], [40, 0])

    def test_what_is_no_chain_is_refused(self):
        with self.assertRaises(TypeError):
            FlowTable([object()])
        with self.assertRaises(TypeError):
            FlowTable([BasicChain])


class Errors(unittest.TestCase):
    """ICMP errors belong to the flow that they quote, in reverse."""

    def error(self, inner):
        return frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / Raw(inner[14:]))

    def test_after_the_flow_began(self):
        flows = table()
        flows.feed(udp4(), 1.0)
        flows.feed(self.error(udp4()), 1.1)
        (flow,) = flows.flush()
        self.assertEqual((flow["sip"], flow["pkt_fwd"], flow["pkt_rev"]), ("192.0.2.1", 1, 1))

    def test_before_anything_else_of_the_flow(self):
        flows = table()
        flows.feed(self.error(udp4()), 1.0)
        flows.feed(udp4(), 1.1)
        (flow,) = flows.flush()
        self.assertEqual((flow["sip"], flow["dip"], flow["sp"], flow["dp"]), ("192.0.2.1", "198.51.100.1", 5353, 53))
        self.assertEqual((flow["pkt_fwd"], flow["pkt_rev"], flow["proto"]), (1, 1, 17))

    def test_an_echo_is_a_flow_without_ports(self):
        flows = table()
        flows.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1") / ICMP(type=8)), 1.0)
        flows.feed(frame(IP(dst="192.0.2.1", src="198.51.100.1") / ICMP(type=0)), 1.0)
        (flow,) = flows.flush()
        self.assertEqual(
            (flow["proto"], flow["sp"], flow["dp"], flow["pkt_fwd"], flow["pkt_rev"]), (1, None, None, 1, 1)
        )


class Fragments(unittest.TestCase):
    def test_later_fragments_are_a_flow_without_ports(self):
        flows = table()
        flows.feed(
            frame(IP(src="192.0.2.1", dst="198.51.100.1", flags="MF") / UDP(sport=1, dport=2) / Raw(bytes(24))), 1.0
        )
        for offset in (4, 8):
            flows.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1", frag=offset, proto=17) / Raw(bytes(32))), 1.0)
        first, later = sorted(flows.flush(), key=lambda f: f["pkt_fwd"])
        self.assertEqual((first["sp"], first["pkt_fwd"]), (1, 1))
        self.assertEqual((later["sp"], later["dp"], later["proto"], later["pkt_fwd"]), (None, None, 17, 2))

    def test_padding_is_not_payload(self):
        chain = Keeps()
        flows = table(chain)
        flows.feed(tcp4("A") + bytes(6), 1.0)
        self.assertEqual(chain.views[0].size, 40)
        self.assertIsNone(chain.views[1])
        self.assertEqual(flow_key(tcp4("A") + bytes(6)), flow_key(tcp4("A")))


if __name__ == "__main__":
    unittest.main()
