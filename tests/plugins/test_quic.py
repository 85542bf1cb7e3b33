"""The plugin for QUIC: its verdicts. What it sends is in tests/helpers/test_quic.py, its paths in tests/lab."""

import argparse
import unittest
from unittest import mock

from pathspider.conditions import ECN_SWITCHED, NOT_OBSERVED
from pathspider.helpers.optional import MissingError
from pathspider.plugins.quic import NOT_AS_SENT, QUIC, tells_of_h3
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT

SPINS = "00,11,00,11,00,11,00,11"


def spider(*arguments):
    """The plugin in a run without packets."""
    parser = argparse.ArgumentParser()
    QUIC.register_args(parser.add_subparsers())
    args = parser.parse_args(["quic", *arguments])
    args.source = ("192.0.2.1", None)
    return QUIC(1, "int:lo", args)


def over_tcp(state=CONN_OK, **others):
    return {"spdr_state": state, "observed": True, "tcp_connected": state == CONN_OK, "tcp_synflags_fwd": 2,
            **({"quic_alt_svc": True} if state == CONN_OK else {}), **others}


def over_quic(answer="response", **others):
    """The flow of a connection that was answered so."""
    state = CONN_OK if answer == "response" else CONN_TIMEOUT if answer in ("none", "handshake") else CONN_FAILED
    flow = {"spdr_state": state, "observed": True, "quic_answer": answer, "quic_version_fwd": 1, "quic_ect0_fwd": 0,
            "quic_ect1_fwd": 0, "quic_ce_fwd": 0, "quic_version_rev": None if answer in ("none", "icmp") else 1}
    if answer == "response":
        flow |= {"quic_version": 1, "quic_marked": 10, "quic_marked_acked": 10, "quic_counts": [10, 0, 0],
                 "quic_spins": SPINS, "quic_ect0_fwd": 10}
    return {**flow, **others}


class TestVerdicts(unittest.TestCase):
    def judged(self, experiment, baseline=None):
        return spider().combine_flows([baseline or over_tcp(), experiment])

    def test_all_well(self):
        self.assertEqual(self.judged(over_quic()), [
            "quic.connectivity.works", "quic.answer.response", "quic.alt_svc.h3", "quic.version:1",
            "quic.ecn.validates", "quic.spin.used"])
        self.assertEqual(self.judged(over_quic(), over_tcp(CONN_TIMEOUT)), [
            "quic.connectivity.transient", "quic.answer.response", "quic.version:1", "quic.ecn.validates",
            "quic.spin.used"])

    def test_what_the_response_over_tcp_tells(self):
        for told, word in ((True, "h3"), (False, "none")):
            self.assertIn(f"quic.alt_svc.{word}", self.judged(over_quic("none"), over_tcp(quic_alt_svc=told)))
        for value, told in (('h3=":443"', True), ('h3-29=":443", h3=":8443"; ma=60', True), ('h3-29=":443"', False),
                            ("clear", False), ('h2="a.example:443"', False), ('h2=":443",h3 = ":443"', True)):
            self.assertIs(tells_of_h3([("server", "x"), ("alt-svc", value)]), told, value)
        self.assertIs(tells_of_h3([("link", 'h3=":443"')]), False)

    def test_what_does_not_come_up(self):
        for answer in ("none", "icmp", "other_version", "unusable", "handshake", "closed:0x178"):
            self.assertEqual(self.judged(over_quic(answer)), ["quic.connectivity.broken", f"quic.answer.{answer}",
                                                              "quic.alt_svc.h3"])
            self.assertEqual(self.judged(over_quic(answer), over_tcp(CONN_FAILED))[0], "quic.connectivity.offline")

    def test_versions(self):
        for version, word in ((1, "1"), (0x6B3343CF, "2"), (0xFF00001D, "0xff00001d")):
            self.assertIn(f"quic.version:{word}", self.judged(over_quic(quic_version=version)))

    def test_counts(self):
        for counts, word in (([10, 0, 0], "validates"), ([7, 0, 3], "validates"), ([12, 0, 0], "validates"),
                             ([9, 0, 0], "undercount"), ([0, 0, 0], "undercount"), ([0, 0, 9], "undercount"),
                             ([0, 0, 10], "all_ce"), ([0, 10, 0], "remarked"), ([9, 1, 0], "remarked"),
                             (None, "no_mirroring")):
            with self.subTest(counts):
                self.assertIn(f"quic.ecn.{word}", self.judged(over_quic(quic_counts=counts)))

    def test_marks_that_are_not_acknowledged(self):
        for unmarked, word in (({"quic_unmarked_acked": True}, "broken"), ({"quic_unmarked_acked": False}, "unclear"),
                               ({}, "unclear")):
            found = self.judged(over_quic(quic_marked_acked=0, quic_counts=None, **unmarked))
            self.assertIn(f"quic.ecn.{word}", found)
            self.assertEqual(found[0], "quic.connectivity.works")
        flow = over_quic(quic_ect0_fwd=0)
        del flow["quic_marked"]  # the handshake was never confirmed
        self.assertNotIn("quic.ecn.", " ".join(self.judged(flow)))

    def test_spin(self):
        for spins, word in ((SPINS, "used"), ("10," * 8, "unused"), ("01," * 8, "unused"), ("00," * 8, "unused"),
                            (SPINS[:-1] + "0", "unused")):
            with self.subTest(spins):
                self.assertIn(f"quic.spin.{word}", self.judged(over_quic(quic_spins=spins)))
        for spins in ("", "00,11,00,11,00,11,00"):
            self.assertNotIn("quic.spin.", " ".join(self.judged(over_quic(quic_spins=spins))))

    def test_what_was_not_seen(self):
        for experiment, baseline in ((over_quic(observed=False), over_tcp()), (over_quic(), over_tcp(observed=False)),
                                     (over_quic(quic_version_rev=None), over_tcp()),
                                     (over_quic("none", quic_version_fwd=None), over_tcp()),
                                     (over_quic(quic_ect0_fwd=9), over_tcp()),
                                     (over_quic(), over_tcp(tcp_connected=False))):
            self.assertEqual(self.judged(experiment, baseline), [NOT_OBSERVED])

    def test_marks_that_did_not_leave_so(self):
        for others in ({"quic_ect0_fwd": 0}, {"quic_ect0_fwd": 11}, {"quic_ce_fwd": 1}, {"quic_ect1_fwd": 1}):
            self.assertEqual(self.judged(over_quic(**others)), [NOT_AS_SENT])

    def test_syns_that_ask_for_ecn(self):
        self.assertEqual(self.judged(over_quic(), over_tcp(CONN_TIMEOUT, tcp_synflags_fwd=0xC2)), [ECN_SWITCHED])


class TestPlugin(unittest.TestCase):
    def test_what_is_to_be_confirmed(self):
        found = ["quic.connectivity.works", "quic.ecn.broken", "quic.ecn.undercount", "quic.connectivity.broken"]
        self.assertEqual(spider().suspicious(found), ["quic.ecn.broken", "quic.connectivity.broken"])

    def test_without_aioquic(self):
        with mock.patch("pathspider.helpers.optional.has_aioquic", return_value=False), \
                self.assertRaisesRegex(MissingError, "the plugin quic needs .*aioquic"):
            QUIC.require(argparse.Namespace(connect="https"))

    def test_a_name_that_cannot_be(self):
        with mock.patch("pathspider.helpers.quic.require_aioquic"), \
                mock.patch.dict("sys.modules", {"pathspider.helpers.quic_connection": mock.Mock()}):
            done = spider().perform({"dip": "192.0.2.2", "dp": 443, "domain": "a..b"}, 1)
        self.assertEqual((done["spdr_state"], done["local_error"]), (CONN_SKIPPED, "bad_domain"))
        self.assertEqual(spider().default_port(), 443)


if __name__ == "__main__":
    unittest.main()
