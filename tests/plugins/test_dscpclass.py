"""The plugin for many codepoints: classes of remarking. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from pathspider.conditions import NOT_OBSERVED
from pathspider.plugins.dscpclass import DSCPClass, class_of, codepoints
from pathspider.records import CONN_OK

EVERY = range(64)


class TestClasses(unittest.TestCase):
    def test_each(self):
        for name, becomes in {
            "none": lambda one: one, "tos_precedence": lambda one: one & 7, None: lambda one: 0,
            "some_tos": lambda one: one if one >> 4 == 3 else one & 7, "remark_tos": lambda one: one & 7 | 16,
            "low": lambda one: one & 56, "some_low": lambda one: one if one >> 4 == 3 else one & 56,
            "remark": lambda one: one if one != 46 else 0,
        }.items():
            self.assertEqual(class_of({one: becomes(one) for one in EVERY}), name)

    def test_too_few_to_tell(self):
        for answers in ({}, {0: 0}, {0: 0, 1: 1}, {0: 0, 46: 0}, {0: 10, 46: 10}, {0: 0, 1: 1, 10: 2}):
            self.assertIsNone(class_of(answers), answers)
        self.assertEqual(class_of({0: 0, 1: 1, 8: 8}), "none")
        self.assertEqual(class_of({0: 0, 10: 2, 48: 0}), "tos_precedence")

    @given(st.dictionaries(st.integers(0, 63), st.integers(0, 63)))
    def test_what_came_back_as_it_was_sent_is_never_called_a_change(self, answers):
        if all(sent == came for sent, came in answers.items()):
            self.assertIn(class_of(answers), ("none", None))
        elif any(sent != came for sent, came in answers.items()):
            self.assertNotEqual(class_of(answers), "none")


class TestOptions(unittest.TestCase):
    def test_codepoints(self):
        self.assertEqual(codepoints("46,10,46"), [46, 10])
        self.assertEqual(codepoints("all"), [*range(1, 64)])
        for text in ("", "0", "64", "-1", "x", "10,"):
            with self.assertRaises(argparse.ArgumentTypeError):
                codepoints(text)


class TestVerdicts(unittest.TestCase):
    def test_the_class_stands_behind_the_rest(self):
        plugin = DSCPClass(1, "int:lo", argparse.Namespace(connect="tcp", timeout=1, source=("192.0.2.1", None),
                                                           codepoints=[1, 8]))
        flows = []
        for seq, codepoint in enumerate((0, 1, 8)):
            packet = bytes(plugin.forge({"dip": "192.0.2.2", "dp": 80}, seq))
            self.assertEqual(packet[1], codepoint << 2)
            reply = bytes(IP(tos=codepoint << 2) / TCP(flags="SA")).hex()
            flows.append({"spdr_state": CONN_OK, "forged": packet.hex(), "headers_fwd": packet.hex(),
                          "headers_rev": reply} | ({"variant": str(codepoint)} if codepoint else {}))
        self.assertEqual(plugin.combine_flows(flows), [
            "dscpclass.1.connectivity.works", "dscpclass.1.replymark:1", "dscpclass.8.connectivity.works",
            "dscpclass.8.replymark:8", "dscpclass.class.none"])
        flows[1]["headers_rev"] = None
        self.assertEqual(plugin.combine_flows(flows), [NOT_OBSERVED])


if __name__ == "__main__":
    unittest.main()
