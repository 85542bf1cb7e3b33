"""The hops of a record for people."""

import unittest

from pathspider.report.hop_table import hop_table, shown


def hop(ttl, flags=None, addr=None, rtt=0.0012, octets=60):
    return {"ttl": ttl, "addr": addr or f"10.0.{ttl}.1", "rtt": rtt, "octets": octets,
            "quoted": {"ecn": 0, **({"tcp_flags": flags} if flags else {})}}


RECORD = {
    "dip": "192.0.2.1", "dp": 80, "conditions": ["ecn.negotiation.failed", "ecn.hop.changed:1-2"],
    "hops": {"A": [hop(1, 2), hop(2, 2), hop(4, 2), hop(5, 2, "10.9.9.9")],
             "B": [hop(1, 0xC2), hop(2, 2), hop(3, octets=28), hop(5, 2)]},
}


class TestTable(unittest.TestCase):
    def test_change_at_a_glance(self):
        self.assertEqual(hop_table(RECORD, ["tcp_flags"]), """\
192.0.2.1 port 80: ecn.negotiation.failed, ecn.hop.changed:1-2
  hop  address              rtt     baseline  experiment   octets
  1    10.0.1.1             1.2 ms  SYN       SYN,ECE,CWR  60      <
  2    10.0.2.1             1.2 ms  SYN       SYN          60      tcp_flags changed <
  3    10.0.3.1             1.2 ms  *         not quoted   28
  4    10.0.4.1             1.2 ms  SYN       *            60      no answer to the experiment
  5    10.9.9.9 / 10.0.5.1  1.2 ms  SYN       SYN          60      other hops""")

    def test_how_packets_ended(self):
        """Accepted by the target, refused by a hop or by it, lost; behind a silent hop, or in a loop."""
        hops = {"A": [hop(1, 2), hop(3, 2)], "B": [hop(1, 2), hop(3, 2, "10.0.1.1")]}
        reached = {"A": {"ttl": 5, "came": "accepted", "addr": "192.0.2.1"},
                   "B": {"ttl": 4, "came": "refused", "addr": "10.0.3.1"}}
        record = {**RECORD, "conditions": []}
        self.assertEqual(hop_table({**record, "hops": hops, "reached": reached}, ["tcp_flags"]).split("\n")[2:], [
            "  1    10.0.1.1             1.2 ms  SYN       SYN         60",
            "  2    *                            *         *",
            "  3    10.0.3.1 / 10.0.1.1  1.2 ms  SYN       SYN         60      other hops that is hop 1 again",
            "  4    10.0.3.1                     *         refused",
            "  5    192.0.2.1                    accepted"])
        lost = {"A": {"ttl": 32, "came": "nothing"}, "B": {"ttl": 6, "came": "nothing"}}
        rows = hop_table({**RECORD, "hops": {"A": [hop(1, 2)], "B": []}, "reached": lost}, ["tcp_flags"]).split("\n")
        self.assertEqual([row.split()[0] for row in rows[2:-2]], ["1", "2", "3", "4", "5", "6"])
        self.assertEqual(rows[-2:], ["  nobody accepted or refused the baseline up to TTL 32",
                                     "  nobody accepted or refused the experiment up to TTL 6"])

    def test_systems(self):
        hops = {side: [{**one, "ASN": 64496} if one["ttl"] == 2 else one for one in hops]
                for side, hops in RECORD["hops"].items()}
        table = hop_table({**RECORD, "hops": hops}, ["ecn"]).split("\n")
        self.assertRegex(table[1], r"^  hop  address +AS +rtt ")
        self.assertRegex(table[3], r"^  2    10\.0\.2\.1 +AS64496  1\.2 ms  not-ECT")

    def test_without_hops(self):
        self.assertEqual(hop_table({"dip": "192.0.2.1", "conditions": ["ecn.connectivity.offline"]}, ["ecn"]),
                         "192.0.2.1: ecn.connectivity.offline")
        self.assertEqual(len(hop_table({**RECORD, "hops": {"A": [], "B": []}}, ["ecn"]).split("\n")), 2)

    def test_what_strangers_wrote_does_nothing_to_the_terminal(self):
        self.assertNotIn("\x1b", hop_table({"dip": "\x1b[2J", "conditions": []}, []))

    def test_fields_that_the_plugin_does_not_name(self):
        """Those that hops told are shown."""
        hops = {side: [{"ttl": 1, "addr": "10.0.0.1", "rtt": 0.1, "quoted": {"option_99": value}, "octets": 60}]
                for side, value in (("A", "absent"), ("B", "a5"))}
        self.assertIn("option_99 absent  option_99 a5", hop_table({**RECORD, "hops": hops}, []))

    def test_values(self):
        for name, value, text in (("ecn", 3, "CE"), ("ecn", 9, "ecn 9"), ("tcp_flags", 0, "none"),
                                  ("dscp", 46, "dscp 46"), ("headers", [0, 60], "headers 0,60"),
                                  ("headers", [], "headers none"), ("option_99", "a5", "option_99 a5"),
                                  ("tcp_flags", 0x1C2, "SYN,ECE,CWR,AE"), ("tfo", True, "tfo True")):
            self.assertEqual(shown(name, value), text)


if __name__ == "__main__":
    unittest.main()
