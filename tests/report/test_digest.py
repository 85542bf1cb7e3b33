"""What is taken out of records, where they are parsed."""

import json
import unittest

from pathspider.report.digest import digest
from pathspider.targets.problems import identity
from tests.report.records import BROKEN, WORKS, digest_of, record


class TestDigest(unittest.TestCase):
    def test_lines_that_are_no_records_are_named_by_their_place(self):
        lines = [json.dumps(record("192.0.2.1", WORKS)).encode(), b"", b"nonsense", b'{"dip": "\xff"}', b"{}",
                 json.dumps(record("192.0.2.2", BROKEN, WORKS)).encode() + b" \r", b'{"conditions": [1]}']
        found = digest(b"\n".join(lines))
        self.assertEqual(found.records, 2)
        self.assertEqual(found.verdicts, {(WORKS,): 0, (BROKEN, WORKS): 1})
        self.assertEqual([place for place, _ in found.bad], [2, 3, 4, 6])
        for (_, text), what in zip(found.bad, ("not JSON", "not UTF-8", "not a record", "not a record"), strict=True):
            self.assertIn(what, text)

    def test_a_target_is_told_apart_by_its_identity_however_it_is_written(self):
        jobs = [("192.0.2.1", 80, "www.example.com"), ("2001:DB8:0::1", 443, "WWW.example.com."),
                ("192.0.2.1", None, None),
                ("192.0.2.1", True, "a.example"), ("192.0.2.1", 80, ""), ("192.0.2.1", "80", "straße.example"),
                ("2001:db8::g", 80, 'a"b\\'), (7, 80, ["x"]), ("192.0.2.1", 80, "a..b"), ("192.0.2.1", 80, "é" * 400)]
        records = [{**record(dip), "dp": port, "domain": domain} for dip, port, domain in jobs]
        found = digest_of(records)
        self.assertEqual([json.loads(one) for one in found.targets], [identity(one) for one in records])
        self.assertEqual(found.targets, [json.dumps(identity(one)) for one in records])

    def test_each_target_has_its_row(self):
        found = digest_of([record("192.0.2.1", WORKS, dip_asn=64496, info={"country": "de"}),
                           record("192.0.2.2", BROKEN, canid_info={"ASN": "AS64497"}),
                           record(None, WORKS, info={"ASN": 64498}), record("192.0.2.3", WORKS, dip_asn=1 << 32)])
        self.assertEqual((found.numbers, found.ases, found.places), ([0, 1, 0], [64496, 64497, None], ["DE", "", ""]))
        self.assertEqual(found.systems, {(64498, 0): 1})
        self.assertEqual(found.countries, {("DE", 0): 1})
        self.assertEqual(found.versions, {(0, "IPv4"): 2, (1, "IPv4"): 1, (0, "no address"): 1})

    def test_times_that_cannot_be_are_none(self):
        for begun in ("2026-02-29 10:00:00.000000", "2026-02-28 10:00:60.000000", "2026-02-28T10:00:00.000000",
                      "2026-02-28 24:00:00.000000", "2026-02-28 10:00:00", None, 7):
            found = digest_of([{**record("192.0.2.1"), "time": {"from": begun, "to": "2026-02-28 10:00:00.000000"}}])
            self.assertEqual((found.first, found.last, found.times), ("", "", {}), begun)
