"""Decoding and the flow key: symmetric, directed, and harmless on whatever bytes."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import (
    AH,
    ICMP,
    IP,
    TCP,
    UDP,
    CookedLinux,
    Dot1AD,
    Dot1Q,
    Ether,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrRouting,
    Raw,
)

from pathspider.libtrace._core import FlowTable, flow_key
from tests.libtrace.frames import MACS, frame, tcp4, tcp6

OK, NOT_IP, TRUNCATED, MALFORMED = range(4)
LINKS = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276]

ports = st.integers(1, 65535)
addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)


def packet(src, dst, transport):
    return frame((IP if src.version == 4 else IPv6)(src=str(src), dst=str(dst)) / transport)


class FlowKey(unittest.TestCase):
    @settings(max_examples=50, deadline=None)
    @given(addresses, ports, ports, st.sampled_from([TCP, UDP]))
    def test_both_directions_have_one_key_and_opposite_directions(self, ends, sport, dport, transport):
        src, dst = ends
        _, there, forward = flow_key(packet(src, dst, transport(sport=sport, dport=dport)))
        _, back, reverse = flow_key(packet(dst, src, transport(sport=dport, dport=sport)))
        self.assertEqual(there, back)
        if (src, sport) != (dst, dport):
            self.assertNotEqual(forward, reverse)

    @settings(max_examples=50, deadline=None)
    @given(addresses, ports, ports, ports)
    def test_other_port_or_protocol_is_another_flow(self, ends, sport, dport, other):
        src, dst = ends
        _, key, _ = flow_key(packet(src, dst, TCP(sport=sport, dport=dport)))
        self.assertNotEqual(key, flow_key(packet(src, dst, UDP(sport=sport, dport=dport)))[1])
        if other != sport and (src, other) != (dst, dport):
            self.assertNotEqual(key, flow_key(packet(src, dst, TCP(sport=other, dport=dport)))[1])

    @settings(max_examples=40, deadline=None)
    @given(addresses, ports, ports)
    def test_an_icmp_error_has_the_key_it_quotes_in_reverse(self, ends, sport, dport):
        src, dst = ends
        inner = (
            (IP if src.version == 4 else IPv6)(src=str(src), dst=str(dst)) / UDP(sport=sport, dport=dport) / Raw(b"x")
        )
        if src.version == 4:
            error = frame(IP(src="203.0.113.9", dst=str(src)) / ICMP(type=3, code=1) / inner)
        else:
            from scapy.all import ICMPv6DestUnreach  # noqa: PLC0415

            error = frame(IPv6(src="2001:db8::9", dst=str(src)) / ICMPv6DestUnreach(code=1) / inner)
        _, key, forward = flow_key(frame(inner))
        _, quoted, direction = flow_key(error)
        self.assertEqual((quoted, direction), (key, 1 - forward))

    def test_a_quote_without_ports_is_a_flow_of_its_own(self):
        inner = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=5, dport=53))
        error = frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / Raw(inner[:22]))
        status, key, _ = flow_key(error)
        self.assertEqual(status, OK)
        self.assertNotEqual(key, flow_key(frame(IP(inner)))[1])


class Layers(unittest.TestCase):
    def key(self, data, linktype=1):
        status, key, _ = flow_key(bytes(data), linktype)
        self.assertEqual(status, OK)
        return key

    def test_link_layers_lead_to_one_key(self):
        inner = IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1234, dport=80)
        want = self.key(tcp4("S"))
        for data, linktype in (
            (Ether(**MACS) / Dot1Q(vlan=7) / inner, 1),
            (Ether(**MACS) / Dot1AD(vlan=7) / Dot1Q(vlan=9) / inner, 1),
            (Ether(**MACS) / Dot1Q(vlan=7) / Dot1Q(vlan=9) / inner, 1),
            (inner, 101),
            (inner, 12),
            (inner, 228),
            (CookedLinux(proto=0x0800) / inner, 113),
            (b"\x08\x00" + bytes(18) + bytes(inner), 276),
            (b"\x02\0\0\0" + bytes(inner), 0),
            (b"\0\0\0\x02" + bytes(inner), 0),
            (b"\0\0\0\x02" + bytes(inner), 108),
        ):
            with self.subTest(linktype=linktype):
                self.assertEqual(self.key(data, linktype), want)

    def test_ipv6_extension_headers_are_walked(self):
        plain = self.key(tcp6("S"))
        base = Ether(**MACS) / IPv6(src="2001:db8::1", dst="2001:db8::2")
        tcp = TCP(sport=1234, dport=80, flags="S")
        for extension in (
            IPv6ExtHdrDestOpt(),
            IPv6ExtHdrRouting(),
            IPv6ExtHdrFragment(),
            IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt(),
            AH(nh=6, icv=b"\0" * 12, payloadlen=4),
        ):
            with self.subTest(extension=extension.summary()):
                self.assertEqual(self.key(base / extension / tcp), plain)

    def test_later_fragments_have_a_key_without_ports(self):
        first = frame(IP(src="192.0.2.1", dst="198.51.100.1", flags="MF") / TCP(sport=1234, dport=80))
        later = frame(IP(src="192.0.2.1", dst="198.51.100.1", frag=10, proto=6) / Raw(bytes(40)))
        other = frame(IP(src="192.0.2.1", dst="198.51.100.1", frag=20, proto=6) / Raw(b"\xff" * 40))
        self.assertEqual(self.key(first), self.key(tcp4("S")))
        self.assertEqual(self.key(later), self.key(other))
        self.assertNotEqual(self.key(later), self.key(first))
        six = frame(IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(offset=9, nh=6) / Raw(bytes(40)))
        self.assertNotEqual(self.key(six), self.key(tcp6("S")))

    def reasons(self, data, wire_len=0):
        table = FlowTable([])
        table.feed(bytes(data), 1.0, 1, wire_len)
        self.assertEqual(sum(table.reasons.values()), table.malformed)
        return list(table.reasons), table.flows

    def test_malformed_packets_are_counted_by_reason(self):
        good, six = tcp4("S"), tcp6("S")

        def changed(data, at, new):
            return data[:at] + new + data[at + len(new):]

        udp, more = frame(IP() / UDP(len=200) / b"x"), frame(IP(flags="MF") / UDP(len=200))
        for data, reason, flows in (
            (good, None, 1),
            (six, None, 1),
            (changed(good, 14, b"\x44"), "IP header shorter than 20 octets", 0),
            (changed(good, 16, b"\0\x0a"), "IP length shorter than the header", 0),
            (changed(good, 14, b"\x4f\0\0\x3b"), "IP length shorter than the header", 0),
            (changed(good, 14, b"\x55"), "IP version other than the link layer says", 0),
            (changed(good, 12, b"\x86\xdd"), "IP version other than the link layer says", 0),
            (changed(six, 12, b"\x08\0"), "IP version other than the link layer says", 0),
            (changed(good, 16, b"\0\x1d"), "transport header beyond the packet's end", 1),
            (changed(good, 16, b"\0\x14"), "transport header beyond the packet's end", 1),
            (changed(six, 18, b"\0\x04"), "transport header beyond the packet's end", 1),
            (frame(IPv6(nh=60, plen=8) / Raw(b"\x06\x09" + bytes(6))), "transport header beyond the packet's end", 1),
            (frame(IPv6(nh=60, plen=4) / Raw(bytes(4))), "IPv6 extension header beyond the packet's end", 1),
            (frame(IPv6(nh=0, plen=0) / Raw(b"\x11\0\xc2\4\0\0\1\0") / UDP()), "impossible jumbo payload length", 1),
            (frame(IPv6(nh=0, plen=0) / Raw(b"\x11\0\xc2\4\7\0\0\0") / UDP()), "impossible jumbo payload length", 1),
            (changed(good, 46, b"\x40"), "impossible TCP data offset", 1),
            (changed(good, 46, b"\x60"), "impossible TCP data offset", 1),
            (udp, "impossible UDP length", 1),
            (frame(IP() / UDP(len=7) / b"x"), "impossible UDP length", 1),
            (frame(IP() / UDP(len=0) / b"x"), None, 1),  # left to the card
            (more, None, 1),  # the rest comes in further fragments
            (frame(IP(frag=3, proto=6) / Raw(b"x")), None, 1),
            (frame(IP(flags="MF") / UDP(len=200) / b"x"), "fragment of an impossible length", 1),
            (frame(IP(frag=3, proto=6)), "fragment of an impossible length", 1),
            (frame(IP(frag=0x1FFF, proto=1) / Raw(bytes(8))), "fragment of an impossible length", 1),  # ping of death
            (frame(IP(frag=0x1FFF - 5, proto=1) / Raw(bytes(27))), None, 1),  # 65,535 with the header
            (frame(IP(frag=0x1FFF - 5, proto=1) / Raw(bytes(28))), "fragment of an impossible length", 1),
            (frame(IPv6() / IPv6ExtHdrFragment(m=1) / UDP(len=200) / b"x"), "fragment of an impossible length", 1),
            (frame(IPv6() / IPv6ExtHdrFragment(offset=1)), "fragment of an impossible length", 1),
            (frame(IPv6() / IPv6ExtHdrFragment(offset=0x1FFF) / Raw(bytes(7))), None, 1),
            (frame(IPv6() / IPv6ExtHdrFragment(offset=0x1FFF) / Raw(bytes(8))), "fragment of an impossible length", 1),
            (frame(IPv6() / IPv6ExtHdrFragment() / UDP() / b"x"), None, 1),  # atomic
            (frame(IP(len=200) / TCP() / b"x"), "IP length beyond the frame's end", 1),
            (frame(IPv6(plen=200) / UDP() / b"x"), "IP length beyond the frame's end", 1),
            (frame(IP(ihl=6, proto=17) / Raw(b"\x07\0\0\0") / UDP()), "impossible IP option length", 1),
            (frame(IP(ihl=6, proto=17) / Raw(b"\x07\x05\0\0") / UDP()), "impossible IP option length", 1),
            (frame(IP(ihl=6, proto=17) / Raw(b"\1\1\1\x07") / UDP()), "impossible IP option length", 1),
            (frame(IP(ihl=6, proto=17) / Raw(b"\x07\x03\0\0") / UDP()), None, 1),
            (frame(IPv6(nh=0) / Raw(b"\x11\0\x05\x05\0\0\1\0") / UDP()), "impossible IP option length", 1),
            (frame(IPv6(nh=60) / Raw(b"\x11\0\0\0\0\0\0\x05") / UDP()), "impossible IP option length", 1),
            (frame(IPv6(nh=60) / Raw(b"\x11\0\x05\x02\0\0\1\0") / UDP()), None, 1),
            (frame(IP(proto=51) / Raw(b"\x06\1")), "authentication header beyond the packet's end", 1),
            (frame(IP(proto=51) / Raw(b"\x63\x20" + bytes(10))), "authentication header beyond the packet's end", 1),
            (frame(IPv6(nh=60) / Raw(b"\x63\x09" + bytes(6))), "IPv6 extension header beyond the packet's end", 1),
            (frame(IPv6(nh=60) / Raw(b"\x3b\x09" + bytes(6))), "IPv6 extension header beyond the packet's end", 1),
            (frame(IPv6(nh=60) / Raw(b"\x3b\0" + bytes(6))), None, 1),
            (frame(IP() / TCP(dataofs=6) / Raw(b"\2\0\1\1")), "impossible TCP option length", 1),
            (frame(IP() / TCP(dataofs=6) / Raw(b"\2\5\1\1")), "impossible TCP option length", 1),
            (frame(IP() / TCP(dataofs=6) / Raw(b"\1\1\1\2")), "impossible TCP option length", 1),
            (frame(IP() / TCP(dataofs=6) / Raw(b"\2\4\5\xb4")), None, 1),
            (frame(IP() / TCP(dataofs=6) / Raw(b"\0\2\0\0")), None, 1),  # what follows the end is padding
            (frame(IP(proto=136) / Raw(b"\0\1\0\2\0\7\0\0x")), "impossible UDP-Lite checksum coverage", 1),
            (frame(IP(proto=136) / Raw(b"\0\1\0\2\0\x0a\0\0x")), "impossible UDP-Lite checksum coverage", 1),
            (frame(IP(proto=136) / Raw(b"\0\1\0\2\0\x09\0\0x")), None, 1),
            (frame(IP(proto=136) / Raw(b"\0\1\0\2\0\0\0\0x")), None, 1),
            (frame(IP(proto=33) / Raw(b"\0\1\0\2\2" + bytes(7))), "impossible DCCP data offset", 1),
            (frame(IP(proto=33) / Raw(b"\0\1\0\2\3\0\0\0\1" + bytes(7))), "impossible DCCP data offset", 1),
            (frame(IP(proto=33) / Raw(b"\0\1\0\2\5\0\0\0\1" + bytes(7))), "impossible DCCP data offset", 1),
            (frame(IP(proto=33) / Raw(b"\0\1\0\2\4\0\0\0\1" + bytes(7))), None, 1),
            (frame(IP(proto=132) / Raw(bytes(12) + b"\1\0\0\3")), "impossible SCTP chunk length", 1),
            (frame(IP(proto=132) / Raw(bytes(12) + b"\1\0\0\5" + b"\1\0\0\4")), None, 1),
            (frame(IP(proto=132) / Raw(bytes(12) + b"\1\0\0\4" + b"\1\0\0\5")), "impossible SCTP chunk length", 1),
            (frame(IP() / ICMP(type=3)), "ICMP error without the packet that it is about", 1),
            (frame(IP() / ICMP(type=3) / Raw(b"\xff" * 28)), "ICMP error without the packet that it is about", 1),
            (frame(IP() / ICMP(type=11) / IP() / UDP()), None, 1),
            (frame(IP() / ICMP(type=8)), None, 1),
        ):
            with self.subTest(data=data.hex(), reason=reason):
                self.assertEqual(self.reasons(data), ([reason] if reason else [], flows))
        self.assertEqual(self.reasons(good[:40], len(good)), ([], 1))  # cut by the snaplen: not its fault
        self.assertEqual(self.reasons(udp[:42], len(udp)), (["impossible UDP length"], 1))

    def test_what_is_not_ip_or_contradicts_itself_is_said_so(self):
        good = tcp4("S")
        self.assertEqual(flow_key(b"\0" * 12 + b"\x08\x06" + bytes(28))[0], NOT_IP)
        self.assertEqual(flow_key(good[:30])[0], TRUNCATED)
        self.assertEqual(flow_key(good[:14] + b"\x41" + good[15:])[0], MALFORMED)
        self.assertEqual(flow_key(good[:14] + b"\x65" + good[15:])[0], MALFORMED)
        self.assertEqual(flow_key(good[:16] + b"\0\x13" + good[18:])[0], MALFORMED)


class Everything:
    """A chain that asks for whatever there is."""

    def new_flow(self, rec, ip):
        return True

    def look(self, rec, header, *rest):
        for name in dir(type(header)):
            if not name.startswith("_"):
                value = getattr(header, name)
                if callable(value) and name.startswith("test_"):
                    value()
        return True

    ip4 = ip6 = tcp = udp = look

    def icmp4(self, rec, ip, q, rev):
        if q is not None:
            self.look(rec, q)
            if q.transport is not None:
                self.look(rec, q.transport)
        return self.look(rec, ip.transport)

    icmp6 = icmp4


SEEDS = [
    tcp4("SEC", options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)), ("WScale", 7)], payload=b"hello"),
    tcp6("PA", payload=b"data"),
    frame(IP(src="203.0.113.9") / ICMP(type=3, code=1) / IP() / TCP()),
    frame(IPv6() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / UDP() / b"x"),
    bytes(Ether() / Dot1Q() / Dot1AD() / IP() / UDP() / b"y"),
]


class Hostile(unittest.TestCase):
    def setUp(self):
        self.table = FlowTable([Everything()])

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from(LINKS))
    def test_any_bytes(self, data, linktype):
        FlowTable([Everything()]).feed(data, 1.0, linktype)

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(SEEDS),
        st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
        st.integers(0, 200),
    )
    def test_mangled_and_cut_packets(self, seed, changes, cut):
        data = bytearray(seed)
        for at, value in changes:
            if at < len(data):
                data[at] = value
        FlowTable([Everything()]).feed(bytes(data[:cut]), 1.0, 1, wire_len=len(data))

    def test_every_cut_of_every_seed(self):
        for seed in SEEDS:
            for cut in range(len(seed)):
                self.table.feed(seed[:cut], 1.0, 1, wire_len=len(seed))
        self.assertGreater(self.table.truncated, 0)


if __name__ == "__main__":
    unittest.main()
