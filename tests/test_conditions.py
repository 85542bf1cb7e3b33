"""Shared verdicts."""

import unittest
from itertools import product

from pathspider import conditions
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT


class TestConditions(unittest.TestCase):
    def test_connectivity(self):
        table = {(True, True): "works", (True, False): "broken", (False, True): "transient", (False, False): "offline"}
        for (baseline, experiment), verdict in table.items():
            self.assertEqual(conditions.connectivity("x", baseline, experiment), f"x.connectivity.{verdict}")

    def test_a_handshake_without_an_answer(self):
        up = {"spdr_state": CONN_OK, "tcp_connected": True, "tcp_rst_rev": False}
        late, unmade = up | {"spdr_state": CONN_TIMEOUT}, up | {"spdr_state": CONN_TIMEOUT, "tcp_connected": False}
        closed, reset = up | {"spdr_state": CONN_FAILED}, up | {"spdr_state": CONN_FAILED, "tcp_rst_rev": True}
        for baseline, experiment, doubtful in (
            (up, late, True), (up, closed, True), (up, unmade, False), (up, reset, False), (up, up, False),
            (late, late, False), (late, up, False), (unmade, late, False),
        ):
            with self.subTest(baseline=baseline, experiment=experiment):
                found = conditions.handshake("x", baseline, experiment)
                self.assertEqual(found, ["x.handshake.works"] if doubtful else [])
        self.assertEqual([*conditions.handshake_conditions("x")], ["x.handshake.works"])

    def test_why_a_record_is_unfinished(self):
        for found, reason in ((["pathspider.local_error:EMFILE", "pathspider.local_error:EPERM"], "EMFILE"),
                              (["pathspider.not_observed", "pathspider.local_error:capture_lost_packets"],
                               "capture_lost_packets"),
                              (["pathspider.not_observed", "pathspider.missed_flows:1"], "not_observed"),
                              (["ecn.connectivity.broken", "pathspider.unconfirmed"], "unconfirmed"),
                              (["ecn.connectivity.broken", "pathspider.unlocated"], "unlocated"),
                              (["dnsresolv.unresolved:timeout"], "unresolved:timeout"), ([], "")):
            self.assertEqual(conditions.unfinished_reason({"conditions": found}), reason)
        self.assertEqual(conditions.unfinished_reason({}), "")

    def test_local_errors_once_each(self):
        connections = [
            {"spdr_state": CONN_SKIPPED, "local_error": "EMFILE"},
            {"spdr_state": CONN_OK},
            {"spdr_state": CONN_SKIPPED, "local_error": "EMFILE"},
        ]
        self.assertEqual(conditions.local_errors(connections), ["pathspider.local_error:EMFILE"])
        self.assertEqual(conditions.skipped(connections), [])

    def test_skipped(self):
        connections = [{"spdr_state": CONN_SKIPPED, "skipped": "no_evil_bit_in_ipv6"}, {"spdr_state": CONN_FAILED}]
        self.assertEqual(conditions.skipped(connections), ["pathspider.skipped:no_evil_bit_in_ipv6"])

    def test_matches(self):
        self.assertTrue(conditions.matches("dscp.46.replymark:0", "dscp.<codepoint>.replymark:<codepoint>"))
        self.assertTrue(conditions.matches("ecn.connectivity.works", "ecn.connectivity.works"))
        for condition in (
            "dscp.46.replymark:",
            "dscp.x.replymark:0",
            "dscp.46.replymark:0.5",
            "ecnXconnectivity.works",
        ):
            for documented in ("dscp.<codepoint>.replymark:<codepoint>", "ecn.connectivity.works"):
                self.assertFalse(conditions.matches(condition, documented))

    def test_values(self):
        self.assertEqual(conditions.values("x.264.y:10.0", "x.<octets>.y:<a>.<b>"), [("octets", "264"), ("a", "10"),
                                                                                  ("b", "0")])
        self.assertEqual(conditions.values("x.y", "x.y"), [])
        self.assertIsNone(conditions.values("x.z", "x.y"))
        self.assertEqual(conditions.values("x.blue", "x.<colour>", {"colour": "(r)ed|(b)lue"}), [("colour", "blue")])

    def test_matches_words_where_no_number_is_meant(self):
        for condition in ("pathspider.local_error:ENETUNREACH", "pathspider.local_error:errno 513"):
            self.assertTrue(conditions.matches(condition, "pathspider.local_error:<errno>"))
        self.assertTrue(conditions.matches("x.code:refused", "x.code:<rcode>", {"rcode": "[a-z0-9]+"}))
        self.assertTrue(conditions.matches("x.code:refused", "x.code:<rcode>"))
        self.assertFalse(conditions.matches("x.code:403", "x.code:<rcode>"))
        self.assertFalse(conditions.matches("x.code:refused", "x.code:<number>"))
        self.assertTrue(conditions.matches("x.blue.y", "x.<colour>.y", {"colour": "red|blue"}))
        self.assertFalse(conditions.matches("x.red", "x.<colour>.y", {"colour": "red|blue"}))
        self.assertFalse(conditions.matches("pathspider.local_error:bad_dip", "pathspider.local_error:<errno>"))

    def test_connectivity_conditions_are_what_connectivity_says(self):
        said = {conditions.connectivity("x", *ends) for ends in product((True, False), repeat=2)}
        self.assertEqual(said, set(conditions.connectivity_conditions("x")))

    def test_responses_that_differ(self):
        works, other = "x.46.connectivity.works", "x.option.seen"
        for one, two, found, expected in (
            ({"http_status": 200}, {"http_status": 403}, [works, other],
             [works, other, "x.46.response.differs:200:403"]),
            ({"http_status": 503}, {"http_status": 200}, [works], [works, "x.46.response.differs:503:200"]),
            ({"http_status": 301}, {"http_status": 302}, [works], [works]),
            ({"http_status": 200}, {}, [works], [works]),
            ({"http_status": 200}, {"http_status": 403}, ["x.connectivity.broken"], ["x.connectivity.broken"]),
            ({"http_status": 200}, {"http_status": 403}, [other], [other]),
            ({"dns_rcode": 0}, {"dns_rcode": 1}, [works, other], ["x.46.response.differs:noerror:formerr", other]),
            ({"dns_rcode": 5}, {"dns_rcode": 0}, [works], ["x.46.response.differs:refused:noerror"]),
            ({"dns_rcode": 0}, {"dns_rcode": 15}, [works], ["x.46.response.differs:noerror:rcode15"]),
            ({"dns_rcode": 3}, {"dns_rcode": 3}, [works], [works]),
            ({"dns_rcode": 0}, {}, ["x.connectivity.broken"], ["x.connectivity.broken"]),
            # a job's own key is no response
            ({"http_status": "200", "dns_rcode": 0}, {"http_status": "200", "dns_rcode": 2}, [works],
             ["x.46.response.differs:noerror:servfail"]),
        ):
            with self.subTest(one=one, two=two, found=found):
                self.assertEqual(conditions.with_responses(found, [one, two]), expected)
                # a third connection between them has no say
                self.assertEqual(conditions.with_responses(found, [one, {"http_status": 500}, two]), expected)

    def test_what_is_declared_is_what_is_said(self):
        for modes, said in ((["tcp", "https"], "x.response.differs:200:403"),
                            (["dnsudp"], "x.response.differs:noerror:rcode15")):
            declared = conditions.response_conditions("x", modes)
            self.assertTrue(any(conditions.matches(said, one) for one in declared), declared)
            self.assertEqual(len(declared), 1)
        self.assertEqual(conditions.response_conditions("x", ["tcp"]), {})
        self.assertEqual(len(conditions.response_conditions("x", ["http", "dnstcp"])), 2)

    def test_missed_flows(self):
        for found, count, expected in (
            ([], 0, []),
            (["x.y"], 0, ["x.y"]),
            ([], 2, ["pathspider.not_observed", "pathspider.missed_flows:2"]),
            (["x.y"], 1, ["x.y", "pathspider.missed_flows:1"]),
        ):
            self.assertEqual(conditions.missed_flows(found, count), expected)

    def test_all_observed(self):
        seen, missed = {"observed": True}, {"observed": False}
        for flows, expected in (([], True), ([seen, {}], True), ([seen, missed], False)):
            self.assertIs(conditions.all_observed(flows), expected)


class TestUnfinished(unittest.TestCase):
    def test_what_a_second_try_could_tell(self):
        for found, expected in (
                (["pathspider.not_measured"], True), (["pathspider.local_error:paused"], True),
                (["pathspider.not_observed", "pathspider.missed_flows:2"], True),
                (["pathspider.not_observed"], False), (["x.connectivity.works", "pathspider.missed_flows:1"], False),
                (["pathspider.blocklisted"], False), ([], False)):
            self.assertEqual(conditions.is_unfinished({"conditions": found}), expected, found)
