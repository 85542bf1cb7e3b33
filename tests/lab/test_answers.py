"""What the lab's servers that this kernel cannot be write into SYN-ACKs, with checksums as they must be."""

import unittest

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from pathspider.lab.answers import AnswerDSCP, AnswerECN, AnswerOption, Remark
from pathspider.lab.mangler import mangle

ENDS = {IP: ("192.0.2.1", "192.0.2.2"), IPv6: ("2001:db8::1", "2001:db8::2")}
PACKED = {IP: bytes((192, 0, 2, 2)), IPv6: bytes.fromhex("20010db8") + bytes(11) + b"\2"}


def answered(header, mangler, flags="S", *, options=(), mark=0, own=(), port=5000):
    """The SYN-ACK (Scapy) to a SYN, as it leaves the router."""
    field = "tos" if header is IP else "tc"
    client, server = ENDS[header]
    table = {PACKED[header]: [mangler]}
    syn = header(src=client, dst=server, **{field: mark}) / TCP(sport=5000, dport=80, flags=flags, options=[*options])
    syn_ack = header(src=server, dst=client) / TCP(sport=80, dport=port, flags="SA", ack=1, options=[*own])
    if mangle(bytes(syn), table) != bytes(syn):
        raise AssertionError("the SYN was changed")
    made = mangle(bytes(syn_ack), table)
    found = header(made)
    again = found.copy()
    del again[TCP].chksum
    if header is IP:
        del again.chksum
    if bytes(again) != made:
        raise AssertionError("checksums are wrong")
    return found


class TestECN(unittest.TestCase):
    def test_accurate(self):
        for header in ENDS:
            for mark, flags in ((0, "SAC"), (1, "SAEC"), (2, "SAN"), (3, "SACN")):
                found = answered(header, AnswerECN(), 0x1C2, mark=mark)
                self.assertEqual(found[TCP].flags, flags)

    def test_others_who_ask(self):
        for asked, flags in (("S", "SA"), ("SEC", "SAE"), ("SE", "SA")):
            self.assertEqual(answered(IP, AnswerECN(), asked)[TCP].flags, flags)

    def test_a_code(self):
        for code in range(0, 0x200, 0x40):
            self.assertEqual(int(answered(IP, AnswerECN(code), 0x1C2)[TCP].flags), 0x12 | code)
            self.assertEqual(int(answered(IP, AnswerECN(code), "S")[TCP].flags), 0x12)
            self.assertEqual(int(answered(IP, AnswerECN(code, always=True), "S")[TCP].flags), 0x12 | code)

    def test_another_connection(self):
        self.assertEqual(answered(IP, AnswerECN(), 0x1C2, port=5001)[TCP].flags, "SA")


class TestOptions(unittest.TestCase):
    def test_mirrored_or_another_value(self):
        for header in ENDS:
            for mangler, value in ((AnswerOption(99), b"abc"), (AnswerOption(99, b"xy"), b"xy")):
                found = answered(header, mangler, options=[(99, b"abc")], own=[("MSS", 1460)])
                self.assertEqual(found[TCP].options[:2], [("MSS", 1460), (99, value)])

    def test_only_where_the_syn_had_it(self):
        self.assertEqual(answered(IP, AnswerOption(99), options=[(98, b"abc")])[TCP].options, [])
        found = answered(IP, AnswerOption(99, b"xy", always=True))
        self.assertEqual(found[TCP].options, [(99, b"xy")])

    def test_no_room(self):
        full = [(97, bytes(38))]
        self.assertEqual(answered(IP, AnswerOption(99), options=[(99, b"abc")], own=full)[TCP].options, full)


class TestDSCP(unittest.TestCase):
    def test_every_codepoint(self):
        for header, field in ((IP, "tos"), (IPv6, "tc")):
            for codepoint in range(64):
                found = answered(header, AnswerDSCP(), mark=codepoint << 2)
                self.assertEqual(getattr(found, field), codepoint << 2)

    def test_remarked(self):
        for header, field in ((IP, "tos"), (IPv6, "tc")):
            for kind, sent, came in (("bleach", 46, 0), ("tos_precedence", 46, 6), ("some_tos", 46, 6),
                                     ("some_tos", 57, 57), ("low", 46, 40), ("some_low", 46, 40), ("some_low", 57, 57),
                                     ("remark_tos", 46, 14)):
                client, server = ENDS[header]
                packet = header(src=client, dst=server, **{field: sent << 2 | 1}) / TCP()
                found = header(mangle(bytes(packet), {PACKED[header]: [Remark(kind)]}))
                self.assertEqual(getattr(found, field), came << 2 | 1, kind)


if __name__ == "__main__":
    unittest.main()
