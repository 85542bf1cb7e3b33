"""``pspdr resolve``: names in, jobs out."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

import dnslib

from pathspider.cmd.main import main
from pathspider.lab import Lab
from tests import in_checkout
from tests.docs.test_shown import blocks, commands, runnable
from tests.helpers.resolvers import ResolverCase, answering
from tests.packaging.files import ROOT
from tests.programs import with_unbound, write_programs
from tests.targets.resolver.test_run import world

PSPDR = [sys.executable, "-P", "-m", "pathspider"]


def read(path):
    """The lines of a file of ndjson, None without one."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else None


class TestResolve(ResolverCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.output, self.unresolved = self.folder / "jobs", self.folder / "unresolved"

    def options(self, *more):
        return ["resolve", "--resolver", f"127.0.0.1:{self.port}", "-o", str(self.output), *more]

    def resolve(self, text, *options, status=0):
        source = self.folder / "names"
        source.write_text(text, encoding="utf-8")
        with self.assertLogs("pathspider") as logs:
            self.assertEqual(main([*self.options(*options), str(source)]), status)
        self.messages = "\n".join(logs.output)
        return read(self.output)

    def test_a_list(self):
        self.serve(world)
        jobs = self.resolve("1,h1.example\n2,x2.example\n3,h3.example\n", "--output-unresolved", str(self.unresolved))
        self.assertEqual(sorted(job["dip"] for job in jobs), ["192.0.2.1", "192.0.2.3"])
        self.assertEqual({job["rank"] for job in jobs}, {"1", "3"})
        self.assertEqual(read(self.unresolved), [
            {"rank": "2", "domain": "x2.example", "conditions": ["dnsresolv.unresolved:nxdomain"]}])
        self.assertIn("2 of 3 names resolved, to 2 jobs; not resolved: 1 nxdomain", self.messages)
        self.assertEqual([path.name for path in self.folder.glob("*.journal")], [])

    def test_what_was_not_resolved_is_a_list_again(self):
        self.serve(world)
        self.unresolved.write_text('{"domain": "h1.example", "conditions": ["dnsresolv.unresolved:timeout"]}\n')
        self.assertEqual(main(self.options("-q", str(self.unresolved))), 0)
        self.assertEqual(read(self.output), [{"domain": "h1.example", "dip": "192.0.2.1"}])

    def test_no_answer_is_an_exit_status(self):
        self.resolve("h1.example\n", status=1)
        self.assertIn("1 names got no answer from the resolvers", self.messages)

    def test_servfail_for_one_type_is_an_answer(self):
        def of_aaaa(rcode):
            def answer(query):
                reply = dnslib.DNSRecord.parse(world(query))
                if reply.q.qtype == dnslib.QTYPE.AAAA:
                    reply.header.rcode = rcode
                return reply.pack()
            return answer

        self.serve(of_aaaa(2))
        jobs = self.resolve("h1.example\n", "--output-unresolved", str(self.unresolved))
        self.assertEqual(jobs, [{"domain": "h1.example", "dip": "192.0.2.1", "unanswered": {"AAAA": "servfail"}}])
        self.assertIn("1 of 1 names resolved", self.messages)
        self.assertIn("1 names were answered in part, and with SERVFAIL in part", self.messages)
        self.assertEqual(read(self.unresolved), [])

    def test_no_answer_for_one_type_is_an_exit_status(self):
        def refuse(query):
            reply = dnslib.DNSRecord.parse(world(query))
            if reply.q.qtype == dnslib.QTYPE.AAAA:
                reply.header.rcode = 5
            return reply.pack()

        self.serve(refuse)
        jobs = self.resolve("h1.example\n", status=1)
        self.assertEqual(jobs[0]["unanswered"], {"AAAA": "refused"})
        self.assertIn("1 names were answered in part: some questions got no answer", self.messages)

    def test_a_resolver_that_refuses_all_is_set_aside_and_named(self):
        self.serve(world)
        self.serve(answering(rcode=5), address="127.0.0.2")
        names = "".join(f"h{number}.example\n" for number in range(100))
        jobs = self.resolve(names, "--resolver", f"127.0.0.2:{self.port}", "--timeout", "60")
        self.assertEqual(len(jobs), 100)
        self.assertIn(f"resolver 127.0.0.2:{self.port} has not answered 20 questions in a row that others have "
                      "answered (refused)", self.messages)
        self.assertIn(f"resolver 127.0.0.2:{self.port} was set aside once", self.messages)

    def test_a_resolver_that_does_not_keep_the_case_of_names(self):
        def lower(query):
            answer = world(query)
            end = answer.index(b"\0", 12)
            return answer[:12] + answer[12:end].lower() + answer[end:]

        seen = []
        self.serve(lower, lower, watch=lambda query, client: seen.append(query[12:]))
        jobs = self.resolve("".join(f"h{number}.example\n" for number in range(50)), "--mixed-case")
        self.assertEqual(len(jobs), 50)
        self.assertTrue(any(query != query.lower() for query in seen))
        self.assertIn("does not keep the case of names", self.messages)

    def test_an_answer_that_is_none_is_no_invalid_job(self):
        self.serve(lambda query: query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:-11] + b"\xc0")  # a record is cut
        self.resolve("h1.example\n", "--timeout", "2", "--output-unresolved", str(self.unresolved), status=1)
        self.assertEqual(read(self.unresolved), [
            {"domain": "h1.example", "conditions": ["dnsresolv.unresolved:invalid"]}])
        self.assertIn("1 names got no answer from the resolvers", self.messages)
        self.assertNotIn("neither an address", self.messages)

    def test_a_job_that_can_be_none_is_an_exit_status(self):
        self.serve(world)
        self.resolve('{"dip": "1.2.3"}\nh1.example\n', status=1)
        self.assertIn("1 jobs have neither an address nor a name", self.messages)
        self.assertEqual(len(read(self.output)), 1)

    def test_a_job_is_there_before_the_next_name_comes(self):
        self.serve(world)
        with subprocess.Popen([*PSPDR, "resolve", "--resolver", f"127.0.0.1:{self.port}"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            for number in range(1, 4):
                run.stdin.write(b"h%d.example\n" % number)
                run.stdin.flush()
                self.assertEqual(json.loads(run.stdout.readline())["dip"], f"192.0.2.{number}")
            run.stdin.close()

    def test_sigkill_loses_and_repeats_none(self):
        names = self.folder / "names"
        names.write_text("".join(f"h{number}.example\n" for number in range(200)), encoding="ascii")
        asked, stuck = Counter(), threading.Event()

        def answer(query):
            asked["queries"] += 1
            if asked["queries"] > 150 and not stuck.is_set():
                stuck.set()
            return None if stuck.is_set() and not asked["well"] else world(query)

        self.serve(answer)
        options = self.options("--output-unresolved", str(self.folder / "left"), str(names))
        again = [*options, "-q", "--resume"]
        command = [*PSPDR, *options, "--window", "20"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
            self.assertTrue(stuck.wait(60))
            run.kill()
        asked["well"] = 1
        self.assertTrue((self.folder / "jobs.journal").exists())
        self.assertEqual(main(self.options("-q", str(names))), 2)  # it has content
        with self.assertLogs("pathspider") as logs:
            self.assertEqual(main([*again, "--seed", "1"]), 2)
        self.assertIn("seed was 0 when this began, and is 1 now", logs.output[0])
        (self.folder / "other").write_text("something else\n", encoding="ascii")
        self.assertEqual(main([*again, "--output-unresolved", str(self.folder / "other")]), 2)
        self.assertEqual((self.folder / "other").read_text(encoding="ascii"), "something else\n")
        self.assertEqual(main(again), 0)
        self.assertEqual(sorted(job["domain"] for job in read(self.output)),
                         sorted(f"h{number}.example" for number in range(200)))
        self.assertEqual(main(again), 2)  # all was resolved

    def test_what_cannot_be(self):
        for options, message in (
                (["--iterative", "--resolver", "192.0.2.1"], "only one of"), (["--root-hints", "x"], "--iterative"),
                (["--one-per-prefix"], "--prefixes"), (["--resume"], "--output"),
                (["-4", "--type", "AAAA"], "leaves nothing"), (["--of", "mx", "--type", "HTTPS"], "A or AAAA")):
            with self.subTest(options), self.assertLogs("pathspider") as logs:
                self.assertEqual(main(["resolve", *options, os.devnull]), 2)
            self.assertIn(message, logs.output[0])
        for options in (["--resolver", "dns.example"], ["--resolver", "192.0.2.1:0"], ["--resolver", "[192.0.2.1]:53"],
                        ["--resolver", "2001:db8::1:99999"], ["--type", "TXT"], ["--ecs", "192.0.2.1/24"]):
            with self.subTest(options), contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                main(["resolve", *options])

    def test_without_libunbound(self):
        with mock.patch.dict("sys.modules", {"unbound": None}), self.assertLogs("pathspider") as logs:
            self.assertEqual(main(["resolve", "--iterative", os.devnull]), 2)
        self.assertIn("python3-unbound", logs.output[0])


@in_checkout
@unittest.skipUnless(os.path.exists("/etc/resolv.conf"), "a machine that asks nobody for names")
class TestInTheLab(unittest.TestCase):
    def test_from_the_root_on(self):
        hints = next(text for _, caption, text in blocks((ROOT / "docs/lab.rst").read_text(encoding="utf-8"))
                     if caption == "root.hints")
        names = ["alias", "ecn-clean-http", "www.truncated", "www.slow", "nonesuch", "loop-1", "www.lame"]
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            Path(folder, "hints").write_text(hints, encoding="ascii")
            done = lab.run([*PSPDR, "resolve", "-4", "--iterative", "--root-hints", f"{folder}/hints",
                            "--timeout", "30", "--output-unresolved", f"{folder}/unresolved"], env=with_unbound(),
                           data="".join(f"{name}.lab.test\n" for name in names).encode(), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=60)
            others = read(Path(folder, "unresolved"))
        found = {job["domain"].removesuffix(".lab.test"): job for job in map(json.loads, done.stdout.splitlines())}
        self.assertEqual({name: job["dip"] for name, job in found.items()},
                         {"alias": "10.64.0.1", "ecn-clean-http": "10.20.1.2", "www.truncated": "10.64.0.1",
                          "www.slow": "10.64.0.1"}, done.stderr)
        self.assertEqual(found["alias"]["cname"], ["alias-2.lab.test", "clean-1.lab.test"])
        self.assertEqual({one["domain"]: one["conditions"] for one in others},
                         {"nonesuch.lab.test": ["dnsresolv.unresolved:nxdomain"],
                          "loop-1.lab.test": ["dnsresolv.unresolved:servfail"],
                          "www.lame.lab.test": ["dnsresolv.unresolved:servfail"]})

    def test_list_to_report_in_one_line(self):
        """The pipeline of docs/resolve.rst, with the files that the page shows."""
        found = [*blocks((ROOT / "docs/resolve.rst").read_text(encoding="utf-8"))]
        line = next(command for language, _, text in found for command, _ in commands(language, text)
                    if "pspdr report" in command)
        line = runnable(line).replace("| pspdr report", "| tee records.ndjson | pspdr report")
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            write_programs(Path(folder))
            for _, caption, text in found:
                if caption:
                    Path(folder, caption).write_text(text, encoding="ascii")
            done = lab.run(["sh", "-c", f"cd {folder} && PATH={folder}:$PATH && {line}"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=60)
            verdicts = {job["domain"]: job["conditions"] for job in
                        map(json.loads, Path(folder, "records.ndjson").read_bytes().splitlines())}
        self.assertEqual({name: next(one for one in words if ".connectivity." in one) for name, words in
                          verdicts.items()}, {"ecn-clean-http.lab.test": "ecn.connectivity.works",
                                              "ecn-syn-reset-http.lab.test": "ecn.connectivity.broken",
                                              "alias.lab.test": "ecn.connectivity.works"}, done.stderr)
        self.assertIn(b"AS64496", done.stdout)
