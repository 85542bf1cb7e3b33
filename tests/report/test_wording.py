"""Questions and features in words."""

import re
import unittest

from pathspider.installed import available_plugins
from pathspider.report.wording import chance, feature, heading, headline, name_of, rank, title
from tests.report.records import record, report_of


class TestWording(unittest.TestCase):
    def test_every_condition_of_every_plugin_has_a_question(self):
        for plugin in available_plugins():
            found = [re.sub("<[a-z]+>", "46", one) for one in plugin.conditions if not one.startswith("pathspider.")]
            with report_of(a=[record("192.0.2.1", *found)]) as report:
                for question in report.questions(plugin.name):
                    self.assertTrue(heading(question).endswith("?"), question)
                    self.assertNotIn("<", heading(question))

    def test_every_plugin_that_may_find_something_broken_says_what(self):
        for plugin in available_plugins():
            if any(one.endswith(".connectivity.broken") for one in plugin.conditions):
                self.assertTrue(plugin.feature, plugin.name)

    def test_every_experiment_of_every_plugin_has_words_or_a_number(self):
        for plugin in available_plugins():
            for condition in plugin.conditions:
                name, found, _ = condition.rpartition(".connectivity.broken")
                if found:
                    said = feature(re.sub("<[a-z]+>", "46", name))
                    self.assertNotRegex(said, r"[<>]| \([a-z_.0-9]+\)$", name)

    def test_features(self):
        self.assertEqual([feature(one) for one in
                          ("ecn", "dscp.46", "tcpopt.253", "tls.ech", "accecn.ect0", "mine.and.yours")],
                         ["Asking for ECN", "DSCP 46", "TCP option 253",
                          "A TLS ClientHello with encrypted ClientHello (GREASE)",
                          "Asking for accurate ECN with ECT(0) on the SYN", "mine (and.yours)"])
        self.assertEqual([feature(one) for one in ("tls.unheard_of", "ipv6eh.hopbyhop.264", "ipv6eh.hopbyhop.x")],
                         ["A TLS ClientHello (unheard_of)", "An IPv6 hop-by-hop header of 264 octets",
                          "An IPv6 extension header (hopbyhop.x)"])
        self.assertEqual([heading(one) for one in ("tcpopt.253.option", "tls.ech.answer", "accecn.ect0.negotiation")],
                         ["Does the SYN-ACK have the option, too?",
                          "What answers a TLS ClientHello with encrypted ClientHello (GREASE)?",
                          "Is accurate ECN negotiated by a SYN with ECT(0)?"])
        self.assertEqual(heading("dscp.46.connectivity (baseline up, confirmed)"),
                         "Does DSCP 46 break a connection that works without it?")
        self.assertEqual(heading("ecn.negotiation"), "Is ECN negotiated?")
        self.assertEqual(heading("dscp.46.replymark"), "Which codepoint do replies carry?")
        self.assertEqual(heading("tfo.hop"), "Where on the path?")
        self.assertEqual(heading("mine.of_all.things"), "mine: of all things?")
        self.assertEqual((title("ecn"), title("mine")), ("Explicit Congestion Notification", "mine"))
        self.assertEqual(name_of("dscp.46.connectivity (confirmed)"), "dscp.46")

    def test_what_is_told_of_first(self):
        self.assertEqual(headline("mss", ["mss.connectivity", "mss.option.received"]), "mss.option.received")
        self.assertEqual(headline("mine", ["mine.a", "mine.b"]), "mine.a")
        self.assertLess(rank("mss.option.received"), rank("mss.connectivity"))
        self.assertEqual(rank("mine.a"), 0)

    def test_chance(self):
        self.assertEqual([chance(value) for value in (1.0, 0.0432, 0.001, 0.0009, 2e-10, 0.0)],
                         ["p = 1", "p = 0.043", "p = 0.001", "p < 10⁻³", "p < 10⁻⁹", "p < 10⁻¹²"])
