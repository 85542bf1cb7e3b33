import unittest

from pathspider.campaign.multipoint import Comparison, table, verdicts


def record(number, *conditions, **more):
    return {"dip": f"192.0.2.{number}", "dp": 80, "conditions": [*conditions], **more}


WORKS, BROKEN = "ecn.connectivity.works", "ecn.connectivity.broken"


class TestComparison(unittest.TestCase):
    def test_three_vantage_points(self):
        comparison = Comparison()
        comparison.add("a", [record(1, WORKS), record(2, BROKEN, dip_asn=64496), record(3, BROKEN), record(4, WORKS),
                             record(5, "ecn.connectivity.offline"), record(6, BROKEN)])
        comparison.add("b", [record(1, WORKS), record(2, WORKS, dip_asn=64496), record(3, BROKEN),
                             record(4, "pathspider.not_observed"), record(5, WORKS),
                             record(6, BROKEN, "ecn.stable.connectivity.works")])
        comparison.add("c", [record(1, "tfo.connectivity.broken")])
        found = comparison.features()
        self.assertEqual([*found], ["ecn"])  # of tfo one alone has a word
        ecn = found["ecn"]
        self.assertEqual((ecn.works, ecn.broken, ecn.path_dependent, ecn.by_as), (1, 1, 2, {"AS64496": 1}))
        self.assertEqual([*comparison.path_dependent()], [
            {"dip": "192.0.2.2", "dp": 80, "feature": "ecn", "multipoint": "path_dependent",
             "vantages": {"a": "broken", "b": "works"}},
            {"dip": "192.0.2.6", "dp": 80, "feature": "ecn", "multipoint": "path_dependent",
             "vantages": {"a": "broken", "b": "works"}}])
        self.assertIn("AS64496 (1)", table(found))

    def test_the_stable_word_counts(self):
        self.assertEqual([*verdicts([BROKEN, "ecn.stable.connectivity.unstable"])], [])
        self.assertEqual([*verdicts(["ecn.stable.connectivity.works", BROKEN])], [("ecn", "works")])
        self.assertEqual([*verdicts(["ecn.connectivity.transient", "ecn.negotiation.success"])], [])
