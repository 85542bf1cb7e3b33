"""The resolver plugin: from names to jobs."""

import argparse
import json
import os
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import dnslib

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.scenarios import all_cases
from pathspider.plugins import dnsresolv
from pathspider.records import SHUTDOWN_SENTINEL, to_measure
from pathspider.targets.prefixes import Prefixes
from tests.helpers.resolvers import ResolverCase, answering

ZONE = {
    ("both.example", "A"): ["192.0.2.1", "192.0.2.2", "192.0.2.1"], ("both.example", "AAAA"): ["2001:db8::1"],
    ("six.example", "AAAA"): ["2001:db8::6"],
    ("none.example", "A"): [],
    ("nowhere.example", "A"): ["0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255"],
    ("nowhere.example", "AAAA"): ["::", "::1", "fe80::1", "ff02::1", "::ffff:c000:201"],
    ("inside.example", "A"): ["127.0.0.1", "10.0.0.7"], ("inside.example", "AAAA"): ["fd00::7"],
    ("xn--strae-oqa.example", "A"): ["192.0.2.3"],
    ("half.example", "A"): ["192.0.2.4"],
}
SILENT = {("half.example", "AAAA"), ("silent.example", "A"), ("silent.example", "AAAA")}


def answer(query):
    """What the resolver of these tests says: other names do not exist, or the server fails, as they are called."""
    question = dnslib.DNSRecord.parse(query).q
    name, kind = str(question.qname).removesuffix("."), dnslib.QTYPE.get(question.qtype)
    if (name, kind) in SILENT:
        return None
    if not any(known == name for known, _ in ZONE):
        return answering(rcode={"servfail": 2, "refused": 5}.get(name.partition(".")[0], 3))(query)
    return answering(*(f"{name} 60 {kind} {address}" for address in ZONE.get((name, kind), ())))(query)


class TestDNSResolv(ResolverCase):
    def setUp(self):
        super().setUp()
        self.serve(answer)

    def run_jobs(self, jobs, workers=3, **arguments):
        arguments = {"timeout": 0.5, "output_unresolved": False, "resolver": ["127.0.0.1"], **arguments}
        spider = self.spider = dnsresolv.DNSResolv(workers, "int:no-such", argparse.Namespace(**arguments))
        with self.assertLogs("pathspider", "INFO") as logs:
            spider.start()

            def feed():
                for job in jobs:
                    spider.add_job(job)
                spider.shutdown()

            threading.Thread(target=feed).start()
            records = list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))
            self.assertEqual(spider.jobs_done, len(jobs))
        self.logs = logs.output
        self.summary = logs.output[-1]
        self.undone = [(count, what) for count, what in spider.undone() if count]
        return sorted(records, key=str)

    def test_one_job_an_address_with_all_that_the_line_held(self):
        self.assertEqual(self.run_jobs([{"rank": "1", "domain": "both.example", "note": [1]}]), [
            {"rank": "1", "domain": "both.example", "note": [1], "dip": dip}
            for dip in ("192.0.2.1", "192.0.2.2", "2001:db8::1")])

    def test_one_ip_version_is_asked_for(self):
        for version, found in ((4, ["192.0.2.1", "192.0.2.2"]), (6, ["2001:db8::1"])):
            records = self.run_jobs([{"domain": "both.example"}], ip_version=version)
            self.assertEqual([record["dip"] for record in records], found)

    def test_what_does_not_resolve_is_counted_and_left_out(self):
        names = ("six.example", "none.example", "gone.example", "nowhere.example", "")
        self.assertEqual(self.run_jobs([{"domain": name} for name in names]),
                         [{"domain": "six.example", "dip": "2001:db8::6"}])
        self.assertIn("1 of 5 names resolved, to 1 addresses", self.summary)
        for reason in ("1 nodata", "1 nxdomain", "1 no_target", "1 domain_missing"):
            self.assertIn(reason, self.summary)
        self.assertEqual(self.undone, [])

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

    def test_where_the_addresses_are(self):
        prefixes = Prefixes()
        prefixes.table.insert("192.0.2.0/24", 64496)
        found = self.run_jobs([{"domain": "both.example", "info": {"note": 1}}], prefixes=prefixes)
        self.assertEqual([(record["dip"], record["info"]) for record in found][::2],
                         [("192.0.2.1", {"note": 1, "prefix": "192.0.2.0/24", "ASN": 64496}),
                          ("2001:db8::1", {"note": 1})])

    def test_addresses_to_which_no_path_leads(self):
        self.assertEqual(self.run_jobs([{"domain": "inside.example"}, {"domain": "nowhere.example"}]),
                         [{"domain": "inside.example", "dip": dip} for dip in ("10.0.0.7", "fd00::7")])
        self.assertIn("1 no_target", self.summary)

    def test_an_address_in_the_place_of_a_name(self):
        names = ("192.0.2.77", "2001:DB8::77", "127.0.0.1")
        self.assertEqual([record["dip"] for record in self.run_jobs([{"domain": name} for name in names])],
                         ["192.0.2.77", "2001:db8::77"])
        self.assertIn("1 no_target", self.summary)

    def test_names_in_other_spellings(self):
        found = self.run_jobs([{"domain": "Straße.example"}, {"domain": "SIX.example."}, {"domain": "Gone.example"}],
                              output_unresolved=True)
        self.assertEqual([{key: value for key, value in one.items() if key not in ("path", "time", "run")}
                          for one in found], [
            {"domain": "Gone.example", "domain_ascii": "gone.example",
             "conditions": ["dnsresolv.unresolved:nxdomain"]},
            {"domain": "SIX.example.", "domain_ascii": "six.example", "dip": "2001:db8::6"},
            {"domain": "Straße.example", "domain_ascii": "xn--strae-oqa.example", "dip": "192.0.2.3"}])

    def test_what_is_no_answer_is_work_that_was_not_done(self):
        names = ("both", "silent", "refused", "servfail", "gone", "none", "half", "a b")
        found = self.run_jobs([{"domain": f"{name}.example"} for name in names], output_unresolved=True)
        self.assertEqual(self.undone, [
            (2, "names got no answer from the resolvers (1 refused, 1 timeout); --resume FILE asks for them again"),
            (1, "names were answered for A or AAAA alone")] if "(1 refused" in self.undone[0][1] else [
            (2, "names got no answer from the resolvers (1 timeout, 1 refused); --resume FILE asks for them again"),
            (1, "names were answered for A or AAAA alone")])
        self.assertEqual({record["domain"].partition(".")[0] for record in found if self.spider.is_unfinished(record)},
                         {"silent", "refused"})
        self.assertIn("1 bad_domain", self.summary)

    def test_resolvers_that_fail_for_all(self):
        self.run_jobs([{"domain": "servfail.example"}, {"domain": "a b"}])
        self.assertEqual(self.undone, [(1, "names failed at the resolvers, and none was resolved")])

    def test_resolvers_that_are_dead_are_named_at_once(self):
        for job, count in (({"domain": "silent.example"}, 1), ({"domain": "servfail.example"}, 1),
                           ({"domain": "gone.example"}, 0)):
            self.run_jobs([job] * 60, workers=30, timeout=0.2)
            said = [line for line in self.logs if "not one of the first 20 names could be resolved" in line]
            self.assertEqual(len(said), count, self.logs)

    def test_resolvers_are_numeric(self):
        self.assertEqual(dnsresolv.numeric_address("2001:DB8::1"), "2001:db8::1")
        with self.assertRaises(argparse.ArgumentTypeError):
            dnsresolv.numeric_address("dns.example")


class TestInTheLab(unittest.TestCase):
    """Resolvers that answer, refuse, keep silent, or want TCP."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())

    def resolve(self, *resolvers, status=0):
        command = [sys.executable, "-m", "pathspider", "measure", "--csv", "dnsresolv", "--timeout", "1",
                   "--output-unresolved", *(word for resolver in resolvers for word in ("--resolver", resolver))]
        done = self.lab.run(command, data=b"1,www.example.com\n", capture_output=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
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

    def test_without_interface_root_and_answer(self):
        """What is asked of the machine is nothing, and what was not done is told, and done by ``--resume``."""
        (silent,) = self.addresses("dns-silent")[:1]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o777)
            output = Path(folder, "targets")
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                       sys.executable, "-m", "pathspider", "measure", "--csv-input"]
            options = {"data": b"1,a.example\n", "capture_output": True, "timeout": 60,
                       "env": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": folder}}
            unanswered = ["dnsresolv", "--timeout", "1", "--output-unresolved", "--resolver", silent]
            done = self.lab.run([*command, "-o", str(output), *unanswered], **options)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(b"1 names got no answer from the resolvers (1 timeout)", done.stderr)
            self.assertEqual(json.loads(output.read_bytes())["conditions"], ["dnsresolv.unresolved:timeout"])
            again = [*command, "--resume", str(output), "dnsresolv", "--resolver", clean_address(0, 4)]
            done = self.lab.run(again, **options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"resolver was", done.stderr)
            again.insert(again.index("--resume"), "--force")
            done = self.lab.run(again, **options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([json.loads(line)["dip"] for line in output.read_bytes().splitlines()],
                             ["192.0.2.1", "2001:db8::1"])

    def test_resolvers(self):
        found = [{"rank": "1", "domain": "www.example.com", "dip": dip} for dip in ("192.0.2.1", "2001:db8::1")]
        for resolver in (clean_address(0, 4), clean_address(0, 6), *self.addresses("dns-tcp-only")):
            self.assertEqual(self.resolve(resolver), found)
        (refused,) = self.addresses("servfail")[:1]
        self.assertEqual(self.resolve(refused, status=1)[0]["conditions"], ["dnsresolv.unresolved:servfail"])
        (silent,) = self.addresses("dns-silent")[:1]
        self.assertEqual(self.resolve(silent, status=1)[0]["conditions"], ["dnsresolv.unresolved:timeout"])
        self.assertEqual(self.resolve(silent, refused, clean_address(0, 4)), found)
