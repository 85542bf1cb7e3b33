"""The plugin for IPv6 extension headers: what it puts on the wire. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest
from unittest import mock

from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6, in6_chksum

from pathspider import libtrace
from pathspider.helpers.segments import transport_offset
from pathspider.plugins.ipv6eh import LISTED, ROWS, IPv6EH, kinds

KINDS = {"hopbyhop": 0, "destination": 60, "fragment": 44, "routing": 43}
"""Numbers of the next header. RFC 8200, section 4.1"""


def spider(*arguments):
    """The plugin in a run without packets."""
    parser = argparse.ArgumentParser()
    IPv6EH.register_args(parser.add_subparsers())
    args = parser.parse_args(["ipv6eh", *arguments])
    args.source = ("192.0.2.1", "2001:db8::1")
    return IPv6EH(1, "int:lo", args)


class TestPackets(unittest.TestCase):
    def test_each_row(self):
        plugin = spider("--headers", ",".join(LISTED))
        job = {"dip": "2001:db8::2", "dp": 80}
        plain = bytes(plugin.forge(job, 0))
        self.assertEqual(len(plugin.table()), 8)
        for seq, row in enumerate(plugin.table(), 1):
            with self.subTest(row=row.name):
                kind, octets = row.name.split(".")
                packet = bytes(plugin.forge(job, seq))
                extended = packet[40:-len(plain) + 40]
                self.assertEqual((packet[6], len(extended)), (KINDS[kind], int(octets)))
                self.assertEqual(extended[0], 6)  # TCP comes next
                self.assertEqual(extended[1], 0 if kind == "fragment" else int(octets) // 8 - 1)
                self.assertEqual(int.from_bytes(packet[4:6]), len(packet) - 40)
                self.assertEqual(transport_offset(packet), 40 + int(octets))
                self.assertEqual(libtrace.ip6(packet).tcp.dst_port, 80)
                segment = packet[transport_offset(packet):]
                self.assertEqual(in6_chksum(6, IPv6(packet[:40]), segment), 0)

    def test_one_packet_made_of_another(self):
        """A row's packet to the next target is the last one with other numbers: octet by octet what Scapy builds."""
        plugin, fresh = spider("--headers", ",".join(LISTED)), spider("--headers", ",".join(LISTED))
        for dip, port, draw in (("2001:db8::2", 80, 0), ("fd00:7::ffff:1", 443, 0xFFFFF), ("2001:db8::3", 1, 0x12345)):
            job = {"dip": dip, "dp": port}
            for seq, row in enumerate((None, *plugin.table())):
                with (self.subTest(row=row and row.name, dip=dip), mock.patch("random.getrandbits", return_value=draw)):
                    again, new = plugin.forge(job, seq), fresh.made(job, row)
                    self.assertIs(plugin.forge(job, seq), again)
                    for sport in (0, 40001, 65535):
                        again[TCP].sport = new[TCP].sport = sport
                        self.assertEqual(plugin._maker(again)(again), bytes(new))
                        self.assertEqual(bytes(again), bytes(new))

    def test_options_are_what_hosts_pass_over(self):
        for row in (*ROWS["hopbyhop"], *ROWS["destination"]):
            header = bytes(row.set(IPv6(dst="2001:db8::2") / b"rest"))[40:-4]
            at = 2
            while at < len(header):
                kind, length = header[at:at + 2]
                self.assertTrue((kind == 1 and length <= 5) or kind == 0x1E, row.name)  # the upper bits 00: pass over
                at += 2 + length
            self.assertEqual(at, len(header))

    def test_a_fragment_that_is_whole(self):
        row, = ROWS["fragment"]
        header = bytes(row.set(IPv6(dst="2001:db8::2") / b"rest"))[40:48]
        self.assertEqual(header[2:4], b"\0\0")  # no offset, no more fragments

    def test_segment_routing_with_nothing_left(self):
        row, = ROWS["routing"]
        header = bytes(row.set(IPv6(dst="2001:db8::2") / b"rest"))[40:64]
        self.assertEqual(header[2:5], bytes((4, 0, 0)))  # type, segments left, last entry
        self.assertEqual(header[8:], bytes.fromhex("20010db8") + bytes(11) + b"\2")


class TestOptions(unittest.TestCase):
    def test_kinds(self):
        self.assertEqual(kinds("routing,fragment,routing"), ["routing", "fragment"])
        for text in ("", "hbh", "fragment,"):
            with self.assertRaises(argparse.ArgumentTypeError):
                kinds(text)
        self.assertEqual(len(spider().table()), 7)

    def test_ipv4_is_skipped(self):
        self.assertEqual(spider().not_applicable({"dip": "192.0.2.2"}), "ipv4_has_no_extension_headers")
        self.assertIsNone(spider().not_applicable({"dip": "2001:db8::2"}))


if __name__ == "__main__":
    unittest.main()
