"""ESP: what is not encrypted is looked into, and nothing else."""

import random
import struct
import unittest

from scapy.all import ICMP, IP, TCP, UDP, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, Raw
from scapy.layers.ipsec import ESP, SecurityAssociation

from pathspider.chains.basic import BasicChain
from pathspider.libtrace import FlowTable
from tests.export.optional import with_cryptography
from tests.libtrace.frames import frame
from tests.libtrace.tunnels import esp, outside, padded_esp

FOUR = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1000, dport=80) / Raw(b"some data"))
SIX = bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1000, dport=53) / Raw(b"some data"))


def flow_of(packet, wire_len=0):
    """The record of one packet."""
    table = FlowTable([BasicChain()], decapsulate=True)
    table.feed(packet if isinstance(packet, bytes) else frame(packet), 1.0, 1, wire_len)
    (flow,) = table.flush()
    return flow, table


class TestESP(unittest.TestCase):
    def encrypted(self, packet, wire_len=0):
        flow, table = flow_of(packet, wire_len)
        self.assertEqual((flow["proto"], flow["encapsulation"]), (50, []))
        self.assertEqual(table.malformed, 0)

    @with_cryptography
    def test_encrypted(self):
        for cipher, key in (("AES-CBC", b"k" * 16), ("AES-GCM", b"k" * 20), ("AES-CTR", b"k" * 20)):
            for tunnel_header in (None, IP(src="192.0.2.7", dst="198.51.100.8")):
                for packet in (IP(FOUR), IP(src="10.0.0.1", dst="10.0.0.2") / ICMP()):
                    integrity = {} if cipher == "AES-GCM" else {"auth_algo": "HMAC-SHA1-96", "auth_key": b"k" * 20}
                    association = SecurityAssociation(ESP, spi=4096, crypt_algo=cipher, crypt_key=key,
                                                      tunnel_header=tunnel_header, **integrity)
                    self.encrypted(association.encrypt(packet))

    def test_noise(self):
        """Random octets, all with an end that could be one of ESP's."""
        chance = random.Random(1)
        for check in (0, 12, 16, 24, 32):
            for protocol in (4, 41, 6, 17, 1, 58):
                for _ in range(60):
                    body = chance.randbytes(4 * chance.randrange(6, 40) + 2)
                    if protocol in (4, 41):
                        body = bytes((0x45 if protocol == 4 else 0x60,)) + body[1:]
                    data = struct.pack(">II", 4096, 1) + body + bytes((0, protocol)) + chance.randbytes(check)
                    self.encrypted(outside(False, proto=50) / Raw(data))

    def test_transport_mode_by_its_checksum(self):
        echo4 = IP(src="10.0.0.1", dst="10.0.0.2") / ICMP()
        echo6 = IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest()
        for version, packet in ((4, IP(FOUR)), (6, IPv6(SIX)), (4, echo4), (6, echo6)):
            data = frame(esp(bytes(packet), False, "SHA2-256-128", tunnel=False, version=version))
            flow, _ = flow_of(data)
            inside = packet.proto if version == 4 else packet.nh
            self.assertEqual((flow["proto"], flow["encapsulation"]), (inside, ["esp:4096"]))
            for at in range(len(data) - 16 - 12, len(data) - 16 - 4):
                wrong = bytearray(data)
                wrong[at] ^= 0x40
                self.encrypted(bytes(wrong))
        self.encrypted(esp(bytes(IP(dst="10.0.0.2") / UDP(chksum=0) / b"data"), False, "NULL", tunnel=False))

    def test_tunnel_mode_by_header_and_end(self):
        for packet in (FOUR, SIX):
            data = frame(padded_esp(packet, False, -(len(packet) + 2) % 4 + 4, 0, 12))
            flow, _ = flow_of(data)
            self.assertEqual((flow["dip"], flow["encapsulation"]), ("10.0.0.2" if packet is FOUR else "fd00::2",
                                                                    ["esp:11259375"]))
            begin = data.index(packet)
            places = [begin, begin + (2 if packet is FOUR else 4), begin + (10 if packet is FOUR else 16),
                      *range(len(data) - 12 - 6, len(data) - 12)]
            for at in places:  # version, length, checksum (of IPv6, what UDP covers); padding, its length, next header
                wrong = bytearray(data)
                wrong[at] ^= 0x20
                with self.subTest(at=at - begin):
                    self.encrypted(bytes(wrong))
        fragment = bytes(IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(offset=1) / Raw(bytes(30)))
        self.encrypted(padded_esp(fragment, False, -(len(fragment) + 2) % 4, 0, 12))

    def test_whose_end_was_not_captured(self):
        data = frame(esp(FOUR, False, "HMAC-SHA1-96", tunnel=True))
        for cut in (40, len(data) - 20, len(data) - 1):
            self.encrypted(data[:cut], len(data))
        packet = outside(False, proto=50, flags="MF") / Raw(data[34:])
        self.encrypted(packet)

    def test_a_packet_whose_length_its_header_does_not_tell(self):
        """As segmentation offload has it: that it fills its place proves nothing."""
        for packet, at in ((FOUR, 2), (SIX, 4)):
            wrong = bytearray(packet)
            wrong[at : at + 2] = bytes(2)
            self.encrypted(padded_esp(bytes(wrong), False, -(len(packet) + 2) % 4, 0, 12))

    def test_reserved_numbers(self):
        data = bytearray(frame(esp(FOUR, False, "HMAC-SHA1-96", tunnel=True)))
        for number in (0, 255):
            data[34:38] = number.to_bytes(4, "big")
            self.encrypted(bytes(data))


if __name__ == "__main__":
    unittest.main()
