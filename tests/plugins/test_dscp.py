"""The DSCP plugin: its verdicts, from flow records, and the rules that it asks for."""

import argparse
import contextlib
import io
import subprocess
import sys
import unittest
from unittest import mock

from scapy.layers.inet import IP, TCP
from scapy.utils import rdpcap

from pathspider.plugins.dscp import DSCP
from pathspider.records import CONN_OK, CONN_TIMEOUT
from tests.run.cases import CaseTest, clean


def flow(sent, reply, state=CONN_OK, data=None):
    """A flow whose SYN carried ``sent``, whose SYN-ACK ``reply`` and whose data, both ways, ``data``."""
    return {"spdr_state": state, "observed": True, "dscp_mark_syn_fwd": sent, "dscp_mark_data_fwd": data and sent,
            "dscp_mark_syn_rev": reply, "dscp_mark_data_rev": data,
            "tcp_connected": reply is not None, "tcp_rst_rev": False}


def spider(codepoint=46):
    return DSCP(1, "int:lo", argparse.Namespace(connect="http", timeout=1, codepoint=codepoint))


class TestDSCP(unittest.TestCase):
    def test_works(self):
        self.assertEqual(spider().combine_flows([flow(0, 0), flow(46, 0)]),
                         ["dscp.46.connectivity.works", "dscp.0.replymark:0", "dscp.46.replymark:0"])

    def test_connectivity(self):
        for baseline, experiment, verdict in (
            (flow(0, 0), flow(46, None, CONN_TIMEOUT), "broken"),
            (flow(0, None, CONN_TIMEOUT), flow(46, 46), "transient"),
            (flow(0, None, CONN_TIMEOUT), flow(46, None, CONN_TIMEOUT), "offline"),
        ):
            with self.subTest(verdict=verdict):
                self.assertIn(f"dscp.46.connectivity.{verdict}", spider().combine_flows([baseline, experiment]))

    def test_a_handshake_without_an_answer(self):
        found = spider().combine_flows([flow(0, 0), flow(46, 0, CONN_TIMEOUT)])
        self.assertEqual(found[:2], ["dscp.46.connectivity.broken", "dscp.46.handshake.works"])

    def test_reply_marks_differ_within_a_flow(self):
        found = spider(10).combine_flows([flow(0, 0, data=34), flow(10, 10, data=10)])
        self.assertEqual(found[1:], ["dscp.0.replymark:0", "dscp.0.replymark:34", "dscp.10.replymark:10"])

    def test_no_reply_no_mark(self):
        found = spider().combine_flows([flow(0, 0), flow(46, None, CONN_TIMEOUT)])
        self.assertEqual(found[1:], ["dscp.0.replymark:0"])

    def test_codepoint_zero_in_both(self):
        self.assertEqual(spider(0).combine_flows([flow(0, 0), flow(0, 0)]),
                         ["dscp.0.connectivity.works", "dscp.0.replymark:0"])

    def test_a_codepoint_that_was_not_sent_is_our_own_fault(self):
        for flows in ([flow(46, 0), flow(46, 0)], [flow(0, 0), flow(0, 0)], [flow(0, 0), flow(None, None)]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:dscp_not_configured"])

    def test_data_of_another_codepoint_than_its_syn_is_our_own_fault(self):
        for place in (0, 1):
            flows = [flow(0, 0, data=8), flow(46, 0, data=8)]
            self.assertIn("dscp.46.connectivity.works", spider().combine_flows(flows))
            flows[place]["dscp_mark_data_fwd"] = 8
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:dscp_not_configured"])

    def test_up_without_a_reply_was_not_observed(self):
        self.assertEqual(spider().combine_flows([flow(0, 0), flow(46, None)]), ["pathspider.not_observed"])

    def test_rules_are_for_our_own_connections_alone(self):
        run = spider(34)
        with mock.patch.object(DSCP, "settings") as settings:
            run.config_one()
        (rules,), _ = settings.nft.call_args
        self.assertEqual(len(rules), 2)
        for rule, ip in zip(rules, ("ip", "ip6"), strict=True):
            self.assertEqual(rule, f"meta mark {run.mark:#x} {ip} dscp set 34")

    def test_codepoint_option(self):
        parser = argparse.ArgumentParser()
        DSCP.extra_args(parser)
        self.assertEqual(parser.parse_args([]).codepoint, 46)
        self.assertEqual(parser.parse_args(["--codepoint", "63"]).codepoint, 63)
        for wrong in ("64", "-1", "ef"):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                parser.parse_args(["--codepoint", wrong])


SLOW_SERVER = """
import socket, threading
server = socket.create_server(("", 8099), backlog=100)
print("listens", flush=True)
while True:
    connection, _ = server.accept()
    threading.Timer(0.4, connection.close).start()
"""
"""Closes its end of a connection later than we do."""


class TestPackets(CaseTest):
    def test_also_the_last_ones_of_a_run_carry_the_codepoint(self):
        """Seen on a busy machine: the rules were gone when the kernel confirmed the end of connections."""
        server = self.lab.popen([sys.executable, "-c", SLOW_SERVER], room="server", stdout=subprocess.PIPE)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), b"listens\n")
        capture = self.folder / "capture"
        tcpdump = self.lab.popen(["tcpdump", "-i", "lab0", "-Z", "root", "-U", "--immediate-mode", "-w", str(capture),
                                  "tcp", "port", "8099"], stderr=subprocess.PIPE)
        self.addCleanup(tcpdump.kill)
        self.assertIn(b"listening on", tcpdump.stderr.readline())
        status, records, said = self.measure(clean(20, port=8099), "dscp", "--connect", "tcp")
        self.assertEqual(status, 0, said)
        self.assert_all(records, "dscp.46.connectivity.works", 20)
        self.lab.run(["sleep", "0.5"])  # for those that would come after the end
        tcpdump.send_signal(2)
        tcpdump.wait(100)
        sent = {}
        for packet in rdpcap(str(capture)):
            if packet[IP].src == "10.0.0.2":
                sent.setdefault((packet[TCP].sport, packet[IP].dst), []).append(packet[IP].tos >> 2)
        self.assertEqual({len(marks) for marks in sent.values()}, {4})  # SYN, ACK, FIN, and ACK of the other's FIN
        self.assertEqual({tuple(marks) for marks in sent.values()}, {(0,) * 4, (46,) * 4})
