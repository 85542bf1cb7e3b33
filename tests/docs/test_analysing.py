"""The examples of the page on analysing do what it says, with DuckDB and pandas as they are."""

import contextlib
import doctest
import tempfile
import unittest
from pathlib import Path

from pathspider.export.columns import Rows
from pathspider.export.tables import as_parquet
from pathspider.report.statistics import wilson
from tests.export.optional import with_analysis
from tests.report.records import BROKEN, WORKS, record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "analysing.rst"
ASKED, REFUSED = "ecn.negotiation.succeeded", "ecn.negotiation.failed"
MONDAY = [
    record("192.0.2.1", WORKS, ASKED, dip_asn=64500), record("192.0.2.2", WORKS, ASKED, dip_asn=64501),
    record("192.0.2.3", WORKS, REFUSED, dip_asn=64501), record("192.0.2.4", BROKEN, dip_asn="AS64500", minute=1),
    record("192.0.2.5", "ecn.connectivity.offline", minute=1), record("2001:db8::1", WORKS, ASKED, minute=1),
    record("2001:db8::2", BROKEN, info={"ASN": 64500}, minute=1),
    record("192.0.2.6", "pathspider.not_observed", "pathspider.missed_flows:1", minute=1)]
TUESDAY = [
    record("192.0.2.1", WORKS, ASKED), record("192.0.2.3", BROKEN), record("192.0.2.4", WORKS, REFUSED),
    record("192.0.2.6", WORKS, ASKED), record("192.0.2.99", BROKEN)]


@unittest.skipUnless(PAGE.is_file(), "needs the checkout")
@with_analysis
class TestPage(unittest.TestCase):
    def test_examples(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for name, records in (("monday", MONDAY), ("tuesday", TUESDAY)):
                with Rows() as rows, Path(f"{name}.parquet").open("wb") as stream:
                    for one in records:
                        rows.add(one)
                    as_parquet(rows, stream)
            result = doctest.testfile(str(PAGE), module_relative=False)
        self.assertEqual(result.failed, 0)
        self.assertGreater(result.attempted, 18)

    def test_the_interval_is_that_of_the_report(self):
        share = wilson(2, 6)
        self.assertIn(f"[(2, 6, {round(share.low, 3)}, {round(share.high, 3)})]", PAGE.read_text(encoding="utf-8"))
