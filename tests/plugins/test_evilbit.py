"""The evil bit plugin: its packets, and its verdicts from flow records."""

import argparse
import unittest

from dnslib import DNSRecord
from scapy.layers.inet import IP, TCP, UDP

from pathspider.plugins.evilbit import EvilBit
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT

JOB = {"dip": "192.0.2.2", "dp": 53, "domain": "example.com"}


def flow(syn_fwd=None, syn_rev=None, data_fwd=None, data_rev=None, state=CONN_OK):
    return {"spdr_state": state, "observed": True, "evilbit_syn_fwd": syn_fwd, "evilbit_syn_rev": syn_rev,
            "evilbit_data_fwd": data_fwd, "evilbit_data_rev": data_rev}


def spider(connect="tcp"):
    return EvilBit(1, "int:lo", argparse.Namespace(connect=connect, timeout=1, source=("192.0.2.1", "2001:db8::1")))


class TestPackets(unittest.TestCase):
    def test_only_the_experiment_is_evil(self):
        for mode, transport in (("tcp", TCP), ("dnsudp", UDP)):
            packets = [IP(bytes(spider(mode).forge(JOB, seq))) for seq in (0, 1)]
            self.assertEqual([packet.flags.value for packet in packets], [0b010, 0b110])
            self.assertTrue(all(transport in packet for packet in packets))

    def test_queries_name_the_domain(self):
        packet = IP(bytes(spider("dnsudp").forge(JOB, 1)))
        self.assertEqual(DNSRecord.parse(bytes(packet[UDP].payload)).q.qname, "example.com.")

    def test_answers(self):
        packet = spider("dnsudp").forge(JOB, 1)
        response = DNSRecord.parse(bytes(packet[UDP].payload)).reply().pack()
        self.assertEqual(spider("dnsudp").judge(JOB, packet, response), CONN_OK)
        self.assertEqual(spider("dnsudp").judge(JOB, packet, response[:-1]), CONN_FAILED)
        self.assertIsNone(spider("dnsudp").judge(JOB, packet, b"nonsense"))
        syn = spider().forge(JOB, 1)
        syn_ack = bytes(TCP(sport=53, dport=0, flags="SA", ack=(syn[TCP].seq + 1) % 2**32))
        self.assertEqual(spider().judge(JOB, syn, syn_ack), CONN_OK)

    def test_ipv6_has_no_evil_bit(self):
        self.assertIsNone(spider().not_applicable(JOB))
        self.assertEqual(spider().not_applicable({"dip": "2001:db8::2"}), "ipv6_has_no_evil_bit")


class TestVerdicts(unittest.TestCase):
    def test_verdicts(self):
        silent = {"state": CONN_TIMEOUT}
        for baseline, experiment, (verdict, *marks) in (
            (flow(False, False), flow(True, False), ["works", "mark.not_seen"]),
            (flow(False, False), flow(True, True), ["works", "mark.seen"]),
            (flow(False, False), flow(True, **silent), ["broken"]),
            (flow(False, **silent), flow(True, False), ["transient", "mark.not_seen"]),
            (flow(False, **silent), flow(True, **silent), ["offline"]),
            (flow(data_fwd=False, data_rev=False), flow(data_fwd=True, data_rev=True), ["works", "mark.seen"]),
        ):
            with self.subTest(verdict=verdict, marks=marks):
                self.assertEqual(spider().combine_flows([baseline, experiment]),
                                 [f"evilbit.connectivity.{verdict}", *(f"evilbit.{mark}" for mark in marks)])

    def test_packets_that_left_otherwise_are_our_own_fault(self):
        for flows in ([flow(False, False), flow(False, False)], [flow(True, False), flow(True, False)],
                      [flow(None, None), flow(True, False)]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:evil_bit_not_as_forged"])

    def test_up_without_an_answer_was_not_observed(self):
        self.assertEqual(spider().combine_flows([flow(False, False), flow(True)]), ["pathspider.not_observed"])
