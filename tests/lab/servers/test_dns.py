"""The lab's DNS answers."""

import json
import os
import subprocess
import sys
import unittest
from unittest import mock

import dnslib

from pathspider.lab import Lab
from pathspider.lab.addresses import CLEAN_TARGETS, clean_address
from pathspider.lab.scenarios import all_cases, clean_jobs, names
from pathspider.lab.servers import dns
from pathspider.lab.servers.dns import answer, answers
from tests import in_checkout


def ask(qtype="A", kind="", name="www.example", **options):
    response = answer(dnslib.DNSRecord.question(name, qtype).pack(), kind, **options)
    return None if response is None else dnslib.DNSRecord.parse(response)


def addresses(name):
    return {str(one.rdata) for qtype in ("A", "AAAA") for one in ask(qtype, name=name).rr}


@mock.patch.dict(dns.NAMES, names())
class TestNames(unittest.TestCase):
    def test_of_every_path(self):
        found = {}
        for case in all_cases():
            found.setdefault(case.job["domain"], set()).add(case.address)
        for name, where in found.items():
            self.assertEqual(addresses(name), where)
        self.assertEqual(addresses("ECN-Clean-HTTP.lab.TEST."), {"10.20.1.2", "fd00:20::1:2"})

    def test_of_clean_targets(self):
        for job in clean_jobs(40):
            self.assertIn(job["dip"], addresses(job["domain"]))
        last = CLEAN_TARGETS
        self.assertEqual(addresses(f"clean-{last}.lab.test"), {clean_address(last - 1, 4), clean_address(last - 1, 6)})

    def test_one_ip_version(self):
        response = ask("AAAA", name="udpzero-clean.lab.test")
        self.assertEqual((response.header.rcode, response.rr), (0, []))

    def test_that_do_not_exist(self):
        for name in ("nonesuch.lab.test", "clean-0.lab.test", "clean-01.lab.test",
                     f"clean-{CLEAN_TARGETS + 1}.lab.test", "x.ecn-clean-http.lab.test", "a b\".lab.test"):
            self.assertEqual(ask(name=name).header.rcode, dnslib.RCODE.NXDOMAIN, name)
        self.assertEqual((ask(name="lab.test").header.rcode, ask(name="lab.test").rr), (0, []))


@unittest.skipUnless(os.path.exists("/etc/resolv.conf"), "a machine that asks nobody for names")
class TestResolving(unittest.TestCase):
    """A list of names becomes targets, and what is found of them is true."""

    def resolve_and_measure(self, servers="builtin"):
        cases = [case for case in all_cases("ecn", "http") if case.scenario.name in (
            "ecn-clean-http", "ecn-syn-reset-http", "ecn-no-server-http")]
        wanted = {case.scenario.name for case in cases}
        list_ = "".join(json.dumps({"domain": f"{name}.lab.test", "scenario": name}) + "\n" for name in wanted)
        measure = f"{sys.executable} -P -m pathspider measure -i lab0"
        with Lab(servers) as lab:
            done = lab.run(["sh", "-c", f"{measure} dnsresolv | {measure} ecn --connect http"], data=list_.encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        found = {(record["scenario"], record["dip"]): set(record["conditions"])
                 for record in map(json.loads, done.stdout.splitlines())}
        self.assertEqual(found, {(case.scenario.name, case.address): case.truth for case in cases}, done.stderr)

    def test_in_the_lab(self):
        self.resolve_and_measure()

    @in_checkout
    def test_of_knot(self):
        self.resolve_and_measure("apache")

    def test_the_machine_keeps_its_resolvers(self):
        with open("/etc/resolv.conf", "rb") as file:
            before = file.read()
        with Lab() as lab:
            inside = lab.run(["cat", "/etc/resolv.conf"], capture_output=True).stdout
            with open("/etc/resolv.conf", "rb") as file:
                self.assertEqual(file.read(), before)
        self.assertEqual(inside, b"nameserver 10.64.0.1\nnameserver fd00:21::1\n")


class TestAnswer(unittest.TestCase):
    def test_every_name_elsewhere_has_addresses(self):
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

    def test_answers_of_others_before_the_own(self):
        query = dnslib.DNSRecord.question("www.example")
        self.assertEqual((len(answers(query.pack())), answers(query.pack(), "dns-silent")), (1, []))
        strays = [dnslib.DNSRecord.parse(one) for one in answers(query.pack(), "dns-strays")]
        self.assertEqual([(one.header.id == query.header.id, one.q == query.q) for one in strays],
                         [(False, True), (True, False), (True, True)])

    def test_what_is_no_query(self):
        for data in (b"", b"\0" * 5, b"\xff" * 40):
            self.assertIsNone(answer(data))
