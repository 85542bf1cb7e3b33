"""From connections and flows to a record."""

import unittest

from pathspider.run.judge import first_packet, path_to, timestamp


class TestParts(unittest.TestCase):
    def test_first_packet(self):
        flows = [{"pkt_first": 7.5}, None, {"pkt_first": 5.25}, {"pkt_first": None}, {}]
        self.assertEqual(first_packet(flows, 1.0), 5.25)
        self.assertEqual(first_packet([None], 1.0), 1.0)

    def test_path(self):
        source = (["192.0.2.1"], ["2001:db8::1"])
        self.assertEqual(path_to({"dip": "192.0.2.9"}, source), ["192.0.2.1", "*", "192.0.2.9"])
        self.assertEqual(path_to({"dip": "2001:db8::9"}, source), ["2001:db8::1", "*", "2001:db8::9"])
        for known in (
            {"dip_asn": 64496},
            {"dip_asn": "AS64496"},
            {"dip_asn": 64496.0},
            {"info": {"ASN": "64496"}},
            {"canid_info": {"ASN": 64496}},
        ):
            self.assertEqual(path_to({"dip": "192.0.2.9", **known}, source), ["192.0.2.1", "*", "AS64496", "192.0.2.9"])
        for unknown in (*({"dip_asn": value} for value in (None, "x", 64496.5, float("inf"))), {"info": "x"},
                        {"canid_info": {}}):
            self.assertEqual(len(path_to({"dip": "192.0.2.9", **unknown}, source)), 3)
        looked_up = (["203.0.113.1", "AS64499"], [None])
        self.assertEqual(path_to({"dip": "192.0.2.9", "dip_asn": 64496}, looked_up),
                         ["203.0.113.1", "AS64499", "*", "AS64496", "192.0.2.9"])
        self.assertEqual(path_to({"dip": "2001:db8::9"}, looked_up), [None, "*", "2001:db8::9"])

    def test_timestamp(self):
        self.assertEqual(timestamp(0.25), "1970-01-01 00:00:00.250000")
