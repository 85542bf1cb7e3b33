"""The lab's DNS answers."""

import unittest

import dnslib

from pathspider.lab.servers.dns import answer


def ask(qtype="A", kind="", **options):
    response = answer(dnslib.DNSRecord.question("www.example", qtype).pack(), kind, **options)
    return None if response is None else dnslib.DNSRecord.parse(response)


class TestAnswer(unittest.TestCase):
    def test_every_name_has_addresses(self):
        self.assertEqual([str(one.rdata) for one in ask().rr], ["192.0.2.1"])
        self.assertEqual([str(one.rdata) for one in ask("AAAA").rr], ["2001:db8::1"])

    def test_nothing_else(self):
        self.assertEqual((ask("MX").rr, ask("MX").header.rcode), ([], 0))

    def test_kinds(self):
        self.assertEqual(ask(kind="servfail").header.rcode, dnslib.RCODE.SERVFAIL)
        self.assertIsNone(ask(kind="dns-silent"))
        self.assertEqual((ask(kind="dns-tcp-only", datagram=True).header.tc,
                          ask(kind="dns-tcp-only", datagram=True).rr), (1, []))
        self.assertEqual(len(ask(kind="dns-tcp-only").rr), 1)

    def test_what_is_no_query(self):
        for data in (b"", b"\0" * 5, b"\xff" * 40):
            self.assertIsNone(answer(data))
