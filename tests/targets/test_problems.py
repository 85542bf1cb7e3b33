"""What makes a job a target that can be measured."""

import unittest

from pathspider.targets.problems import (
    canonical_domain,
    identity,
    key_advice,
    looks_like_name,
    target_asn,
    target_problem,
)


class TestTargets(unittest.TestCase):
    def test_good_ones(self):
        for job in (
            {"dip": "192.0.2.1"},
            {"dip": "2001:db8::1", "dp": 443, "domain": "x"},
            {"dip": "127.0.0.1", "dp": None},
            *({"dip": "192.0.2.1", "domain": domain} for domain in (
                None, "", "straße.de", "💩.la", "-lead.tumblr.example", "trail-.a_b", "192.0.2.1", "2001:db8::1", "."))
        ):
            with self.subTest(job=job):
                self.assertIsNone(target_problem(job))

    def test_bad_ones(self):
        cases = {
            "dip_missing": [{}, {"domain": "x"}],
            "dip_not_an_address": [
                {"dip": ""},
                {"dip": "example.com"},
                {"dip": 1},
                {"dip": None},
                {"dip": ["192.0.2.1"]},
                {"dip": "192.0.2.300"},
                {"dip": "192.0.2.1/24"},
                {"dip": "192.0.2.1\0"},
            ],
            "dip_has_a_zone": [{"dip": "fe80::1%eth0"}],
            "dip_not_unicast": [{"dip": dip} for dip in ("224.0.0.1", "255.255.255.255", "ff02::1", "0.0.0.0", "::")],
            "dip_is_ipv4_mapped": [{"dip": "::ffff:192.0.2.1"}],
            "dp_not_a_port": [{"dip": "192.0.2.1", "dp": port} for port in (0, -1, 65536, "80", 80.0, True, [])],
            "domain_not_a_name": [{"dip": "192.0.2.1", "domain": domain} for domain in (
                "a b", "a..b", "x" * 64, "x." * 128, "a\0", "ü\n", "\u0301", " a")],
            "domain_not_a_string": [{"dip": "192.0.2.1", "domain": domain} for domain in (5, [], {})],
        }
        for problem, jobs in cases.items():
            for job in jobs:
                with self.subTest(job=job):
                    self.assertEqual(target_problem(job), problem)


class TestNames(unittest.TestCase):
    def test_one_form(self):
        self.assertEqual([canonical_domain(one) for one in ("EXAMPLE.org.", "example.org", 7, None)],
                         ["example.org", "example.org", 7, None])
        self.assertEqual(identity({"dip": "2001:DB8::0:1", "domain": "A.B."}), ["2001:db8::1", None, "a.b"])

    def test_what_looks_like_a_name(self):
        for text in ("example.org", "straße.de.", "_dmarc.example.org", "-lead.tumblr.example", "xn--nxasmq6b.test"):
            self.assertTrue(looks_like_name(text), text)
        for text in ("oops", "192.0.2.999", "a b.c", "x.y/z", ".example", "a..b", "", 7, None, "a@b.org"):
            self.assertFalse(looks_like_name(text), text)

    def test_advice(self):
        for job, says in (({"ip": "192.0.2.1", "port": 80}, ['"dip", not from "ip"', '"dp", not from "port"']),
                          ({"IPv4": "192.0.2.1", "dp": 80}, ['not from "IPv4"']),
                          ({"host": "192.0.2.1", "dp": 80}, ['"dip", not from "host"']),
                          ({"host": "example.org", "dp": 80}, []),
                          ({"dip": "example.org"}, ["a name stands where"]),
                          ({"domain": "example.org"}, ["a name alone"]),
                          ({"dip": "192.0.2.1", "domain": "example.org"}, []), ({}, []), ({"ip": 7}, [])):
            with self.subTest(job):
                found = list(key_advice(job))
                self.assertEqual(len(found), len(says))
                for text, part in zip(found, says, strict=True):
                    self.assertIn(part, text)


class TestSystem(unittest.TestCase):
    def test_several_origins(self):
        for asn, found in ((64496, "64496"), ([64497, 64496], "64497"), ([[64499, 64500], 64501], "64501"),
                           ([[64499, 64500]], None), ([], None), (["AS64496"], "64496"), ({"a": 1}, None)):
            self.assertEqual(target_asn({"info": {"ASN": asn}}), found, asn)
        self.assertEqual(target_asn({"dip_asn": [[1, 2]], "canid_info": {"ASN": 64496}}), "64496")
