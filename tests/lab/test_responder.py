"""Hops that quote otherwise than Linux: their messages, read again; the filter of what they hear. See test_hops.py."""

import socket
import struct
import unittest

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from pathspider import quotation
from pathspider.helpers.segments import ones_complement_sum
from pathspider.lab.hops import Quote
from pathspider.lab.responder import addresses, answer, expiring

SYN = TCP(sport=40000, dport=80, seq=5, flags="SEC", options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)])
PACKETS = {4: bytes(IP(src="10.0.0.2", dst="10.20.9.1", ttl=1) / SYN / bytes([7] * 1000)),
           6: bytes(IPv6(src="fd00:10::2", dst="fd00:20::9:1", hlim=1) / SYN / bytes([7] * 1400))}


class TestAnswer(unittest.TestCase):
    def test_as_much_as_is_asked_for(self):
        for version, packet in PACKETS.items():
            header = 20 if version == 4 else 40
            for octets in (8, 28, None):
                message = answer(packet, Quote(octets))
                read = quotation.read(message, version)
                self.assertEqual((read.kind, read.code, read.said, read.extensions), ("time_exceeded", 0, 0, ()))
                self.assertEqual(read.octets, {4: 548, 6: 1232}[version] if octets is None else header + octets)
                self.assertEqual(packet[:read.octets], message[8:])

    def test_a_message_is_no_larger_than_may_be(self):
        self.assertEqual({version: len(answer(packet, Quote())) + (20 if version == 4 else 40)
                          for version, packet in PACKETS.items()}, {4: 576, 6: 1280})

    def test_padding_and_labels(self):
        for version, packet in PACKETS.items():
            for quote, octets in ((Quote(8, padded=True), 8), (Quote(28, labels=(24001, 16)), 28)):
                message = answer(packet, quote)
                read = quotation.read(message, version)
                self.assertEqual((read.said, read.octets), (128, octets + (20 if version == 4 else 40)))
                labels = [label for one in read.extensions for label in one.labels]
                self.assertEqual([(one["label"], one["bottom"]) for one in labels],
                                 [(24001, 0), (16, 1)] if quote.labels else [])

    def test_checksum(self):
        for quote in (Quote(), Quote(8), Quote(labels=(1,))):
            self.assertEqual(ones_complement_sum(answer(PACKETS[4], quote)), 0xFFFF)

    def test_addresses(self):
        self.assertEqual(addresses(PACKETS[4]), (bytes([10, 0, 0, 2]), bytes([10, 20, 9, 1])))
        self.assertEqual(addresses(PACKETS[6])[1], socket.inet_pton(socket.AF_INET6, "fd00:20::9:1"))


class TestFilter(unittest.TestCase):
    def passes(self, packet):
        """What the program returns for a packet, as bpf(4) says."""
        code = expiring()
        at = accumulator = 0
        while True:
            operation, yes, no, value = struct.unpack_from("=HBBI", code, at * 8)
            at += 1
            if operation == 0x30:
                accumulator = packet[value]
            elif operation == 0x54:
                accumulator &= value
            elif operation == 0x15:
                at += yes if accumulator == value else no
            else:
                self.assertEqual(operation, 0x06)
                return value > 0

    def test_only_what_expires(self):
        for version, packet in PACKETS.items():
            where = 8 if version == 4 else 7
            for ttl in (0, 1, 2, 64):
                self.assertEqual(self.passes(packet[:where] + bytes([ttl]) + packet[where + 1:]), ttl == 1)
        self.assertFalse(self.passes(bytes([0x50, 1, 1, 1, 1, 1, 1, 1, 1])))


if __name__ == "__main__":
    unittest.main()
