"""Firewalls that count connections: no target behind them is stably broken, whatever its first pair said."""

import unittest

from tests.run.cases import CaseTest, clean

SYN = "tcp flags & (fin | syn | rst | ack) == syn"


class TestLimiters(CaseTest):
    """The router's own rules; ECN's connections differ in nothing that they look at."""

    def measured(self, rules, count=20, version=4):
        """The conditions of clean targets behind these rules, confirmed in both orders."""
        done = self.lab.run(["nft", "-f", "-"], data=rules.encode(), room="router", capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        status, records, said = self.measure(clean(count, version), "--confirm", "2", "--confirm-gap", "3.3", "ecn",
                                             "--connect", "tcp", "--timeout", "2")
        self.assertEqual((status, len(records)), (0, count), said)
        return [record["conditions"] for record in records]

    def check(self, rules, first, stable):
        for found in self.measured(rules):
            self.assertEqual(found[0], f"ecn.connectivity.{first}")
            self.assertEqual([word for word in found if ".stable." in word], [f"ecn.stable.connectivity.{stable}"])

    def seen(self, seconds):
        return f"""
table inet cases {{
    set seen {{ type ipv4_addr; flags dynamic, timeout; timeout {seconds}s; }}
    chain forward {{
        type filter hook forward priority -300;
        {SYN} ip daddr @seen drop
        {SYN} add @seen {{ ip daddr }}
    }}
}}
"""

    def test_one_new_connection_in_some_seconds(self):
        self.check(self.seen(3), "broken", "unstable")

    def test_a_ban_after_the_first_contact(self):
        self.check(self.seen(60), "broken", "unstable")

    def test_a_feature_that_is_dropped(self):
        self.check("""
table inet cases {
    chain forward {
        type filter hook forward priority -300;
        tcp flags & (syn | ack | ecn | cwr) == (syn | ecn | cwr) drop
    }
}
""", "broken", "broken")


if __name__ == "__main__":
    unittest.main()
