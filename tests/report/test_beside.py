"""What stands beside connectivity."""

import unittest

from pathspider.report.beside import beside, is_beside
from tests.report.records import BROKEN, WORKS, record, report_of


class TestBeside(unittest.TestCase):
    def test_of_what_it_is_a_part(self):
        rows = [record("192.0.2.1", WORKS, "ecn.response.differs:200:404"), record("192.0.2.2", WORKS),
                record("192.0.2.3", "ecn.response.differs:noerror:servfail"),  # of DNS, in the place of works
                record("192.0.2.4", BROKEN, "ecn.handshake.works"), record("192.0.2.5", BROKEN),
                record("192.0.2.6", WORKS, "ecn.lossy")]
        with report_of(a=rows) as report:
            found = {one.condition: (one.number, one.total) for one in beside(report, "ecn")}
            self.assertEqual(found, {"ecn.response.differs": (2, 4), "ecn.handshake.works": (1, 2),
                                     "ecn.lossy": (1, 3)})
            (differs,) = (one for one in beside(report, "ecn") if one.condition == "ecn.response.differs")
            self.assertEqual(dict(differs.values), {"200:404": 1, "noerror:servfail": 1})

    def test_upgrades(self):
        rows = [record("192.0.2.1", "h2.connectivity.works", "h2.upgrade.failed:http11_required"),
                record("192.0.2.2", "h2.connectivity.works", "h2.upgrade.failed")]
        with report_of(a=rows) as report:
            (found,) = beside(report, "h2")
            self.assertEqual((found.number, found.total, found.values), (1, 2, []))

    def test_these_have_no_part_of_their_own(self):
        self.assertTrue(all(map(is_beside, ("ecn.response.differs", "ecn", "h2.upgrade.failed", "tfo.handshake"))))
        self.assertFalse(any(map(is_beside, ("ecn.connectivity", "h2.upgrade", "ecn.negotiation"))))
