"""The MSS plugin's verdicts, from flow records."""

import argparse
import unittest

from pathspider.chains.tcp import TCP_ACK, TCP_RST, TCP_SA, TCP_SYN
from pathspider.plugins.mss import MSS
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT


def flow(remote, local=1460, state=CONN_OK, synack=TCP_SA, length=4):
    return {"spdr_state": state, "observed": True, "tcp_synflags_fwd": TCP_SYN, "tcp_synflags_rev": synack,
            "mss_value_fwd": local, "mss_value_rev": remote, "mss_len_rev": length}


class TestMSS(unittest.TestCase):
    def conditions(self, record):
        return MSS(1, "int:lo", argparse.Namespace(connect="tcp", timeout=1)).combine_flows([record])

    def test_comparison(self):
        for remote, verdict in ((1460, "unchanged"), (1459, "deflated"), (8960, "inflated"), (0, "deflated")):
            with self.subTest(remote=remote):
                self.assertEqual(self.conditions(flow(remote)), [
                    "mss.connectivity.online", "mss.option.local.value:1460", f"mss.option.remote.value:{remote}",
                    f"mss.option.received.{verdict}"])

    def test_absent(self):
        self.assertEqual(self.conditions(flow(None, length=None)),
                         ["mss.connectivity.online", "mss.option.local.value:1460", "mss.option.received.absent"])

    def test_malformed(self):
        self.assertEqual(self.conditions(flow(None, length=3)),
                         ["mss.connectivity.online", "mss.option.local.value:1460", "mss.option.received.malformed"])
        self.assertEqual(self.conditions(flow(1400, length=6)), [
            "mss.connectivity.online", "mss.option.local.value:1460", "mss.option.remote.value:1400",
            "mss.option.received.malformed", "mss.option.received.deflated"])

    def test_nothing_to_compare_with(self):
        self.assertEqual(self.conditions(flow(1460, None)), ["mss.connectivity.online", "mss.option.remote.value:1460"])

    def test_no_response_no_values(self):
        for state, synack in ((CONN_TIMEOUT, None), (CONN_FAILED, TCP_RST | TCP_ACK)):
            self.assertEqual(self.conditions(flow(None, state=state, synack=synack)), ["mss.connectivity.offline"])

    def test_a_server_that_accepts_and_then_fails_has_told_its_value(self):
        self.assertIn("mss.option.received.unchanged", self.conditions(flow(1460, state=CONN_FAILED)))

    def test_up_without_a_syn_ack_was_not_observed(self):
        self.assertEqual(self.conditions(flow(None, synack=None)), ["pathspider.not_observed"])
