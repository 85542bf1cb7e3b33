"""The fields that the chains declare fit together."""

import unittest
from collections import Counter

from pathspider.chains.tcp import SYN_SENT
from tests.chains.flows import NAMES, chain_of


class Fields(unittest.TestCase):
    def test_initial_values_cannot_be_changed_since_all_flows_share_them(self):
        for name in NAMES:
            for key, field in chain_of(name).fields.items():
                hash(field.initial)  # raises where it is a list, dict or set
                self.assertIn(type(field.initial), (field.type, type(None)), key)

    def test_no_two_chains_claim_a_key(self):
        keys = Counter(key for name in NAMES for key in (*chain_of(name).fields, *chain_of(name).scratch))
        shared = [key for key, count in keys.items() if count > 1]
        self.assertEqual(shared, [*SYN_SENT])  # which all of them note alike


if __name__ == "__main__":
    unittest.main()
