"""Which part of a condition is the question."""

import unittest

from pathspider.report.questions import natural_key, parse, verdict


class TestQuestions(unittest.TestCase):
    def test_parse(self):
        for condition, question, answer, plugin in (
            ("ecn.connectivity.works", "ecn.connectivity", "works", "ecn"),
            ("ecn.ipmark.ect0.not_seen", "ecn.ipmark.ect0", "not_seen", "ecn"),
            ("dscp.46.replymark:0", "dscp.46.replymark", "0", "dscp"),
            ("mss.option.local.value:1460", "mss.option.local.value", "1460", "mss"),
            ("dnsresolv.unresolved:nxdomain", "dnsresolv.unresolved", "nxdomain", "dnsresolv"),
            ("ecn.hop.changed:3-4", "ecn.hop", "changed:3-4", "ecn"),
            ("dscp.46.hop.reverse_or_target", "dscp.46.hop", "reverse_or_target", "dscp"),
            ("ecn.hop.dropped:4-5", "ecn.hop", "dropped:4-5", "ecn"),
            ("dscp.46.hop.not_located:no_answer", "dscp.46.hop", "not_located:no_answer", "dscp"),
            ("tls.ech.answer.server_hello", "tls.ech.answer", "server_hello", "tls"),
            ("tls.ech.answer.alert:40", "tls.ech.answer", "alert:40", "tls"),
            ("l4s.control.ect1.forward.remarked:ect1-ce", "l4s.control.ect1.forward", "remarked:ect1-ce", "l4s"),
            ("quic.answer.closed:h3_0x102", "quic.answer", "closed:h3_0x102", "quic"),
            ("h2.upgrade.failed:http11_required", "h2.upgrade", "failed:http11_required", "h2"),
            ("ecn.response.differs:200:403", "ecn.response.differs", "200:403", "ecn"),
            ("pmtud.mtu:1400", "pmtud.mtu", "1400", "pmtud"),
            ("nobody.has.it:4", "nobody.has.it", "4", "nobody"),
            ("x.hop.", "x.hop", "", "x"),
            ("odd", "", "odd", ""),
            ("x.y:2001:db8::1", "x.y", "2001:db8::1", "x"),
        ):
            found = parse(condition)
            self.assertEqual((found.question, found.answer, found.plugin, found.condition),
                             (question, answer, plugin, condition))

    def test_missed_flows_are_no_reason_of_their_own(self):
        found = verdict(["pathspider.not_observed", "pathspider.missed_flows:2"])
        self.assertEqual(found, ("pathspider.not_observed",))

    def test_numbers_in_their_order(self):
        self.assertEqual(sorted(["v:1460", "v:536", "v:9", "v"], key=natural_key), ["v", "v:9", "v:536", "v:1460"])
        sorted(["1", "a", "", "9" * 40, "²"], key=natural_key)
