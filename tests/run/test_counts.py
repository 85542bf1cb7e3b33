"""What a run's records say, in numbers and in a line."""

import unittest

from pathspider.run.counts import MOST_TOLD_APART, Counts


class TestCounts(unittest.TestCase):
    def counts(self, *records):
        counts = Counts()
        for conditions, times in records:
            for _ in range(times):
                counts.add({"dip": "192.0.2.1"} if conditions is None else {"conditions": conditions})
        return counts

    def test_a_line(self):
        counts = self.counts((["ecn.connectivity.works", "ecn.negotiation.succeeded"], 2900),
                             (["ecn.connectivity.broken"], 80),
                             (["pathspider.local_error:overloaded"], 12),
                             (["pathspider.not_observed", "pathspider.missed_flows:1"], 7),
                             (["pathspider.local_error:EMFILE", "pathspider.local_error:EPERM"], 1))
        self.assertEqual(counts.summary(), "3,000 records: 2,900 ecn.connectivity.works, 80 broken; "
                                           "20 without a verdict: 12 overloaded, 7 not_observed, 1 EMFILE")
        self.assertEqual(counts.local_errors, {"overloaded": 12, "EMFILE": 1})
        self.assertEqual(counts.conditions["ecn.negotiation.succeeded"], 2900)
        self.assertEqual(counts.of("pathspider.local_error"), 13)

    def test_each_of_several_experiments(self):
        def record(large, *more):
            return ["tls.plain.answer.server_hello", "tls.ech.connectivity.works", "tls.ech.answer.server_hello",
                    f"tls.large.connectivity.{large}", "tls.large.answer.none", *more]

        counts = self.counts((record("works"), 5), (record("broken", "tls.large.stable.connectivity.broken"), 3),
                             (["tls.plain.answer.no_connection", "tls.ech.connectivity.offline"], 2),
                             (["tls.plain.answer.server_hello"], 1), (["pathspider.not_observed"], 1))
        self.assertEqual(counts.summary(), "12 records: 8 tls.ech.connectivity.works, 2 offline; "
                         "5 tls.large.connectivity.works, 3 broken; 1 tls.plain.answer.server_hello; "
                         "measured again: 3 tls.large.stable.connectivity.broken; 1 without a verdict: 1 not_observed")

    def test_of_many_experiments_those_that_are_broken_most_are_named(self):
        words = ["works"] * 7 + ["broken", "works", "transient"]
        counts = self.counts(([f"x.{number}.connectivity.{word}" for number, word in enumerate(words)], 2))
        self.assertEqual(counts.summary(), "2 records: 2 x.0.connectivity.works; 2 x.1.connectivity.works; "
                         "2 x.2.connectivity.works; 2 x.7.connectivity.broken; "
                         "6 other experiments: 10 works, 2 transient")
        counts = self.counts(([f"x.{number}.connectivity.works" for number in range(5)], 1))
        self.assertEqual(counts.summary().count("x."), 5)

    def test_what_rounds_made_of_suspects(self):
        broken = "ecn.connectivity.broken"
        counts = self.counts(([broken, "ecn.stable.connectivity.broken"], 70),
                             ([broken, "ecn.negotiation.failed", "ecn.stable.connectivity.works", "ecn.lossy"], 7),
                             ([broken, "pathspider.unconfirmed"], 3))
        self.assertEqual(counts.summary(), "80 records: 80 ecn.connectivity.broken; measured again: "
                                           "70 ecn.stable.connectivity.broken, 7 works")

    def test_where_on_the_path(self):
        broken = "ecn.connectivity.broken"
        counts = self.counts(([broken, "ecn.hop.dropped:3-4"], 5), ([broken, "ecn.hop.dropped:4-5"], 2),
                             ([broken, "ecn.hop.not_located:no_answer"], 3), ([broken, "pathspider.unlocated"], 1))
        self.assertEqual(counts.summary(), "11 records: 11 ecn.connectivity.broken; on the path: 7 dropped, "
                                           "3 not_located, 1 unlocated")

    def test_values_are_no_verdicts_of_their_own_and_few_are_named(self):
        counts = self.counts(*(([f"mss.option.local.value:{number}"], 1) for number in range(50)))
        self.assertEqual(counts.summary(), "50 records: 50 mss.option.local.value")
        counts = self.counts(*(([f"x.{number}"], 1) for number in range(10)))
        self.assertEqual(counts.summary(), "10 records: 1 x.0, 1 1, 1 2, 1 3, 1 4, 1 5, 4 of other kinds")

    def test_verdicts_of_several_plugins_are_named_in_full(self):
        self.assertEqual(self.counts((["a.works"], 2), (["b.works"], 1)).summary(), "3 records: 2 a.works, 1 b.works")

    def test_no_conditions_nothing_and_jobs(self):
        self.assertEqual(self.counts(([], 1)).summary(), "1 record: 1 without conditions")
        self.assertEqual(self.counts().summary(), "0 records")
        self.assertEqual(self.counts((None, 5)).summary(), "5 jobs")
        self.assertEqual(self.counts((None, 5), (["dnsresolv.unresolved:nxdomain"], 1)).lines, 6)
        self.assertEqual(self.counts((None, 5), (["dnsresolv.unresolved:nxdomain"], 1)).summary(),
                         "5 jobs; 1 record: 1 dnsresolv.unresolved")

    def test_memory_does_not_grow_with_the_values(self):
        counts = self.counts(*(([f"x.value:{number}"], 1) for number in range(3 * MOST_TOLD_APART)))
        self.assertEqual(len(counts.conditions), MOST_TOLD_APART + 1)
        self.assertEqual(counts.conditions["x.value"], 2 * MOST_TOLD_APART)


if __name__ == "__main__":
    unittest.main()
