"""The lab's zones: what its resolvers say, and the servers below."""

import unittest

import dnslib

from pathspider.lab.servers import dns, zone
from pathspider.targets.resolver.message import client_subnet


def ask(name, qtype="A", server=None, *, datagram=True, subnet=None):
    """What comes back from the lab's resolver, or the server of a zone."""
    query = dnslib.DNSRecord.question(name, qtype)
    if subnet is not None:
        options = client_subnet(subnet)
        query.add_ar(dnslib.EDNS0(opts=[dnslib.EDNSOption(8, options[4:])]))
    asked = next((address for address, one in zone.SERVERS.items() if one == server), b"")
    return dns.answers(query.pack(), datagram=datagram, asked=asked)


def records(*arguments, **options):
    message, = ask(*arguments, **options)
    return dnslib.DNSRecord.parse(message)


class TestNames(unittest.TestCase):
    def test_aliases(self):
        self.assertEqual([str(one.rdata) for one in records("alias.lab.test").rr],
                         ["alias-2.lab.test.", "clean-1.lab.test.", "10.64.0.1"])
        self.assertEqual({one.rtype for one in records("loop-1.lab.test").rr}, {dnslib.QTYPE.CNAME})

    def test_many(self):
        self.assertTrue(records("many.lab.test").header.tc)
        self.assertEqual(len(records("many.lab.test", datagram=False).rr), 300)

    def test_other_types(self):
        service, = records("service.lab.test", "HTTPS").rr
        self.assertIn("alpn=h2,http/1.1", str(service.rdata))
        self.assertEqual([str(one.rdata) for one in records("lab.test", "MX").rr],
                         ["20 clean-4.lab.test.", "10 clean-3.lab.test."])
        self.assertEqual([one.rtype for one in records("signed.lab.test").rr], [dnslib.QTYPE.A, dnslib.QTYPE.RRSIG])
        self.assertEqual(records("signed.lab.test", "MX").rr, [])

    def test_client_subnet(self):
        from ipaddress import ip_network  # noqa: PLC0415

        for subnet, address in ((None, "10.64.0.10"), (ip_network("192.0.2.0/24"), "10.64.0.3")):
            self.assertEqual([str(one.rdata) for one in records("subnet.lab.test", subnet=subnet).rr], [address])


class TestServers(unittest.TestCase):
    def test_the_way_down(self):
        for server, child in ((".", "test"), ("test", "lab.test"), ("lab.test", "slow.lab.test")):
            reply = records("www.slow.lab.test", server=server)
            self.assertEqual((reply.rr, str(reply.auth[0].rname), reply.header.aa), ([], f"{child}.", 0))
            self.assertEqual(str(reply.ar[0].rdata), zone.server_address(child, 4))
        self.assertEqual(str(records("clean-1.lab.test", server="lab.test").rr[0].rdata), "10.64.0.1")
        self.assertEqual(str(records(".", "NS", ".").rr[0].rdata), "ns.root.")

    def test_bad_ones(self):
        for server in (None, True):
            def at(kind, server=server, **options):
                name = f"{kind}.lab.test"
                return ask(f"www.{name}", server=name if server else None, **options)

            self.assertEqual(dnslib.DNSRecord.parse(at("lame")[0]).header.rcode, 5 if server else 2)
            self.assertEqual(at("silent"), [])
            self.assertEqual(at("slow")[0].seconds, zone.SLOW)
            self.assertEqual((at("truncated")[0][2] & 2, at("truncated", datagram=False)[0][2] & 2), (2, 0))
            self.assertEqual((at("limited"), len(at("limited")), len(at("limited", datagram=False))), ([], 1, 1))
            self.assertEqual(str(dnslib.DNSRecord.parse(at("lying")[0]).q.qname), "another.example.")
            query = dnslib.DNSRecord.question("www.wrong-id.lab.test").pack()
            self.assertNotEqual(dns.answers(query)[0][:2], query[:2])

    def test_names_of_others_are_refused(self):
        self.assertEqual(records("www.example", server="lab.test").header.rcode, 5)
