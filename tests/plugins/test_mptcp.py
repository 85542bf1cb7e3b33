"""The Multipath TCP plugin: what answers are. Its paths are in tests/lab/test_check.py."""

import unittest

from scapy.layers.inet import IP, TCP

from pathspider import libtrace
from pathspider.plugins.mptcp import MP_CAPABLE, MPTCP, look
from pathspider.traversal import Exchange

KEY = bytes(range(8))


def said(*options):
    """What a SYN-ACK with these options says."""
    packets = (libtrace.ip(bytes(IP() / TCP(flags=flags, options=[*given])))
               for flags, given in (("S", [(30, MP_CAPABLE)]), ("SA", options)))
    return [*look(Exchange(*packets), None)]


class TestAnswers(unittest.TestCase):
    def test_answers(self):
        self.assertEqual(said((30, MP_CAPABLE + KEY)), ["option.returned"])
        self.assertEqual(said((30, b"\x01\x81" + KEY)), ["option.returned"])  # it wants checksums
        self.assertEqual(said((30, MP_CAPABLE)), ["option.mirrored"])
        self.assertEqual(said((99, MP_CAPABLE + KEY)), ["option.not_returned"])
        for altered in (b"\x00\x01" + KEY, MP_CAPABLE + bytes(8), MP_CAPABLE + KEY + KEY, b"\x11\x01" + KEY, b"\x01"):
            self.assertEqual(said((30, altered)), ["option.altered"], altered)

    def test_the_control_is_as_long(self):
        self.assertEqual([row.name for row in MPTCP.variants], ["", "control"])
        syn = IP() / TCP(flags="S")
        one, other = (bytes(row.set(syn.copy())) for row in MPTCP.variants)
        self.assertEqual(len(one), len(other))
        self.assertIn(bytes((30, 4, 1, 1)), one)  # RFC 8684, figure 4: kind, length, subtype and version, flag H


if __name__ == "__main__":
    unittest.main()
