"""The object API: every attribute, from packets and from bytes, absent and cut."""

import subprocess
import sys
import unittest
from datetime import datetime

from scapy.all import (
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    Dot1Q,
    Ether,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    IPv6,
    IPv6ExtHdrDestOpt,
)

from pathspider.libtrace import Payload, Prefix, icmp, icmp6, ip, ip6, packet, sctp, tcp, udp
from tests.libtrace.frames import MACS, tcp4

ENDS = {"src": "192.0.2.1", "dst": "198.51.100.1"}
ENDS6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]


def view(data, linktype=1, ns=1_500_000_000_250_000_000):
    """A packet object."""
    found = packet()
    found.set(data, len(data), linktype, ns)
    return found


class Packets(unittest.TestCase):
    def test_what_every_header_has(self):
        inner = IP(**ENDS, tos=3) / TCP(sport=1, dport=2, flags="PA") / b"data"
        frame = bytes(Ether(**MACS) / Dot1Q(vlan=7) / inner) + bytes(6)
        whole = view(frame)
        for header in (whole, whole.ip, whole.tcp, whole.ip.tcp, whole.tcp.ip):
            self.assertEqual(
                (header.seconds, header.ts_sec, header.erf_time >> 32), (1500000000.25, 1500000000, 1500000000)
            )
            self.assertEqual((header.erf_time & 0xFFFFFFFF) / 2**32, 0.25)
            self.assertEqual(header.time, datetime.fromtimestamp(1500000000.25))
            self.assertEqual((header.wire_len, header.capture_len, header.linktype), (len(frame), len(frame), 1))
            self.assertEqual((header.ethertype, header.vlan_id, header.direction), (0x800, 7, None))
            self.assertEqual(header.size, 44)
            self.assertIs(header.layer3, whole.ip)
            self.assertIs(header.transport, whole.tcp)
            self.assertEqual(header.layer2.data, frame)
            self.assertEqual((header.tcp_payload.data, header.udp_payload), (b"data", None))
            for absent in ("ip6", "udp", "icmp", "icmp6", "sctp"):
                self.assertIsNone(getattr(header, absent))
        self.assertEqual((whole.data, whole.ip.data, whole.tcp.data), (frame, bytes(inner), bytes(inner)[20:]))
        self.assertEqual((packet().ip, packet().data), (None, b""))

    def test_views_outlive_their_packet(self):
        whole = view(tcp4("S", seq=7))
        kept = whole.tcp
        whole.set(b"", 0, 1, 0)
        self.assertEqual((kept.seq_nbr, whole.tcp), (7, None))


class FromBytes(unittest.TestCase):
    def test_ip(self):
        header = ip(
            bytes(IP(**ENDS, tos=0xB9, id=77, flags="DF+evil", ttl=9, options=[]) / UDP(sport=1, dport=2) / b"xyz")
        )
        self.assertEqual(
            (header.version, header.hdr_len, header.traffic_class, header.pkt_len, header.ident), (4, 5, 0xB9, 31, 77)
        )
        self.assertEqual((header.has_rf, header.has_df, header.has_mf, header.frag_offset), (True, True, False, 0))
        self.assertEqual((header.ttl, header.hop_limit, header.proto, header.size), (9, 9, 17, 31))
        self.assertEqual(header.checksum, header.hdr_checksum)
        self.assertEqual((str(header.src_prefix), str(header.dst_prefix)), (ENDS["src"], ENDS["dst"]))
        self.assertEqual((header.payload.dst_port, header.udp.payload.data), (2, b"xyz"))
        self.assertTrue(header.test_l3_cksm())
        self.assertTrue(header.test_trans_cksm())
        other = ip(bytes(IP(**ENDS, proto=47) / b"gre"))
        self.assertIsInstance(other.payload, Payload)
        self.assertEqual((other.payload.data, other.transport), (b"gre", None))

    def test_checksums(self):
        for transport in (TCP() / b"odd", UDP() / b"even", ICMP() / b"x"):
            data = bytearray(bytes(IP(**ENDS) / transport))
            self.assertTrue(ip(bytes(data)).test_trans_cksm())
            data[-1] ^= 1
            self.assertFalse(ip(bytes(data)).test_trans_cksm())
            self.assertTrue(ip(bytes(data)).test_l3_cksm())
            self.assertIsNone(ip(bytes(data[:-1])).test_trans_cksm())
            data[8] ^= 1
            self.assertFalse(ip(bytes(data)).test_l3_cksm())
        for transport in (TCP() / b"odd", UDP() / b"even", ICMPv6EchoRequest()):
            data = bytearray(bytes(IPv6(**ENDS6) / IPv6ExtHdrDestOpt() / transport))
            self.assertTrue(ip6(bytes(data)).test_trans_cksm())
            data[-1] ^= 1
            self.assertFalse(ip6(bytes(data)).test_trans_cksm())
        self.assertTrue(ip(bytes(IP(**ENDS) / UDP(chksum=0) / b"x")).test_trans_cksm())
        self.assertFalse(ip6(bytes(IPv6(**ENDS6) / UDP(chksum=0) / b"x")).test_trans_cksm())

    def test_ip6(self):
        header = ip6(bytes(IPv6(**ENDS6, tc=0xB9, fl=0x12345, hlim=9) / IPv6ExtHdrDestOpt() / TCP(dport=80) / b"xyz"))
        self.assertEqual((header.version, header.traffic_class, header.flow_label), (6, 0xB9, 0x12345))
        self.assertEqual(
            (header.payload_len, header.pkt_len, header.next_hdr, header.proto, header.hop_limit), (31, 31, 60, 6, 9)
        )
        self.assertEqual((str(header.src_prefix), str(header.dst_prefix)), (ENDS6["src"], ENDS6["dst"]))
        self.assertEqual((header.payload.dst_port, header.tcp.payload.data), (80, b"xyz"))

    def test_tcp(self):
        header = tcp(
            bytes(
                TCP(sport=1, dport=2, seq=3, ack=4, flags="SECUN", window=5, urgptr=6, chksum=7, options=OPTIONS)
                / b"xyz"
            )
        )
        self.assertEqual(
            (header.src_port, header.dst_port, header.seq_nbr, header.ack_nbr, header.window), (1, 2, 3, 4, 5)
        )
        self.assertEqual((header.urg_ptr, header.checksum, header.doff, header.flags), (6, 7, 8, 0x1E2))
        self.assertEqual((header.urg_flag, header.ack_flag, header.psh_flag), (True, False, False))
        self.assertEqual((header.rst_flag, header.syn_flag, header.fin_flag), (False, True, False))
        self.assertEqual(header.option_numbers, [2, 4, 1, 3, 0])
        self.assertEqual(
            (header.option(2), header.option(4), header.option(3), header.option(8)),
            (b"\x05\xb4", True, b"\x07", False),
        )
        self.assertEqual((header.payload.data, header.payload_len, len(header.options_data)), (b"xyz", 3, 12))
        self.assertIsNone(tcp(bytes(TCP())).payload)

    def test_udp(self):
        header = udp(bytes(UDP(sport=1, dport=2, chksum=3) / b"xyz"))
        self.assertEqual(
            (header.src_port, header.dst_port, header.len, header.checksum, header.payload.data), (1, 2, 11, 3, b"xyz")
        )
        self.assertIsNone(udp(bytes(UDP())).payload)
        surplus = udp(bytes(UDP(len=10) / b"xyoptions"))  # RFC 9868
        self.assertEqual((surplus.payload.data, surplus.payload_len), (b"xy", 2))

    def test_icmp(self):
        echo = icmp(bytes(ICMP(type=8, id=5, seq=6) / b"ping"))
        self.assertEqual(
            (echo.type, echo.code, echo.echo.ident, echo.echo.sequence, echo.payload), (8, 0, 5, 6, b"ping")
        )
        self.assertEqual((echo.data[8:], echo.redirect), (b"ping", None))
        quoted = IP(**ENDS) / UDP(sport=1, dport=2)
        for kind in (3, 4, 5, 11, 12):
            error = icmp(bytes(ICMP(type=kind, gw="192.0.2.9") / quoted))
            self.assertEqual((str(error.payload.dst_prefix), error.payload.udp.dst_port), (ENDS["dst"], 2))
        self.assertEqual(str(icmp(bytes(ICMP(type=5, gw="192.0.2.9") / quoted)).redirect.gateway), "192.0.2.9")
        self.assertIsNone(icmp(bytes(ICMP(type=3) / b"nonsense")).payload)

    def test_icmp6(self):
        quoted = IPv6(**ENDS6) / TCP(sport=1, dport=2)
        packets = {
            message: ip6(bytes(IPv6(**ENDS6) / body))
            for message, body in {
                "echo": ICMPv6EchoRequest(id=5, seq=6, data=b"ping"),
                "toobig": ICMPv6PacketTooBig(mtu=1280) / quoted,
                "param": ICMPv6ParamProblem(ptr=40) / quoted,
                "neighbour": ICMPv6ND_NS(tgt="2001:db8::7"),
            }.items()
        }
        self.assertEqual((packets["echo"].icmp6.echo.ident, packets["echo"].icmp6.payload), (5, b"ping"))
        self.assertEqual((packets["toobig"].icmp6.toobig.mtu, packets["toobig"].icmp6.payload.tcp.dst_port), (1280, 2))
        self.assertEqual(packets["param"].icmp6.param.pointer, 40)
        self.assertEqual(str(packets["neighbour"].icmp6.neighbour.target_prefix), "2001:db8::7")
        self.assertEqual((icmp6(b"\x80\0\0\0").echo.ident, icmp6(b"\x80\0\0\0").toobig), (None, None))

    def test_sctp(self):
        header = sctp(bytes(SCTP(sport=1, dport=2, tag=3, chksum=4)) + b"\x03\x01\x00\x06ab\0\0" + b"\x00\x00\x00\x63")
        self.assertEqual((header.src_port, header.dst_port, header.verification_tag, header.checksum), (1, 2, 3, 4))
        first, second = header.chunks
        self.assertEqual(
            (first.type, first.flags, first.length, first.is_ok, first.bytes), (3, 1, 6, True, b"\x03\x01\x00\x06ab")
        )
        self.assertFalse(second.is_ok)

    def test_too_short_or_wrong(self):
        for make, data in (
            (ip, bytes(19)),
            (ip6, bytes(39)),
            (tcp, bytes(19)),
            (udp, bytes(7)),
            (icmp, bytes(7)),
            (icmp6, bytes(3)),
            (sctp, bytes(11)),
            (ip, bytes(IPv6())),
            (ip6, bytes(IP())),
            (ip, b""),
        ):
            with self.assertRaises(ValueError):
                make(data)

    def test_quotations_are_none_behind_the_cut(self):
        whole = bytes(IP(**ENDS) / TCP(sport=1, dport=2, seq=3, flags="S"))
        quote = icmp(bytes(ICMP(type=11)) + whole[:28]).payload.tcp
        self.assertEqual((quote.src_port, quote.dst_port, quote.seq_nbr), (1, 2, 3))
        for name in ("ack_nbr", "doff", "flags", "syn_flag", "window", "checksum", "urg_ptr", "payload"):
            self.assertIsNone(getattr(quote, name), name)
        self.assertEqual((quote.options_data, quote.option_numbers, quote.option(2)), (b"", [], False))
        self.assertIsNone(icmp(bytes(ICMP(type=11)) + whole[:20]).payload.tcp)
        self.assertEqual(icmp(bytes(ICMP(type=11)) + whole[:22]).payload.tcp.dst_port, None)


class Prefixes(unittest.TestCase):
    def test_prefixes(self):
        net, host, six = Prefix("192.0.2.0/24"), Prefix("192.0.2.7"), Prefix(bytes(15) + b"\1")
        self.assertEqual(
            (net.version, net.length, net.addr, str(net), str(host)),
            (4, 24, b"\xc0\0\2\0", "192.0.2.0/24", "192.0.2.7"),
        )
        self.assertEqual((six.version, six.length, str(six)), (6, 128, "::1"))
        self.assertTrue(net.is_prefix(host) and net.is_prefix() and not host.is_prefix(net) and not host.is_prefix())
        self.assertEqual(
            (host == Prefix("192.0.2.7"), host == net, net < host, len({host, Prefix("192.0.2.7")})),
            (True, False, True, 1),
        )
        self.assertEqual([host.has_bit_set(n) for n in (0, 1, 2, 31)], [True, True, False, True])
        self.assertEqual(
            [Prefix(a).is_rfc1918 for a in ("10.1.1.1", "172.16.0.1", "172.32.0.1", "192.168.1.1", "::1")],
            [True, True, False, True, False],
        )
        for bad in ("nonsense", "192.0.2.0/33", b"abc"):
            with self.assertRaises((ValueError, OSError)):
                Prefix(bad)
        with self.assertRaises(ValueError):
            host.has_bit_set(32)


MADE_WITHOUT_BYTES = """
from pathspider import libtrace
class Mine(libtrace.tcp):
    def __init__(self):
        pass
for view in (Mine(), *(kind.__new__(kind) for kind in (libtrace.ip, libtrace.ip6, libtrace.tcp, libtrace.udp,
             libtrace.icmp, libtrace.icmp6, libtrace.sctp, libtrace.packet, libtrace.Payload, libtrace.Prefix))):
    for name in dir(view):
        if not name.startswith("__"):
            try:
                value = getattr(view, name)
                str(value() if callable(value) and name.startswith(("test", "is_")) else value)
            except (TypeError, AttributeError):
                pass
    str(view)
print("alive")
"""


class Misuse(unittest.TestCase):
    """What used to read memory that is nobody's."""

    def test_views_that_were_made_without_bytes(self):
        done = subprocess.run([sys.executable, "-c", MADE_WITHOUT_BYTES], capture_output=True, text=True, check=False,
                              timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "alive\n", ""))

    def test_a_view_is_made_once(self):
        long, short = tcp(bytes(60)), bytes(20)
        with self.assertRaisesRegex(RuntimeError, "once"):
            long.__init__(short)
        self.assertEqual(len(long.data), 60)


if __name__ == "__main__":
    unittest.main()
