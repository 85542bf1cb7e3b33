"""The chains for MSS, TFO, UDP, ICMP and NoOp; what holds for all chains."""

import os
import unittest
from importlib import import_module
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, UDP, ICMPv6DestUnreach, ICMPv6TimeExceeded, IPv6, Raw

from pathspider.chains.base import Chain
from pathspider.chains.icmp import ICMP4_TTLEXCEEDED, ICMP4_UNREACHABLE, ICMP6_TTLEXCEEDED, ICMP6_UNREACHABLE, ICMPChain
from pathspider.chains.mss import MSSChain
from pathspider.chains.noop import NoOpChain
from pathspider.chains.tfo import TFOChain
from pathspider.chains.udp import UDPChain
from pathspider.libtrace import FlowTable
from pathspider.libtrace._core import is_compiled
from pathspider.libtrace.compiled import twin
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6, udp4

NAMES = ("basic", "dns", "dscp", "ecn", "evil", "fallback", "icmp", "mss", "noop", "tcp", "tfo", "udp")


def chain_of(name):
    module = import_module(f"pathspider.chains.{name}")
    return next(
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Chain) and v.__module__ == module.__name__
    )


class MSS(ChainTest):
    def test_each_direction_apart(self):
        for make in (tcp4, tcp6):
            self.assertEqual(
                self.flow(
                    MSSChain,
                    make("S", options=[("MSS", 1460)]),
                    make("SA", rev=True, options=[("NOP", None), ("MSS", 536)]),
                ),
                {"mss_len_fwd": 4, "mss_len_rev": 4, "mss_value_fwd": 1460, "mss_value_rev": 536},
            )

    def test_only_on_syns_and_the_first_wins(self):
        self.assertEqual(
            self.flow(MSSChain, tcp4("A", options=[("MSS", 9)]), tcp4("SA", rev=True))["mss_value_fwd"], None
        )
        self.assertEqual(
            self.flow(MSSChain, tcp4("S", options=[("MSS", 9)]), tcp4("S", options=[("MSS", 8)]))["mss_value_fwd"], 9
        )

    def test_a_malformed_option(self):
        data = tcp4("S", options=[("MSS", 1460)])
        self.assertEqual(
            self.flow(MSSChain, data[:55] + b"\x03" + data[56:]),
            {"mss_len_fwd": 3, "mss_len_rev": None, "mss_value_fwd": None, "mss_value_rev": None},
        )
        self.assertEqual(set(self.flow(MSSChain, data[:55] + b"\x05" + data[56:]).values()), {None})


class TFO(ChainTest):
    def test_every_kind(self):
        for kind, prefix in ((34, b""), (254, b"\xf9\x89"), (255, b"\xf9\x89")):
            syn = tcp4("S", seq=1000, payload=b"hello", options=[(kind, prefix + b"12345678")])
            answer = tcp4("SA", rev=True, seq=7, ack=1006, options=[(kind, prefix + b"1234")])
            self.assertEqual(
                self.flow(TFOChain, syn, answer),
                {
                    "tfo_synkind": kind,
                    "tfo_ackkind": kind,
                    "tfo_synclen": 8,
                    "tfo_ackclen": 4,
                    "tfo_seq": 1000,
                    "tfo_dlen": 5,
                    "tfo_ack": 1006,
                },
            )

    def test_a_request_a_foreign_experiment_and_nothing(self):
        self.assertEqual(
            self.flow(TFOChain, tcp4("S", seq=5, options=[(34, b"")])),
            {
                "tfo_synkind": 34,
                "tfo_ackkind": 0,
                "tfo_synclen": 0,
                "tfo_ackclen": 0,
                "tfo_seq": 5,
                "tfo_dlen": 0,
                "tfo_ack": 0,
            },
        )
        self.assertEqual(self.flow(TFOChain, tcp4("S", seq=5, options=[(254, b"\x12\x34abcd")]))["tfo_synkind"], 0)

    def test_a_fallback_does_not_hide_what_was_asked(self):
        record = self.flow(
            TFOChain,
            tcp4("S", seq=5, payload=b"x", options=[(34, b"12345678")]),
            tcp4("S", seq=5),
            tcp4("SA", rev=True, ack=6),
        )
        self.assertEqual((record["tfo_synclen"], record["tfo_dlen"], record["tfo_ack"]), (8, 1, 6))


class UDPs(ChainTest):
    def test_the_last_packet_in_each_direction(self):
        self.assertEqual(
            self.flow(UDPChain, udp4(), udp4(chksum=0), udp4(rev=True, chksum=0), udp4(rev=True)),
            {"udp_zero_checksum_fwd": True, "udp_zero_checksum_rev": False},
        )
        self.assertEqual(self.flow(UDPChain, udp4()), {"udp_zero_checksum_fwd": False, "udp_zero_checksum_rev": None})


class ICMPs(ChainTest):
    def error4(self, kind, inner):
        return frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=kind) / Raw(inner[14:]))

    def test_unreachable_in_reverse(self):
        self.assertEqual((ICMP4_TTLEXCEEDED, ICMP4_UNREACHABLE, ICMP6_TTLEXCEEDED, ICMP6_UNREACHABLE), (11, 3, 3, 1))
        for inner in (udp4(), tcp4("S")):
            self.assertTrue(self.flow(ICMPChain, inner, self.error4(3, inner))["icmp_unreachable"])
            self.assertTrue(self.flow(ICMPChain, inner, self.error4(3, inner[:42]))["icmp_unreachable"])
            self.assertFalse(self.flow(ICMPChain, inner, self.error4(11, inner))["icmp_unreachable"])
        self.assertTrue(self.completes(ICMPChain, [udp4(), self.error4(3, udp4())]))

    def test_an_error_about_an_answer_is_not_in_reverse(self):
        answer = udp4(rev=True)
        about = frame(IP(src="203.0.113.9", dst="198.51.100.1") / ICMP(type=3) / Raw(answer[14:]))
        self.assertFalse(self.flow(ICMPChain, udp4(), answer, about)["icmp_unreachable"])

    def test_icmpv6(self):
        inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2) / Raw(b"x")
        for message, want in ((ICMPv6DestUnreach(), True), (ICMPv6TimeExceeded(), False)):
            error = frame(IPv6(src="2001:db8::9", dst="2001:db8::1") / message / inner)
            self.assertEqual(self.flow(ICMPChain, frame(inner), error)["icmp_unreachable"], want)

    def test_the_quote_is_handed_over(self):
        quotes = []

        class Quotes(Chain):
            def icmp4(self, rec, ip, q, rev):
                quotes.append((str(ip.src_prefix), q and (str(q.dst_prefix), q.udp.dst_port, q.udp.checksum), rev))
                return True

        table = FlowTable([Quotes()])
        table.feed(self.error4(3, udp4()), 1.0)
        table.feed(self.error4(3, udp4()[:40]), 1.0)
        table.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1") / ICMP(type=8)), 1.0)
        self.assertEqual([q[0] for q in quotes], ["203.0.113.9", "203.0.113.9", "192.0.2.1"])
        self.assertEqual(quotes[0][1][:2], ("198.51.100.1", 53))
        self.assertEqual((quotes[1][1], quotes[1][2]), (("198.51.100.1", 53, None), True))
        self.assertEqual(quotes[2][1:], (None, False))


class All(unittest.TestCase):
    def test_noop_adds_nothing(self):
        table = FlowTable([NoOpChain()])
        table.feed(udp4(), 1.0)
        self.assertEqual([set(f) for f in table.flush()], [{"pkt_first", "pkt_last"}])

    def test_twins_are_compiled_and_used_only_for_what_they_were_made_of(self):
        hooks = ("new_flow", "ip4", "ip6", "tcp", "udp", "icmp4", "icmp6")
        for name in NAMES:
            chain = chain_of(name)
            with patch.dict(os.environ, {"PATHSPIDER_PURE_CHAINS": "1"}):
                self.assertIs(twin(chain), chain)
            if twin(chain) is chain:
                continue  # this build has none
            for hook in hooks:
                if hook in chain.__dict__:
                    self.assertTrue(is_compiled(twin(chain), hook), (name, hook))
                    self.assertFalse(is_compiled(chain, hook), (name, hook))
            with patch("pathspider.libtrace.compiled.sha256") as digest:
                digest.return_value.hexdigest.return_value = "another file"
                self.assertIs(twin(chain), chain)
            self.assertIs(twin(type("Mine", (chain,), {"__module__": "mine"})).__bases__[0], chain)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        tcp4("S", options=[("MSS", 1460), (34, b"12345678")], payload=b"x"),
                        tcp6("SA", rev=True),
                        udp4(),
                        tcp4("PA", rev=True, payload=b"\0\x20" + bytes(2) + b"\x81\x80" + bytes(30)),
                        frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3) / Raw(udp4()[14:])),
                    ]
                ),
                st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=4),
                st.integers(14, 120),
            ),
            max_size=8,
        )
    )
    def test_mangled_packets_give_the_same_records_compiled_and_plain(self, packets):
        records = []
        for choose in (twin, lambda chain: chain):
            table = FlowTable([choose(chain_of(name))() for name in NAMES])
            found = []
            for number, (seed, changes, cut) in enumerate(packets):
                data = bytearray(seed)
                for at, value in changes:
                    if at < len(data):
                        data[at] = value
                found += table.feed(bytes(data[:cut]), float(number), 1, wire_len=len(data))
            records.append(found + table.flush())
        self.assertEqual(records[0], records[1])


if __name__ == "__main__":
    unittest.main()
