"""The TCP options plugin: its kinds, and what a SYN-ACK says. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest

from scapy.layers.inet import IP, TCP

from pathspider import libtrace
from pathspider.plugins.tcpopt import VALUE, TCPOpt, look_for, options
from pathspider.traversal import Exchange


def packet(flags, *given):
    """A packet with TCP options, as the plugin sees it."""
    return libtrace.ip(bytes(IP() / TCP(flags=flags, options=[*given])))


def said(sent, back, baseline=()):
    """What a SYN-ACK says to option 99; the baseline's SYN has none."""
    return [*look_for(99, Exchange(packet("S", *sent), packet("SA", *back)),
                      Exchange(packet("S"), packet("SA", *baseline)))]


class TestKinds(unittest.TestCase):
    def test_values(self):
        self.assertEqual(options("99,253=f00d,8="), [(99, VALUE), (253, b"\xf0\x0d"), (8, b"")])

    def test_refused(self):
        for text in ("", "x", "-1", "256", "0", "1", "99,", "99=1", "99=xx", "99,99=01", "99=" + "00" * 19, "9 9"):
            with self.subTest(text), self.assertRaises(argparse.ArgumentTypeError):
                options(text)

    def test_each_is_a_row(self):
        parser = argparse.ArgumentParser()
        TCPOpt.register_args(parser.add_subparsers())
        args = parser.parse_args(["tcpopt", "--kind", "99=0102,30=0101"])
        args.source = ("192.0.2.1", None)
        plugin = TCPOpt(1, "int:lo", args)
        self.assertEqual([row.name for row in plugin.table()], ["99", "30"])
        self.assertEqual(plugin.forge({"dip": "192.0.2.2", "dp": 80}, 1)[TCP].options[-1], (99, b"\1\2"))


class TestAnswers(unittest.TestCase):
    def test_answers(self):
        ours, other = (99, b"ab"), (99, b"xy")
        self.assertEqual(said([ours], []), ["option.not_returned"])
        self.assertEqual(said([ours], [(98, b"ab")]), ["option.not_returned"])
        self.assertEqual(said([ours], [ours]), ["option.mirrored"])
        self.assertEqual(said([ours], [other]), ["option.returned"])
        self.assertEqual(said([ours], [other], [other]), ["option.unasked"])
        self.assertEqual(said([ours], [ours], [other]), ["option.mirrored"])

    def test_without_a_baseline(self):
        experiment = Exchange(packet("S", (99, b"ab")), packet("SA", (99, b"xy")))
        self.assertEqual([*look_for(99, experiment, None)], ["option.returned"])

    def test_an_option_that_the_baseline_asks_for_too(self):
        experiment = Exchange(packet("S", (4, b"")), packet("SA", (4, b"")))
        self.assertEqual([*look_for(4, experiment, experiment)], ["option.mirrored"])


if __name__ == "__main__":
    unittest.main()
