"""The chains for ECN, DSCP and the evil bit: each kind of packet, each direction apart."""

import unittest

from scapy.all import ICMP, IP, UDP, ICMPv6DestUnreach, IPv6, Raw

from pathspider.chains.dscp import DSCPChain
from pathspider.chains.ecn import ECNChain
from pathspider.chains.evil import EvilChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


def seen(record):
    return {name.removeprefix("ecn_") for name, value in record.items() if value}


class ECN(ChainTest):
    def test_every_field_apart(self):
        codes = {"ect0": 2, "ect1": 1, "ce": 3}
        for make, mark in ((tcp4, "tos"), (tcp6, "tc")):
            for name, code in codes.items():
                for flags, payload, kind in (("S", b"", "syn"), ("PA", b"x", "data")):
                    for rev, way in ((False, "fwd"), (True, "rev")):
                        marked = make(
                            flags + "A" if rev and kind == "syn" else flags,
                            rev=rev,
                            payload=payload,
                            **{mark: code | 0xB8},
                        )
                        record = self.flow(ECNChain, make("A"), marked)
                        self.assertEqual(seen(record), {f"{name}_{kind}_{way}"})

    def test_marks_add_up(self):
        self.assertEqual(
            seen(
                self.flow(
                    ECNChain,
                    tcp4("S", tos=2),
                    tcp4("PA", payload=b"x", tos=1),
                    tcp4("PA", payload=b"y", tos=3),
                    tcp4("PA", rev=True, payload=b"z", tos=2),
                )
            ),
            {"ect0_syn_fwd", "ect1_data_fwd", "ce_data_fwd", "ect0_data_rev"},
        )

    def test_pure_acks_do_not_count(self):
        self.assertEqual(
            seen(self.flow(ECNChain, tcp4("A", tos=3), tcp4("FA", tos=3), tcp4("A", tos=3) + bytes(6))), set()
        )

    def test_what_is_not_tcp_is_data(self):
        self.assertEqual(
            seen(self.flow(ECNChain, udp4(tos=1), udp4(rev=True, tos=3))), {"ect1_data_fwd", "ce_data_rev"}
        )

    def test_data_is_known_by_the_ip_header_not_by_the_capture(self):
        self.assertEqual(seen(self.flow(ECNChain, tcp4("PA", payload=bytes(100), tos=2)[:54])), {"ect0_data_fwd"})

    def test_a_cut_header_says_nothing(self):
        self.assertEqual(seen(self.flow(ECNChain, tcp4("S", tos=2)[:46])), set())

    def test_the_mark_of_an_icmp_error_is_not_the_flows(self):
        error = frame(IP(src="203.0.113.9", dst="192.0.2.1", tos=0xC3) / ICMP(type=3) / Raw(udp4()[14:]))
        for chain in (ECNChain, DSCPChain, EvilChain):
            self.assertEqual(self.flow(chain, udp4(), error), self.flow(chain, udp4()))
        inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2) / Raw(b"x")
        six = frame(IPv6(src="2001:db8::9", dst="2001:db8::1", tc=3) / ICMPv6DestUnreach() / inner)
        self.assertEqual(seen(self.flow(ECNChain, frame(inner), six)), set())
        echo = frame(IP(src="192.0.2.1", dst="198.51.100.1", tos=3) / ICMP(type=8))
        self.assertEqual(seen(self.flow(ECNChain, echo)), {"ce_data_fwd"})


class DSCP(ChainTest):
    def test_every_field_apart_and_zero_is_a_value(self):
        for make, mark in ((tcp4, "tos"), (tcp6, "tc")):
            self.assertEqual(
                self.flow(
                    DSCPChain,
                    make("S", **{mark: 46 << 2}),
                    make("SA", rev=True, **{mark: 10 << 2 | 3}),
                    make("A", **{mark: 4}),
                    make("PA", payload=b"x"),
                    make("PA", rev=True, payload=b"x", **{mark: 63 << 2}),
                ),
                {"dscp_mark_syn_fwd": 46, "dscp_mark_data_fwd": 0, "dscp_mark_syn_rev": 10, "dscp_mark_data_rev": 63},
            )

    def test_the_first_one_wins(self):
        record = self.flow(DSCPChain, udp4(tos=0), udp4(tos=46 << 2))
        self.assertEqual(
            (record["dscp_mark_data_fwd"], record["dscp_mark_data_rev"], record["dscp_mark_syn_fwd"]), (0, None, None)
        )


class Evil(ChainTest):
    def evil(self, data):
        return data[:20] + bytes([data[20] | 0x80]) + data[21:]

    def test_every_field_apart(self):
        good = [tcp4("S"), tcp4("SA", rev=True), tcp4("PA", payload=b"x"), tcp4("PA", rev=True, payload=b"x")]
        names = ["evilbit_syn_fwd", "evilbit_syn_rev", "evilbit_data_fwd", "evilbit_data_rev"]
        for at, name in enumerate(names):
            frames = [self.evil(data) if number == at else data for number, data in enumerate(good)]
            self.assertEqual(self.flow(EvilChain, *frames), {other: other == name for other in names})

    def test_what_was_not_seen_is_none_and_one_evil_packet_is_enough(self):
        self.assertEqual(
            self.flow(EvilChain, self.evil(udp4()), udp4()),
            {"evilbit_syn_fwd": None, "evilbit_syn_rev": None, "evilbit_data_fwd": True, "evilbit_data_rev": None},
        )
        self.assertEqual(set(self.flow(EvilChain, tcp6("S")).values()), {None})


if __name__ == "__main__":
    unittest.main()
