"""The zero checksum plugin: its packets, and its verdicts from flow records."""

import argparse
import unittest

from scapy.layers.inet import IP, UDP

from pathspider.plugins.udpzero import UDPZero
from pathspider.records import CONN_OK, CONN_TIMEOUT

JOB = {"dip": "192.0.2.2", "dp": 53}


def spider():
    return UDPZero(1, "int:lo", argparse.Namespace(connect="dnsudp", timeout=1, source=("192.0.2.1", "2001:db8::1")))


def flow(zero, state=CONN_OK, valid=None):
    return {"spdr_state": state, "observed": True, "udp_zero_checksum_fwd": zero,
            "dns_response_valid": state == CONN_OK if valid is None else valid}


class TestUDPZero(unittest.TestCase):
    def test_only_the_experiment_has_no_checksum(self):
        packets = [IP(bytes(spider().forge(JOB, seq))) for seq in (0, 1)]
        self.assertNotEqual(packets[0][UDP].chksum, 0)
        self.assertEqual(packets[1][UDP].chksum, 0)

    def test_ipv6_requires_one(self):
        self.assertIsNone(spider().not_applicable(JOB))
        self.assertEqual(spider().not_applicable({"dip": "2001:db8::2"}), "ipv6_requires_udp_checksum")

    def test_connectivity(self):
        for baseline, experiment, verdict in (
            (CONN_OK, CONN_OK, "works"), (CONN_OK, CONN_TIMEOUT, "broken"),
            (CONN_TIMEOUT, CONN_OK, "transient"), (CONN_TIMEOUT, CONN_TIMEOUT, "offline"),
        ):
            self.assertEqual(spider().combine_flows([flow(False, baseline), flow(True, experiment)]),
                             [f"udpzero.connectivity.{verdict}"])

    def test_packets_that_left_otherwise_are_our_own_fault(self):
        for flows in ([flow(False), flow(False)], [flow(True), flow(True)], [flow(None), flow(True)]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:checksum_not_as_forged"])

    def test_a_response_that_was_not_captured(self):
        self.assertEqual(spider().combine_flows([flow(False), flow(True, valid=False)]), ["pathspider.not_observed"])
