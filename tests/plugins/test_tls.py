"""The plugin for ClientHellos: what it sends, and its verdicts. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest

from pathspider.conditions import ECN_SWITCHED, NOT_OBSERVED
from pathspider.plugins.tls import HELLOS, NOT_AS_SENT, TLS, hellos, large, left_as_sent, plain, records
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT


def spider(*arguments):
    """The plugin in a run without packets."""
    parser = argparse.ArgumentParser()
    TLS.register_args(parser.add_subparsers())
    args = parser.parse_args(["tls", *arguments])
    args.source = ("192.0.2.1", None)
    return TLS(1, "int:lo", args)


def flow(hello, answer="server_hello", **others):
    """The flow of a connection that was answered so."""
    asked = answer != "no_connection"
    state = CONN_OK if answer == "server_hello" else CONN_TIMEOUT if answer == "none" else CONN_FAILED
    return {"spdr_state": state, "observed": True, "tls_hello": hello, "tls_answer": answer, "tcp_synflags_fwd": 2,
            "tcp_connected": asked, "tls_segments": "1300,505", "segments_fwd": "1300,505" if asked else None,
            "segments_rev": "16030300" if asked and answer not in ("reset", "closed", "none") else None, **others}


class TestVerdicts(unittest.TestCase):
    def judged(self, *answers):
        return spider().combine_flows([flow(*one) if isinstance(one, tuple) else flow(name, one)
                                       for name, one in zip(("plain", *HELLOS), answers, strict=True)])

    def test_each(self):
        self.assertEqual(self.judged("server_hello", "alert:40", "server_hello", "reset"), [
            "tls.plain.answer.server_hello", "tls.ech.connectivity.broken", "tls.ech.answer.alert:40",
            "tls.large.connectivity.works", "tls.large.answer.server_hello", "tls.records.connectivity.broken",
            "tls.records.answer.reset"])

    def test_baselines_that_fail(self):
        for answer in ("alert:70", "none", "closed", "other", "no_connection"):
            self.assertEqual(self.judged(answer, "none", "server_hello", "no_connection"), [
                f"tls.plain.answer.{answer}", "tls.ech.connectivity.offline", "tls.ech.answer.none",
                "tls.large.connectivity.transient", "tls.large.answer.server_hello",
                "tls.records.connectivity.offline", "tls.records.answer.no_connection"])

    def test_where_on_the_path(self):
        """Which connections are compared, and what answers a probe's data."""
        plugin, flows = spider(), [flow(name) for name in ("plain", *HELLOS)]
        for name, place in (("tls.ech", 1), ("tls.large", 2), ("tls.records", 3)):
            self.assertEqual(plugin.compared(name, flows), (flows[0], flows[place]))
        hello = b"\x16\3\3\0\x2a\2\0\0\x26\3\3" + bytes(36)
        for octets, is_one in ((hello, True), (hello[:-1], None), (b"\x15\3\3\0\2\2\x28", False),
                               (b"HTTP/1.1 400", False), (b"\x15\3\3\0\2\1\x70", None)):
            self.assertIs(plugin.is_answer(octets), is_one, octets)

    def test_where_nobody_saw_it_there_is_no_word(self):
        self.assertEqual(self.judged("server_hello", "none", "no_connection", "no_connection")[1:], [
            "tls.ech.connectivity.broken", "tls.ech.answer.none", "tls.large.answer.no_connection",
            "tls.records.answer.no_connection"])

    def test_reset_before_anything_left(self):
        flows = [flow("plain"), flow("ech", "reset", tls_segments="", segments_fwd=None)]
        plugin = spider("--hellos", "ech")
        self.assertEqual(plugin.combine_flows(flows), ["tls.plain.answer.server_hello", "tls.ech.answer.reset"])
        flows[0] |= flow("plain", "reset", tls_segments="", segments_fwd=None)
        self.assertEqual(plugin.combine_flows(flows),
                         ["tls.plain.answer.reset", "tls.ech.connectivity.offline", "tls.ech.answer.reset"])

    def test_reset_right_behind_the_handshake(self):
        """Whether the kernel told of it as it connected, or a moment later, is chance."""
        for state, connected, word in ((CONN_FAILED, True, "reset"), (CONN_FAILED, False, "no_connection"),
                                       (CONN_TIMEOUT, True, "no_connection")):
            flows = [flow("plain"), flow("ech", "no_connection", spdr_state=state, tcp_connected=connected,
                                         tls_segments="")]
            self.assertEqual(spider("--hellos", "ech").combine_flows(flows),
                             ["tls.plain.answer.server_hello", f"tls.ech.answer.{word}"])

    def test_what_was_not_seen(self):
        plugin = spider("--hellos", "ech")
        for others in ({"observed": False}, {"segments_fwd": None}, {"segments_rev": None}):
            self.assertEqual(plugin.combine_flows([flow("plain"), flow("ech", **others)]), [NOT_OBSERVED])
        self.assertEqual(plugin.combine_flows([flow("plain"), flow("ech", "alert:1", segments_rev=None)]),
                         [NOT_OBSERVED])

    def test_other_segments_than_were_meant(self):
        found = spider("--hellos", "large").combine_flows([flow("plain"), flow("large", segments_fwd="1805")])
        self.assertEqual(found, [NOT_AS_SENT])
        for meant, seen, same in (("1300,505", "1300,505", True), ("1300,505", "536,536,228,505", True),
                                  ("1300", "1300", True), ("1300,505", "1300", False), ("1300", "1300,505", False),
                                  ("1300,505", "1448,357", False), ("297", "297", True)):
            self.assertIs(left_as_sent(meant, seen), same)
        self.assertTrue(left_as_sent("1300,505", "1300", whole=False))
        self.assertFalse(left_as_sent("1300,505", "1805", whole=False))

    def test_answers_before_all_had_left(self):
        """What answers the first segment may leave no window for the second one; silence and a ServerHello cannot."""
        plugin = spider("--hellos", "large")
        for answer in ("alert:40", "incomplete", "other", "reset", "closed"):
            self.assertEqual(plugin.combine_flows([flow("plain"), flow("large", answer, segments_fwd="1300")]), [
                "tls.plain.answer.server_hello", "tls.large.connectivity.broken", f"tls.large.answer.{answer}"])
        for answer in ("server_hello", "none"):
            found = plugin.combine_flows([flow("plain"), flow("large", answer, segments_fwd="1300")])
            self.assertEqual(found, [NOT_AS_SENT])

    def test_syns_that_ask_for_ecn(self):
        flows = [flow("plain"), flow("ech", "none", tcp_synflags_fwd=0xC2)]
        self.assertEqual(spider("--hellos", "ech").combine_flows(flows), [ECN_SWITCHED])


class TestHellos(unittest.TestCase):
    def test_parts(self):
        self.assertEqual(len(plain("a.example")), 1)
        self.assertEqual([len(part) for part in large("a.example")], [1300, 505])
        begun, rest = records("a.example")
        self.assertEqual((len(begun), len(rest)), (1300, 510))
        for part in (begun, rest):
            self.assertEqual((part[0], int.from_bytes(part[3:5])), (22, len(part) - 5))

    def test_options(self):
        self.assertEqual(spider().plan(), [0, 1, 2, 3])
        self.assertEqual(spider("--hellos", "large,large").plan(), [0, 1])
        self.assertEqual(spider().default_port(), 443)
        for text in ("", "plain", "ech,"):
            with self.assertRaises(argparse.ArgumentTypeError):
                hellos(text)

    def test_a_name_that_cannot_be(self):
        done = spider().perform({"dip": "192.0.2.2", "dp": 443, "domain": "a..b"}, 0)
        self.assertEqual((done["spdr_state"], done["local_error"]), (CONN_SKIPPED, "bad_domain"))


if __name__ == "__main__":
    unittest.main()
