"""Queries and responses, beside what dnslib makes and reads."""

import struct
import unittest
from ipaddress import ip_network

import dnslib
from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.resolver.message import (
    TYPES,
    Answer,
    client_subnet,
    decode_name,
    encode_name,
    in_mixed_case,
    is_answer,
    query,
    question,
    read_answer,
)
from tests.helpers.resolvers import answering

NAME = "alias.example.com"


def asked(qtype="A", name=NAME):
    return question(encode_name(name), TYPES[qtype])


def response(*records, qtype="A", **options):
    return bytes(answering(*records, **options)(b"\x12\x34" + query(asked(qtype), b"")))


def read(*records, qtype="A", **options):
    return read_answer(asked(qtype), response(*records, qtype=qtype, **options))


class TestQuery(unittest.TestCase):
    def test_what_is_asked(self):
        for options, count in ((None, 0), (b"", 1), (client_subnet(ip_network("192.0.2.0/24")), 1)):
            record = dnslib.DNSRecord.parse(b"\x12\x34" + query(asked("AAAA"), options))
            self.assertEqual((record.header.id, record.header.rd, str(record.q.qname), record.q.qtype, len(record.ar)),
                             (0x1234, 1, f"{NAME}.", dnslib.QTYPE.AAAA, count))
        option, = record.ar[0].rdata
        self.assertEqual((option.code, bytes(option.data)), (8, b"\0\1\x18\0\xc0\0\2"))
        self.assertEqual(record.ar[0].rclass, 1232)

    def test_a_network_that_ends_within_an_octet(self):
        self.assertEqual(client_subnet(ip_network("2001:db8::/33"))[4:], b"\0\2\x21\0\x20\x01\x0d\xb8\0")

    def test_letters_alone_are_in_mixed_case(self):
        asked = question(encode_name("a-1_z.example"), TYPES["AAAA"])
        self.assertEqual(in_mixed_case(asked, b"\1" * 255), b"\5A-1_Z\7EXAMPLE\0" + asked[-4:])
        self.assertEqual(in_mixed_case(asked, bytes(255)), asked)

    def test_names(self):
        self.assertEqual((encode_name("."), encode_name("WWW.example.")), (b"\0", b"\3www\7example\0"))
        self.assertEqual((decode_name(b"\0"), decode_name(b"\3www\7example\0")), (".", "www.example"))
        self.assertEqual(decode_name(b"\4a.\x07\xff\3com\0"), "a\\046\\007\\255.com")
        for name in ("x" * 64 + ".com", "x." * 200, "a..b"):
            self.assertRaises(ValueError, encode_name, name)


class TestAnswer(unittest.TestCase):
    def test_addresses(self):
        found = read(f"{NAME} 60 A 192.0.2.7", f"{NAME} 60 A 192.0.2.8", f"{NAME} 60 A 192.0.2.7")
        self.assertEqual(found, Answer("", (b"\xc0\0\2\7", b"\xc0\0\2\x08")))

    def test_aliases_are_kept(self):
        found = read(f"{NAME} 60 CNAME b.example", "b.example 60 CNAME c.example", "c.example 60 A 192.0.2.7")
        self.assertEqual(found, Answer("", (b"\xc0\0\2\7",), ("b.example", "c.example")))

    def test_other_types(self):
        self.assertEqual(read(f"{NAME} 60 NS ns.example", qtype="NS").values, ("ns.example",))
        self.assertEqual(read(f"{NAME} 60 MX 10 mx.example", qtype="MX").values, ((10, "mx.example"),))
        self.assertEqual(read(f"{NAME} 60 HTTPS 1 svc.example. alpn=h2,h3 port=8443 ipv4hint=192.0.2.7,192.0.2.8 "
                              "ipv6hint=2001:db8::7 no-default-alpn", qtype="HTTPS").values, ({
                                  "priority": 1, "target": "svc.example", "alpn": ["h2", "h3"], "port": 8443,
                                  "ipv4hint": ["192.0.2.7", "192.0.2.8"], "ipv6hint": ["2001:db8::7"],
                                  "no-default-alpn": True},))

    def test_records_of_dnssec_are_left_alone(self):
        signature = f"{NAME} 60 RRSIG A 13 3 60 20330101000000 20230101000000 1 example. {'A' * 86}=="
        self.assertEqual(read(f"{NAME} 60 A 192.0.2.7", signature).values, (b"\xc0\0\2\7",))

    def test_why_there_is_nothing(self):
        for code, problem in ((0, "nodata"), (1, "formerr"), (2, "servfail"), (3, "nxdomain"), (5, "refused"),
                              (15, "rcode15")):
            self.assertEqual(read(rcode=code), Answer(problem))
        self.assertEqual(read_answer(asked(), response()[:3] + b"\0" + response()[4:]).problem, "nodata")  # AA
        referral = response()
        self.assertEqual(read_answer(asked(), referral[:2] + b"\x80\0" + referral[4:]).problem, "no_recursion")

    def test_badvers_is_no_empty_answer(self):
        plain = response()
        for options in (b"", b"\0\x0a\0\2xy"):
            opt = struct.pack("!BHHBBHH", 0, 41, 1232, 1, 0, 0, len(options)) + options
            message = plain[:10] + b"\0\1" + plain[12:12 + len(asked())] + opt
            self.assertEqual(read_answer(asked(), message).problem, "badvers")

    def test_whose_answer_it_is(self):
        message = b"\x12\x34" + query(asked(), b"")
        self.assertTrue(is_answer(message, response()))
        self.assertFalse(is_answer(message, b"\x12\x35" + response()[2:]))
        self.assertFalse(is_answer(message, response()[:13] + b"x" + response()[14:]))

    @given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=6), st.integers(0, 300),
           st.sampled_from([*TYPES]))
    def test_mangled_ones(self, changes, cut, qtype):
        records = {"MX": "10 mx.example", "HTTPS": "1 . alpn=h2 port=3", "A": "192.0.2.7", "NS": "ns.example"}
        data = bytearray(response(f"{NAME} 60 CNAME b.example", f"b.example 60 {qtype} {records[qtype]}", qtype=qtype)
                         if qtype in records else response(f"{NAME} 60 CNAME b.example", qtype=qtype))
        for at, value in changes:
            data[at % len(data)] = value
        found = read_answer(asked(qtype), bytes(data[:max(len(data) - cut, 12)]))
        self.assertNotEqual(bool(found.values), bool(found.problem))
