"""Packets in, packets out: the router's part in user space."""

import socket
import struct
import unittest

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.lab.mangler import Packet, checksum, mangle

TARGETS = {4: "10.20.9.1", 6: "fd00:20::9:1"}
CLIENTS = {4: "10.0.0.2", 6: "fd00:10::2"}
OPTIONS = [("NOP", None), ("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]


def header(version, towards=True):
    source, destination = (CLIENTS, TARGETS) if towards else (TARGETS, CLIENTS)
    return (IP if version == 4 else IPv6)(src=source[version], dst=destination[version])


def again(data):
    return (IP if data[0] >> 4 == 4 else IPv6)(data)


def run(packet, *names):
    data = bytes(packet)
    table = {socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, address): list(names)
             for version, address in TARGETS.items()}
    result = mangle(data, table)
    if result is None:
        return None
    packet, rebuilt = again(result), again(result)
    for layer in (rebuilt, rebuilt.payload):  # as Scapy would have made it: lengths and checksums are right
        for name in ("chksum", "len", "plen"):
            if name in layer.fields and not (isinstance(layer, UDP)):
                layer.delfieldval(name)
    assert bytes(rebuilt) == result, "lengths or checksums are wrong"
    return packet


class TestMangle(unittest.TestCase):
    def both(self):
        for version in (4, 6):
            with self.subTest(version=version):
                yield version

    def test_nothing_to_do_changes_nothing(self):
        for version in self.both():
            for packet in (header(version) / TCP(flags="S", options=OPTIONS), header(version) / UDP() / Raw(b"abc"),
                           header(version, False) / TCP(flags="SA")):
                for name in ("cut_syn_data", "drop_udp_options", "strip_udp_options", "reset_upgrade", "drop_alpn_h2"):
                    self.assertEqual(bytes(run(packet, name)), bytes(packet))

    def test_raise_mss_on_the_way_back_only(self):
        for version in self.both():
            back = run(header(version, False) / TCP(flags="SA", options=OPTIONS), "raise_mss")
            self.assertEqual(dict(back[TCP].options)["MSS"], 4000)
            out = run(header(version) / TCP(flags="S", options=OPTIONS), "raise_mss")
            self.assertEqual(dict(out[TCP].options)["MSS"], 1460)

    def test_cut_syn_data(self):
        for version in self.both():
            packet = run(header(version) / TCP(flags="S", options=OPTIONS) / Raw(b"GET / "), "cut_syn_data")
            self.assertEqual(bytes(packet[TCP].payload), b"")
            self.assertEqual(dict(packet[TCP].options)["MSS"], 1460)
            self.assertEqual(bytes(run(header(version) / TCP(flags="PA") / Raw(b"x"), "cut_syn_data")[TCP].payload),
                             b"x")

    def test_udp_options(self):
        for version in self.both():
            packet = header(version) / UDP(dport=53, len=11) / Raw(b"abc" + b"\0\x12\x34\x56")
            self.assertIsNone(run(packet, "drop_udp_options"))
            stripped = run(packet, "strip_udp_options")
            self.assertEqual(bytes(stripped[UDP].payload), b"abc")
            self.assertEqual(stripped[UDP].chksum, again(bytes(packet))[UDP].chksum)

    def test_upgrade(self):
        for version in self.both():
            request = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
            packet = header(version) / TCP(sport=1000, dport=80, flags="PA", seq=5, ack=77) / Raw(request)
            self.assertIn(b"Xpgrade: h2c", bytes(run(packet, "spoil_upgrade")))
            reset = run(packet, "reset_upgrade")
            self.assertEqual((reset.src, reset.dst), (TARGETS[version], CLIENTS[version]))
            self.assertEqual((reset[TCP].sport, reset[TCP].dport, reset[TCP].seq, str(reset[TCP].flags)),
                             (80, 1000, 77, "R"))

    def test_alpn(self):
        for version in self.both():
            for offer, passes in ((b"\x02h2\x08http/1.1", False), (b"\x08http/1.1", True)):
                packet = header(version) / TCP(flags="PA") / Raw(b"\x16\x03\x01" + offer)
                self.assertEqual(run(packet, "drop_alpn_h2") is not None, passes)

    def test_several_in_order(self):
        packet = header(4) / UDP(len=11) / Raw(b"abc" + b"\0\x12\x34\x56")
        self.assertIsNotNone(run(packet, "strip_udp_options", "drop_udp_options"))
        self.assertIsNone(run(packet, "drop_udp_options", "strip_udp_options"))

    def test_other_protocols_pass(self):
        data = bytes(IP(src=CLIENTS[4], dst=TARGETS[4], proto=1) / Raw(b"\x08\0\xf7\xff\0\0\0\0"))
        self.assertEqual(mangle(data, {socket.inet_aton(TARGETS[4]): ["drop_udp_options"]}), data)


class TestChecksum(unittest.TestCase):
    def test_of_itself_is_zero(self):
        data = b"\x45\x00\x00\x1c\x00\x01"
        self.assertEqual(checksum(data + struct.pack("!H", checksum(data))), 0)
        self.assertEqual(checksum(b"\xff"), 0x00FF)

    def test_packet_taken_apart(self):
        packet = Packet.parse(bytes(header(6) / TCP(flags="S") / Raw(b"abc")))
        self.assertEqual((packet.version, packet.flags, packet.data), (6, 2, b"abc"))
