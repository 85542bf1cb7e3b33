"""The resolver plugin: from names to jobs."""

import argparse
import json
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.scenarios import all_cases
from pathspider.plugins import dnsresolv
from pathspider.records import SHUTDOWN_SENTINEL, to_measure
from pathspider.targets.resolve import Lookup

ANSWERS = {
    ("both.example", "A"): Lookup(["192.0.2.1", "192.0.2.2"]), ("both.example", "AAAA"): Lookup(["2001:db8::1"]),
    ("six.example", "A"): Lookup([], "nodata"), ("six.example", "AAAA"): Lookup(["2001:db8::6"]),
    ("none.example", "A"): Lookup([], "nodata"), ("none.example", "AAAA"): Lookup([], "nodata"),
    ("gone.example", "A"): Lookup([], "nxdomain"), ("gone.example", "AAAA"): Lookup([], "timeout"),
    ("zero.example", "A"): Lookup(["0.0.0.0"]), ("zero.example", "AAAA"): Lookup([], "nodata"),
}


class TestDNSResolv(unittest.TestCase):
    def run_jobs(self, jobs, **arguments):
        arguments = {"timeout": 1, "output_unresolved": False, "resolver": ["192.0.2.53"], **arguments}
        spider = dnsresolv.DNSResolv(3, "int:lo", argparse.Namespace(**arguments))
        with mock.patch.object(dnsresolv, "lookup", side_effect=lambda _r, name, qtype, _t: ANSWERS[name, qtype]), \
                self.assertLogs("pathspider", "INFO") as logs:
            spider.start()

            def feed():
                for job in jobs:
                    spider.add_job(job)
                spider.shutdown()

            threading.Thread(target=feed).start()
            records = list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))
            self.assertEqual(spider.jobs_done, len(jobs))
        self.summary = logs.output[-1]
        return sorted(records, key=str)

    def test_one_job_an_address_with_all_that_the_line_held(self):
        self.assertEqual(self.run_jobs([{"rank": "1", "domain": "both.example", "note": [1]}]), [
            {"rank": "1", "domain": "both.example", "note": [1], "dip": dip}
            for dip in ("192.0.2.1", "192.0.2.2", "2001:db8::1")])

    def test_what_does_not_resolve_is_counted_and_left_out(self):
        names = ("six.example", "none.example", "gone.example", "zero.example", "")
        self.assertEqual(self.run_jobs([{"domain": name} for name in names]),
                         [{"domain": "six.example", "dip": "2001:db8::6"}])
        self.assertIn("1 of 5 names resolved, to 1 addresses", self.summary)
        for reason in ("1 nodata", "1 nxdomain", "1 no_target", "1 domain_missing"):
            self.assertIn(reason, self.summary)

    def test_or_written_when_asked_for(self):
        records = self.run_jobs([{"domain": "gone.example", "rank": "7"}, {"rank": "8"}], output_unresolved=True)
        self.assertEqual([record["conditions"] for record in records],
                         [["dnsresolv.unresolved:nxdomain"], ["pathspider.invalid_job:domain_missing"]])
        for record, job in zip(records, ({"domain": "gone.example", "rank": "7"}, {"rank": "8"}), strict=True):
            self.assertEqual(to_measure(record), job)
            self.assertEqual(set(record), {*job, "path", "conditions", "time", "run"})

    def test_the_blocklist_is_for_addresses(self):
        self.assertEqual(self.run_jobs([{"domain": "six.example"}, {"domain": "both.example"}], blocklist={
            "2001:db8::6", "192.0.2.1"}), [{"domain": "both.example", "dip": "192.0.2.2"},
                                           {"domain": "both.example", "dip": "2001:db8::1"}])
        self.assertIn("1 blocklisted", self.summary)

    def test_resolvers_are_numeric(self):
        self.assertEqual(dnsresolv.numeric_address("2001:DB8::1"), "2001:db8::1")
        with self.assertRaises(argparse.ArgumentTypeError):
            dnsresolv.numeric_address("dns.example")


class TestInTheLab(unittest.TestCase):
    """Resolvers that answer, refuse, keep silent, or want TCP."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())

    def resolve(self, *resolvers):
        command = [sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "--csv", "dnsresolv", "--timeout", "1",
                   "--output-unresolved", *(word for resolver in resolvers for word in ("--resolver", resolver))]
        done = self.lab.run(command, data=b"1,www.example.com\n", capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def addresses(self, server):
        """The addresses of a kind of server, IPv4 and IPv6."""
        return [case.address for case in all_cases() if case.scenario.server == server][:2]

    def test_resume(self):
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "targets")
            command = [sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "--csv", "--resume", str(output),
                       "dnsresolv", "--resolver", clean_address(0, 4)]
            output.write_bytes(b'{"rank": "1", "domain": "old.example", "dip": "192.0.2.9"}\n'
                               b'{"rank": "2", "domain": "www.example.com", "dip": "192.0.2.1"}\n')  # no IPv6 yet
            done = self.lab.run(command, data=b"1,old.example\n2,www.example.com\n", capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            addresses = [json.loads(line)["dip"] for line in output.read_bytes().splitlines()]
            self.assertEqual(addresses, ["192.0.2.9", "192.0.2.1", "2001:db8::1"])

    def test_resolvers(self):
        found = [{"rank": "1", "domain": "www.example.com", "dip": dip} for dip in ("192.0.2.1", "2001:db8::1")]
        for resolver in (clean_address(0, 4), clean_address(0, 6), *self.addresses("dns-tcp-only")):
            self.assertEqual(self.resolve(resolver), found)
        (refused,) = self.addresses("servfail")[:1]
        self.assertEqual(self.resolve(refused)[0]["conditions"], ["dnsresolv.unresolved:servfail"])
        (silent,) = self.addresses("dns-silent")[:1]
        self.assertEqual(self.resolve(silent)[0]["conditions"], ["dnsresolv.unresolved:timeout"])
        self.assertEqual(self.resolve(silent, refused, clean_address(0, 4)), found)
