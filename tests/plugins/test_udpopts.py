"""The UDP options plugin: its packets, their checksums, its chain, and its verdicts from flow records."""

import argparse
import struct
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider import libtrace
from pathspider.plugins.udpopts import (
    MDS_OPTION,
    SurplusChain,
    UDPOpts,
    ones_complement_sum,
    surplus_area,
    with_options,
)
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT


def spider():
    return UDPOpts(1, "int:lo", argparse.Namespace(connect="dnsudp", timeout=1, source=("192.0.2.1", "2001:db8::1")))


def flow(surplus, state=CONN_OK, valid=None):
    return {"spdr_state": state, "observed": True, "udp_surplus_fwd": surplus,
            "dns_response_valid": state == CONN_OK if valid is None else valid}


class TestSurplusArea(unittest.TestCase):
    @given(st.integers(0, 1000), st.binary(max_size=60))
    def test_option_checksum(self, payload_bytes, options):
        area = surplus_area(payload_bytes, options)
        padding = payload_bytes % 2
        self.assertEqual(area[:padding], bytes(padding))
        self.assertEqual(area[padding + 2:], options)
        self.assertNotEqual(area[padding:padding + 2], b"\0\0")
        # the area with its checksum and its length sums up to zero: in one's complement, all ones
        self.assertEqual(ones_complement_sum(area[padding:], len(area)), 0xFFFF)

    @settings(deadline=None)
    @given(st.binary(max_size=80))
    def test_a_device_that_sums_the_whole_payload_gets_the_same_checksum(self, data):
        for header in (IP(src="192.0.2.1", dst="192.0.2.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")):
            plain = type(header)(bytes(header / UDP(sport=7, dport=53) / Raw(data)))
            optioned = type(header)(bytes(header / with_options(UDP(sport=7, dport=53) / Raw(data), MDS_OPTION)))
            self.assertEqual(plain[UDP].chksum, optioned[UDP].chksum)
            self.assertEqual(optioned[UDP].len, 8 + len(data))

    def test_example(self):
        # by hand: 0x0404 + 0x05ac + length 6 = 0x09b6
        self.assertEqual(surplus_area(10, bytes.fromhex("040405ac")), bytes.fromhex("f649040405ac"))


class TestPackets(unittest.TestCase):
    def test_only_the_experiment_has_options(self):
        for target, header in (("192.0.2.2", IP), ("2001:db8::2", IPv6)):
            for domain in ("example.com", "odd.example.com", None):
                job = {"dip": target, "dp": 53, "domain": domain}
                lengths = []
                for seq in (0, 1):
                    packet = bytes(spider().forge(job, seq))
                    udp = packet[20 if header is IP else 40:]
                    lengths.append(len(udp) - struct.unpack_from("!H", udp, 4)[0])
                    record = {"udp_surplus_fwd": None, "udp_surplus_rev": None}
                    view = libtrace.ip(packet) if header is IP else libtrace.ip6(packet)
                    getattr(SurplusChain(), "ip4" if header is IP else "ip6")(record, view, False)
                    self.assertEqual(record["udp_surplus_fwd"], lengths[-1])
                self.assertEqual(lengths[0], 0)
                self.assertIn(lengths[1], (6, 7))


class TestVerdicts(unittest.TestCase):
    def test_connectivity(self):
        for baseline, experiment, verdict in (
            (CONN_OK, CONN_OK, "works"), (CONN_OK, CONN_TIMEOUT, "broken"), (CONN_OK, CONN_FAILED, "broken"),
            (CONN_TIMEOUT, CONN_OK, "transient"), (CONN_TIMEOUT, CONN_TIMEOUT, "offline"),
        ):
            self.assertEqual(spider().combine_flows([flow(0, baseline), flow(6, experiment)]),
                             [f"udpopts.connectivity.{verdict}"])

    def test_packets_that_left_otherwise_are_our_own_fault(self):
        for flows in ([flow(0), flow(0)], [flow(6), flow(6)], [flow(None), flow(6)], [flow(0), flow(None)]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:surplus_not_as_forged"])

    def test_a_response_that_was_not_captured(self):
        self.assertEqual(spider().combine_flows([flow(0), flow(6, valid=False)]), ["pathspider.not_observed"])
