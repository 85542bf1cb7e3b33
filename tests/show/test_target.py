"""One target's story, from packets, from flows, and from hostile records."""

import tempfile
import unittest
from pathlib import Path

from pathspider.show.target import Wanted, meaning_of, steps_of, story
from tests.report.records import BROKEN, WORKS, record
from tests.show.evidence import pair

NAME = "192.0/192.0.2.1_80.pcapng"
ROUND = {"order": [1, 0], "states": [1, 0], "tries": [3, 1], "conditions": [BROKEN],
         "time": {"from": "2026-11-22 10:01:00.000000", "to": "2026-11-22 10:01:03.000000"}}
FLOWS = [{"config": 0, "spdr_state": 0, "observed": True, "tcp_synflags_fwd": 2, "tcp_synflags_rev": 18,
          "tcp_fin_fwd": True, "pkt_fwd": 5, "pkt_rev": 4, "oct_fwd": 500, "oct_rev": 400},
         {"config": 1, "spdr_state": 1, "observed": True, "tcp_synflags_fwd": 0xC2, "tcp_synflags_rev": None,
          "evidence_syns_fwd": 3, "evidence_failure": "icmp", "evidence_icmp_type": 3, "evidence_icmp_code": 13,
          "evidence_icmp_from": "10.0.0.1", "error": "Connection timed out"}]


class TestWanted(unittest.TestCase):
    def test_by_address_and_by_name_however_they_are_written(self):
        for text, one, same in (("192.0.2.1", {"dip": "192.0.2.1"}, True), ("192.0.2.1", {"dip": "192.0.2.10"}, False),
                                ("2001:DB8::0:1", {"dip": "2001:db8::1"}, True),
                                ("[2001:db8::1]", {"dip": "2001:db8::1"}, True),
                                ("WWW.example.org.", {"domain": "www.example.org"}, True),
                                ("straße.de", {"domain": "xn--strae-oqa.de"}, True),
                                ("example.org", {"domain": "www.example.org"}, False),
                                ("example.org", {"domain": [1]}, False),
                                ("example.org", {}, False), ("192.0.2.1", {"dip": 7}, False)):
            self.assertEqual(Wanted(text)(one), same, (text, one))


class TestStory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "evidence")
        (self.folder / "192.0").mkdir(parents=True)
        (self.folder / NAME).write_bytes(pair())

    def tell(self, one, evidence=None, width=80):
        return [*story(one, width, evidence)]

    def test_from_packets(self):
        lines = self.tell(record("192.0.2.1", BROKEN, evidence=NAME, rounds=[ROUND], flow_results=FLOWS), self.folder)
        text = "\n".join(lines)
        self.assertEqual(lines[0], "192.0.2.1:80 www.example.com")
        for told in ("  path 203.0.113.1 * 192.0.2.1", "the baseline came up, the experiment did not",
                     "configuration 0 (baseline), first connections: ok; x\n", "|── SYN MSS 1460 ─",
                     "|◀── SYN ACK, ECT(0) ─", "|── SYN ECE CWR ─",
                     "  round 1  10:01:00  experiment timeout after 3 tries, baseline ok\n           " + BROKEN):
            self.assertIn(told, text)
        self.assertLess(text.index("round 1"), text.index("Packets"))
        self.assertNotIn("it came as far as", text)

    def test_from_flows_where_packets_are_not_there(self):
        text = "\n".join(self.tell(record("192.0.2.1", BROKEN, evidence="192.0/none.pcapng", flow_results=FLOWS),
                                   self.folder))
        for told in ("No such file", "configuration 0 (baseline): ok\n"
                     "  to the target    SYN\n  from the target  SYN ACK\n",
                     "configuration 1 (experiment): timeout (Connection timed out)\n"
                     "  to the target    SYN ECE CWR, 3 times\n",
                     "5 packets (500 octets) to the target, 4 (400 octets) from it", "it came as far as: icmp",
                     "ICMP type 3 code 13 from 10.0.0.1"):
            self.assertIn(told, text)

    def test_evidence_outside_its_folder_is_not_read(self):
        (self.folder.parent / "x.pcapng").write_bytes(pair())
        text = "\n".join(self.tell(record("192.0.2.1", BROKEN, evidence="../x.pcapng"), self.folder))
        self.assertIn("leads out of the folder", text)
        self.assertNotIn("SYN", text)

    def test_without_a_folder_it_says_what_to_do(self):
        self.assertIn(f"Packets are in {NAME}; --evidence DIR names that file's folder",
                      self.tell(record("192.0.2.1", BROKEN, evidence=NAME)))

    def test_hops(self):
        hop = {"ttl": 2, "addr": "10.2.0.2", "rtt": 0.0123, "quoted": {"traffic_class": 2}, "octets": 28}
        text = "\n".join(self.tell(record("192.0.2.1", BROKEN, hops={"A": [hop], "B": []})))
        self.assertIn("Hops of the baseline's packets\n    2  10.2.0.2", text)
        self.assertIn("12.3 ms  traffic_class 2", text)
        self.assertNotIn("experiment's", text)

    def test_what_strangers_wrote_does_no_harm(self):
        for odd in ({"conditions": ["\x1b[31m"], "path": "x", "rounds": [{"order": [0], "states": ["x"], "time": 3}, 7],
                     "hops": {"A": [7, {"rtt": "x"}]}, "flow_results": [{"spdr_state": 99, "error": "\x1b"}, 7],
                     "time": []},
                    {"conditions": [], "flow_results": 7, "rounds": 7, "hops": 7, "evidence": 7, "error": "\x1b"}):
            self.assertNotIn("\x1b", "\n".join(self.tell(odd, self.folder)))


class TestParts(unittest.TestCase):
    def test_meanings(self):
        self.assertIn("both connections", meaning_of(WORKS, [WORKS]))
        self.assertIn("flow", meaning_of("pathspider.missed_flows:1", ["pathspider.missed_flows:1"]))
        self.assertEqual(meaning_of("x.nobody.knows", ["x.nobody.knows"]), "")

    def test_steps_of_a_flow_without_fields(self):
        self.assertEqual([*steps_of({"tcp_synflags_fwd": "x", "tcp_rst_rev": False})], [])
