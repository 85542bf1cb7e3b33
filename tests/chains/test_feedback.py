"""FeedbackChain: the first data, and what is said of them."""

import unittest

from pathspider.chains.feedback import FeedbackChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6

NOTHING = {"feedback_ecn_fwd": None, "feedback_octets_fwd": 0, "feedback_again_fwd": False, "feedback_flags_rev": None,
           "feedback_option_rev": None, "feedback_ece_rev": False}
LAST = 0xFFFFFFFE
"""A sequence number, so that the data go past the greatest."""


class Feedback(ChainTest):
    def noted(self, *frames):
        """What is not as it was in the beginning."""
        found = self.flow(FeedbackChain, *frames)
        return {name: value for name, value in found.items() if value != NOTHING[name]}

    def test_both_versions_and_past_the_greatest_number(self):
        for tcp, field in ((tcp4, "tos"), (tcp6, "tc")):
            data = [tcp("PA", payload=b"abc", seq=LAST, **{field: mark}) for mark in (3, 0)]
            self.assertEqual(self.noted(tcp("SEC"), tcp("SAE", rev=True), tcp("A"), data[0]),
                             {"feedback_ecn_fwd": 3, "feedback_octets_fwd": 3})
            self.assertEqual(self.noted(data[0], tcp("AE", rev=True, ack=1)), {
                "feedback_ecn_fwd": 3, "feedback_octets_fwd": 3, "feedback_flags_rev": 0x50, "feedback_ece_rev": True})
            self.assertEqual(self.noted(data[0], tcp("A", rev=True, ack=0), tcp("A", rev=True, ack=LAST), data[1],
                                        tcp("A", rev=True, ack=1), tcp("PAE", rev=True, ack=1, payload=b"x")), {
                "feedback_ecn_fwd": 3, "feedback_octets_fwd": 3, "feedback_again_fwd": True, "feedback_flags_rev": 0x10,
                "feedback_ece_rev": True})

    def test_what_is_no_acknowledgement(self):
        data = tcp4("PA", payload=b"abc", seq=1, tos=1)
        found = {"feedback_ecn_fwd": 1, "feedback_octets_fwd": 3}
        for other in (tcp4("RAE", rev=True, ack=4), tcp4("SAE", rev=True, ack=4), tcp4("AE", rev=True, ack=3),
                      tcp4("AE", rev=True, ack=0x90000000), tcp4("PA", payload=b"d", seq=4, tos=2), tcp4("A", seq=4)):
            self.assertEqual(self.noted(data, other), found)

    def test_handshake_and_what_is_said_before_data(self):
        self.assertEqual(self.noted(tcp4("SEC", payload=b"x"), tcp4("SAE", rev=True), tcp4("A"),
                                    tcp4("PAE", rev=True, ack=1, payload=b"220")), {})

    def test_the_option(self):
        data = tcp4("PA", payload=b"abc", seq=1, tos=1)
        for kind in (172, 174):
            ack = tcp4("A", rev=True, ack=4, options=[(kind, bytes(range(9))), ("NOP", None)])
            self.assertEqual(self.noted(data, ack)["feedback_option_rev"], f"{kind:02x}000102030405060708")
        later = tcp4("A", rev=True, ack=4, options=[(174, bytes(9)), ("NOP", None)])
        self.assertNotIn("feedback_option_rev", self.noted(data, tcp4("A", rev=True, ack=4), later))


if __name__ == "__main__":
    unittest.main()
