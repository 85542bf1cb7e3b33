"""Tunnels: whatever a packet was in, with ``decapsulate`` it is that packet; without, the tunnel's."""

import struct
import tempfile
import unittest
from pathlib import Path

from scapy.all import GRE, ICMP, IP, TCP, UDP, VXLAN, Ether, ICMPv6DestUnreach, IPv6, IPv6ExtHdrFragment, Raw

from pathspider.chains.basic import BasicChain
from pathspider.chains.mss import MSSChain
from pathspider.chains.tcp import TCPChain
from pathspider.libtrace import FlowTable
from pathspider.libtrace._core import flow_key
from pathspider.observer import Observer
from tests.libtrace.frames import MACS, frame, pcap
from tests.libtrace.links import ADDRESSES, be16, links, mpls
from tests.libtrace.tunnels import datagram, nested, outside, tunnels

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def connection(version=4, ports=(1000, 80)):
    """The packets of base.pcap, and whether they go back."""
    here, there = ENDS[version]
    header = IP if version == 4 else IPv6
    for flags, rev, option, payload in (("S", False, 1460, b""), ("SA", True, 1400, b""), ("A", False, None, b""),
                                        ("PA", False, None, b"GET /")):
        src, dst = (there, here) if rev else (here, there)
        sport, dport = reversed(ports) if rev else ports
        segment = TCP(sport=sport, dport=dport, flags=flags, seq=1, ack=2 if "A" in flags else 0,
                      options=[("MSS", option)] if option else [])
        yield bytes(header(src=src, dst=dst) / segment / Raw(payload)), rev


def observed(frames, linktype=1, **options):
    """The records of some frames, and the table."""
    options.setdefault("decapsulate", True)
    table = FlowTable([BasicChain(), TCPChain(), MSSChain()], **options)
    flows = []
    for number, data in enumerate(frames):
        flows += table.feed(data, 1000.0 + number, linktype)
    return flows + table.flush(), table


class EveryTunnel(unittest.TestCase):
    def test_each_leads_to_the_same_flow(self):
        for version in (4, 6):
            packets = list(connection(version))
            (plain,), _ = observed([packet for packet, _ in packets], 101)
            self.assertEqual(plain.pop("encapsulation"), [])
            for same in zip(*[tunnels(packet, rev) for packet, rev in packets], strict=True):
                name, encapsulation, _ = same[0]
                frames = [data for _, _, data in same]
                with self.subTest(name=name, version=version):
                    flows, table = observed(frames)
                    self.assertEqual(len(flows), 1, flows)
                    self.assertEqual(flows[0].pop("encapsulation"), encapsulation)
                    want = plain
                    if "transport" in name:  # octets are those of the packet around, whose addresses they are
                        want = plain | {key: flows[0][key] for key in ("oct_fwd", "oct_rev")}
                        self.assertGreater(flows[0]["oct_rev"], plain["oct_rev"])
                    self.assertEqual(flows[0], want)
                    self.assertEqual(table.malformed, 0)

    def test_without_the_option_they_are_what_they_were(self):
        for version in (4, 6):
            for packet, rev in list(connection(version))[:1]:
                for name, encapsulation, data in tunnels(packet, rev):
                    with self.subTest(name=name):
                        flows, _ = observed([data], decapsulate=False)
                        self.assertEqual(bool(flows), encapsulation[0] != "pseudowire")
                        for flow in flows:
                            self.assertIn(flow["proto"], (4, 17, 41, 47, 50, 137))
                            self.assertNotIn("encapsulation", flow)

    def test_no_cut_leads_anywhere_else(self):
        """Wherever the capture ends: the flow inside, or that of the tunnel, and then it is told."""
        for packet, rev in list(connection(4))[:1]:
            key = flow_key(packet, 101)[1][:40]
            for name, encapsulation, data in tunnels(packet, rev):
                if name.startswith(("ESP", "pseudo-wire")) or len(encapsulation) > 1:
                    continue
                begin = data.rindex(packet)
                for cut in range(begin - 8, begin + 20):
                    with self.subTest(name=name, cut=cut - begin):
                        table = FlowTable([BasicChain()], decapsulate=True)
                        table.feed(data[:cut], 1.0, 1, len(data))
                        self.assertEqual(table.truncated, 1)
                table = FlowTable([BasicChain()], decapsulate=True)
                table.feed(data[:begin + 24], 1.0, 1, len(data))
                (flow,) = table.flush()
                self.assertEqual((flow["sip"], flow["sp"], flow["dp"]), ("10.0.0.1", 1000, 80))
                self.assertEqual(flow_key(data, 1, True)[1][:40], key)

    def test_in_every_link_layer_and_with_every_one_inside(self):
        for version in (4, 6):
            packet = next(connection(version))[0]
            inner = ADDRESSES + be16(0x0800 if version == 4 else 0x86DD) + packet
            want = flow_key(frame(datagram(False, 4789, VXLAN(vni=7) / Raw(inner))), 1, True)
            self.assertEqual(want[1][:40], flow_key(packet, 101)[1][:40])
            for six in (False, True):
                carrier = bytes(datagram(False, 4789, VXLAN(vni=7) / Raw(inner), 6 if six else 4))
                for name, linktype, data in links(carrier, six):
                    with self.subTest(name=name, version=version, six=six):
                        self.assertEqual(flow_key(data, linktype, True), want)
            for name, linktype, data in links(packet, version == 6):
                if linktype == 1:
                    with self.subTest(inside=name, version=version):
                        vxlan = frame(datagram(False, 4789, VXLAN(vni=7) / Raw(data)))
                        self.assertEqual(flow_key(vxlan, 1, True), want)

    def test_read_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.pcap")
            frames = [frame(datagram(rev, 4789, VXLAN(vni=7) / Ether(**MACS) / IP(packet)))
                      for packet, rev in connection()]
            for order in "<>":
                path.write_bytes(pcap(frames, order=order))
                for name in (str(path), [str(path)]):
                    flows = []
                    Observer(name, [BasicChain], decapsulate=True, outer=True).run(flows.extend)
                    self.assertEqual([(flow["pkt_fwd"], flow["pkt_rev"], flow["encapsulation"], flow["tunnel_ends"])
                                      for flow in flows],
                                     [(3, 1, ["vxlan:7"], [["192.0.2.7", "198.51.100.8"]])])


class Identity(unittest.TestCase):
    """Which identifiers make flows different."""

    PACKET = next(connection())[0]

    def flows(self, *frames):
        return len(observed(frames)[0])

    def test_networks_with_the_same_addresses(self):
        ethernet = Raw(ADDRESSES + be16(0x0800) + self.PACKET)

        def gre(key, proto=0x0800, payload=Raw(self.PACKET)):  # noqa: B008 - never changed
            return frame(outside(False) / GRE(key_present=1, key=key, proto=proto) / payload)

        def vxlan(vni):
            return frame(datagram(False, 4789, VXLAN(vni=vni) / ethernet))

        self.assertEqual(self.flows(vxlan(7), vxlan(8), vxlan(7)), 2)
        self.assertEqual(self.flows(gre(7), gre(8), gre(7)), 2)
        self.assertEqual(self.flows(gre(0x100000, 0x6558, ethernet), gre(0x100001, 0x6558, ethernet)), 1)  # NVGRE
        self.assertEqual(self.flows(gre(0x100000, 0x6558, ethernet), gre(0x100100, 0x6558, ethernet)), 2)
        self.assertEqual(self.flows(gre(7, 0x6558, ethernet), gre(8, 0x6558, ethernet)), 2)
        self.assertEqual(self.flows(vxlan(7), ADDRESSES + be16(0x0800) + self.PACKET), 2)

    def test_what_is_each_direction_s_own(self):
        def gtp(teid, rev=False):
            head = struct.pack(">BBHI", 0x30, 255, len(self.PACKET), teid)
            return frame(datagram(rev, 2152, Raw(head + self.PACKET)))

        def spoken(rev):
            return frame(outside(rev, proto=4) / Raw(self.PACKET))

        self.assertEqual(self.flows(gtp(1), gtp(2)), 1)
        self.assertEqual(self.flows(spoken(False), spoken(True)), 1)

    def test_the_order_of_tunnels(self):
        packets = [IP(self.PACKET)] * 2
        for index, keys in enumerate(((1, 2), (2, 1))):
            for key in keys:
                packets[index] = outside(False) / GRE(key_present=1, key=key) / packets[index]
        self.assertEqual(self.flows(*map(frame, packets)), 2)


class Depth(unittest.TestCase):
    PACKET = next(connection())[0]

    def test_eight_and_no_more(self):
        for depth in (1, 7, 8):
            (flow,), _ = observed([nested(self.PACKET, depth)])
            self.assertEqual((flow["proto"], flow["encapsulation"]), (6, ["4in4"] * depth))
        (flow,), table = observed([nested(self.PACKET, 9)])
        self.assertEqual((flow["proto"], flow["sip"], len(flow["encapsulation"]), table.malformed),
                         (4, "192.0.2.7", 8, 0))
        (flow,), _ = observed([nested(self.PACKET, 2000)])
        self.assertEqual(len(flow["encapsulation"]), 8)


class NotInside(unittest.TestCase):
    """Packets that belong to the flow of the tunnel."""

    PACKET = next(connection())[0]

    def test_what_is_not_ip(self):
        arp = Raw(ADDRESSES + be16(0x0806) + bytes(28))
        for name, packet in (
            ("ARP in VXLAN", datagram(False, 4789, VXLAN(vni=7) / arp)),
            ("GRE keepalive", outside(False, proto=47) / Raw(bytes(4))),
            ("LCP in PPTP", outside(False, proto=47) / Raw(
                struct.pack(">HHHHI", 0x3001, 0x880B, 10, 7, 1) + be16(0xC021) + bytes(8))),
            ("acknowledgement of PPTP", outside(False, proto=47) / Raw(struct.pack(">HHHHI", 0x2081, 0x880B, 0, 7, 1))),
            ("GTP echo", datagram(False, 2152, Raw(b"\x32\x01\0\4" + bytes(8)))),
            ("GTP prime", datagram(False, 2152, Raw(b"\x20\xff" + bytes(60)))),
            ("Ethernet in GTP", datagram(False, 2152, Raw(struct.pack(">BBHI", 0x30, 255, 60, 1) + bytes(60)))),
            ("VXLAN without a number", datagram(False, 4789, Raw(bytes(8) + ADDRESSES + be16(0x0800) + self.PACKET))),
            ("Geneve's own messages", datagram(False, 6081, Raw(b"\0\x80\x08\0" + bytes(4) + self.PACKET))),
            ("L2TP control", datagram(False, 1701, Raw(be16(0xC802, 12, 1, 0, 0, 0) + bytes(20)))),
            ("Teredo of something else", datagram(False, 3544, Raw(b"\x60" + bytes(20)))),
            ("IKE", datagram(False, 4500, Raw(bytes(4) + bytes(60)))),
            ("a keepalive of a NAT", datagram(False, 4500, Raw(b"\xff"))),
            ("short", datagram(False, 4789, Raw(b"x"))),
            ("empty", outside(False, proto=4)),
        ):
            with self.subTest(name=name):
                (flow,), table = observed([frame(packet)])
                self.assertEqual((flow["sip"], flow["encapsulation"], table.malformed), ("192.0.2.7", [], 0))

    def test_answers_of_dns_to_clients_that_have_the_port_of_a_tunnel(self):
        """Whatever their id is: a made-up flow, or a malformed packet, is worse than the tunnel's own flow."""
        tail = bytes.fromhex("8180000100010000000003777777076578616d706c65036f72670000010001"
                             "c00c00010001000000ff0004c0000207")
        for port in (1701, 2152, 3544, 4500, 4789, 6081, 6635, 8472):
            header = bytes(IP(src="192.0.2.53", dst="192.0.2.7") / UDP(sport=53, dport=port) / Raw(b"ID" + tail))[:28]
            frames = [header + be16(number) + tail for number in range(1, 1 << 16, 5)]
            (flow,), table = observed(frames, 101, idle_timeout=1e6)
            self.assertEqual((flow["sip"], flow["dp"], flow["pkt_fwd"]), ("192.0.2.53", port, len(frames)))
            if port != 2152:  # 12 bits tell GTP: of 4096 answers, one looks like malformed user data
                self.assertEqual(table.reasons, {}, port)

    def test_what_is_on_the_port_of_teredo_and_only_begins_as_ipv6_does(self):
        """As one in 16 packets does of who has it as a client; of these, a few say a length below the packet's."""
        def datagrams(packet, behind=b""):
            return [frame(outside(False) / UDP(sport=443, dport=3544) / Raw(bytes(packet) + behind))]

        for src, dst in (("2001:0:53aa::1", "2001:db8::1"), ("2001:db8::1", "2001:0:53aa::1"), ("fe80::1", "ff02::2"),
                         ("3ffe:831f::1", "2001:db8::1")):
            packet = IPv6(src=src, dst=dst) / UDP(sport=1, dport=2) / Raw(b"x")
            for behind in (b"", bytes(8)):
                (flow,), _ = observed(datagrams(packet, behind))
                self.assertEqual((flow["sip"], flow["encapsulation"]), (src, ["teredo"]))
        packet = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2) / Raw(b"x")
        self.assertEqual(observed(datagrams(packet))[0][0]["encapsulation"], ["teredo"])
        for data in (datagrams(packet, b"x"), datagrams(bytes(packet)[:6] + b"\0" + bytes(packet)[7:])):
            (flow,), table = observed(data)
            self.assertEqual((flow["sp"], flow["encapsulation"], table.malformed), (443, [], 0))

    def test_what_only_begins_as_labelled_ip_does(self):
        label = struct.pack(">I", 7 << 12 | 0x140)
        (flow,), _ = observed([frame(datagram(False, 6635, Raw(label + self.PACKET)))])
        self.assertEqual((flow["sip"], flow["encapsulation"]), ("10.0.0.1", ["mpls-in-udp"]))
        for packet in (self.PACKET + b"x", b"\x41" + self.PACKET[1:], self.PACKET[:-1], bytes(IPv6()) + b"x"):
            (flow,), table = observed([frame(datagram(False, 6635, Raw(label + packet)))])
            self.assertEqual((flow["sip"], flow["encapsulation"], table.malformed), ("192.0.2.7", [], 0))

    def test_what_is_malformed_is_told(self):
        ethernet = Raw(ADDRESSES + be16(0x0800) + b"\x41" + self.PACKET[1:])
        for name, packet in (
            ("GRE with routing", outside(False, proto=47) / Raw(be16(0x4000, 0x0800) + self.PACKET)),
            ("GRE of another version", outside(False, proto=47) / Raw(be16(2, 0x0800) + self.PACKET)),
            ("GRE's header cut by its sender", outside(False, proto=47) / Raw(be16(0x2000, 0x0800))),
            ("no IP header", outside(False, proto=4) / Raw(b"\x41" + self.PACKET[1:])),
            ("another version of IP", outside(False, proto=41) / Raw(self.PACKET)),
            ("longer than the tunnel's packet", outside(False, proto=4) / Raw(self.PACKET[:-4])),
            ("a short header", outside(False, proto=4) / Raw(self.PACKET[:12])),
            ("VXLAN with a bad header", datagram(False, 4789, VXLAN(vni=7) / ethernet)),
            ("Geneve with options beyond its end", datagram(
                False, 6081, Raw(b"\x3f\0\x08\0" + bytes(4) + self.PACKET))),
            ("GTP beyond its end", datagram(False, 2152, Raw(struct.pack(">BBHI", 0x30, 255, 200, 1) + self.PACKET))),
            ("an endless extension", datagram(
                False, 2152, Raw(b"\x34\xff\0\x20" + bytes(4) + b"\0\0\0\x85" + bytes(28)))),
            ("ERSPAN of no type", outside(False, proto=47) / Raw(be16(0x1000, 0x88BE) + bytes(40))),
        ):
            with self.subTest(name=name):
                (flow,), table = observed([frame(packet)])
                self.assertEqual((flow["sip"], flow["encapsulation"]), ("192.0.2.7", []))
                self.assertEqual(table.reasons, {"malformed tunnel header, or packet in a tunnel": 1})

    def test_what_is_in_the_inner_packet_is_counted_as_ever(self):
        (flow,), table = observed([frame(outside(False) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dataofs=3))])
        self.assertEqual((flow["sip"], flow["encapsulation"]), ("10.0.0.1", ["4in4"]))
        self.assertEqual(table.reasons, {"impossible TCP data offset": 1})

    def test_fragments_of_the_tunnel(self):
        """The first has the inner header; the others are without ports, of the tunnel."""
        whole = be16(0, 0x0800) + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / bytes(100))
        flows, table = observed([frame(outside(False, proto=47, flags="MF", id=9) / Raw(whole[:64])),
                                 frame(outside(False, proto=47, frag=8, id=9) / Raw(whole[64:]))])
        self.assertEqual([(flow["sip"], flow["proto"], flow["oct_fwd"]) for flow in flows],
                         [("10.0.0.1", 17, 128), ("192.0.2.7", 47, 88)])
        self.assertEqual(table.malformed, 0)
        (flow,), table = observed([frame(outside(False, 6) / IPv6ExtHdrFragment(m=1, nh=47) / Raw(whole[:64]))])
        self.assertEqual((flow["sip"], flow["sp"], flow["encapsulation"], table.malformed), ("10.0.0.1", 1, ["gre"], 0))

    def test_fragments_in_the_tunnel_have_no_ports(self):
        inner = IP(src="10.0.0.1", dst="10.0.0.2", proto=17, frag=5) / Raw(bytes(40))
        (flow,), _ = observed([frame(outside(False) / inner)])
        self.assertEqual((flow["sip"], flow["proto"], flow["sp"]), ("10.0.0.1", 17, None))

    def test_pseudowires_that_only_look_so(self):
        broken = bytearray(self.PACKET)
        broken[10] ^= 1  # its checksum
        for payload in (bytes(4) + ADDRESSES + be16(0x0800) + broken, bytes(4) + ADDRESSES + be16(0x0806) + bytes(28),
                        bytes(60), b"\x10\0\0\x07" + bytes(60), bytes(3), b""):
            flows, table = observed([ADDRESSES + be16(0x8847) + mpls(16, packet=payload)])
            self.assertEqual((flows, table.flows, table.not_ip + table.truncated), ([], 0, 1))


class Errors(unittest.TestCase):
    """ICMP errors."""

    def test_one_in_the_tunnel_is_the_inner_flow_s(self):
        for version, error in ((4, IP(src="10.0.0.9", dst="10.0.0.1") / ICMP(type=3, code=1)),
                               (6, IPv6(src="fd00::9", dst="fd00::1") / ICMPv6DestUnreach())):
            packet = next(connection(version))[0]
            ethernet = [Ether(**MACS) / Raw(packet), Ether(**MACS) / error / Raw(packet)]
            ethernet[0].type = 0x0800 if version == 4 else 0x86DD
            frames = [frame(datagram(rev, 4789, VXLAN(vni=7) / one)) for rev, one in enumerate(ethernet)]
            (flow,), _ = observed(frames)
            self.assertEqual((flow["sip"], flow["dp"], flow["pkt_fwd"], flow["pkt_rev"]), (ENDS[version][0], 80, 1, 1))

    def test_one_about_the_tunnel_is_the_tunnel_s(self):
        tunnelled = outside(False, proto=4) / Raw(next(connection())[0])
        error = IP(src="203.0.113.1", dst="192.0.2.7") / ICMP(type=3, code=4) / tunnelled
        flows, _ = observed([frame(tunnelled), frame(error)])
        self.assertEqual([(flow["sip"], flow["proto"], flow["pkt_fwd"], flow["pkt_rev"]) for flow in flows],
                         [("10.0.0.1", 6, 1, 0), ("192.0.2.7", 4, 0, 1)])


class Outer(unittest.TestCase):
    PACKET = next(connection())[0]

    def test_tags_and_labels_of_the_first_packet(self):
        typed = be16(0x0800) + self.PACKET
        for data, vlan, labels in (
            (typed, [], []),
            (be16(0x8100, 0xE007) + typed, [7], []),
            (be16(0x88A8, 5, 0x8100, 7) + typed, [5, 7], []),
            (be16(0x8100, 7, 0x8847) + mpls(16, 300, packet=self.PACKET), [7], [16, 300]),
            (be16(0x8847) + mpls(*range(16, 28), packet=self.PACKET), [], list(range(16, 28))),
            (be16(0x9100, 7) * 40 + typed, [7] * 16, []),
        ):
            for decapsulate in (False, True):
                (flow,), _ = observed([ADDRESSES + data, ADDRESSES + typed], outer=True, decapsulate=decapsulate)
                self.assertEqual((flow["vlan"], flow["mpls"], flow["pkt_fwd"]), (vlan, labels, 2))
                self.assertEqual(flow.get("tunnel_ends"), [] if decapsulate else None)

    def test_ends_of_tunnels(self):
        for name, encapsulation, data in tunnels(self.PACKET):
            with self.subTest(name=name):
                (flow,), _ = observed([data], outer=True)
                self.assertEqual(len(flow["tunnel_ends"]), len(encapsulation))
                ends = {"pseudowire": None}.get(encapsulation[0], ["192.0.2.7", "198.51.100.8"])
                if "IPv6" not in name and "transport" not in name:
                    self.assertEqual(flow["tunnel_ends"][0], ends)
        (flow,), _ = observed([frame(outside(False, 6, nh=4) / Raw(self.PACKET))], outer=True)
        self.assertEqual(flow["tunnel_ends"], [["2001:db8:7::1", "2001:db8:8::1"]])

    def test_a_chain_sees_them_when_the_flow_begins(self):
        seen = []

        class Chain:
            def new_flow(self, rec, ip):
                seen.append((rec["encapsulation"], ip.vlan_id))
                return True

        tagged = be16(0x8100, 9, 0x0800) + bytes(outside(False, proto=4) / Raw(self.PACKET))
        FlowTable([Chain()], decapsulate=True).feed(ADDRESSES + tagged, 1.0)
        self.assertEqual(seen, [(["4in4"], 9)])


if __name__ == "__main__":
    unittest.main()
