"""Sequence diagrams: arrows of one length, whatever is sent."""

import unittest

from pathspider.show.diagram import MOST_STEPS, arrow, diagram
from pathspider.show.packets import Step


class TestDiagram(unittest.TestCase):
    def test_as_it_looks(self):
        lines = [*diagram([Step(5.0, True, "SYN"), Step(5.0123, False, "SYN ACK"), Step(7.0, True, "ACK")], 44, False)]
        self.assertEqual(lines, [
            "            here                      target",
            "    0.00 ms |-- SYN ---------------------->|",
            "   12.30 ms |<-- SYN ACK ------------------|",
            "     2.00 s |-- ACK ---------------------->|"])

    def test_no_line_is_wider_than_the_terminal_or_longer_than_others(self):
        steps = [Step(0.0, way, "x" * length) for length in (0, 1, 30, 200) for way in (True, False)]
        for width in (40, 60, 80, 300):
            lines = [*diagram(steps, width)]
            self.assertEqual({len(line) for line in lines[1:]}, {len(lines[1])}, width)
            self.assertLessEqual(max(map(len, lines)), width)

    def test_a_label_that_is_too_long_is_cut(self):
        self.assertIn("xxx…", arrow(Step(0.0, True, "x" * 99), 30))
        self.assertTrue(arrow(Step(0.0, True, "x" * 99 + "\x1b"), 30, False).isascii())

    def test_many_packets(self):
        lines = [*diagram([Step(float(number), True, str(number)) for number in range(100)], 60)]
        self.assertEqual(len(lines), MOST_STEPS + 2)
        self.assertIn(f"({100 - MOST_STEPS} packets more)", lines[MOST_STEPS // 2 + 1])
        self.assertIn("99", lines[-1])

    def test_nothing(self):
        self.assertEqual([*diagram([], 80)], [])
