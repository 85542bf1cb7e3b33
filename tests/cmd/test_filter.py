"""``pspdr filter``: target lists in, jobs out."""

import json
import subprocess
import sys
import tempfile
import unittest
from itertools import chain
from pathlib import Path
from unittest import mock

from pathspider.cmd.main import main

KEEP = ["--keep-special"]
"""The addresses here are set aside for documentation."""


class TestFilter(unittest.TestCase):
    def filter(self, text, *options, status=0):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.write_text(text, encoding="utf-8")
            before = "what was there before\n" * 100
            target.write_text(before, encoding="utf-8")
            with self.assertLogs("pathspider") as logs:
                command = ["filter", "--input", str(source), "--output", str(target), "-f", *KEEP]
                self.assertEqual(main([*command, *options]), status)
            self.messages = logs.output
            text = target.read_text(encoding="utf-8")
            return None if text == before else [json.loads(line) for line in text.splitlines()]

    def test_a_list_that_is_there_is_not_overwritten(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.write_text('{"dip": "192.0.2.1"}\n')
            target.write_text("precious\n")
            with self.assertLogs("pathspider") as logs:
                self.assertEqual(main(["filter", "--input", str(source), "-o", str(target)]), 2)
            self.assertEqual(target.read_text(), "precious\n")
            self.assertIn("--force", logs.output[0])

    def test_a_list_that_cannot_be_read_costs_nothing_that_is_there(self):
        for command in (["filter", "-f"], ["measure", "-f", "--dry-run"]):
            for content, left in ((b"%PDF-1.7\n", "precious\n"), (b"", "")):
                with self.subTest(command=command, content=content), tempfile.TemporaryDirectory() as folder:
                    source, target = Path(folder, "in"), Path(folder, "out")
                    source.write_bytes(content)
                    target.write_text("precious\n")
                    with self.assertLogs("pathspider"):
                        main([*command, "--input", str(source), "-o", str(target), *["mss"][:len(command) - 2]])
                    self.assertEqual(target.read_text(), left)

    def test_a_job_is_there_before_the_next_one_comes(self):
        with subprocess.Popen([sys.executable, "-P", "-m", "pathspider", "filter", *KEEP], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            for number in range(1, 4):
                run.stdin.write(b"192.0.2.%d\n" % number)
                run.stdin.flush()
                self.assertEqual(json.loads(run.stdout.readline()), {"dip": f"192.0.2.{number}"})
            run.stdin.close()
            self.assertEqual((run.stdout.read(), run.wait(100)), (b"", 0))

    def test_each_target_once(self):
        jobs = [{"dip": "192.0.2.1", "dp": 80}, {"dip": "192.0.2.1", "dp": 443}, {"dip": "192.0.2.1", "domain": "a"}]
        text = "".join(json.dumps(job) + "\n" for job in [*jobs, *jobs, {**jobs[0], "rank": 9}])
        self.assertEqual(self.filter(text), jobs)
        self.assertIn("3 jobs; left out: 4 repeated targets", self.messages[-1])

    def test_a_port_for_all(self):
        text = '{"dip": "2001:db8::1", "dp": 80, "note": 1}\n{"dip": "2001:db8::1"}\n'
        self.assertEqual(self.filter(text, "--dp", "443"), [{"dip": "2001:db8::1", "dp": 443, "note": 1}])

    def test_csv(self):
        self.assertEqual(
            self.filter("1,a.example\n192.0.2.1,80,b.example\n192.0.2.1,80,b.example,7\n", "--csv"),
            [{"rank": "1", "domain": "a.example"}, {"dip": "192.0.2.1", "dp": 80, "domain": "b.example"}],
        )

    def test_what_is_no_target_is_left_out_and_named(self):
        text = 'x\n{"dip": "nope"}\n{"dip": "192.0.2.1", "dp": 0}\n{}\n{"domain": "a", "dp": "x"}\n{"domain": "a"}\n'
        self.assertEqual(self.filter(text, status=1), [{"domain": "a"}])
        told = "\n".join(self.messages)
        for problem in ("dip_not_an_address", "dp_not_a_port", "dip_missing", "4 invalid, 1 lines that are no jobs"):
            self.assertIn(problem, told)

    def test_a_missing_file(self):
        with self.assertLogs("pathspider", "ERROR") as logs:
            self.assertEqual(main(["filter", "--input", "/nonexistent/targets"]), 2)
        self.assertIn("/nonexistent/targets", logs.output[0])

    def test_the_input_is_not_the_output(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "both")
            path.write_text('{"dip": "192.0.2.1"}\n', encoding="utf-8")
            with self.assertLogs("pathspider") as logs:
                self.assertEqual(main(["filter", "--input", str(path), "--output", str(path)]), 2)
            self.assertIn("the file that is read", logs.output[-1])
            self.assertEqual(path.read_text(encoding="utf-8"), '{"dip": "192.0.2.1"}\n')

    def test_what_is_csv_after_all(self):
        self.assertEqual(self.filter("192.0.2.1,80,a.example\n"),
                         [{"dip": "192.0.2.1", "dp": 80, "domain": "a.example"}])
        self.assertEqual(self.filter("rank,domain\n1,a.example\n"), [{"rank": "1", "domain": "a.example"}])
        self.assertEqual(len(self.filter("rank,domain\n1,a.example\n", "--csv", status=1)), 1)
        self.assertIn("line 1: rank 'rank' is not a number (a header row is read without --csv-input)",
                      self.messages[0])
        self.assertIsNone(self.filter('{"dp": 80}\n', "--csv-input", status=1))
        self.assertIn("this looks like JSON: leave --csv-input out", self.messages[0])

    def test_keys_that_others_use(self):
        self.filter('{"ip": "192.0.2.1", "port": 8080}\n' * 30, "--allow-repeats", status=1)
        told = "\n".join(self.messages)
        self.assertEqual(told.count('read from the key "dip", not from "ip"'), 1)
        self.assertEqual(told.count('read from the key "dp", not from "port"'), 1)
        self.assertEqual((told.count("dip_missing"), told.count("these were 10 invalid jobs")), (10, 1))

    def test_a_selection(self):
        text = "192.0.2.1\n2001:db8::1\n192.0.2.2\n192.0.2.1\nexample.org\nEXAMPLE.org.\n"
        self.assertEqual(self.filter(text, "-6"), [{"dip": "2001:db8::1"}, {"domain": "example.org"}])
        self.assertIn("1 repeated", self.messages[-1])
        self.assertIn("; 3 left out: IPv4", self.messages[-1])
        self.assertEqual(len(self.filter(text, "-4", "--allow-repeats")), 5)
        self.assertEqual(self.filter(text, "--max-targets", "2"), [{"dip": "192.0.2.1"}, {"dip": "2001:db8::1"}])
        many = "".join(f"192.0.2.{number}\n" for number in range(1, 200))
        one, other, third = (self.filter(many, seed) for seed in ("--shuffle=7", "--shuffle=7", "--shuffle"))
        self.assertEqual(one, other)
        self.assertNotEqual(one, third)
        self.assertRegex(self.messages[0], r"--shuffle=\d+ is the same again")
        self.assertEqual(sorted(map(str, one)), sorted(map(str, self.filter(many))))


ADDRESSES = "".join(f"192.0.2.{number}\n" for number in range(1, 101))
PREFIXES = "192.0.2.0\t25\t64496\n192.0.2.128\t26\t64496\n2001:db8::\t32\t64497_64498\n"


class TestShaping(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def filter(self, *arguments, status=0, keep=True):
        with self.assertLogs("pathspider") as logs:
            self.assertEqual(main(["filter", "-f", "-o", str(self.folder / "out"), *KEEP[:keep], *arguments]), status)
        self.messages = "\n".join(logs.output)
        if status != 2:
            return [json.loads(line) for line in (self.folder / "out").read_text(encoding="ascii").splitlines()]
        return None

    def addresses(self, *arguments, **options):
        return [job["dip"] for job in self.filter(*arguments, **options)]

    def test_several_lists(self):
        one, two = self.file("one", "192.0.2.1\n192.0.2.2\n"), self.file("two", "dip\n192.0.2.2\n192.0.2.3\n")
        self.assertEqual(self.addresses(one, two), ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        self.assertIn("1 repeated targets", self.messages)
        bad = self.file("bad", "oops\n192.0.2.4\n")
        self.assertEqual(self.addresses(bad, one, status=1), ["192.0.2.4", "192.0.2.1", "192.0.2.2"])
        self.assertIn("bad, line 1: 'oops'", self.messages)
        self.assertEqual(self.addresses("--input", one), ["192.0.2.1", "192.0.2.2"])
        for arguments in (["--input", one, two], [one, "/nonexistent/x"], ["-", "-"], ["--without", "-"],
                          [one, "--unique", "name", "--allow-repeats"], [one, str(self.folder / "out")]):
            self.filter(*arguments, status=2)

    def test_several_lists_shuffled(self):
        one, two = self.file("one", ADDRESSES), self.file("two", ADDRESSES.replace("192.0.2", "198.51.100"))
        found = self.addresses(one, two, "--shuffle=3")
        self.assertCountEqual(found, (ADDRESSES + ADDRESSES.replace("192.0.2", "198.51.100")).split())
        self.assertGreater(len({address[:4] for address in found[:20]}), 1)
        self.assertEqual(found, self.addresses(one, two, "--shuffle=3"))
        self.assertEqual(self.addresses(one, two, "--shuffle=3", "--max-targets", "9"), found[:9])
        self.addresses(one, two, "--shuffle")
        self.assertEqual(self.messages.count("is the same again"), 1)

    def test_special_purpose_addresses(self):
        text = "10.0.0.1\n8.8.8.8\n2001:db8::1\n2001:4860::1\nexample.org\n10.20.1.1\n192.0.0.9\n"
        found = [job.get("dip", job.get("domain")) for job in self.filter(self.file("list", text), keep=False)]
        self.assertEqual(found, ["8.8.8.8", "2001:4860::1", "example.org", "10.20.1.1", "192.0.0.9"])
        self.assertIn("; 2 left out: special-purpose addresses (--keep-special keeps them)", self.messages)
        self.assertEqual(len(self.filter(self.file("list", text))), 7)

    def test_difference(self):
        given = self.file("list", "192.0.2.1,80,a.example\n192.0.2.2,80,b.example\n192.0.2.3,80,C.example\n"
                                  "192.0.2.4\n")
        records = self.file("records", '{"dip": "192.0.2.4", "dp": null, "conditions": []}\n')
        self.assertEqual(self.addresses(given, "--without", self.file("a", "192.0.2.1\nc.example.\n"), "--without",
                                        records), ["192.0.2.2"])
        self.assertIn("3 left out: targets of --without", self.messages)
        others = self.file("a", "192.0.2.1:81\n192.0.2.1,80,b.example\n")
        self.assertEqual(len(self.filter(given, "--without", others)), 4)
        self.assertEqual(len(self.filter(given, "--without", self.file("a", "192.0.2.1\noops\n"), status=1)), 3)
        self.filter(given, "--without", "/nonexistent/x", status=2)

    def test_networks(self):
        given = self.file("list", "192.0.2.1\n192.0.2.129\n2001:db8::1\n198.51.100.1\na.example\n")
        allowed = self.file("allowed", "192.0.2.0/24 # ours\n2001:db8::/32\n")
        blocked = self.file("blocked", b"192.0.2.128/25\n")
        found = [job.get("dip", job.get("domain"))
                 for job in self.filter(given, "--allowlist", allowed, "--blocklist", blocked)]
        self.assertEqual(found, ["192.0.2.1", "2001:db8::1", "a.example"])
        self.assertIn("1 left out: in no network of the allowlist; 1 left out: in a network of the blocklist",
                      self.messages)
        self.filter(given, "--allowlist", self.file("bad", "192.0.2.0/99\n"), status=2)
        self.assertIn("allowlist", self.messages)

    def test_once(self):
        text = ("192.0.2.1,80,a.example\n192.0.2.1,443,b.example\n192.0.2.2,80,A.example.\n192.0.2.129\n"
                "192.0.2.130\n10.0.0.1\nc.example\n10.0.0.2\n")
        given, prefixes = self.file("list", text), self.file("prefixes", PREFIXES)
        for what, count in (("target", 8), ("address", 7), ("name", 7), ("prefix", 5)):
            with self.subTest(what):
                self.assertEqual(len(self.filter(given, "--unique", what, "--prefixes", prefixes)), count)
        self.assertIn("3 repeated prefixes", self.messages)
        self.assertIn("of 3 targets no prefix is known: all of them were taken", self.messages)

    def test_prefixes(self):
        given, prefixes = self.file("list", "192.0.2.1\n2001:db8::1\n10.0.0.1\n"), self.file("prefixes", PREFIXES)
        self.assertEqual(self.filter(given, "--prefixes", prefixes),
                         [{"dip": "192.0.2.1", "info": {"prefix": "192.0.2.0/25", "ASN": 64496}},
                          {"dip": "2001:db8::1", "info": {"prefix": "2001:db8::/32", "ASN": [64497, 64498]}},
                          {"dip": "10.0.0.1"}])
        self.assertEqual(len(self.filter(given, "--prefixes", self.file("bad", PREFIXES + "x\n"), status=1)), 3)
        self.filter(given, "--prefixes", "/nonexistent/x", status=2)
        self.assertIn("prefixes /nonexistent/x: No such file", self.messages)

    def test_samples(self):
        given, prefixes = self.file("list", ADDRESSES + "192.0.2.129\n192.0.2.130\n10.0.0.1\n"), \
            self.file("prefixes", PREFIXES)
        one, other, third = (self.addresses(given, "--sample", "10", "--seed", seed) for seed in "778")
        self.assertEqual((len(one), one), (10, other))
        self.assertNotEqual(one, third)
        self.assertIn("93 left out: not drawn", self.messages)
        share = self.addresses(given, "--sample", "20%")
        self.assertTrue(5 < len(share) < 40, share)
        self.assertIn(f"{len(share)} jobs; left out: 0 repeated targets, 0 invalid, 0 lines that are no jobs; "
                      f"{103 - len(share)} left out: not drawn", self.messages)
        self.assertEqual(len(self.filter(given, "--per-prefix", "1", "--prefixes", prefixes)), 3)
        self.assertIn("of 1 targets no prefix is known: they are one group", self.messages)
        self.assertEqual(len(self.filter(given, "--per-as", "1", "--prefixes", prefixes)), 2)
        self.assertEqual(len(self.filter(given, "--per-as", "1")), 1)
        self.assertIn("of 103 targets no AS is known", self.messages)
        for wrong in ("0", "100%", "0%", "x", "-1", "1.5", "%"):
            with self.subTest(wrong), self.assertRaises(SystemExit), mock.patch("sys.stderr"):
                main(["filter", given, "--sample", wrong])

    def test_shards(self):
        given = self.file("list", ADDRESSES)
        parts = [self.addresses(given, "--shard", f"{number}/3") for number in (1, 2, 3)]
        self.assertCountEqual(chain.from_iterable(parts), ADDRESSES.split())
        self.assertTrue(all(parts))
        other = self.file("other", "".join(reversed(ADDRESSES.splitlines(keepends=True))) + "192.0.2.200\n")
        self.assertEqual({*self.addresses(other, "--shard", "2/3")} - {"192.0.2.200"}, {*parts[1]})
        for wrong in ("0/3", "4/3", "1", "1/0", "a/b"):
            with self.subTest(wrong), self.assertRaises(SystemExit), mock.patch("sys.stderr"):
                main(["filter", given, "--shard", wrong])

    def test_peers_of_a_swarm(self):
        peers = self.file("peers", "192.0.2.1:6881\n[2001:db8::1]:51413\n192.0.2.1:6881\n10.0.0.1:0\n")
        self.assertEqual(self.filter(peers, "-4", status=1), [{"dip": "192.0.2.1", "dp": 6881}])

    def test_a_format_and_columns(self):
        self.assertEqual(self.filter(self.file("list", "1,a.example\n"), "--list-format", "tranco"),
                         [{"rank": "1", "domain": "a.example", "list": "tranco"}])
        self.assertEqual(self.filter(self.file("list", "n;Seite\n1;a.example\n"), "--column", "domain=Seite"),
                         [{"n": "1", "domain": "a.example"}])
        given = self.file("list", "n;host\n")
        for wrong in (["--csv-input", "--column", "a=b"], ["--csv-input", "--list-format", "csv"],
                      ["--column", "a=b", "--list-format", "tranco"], ["--column", "a=b", "--column", "a=c"]):
            self.filter(given, *wrong, status=2)
        self.filter(given, "--column", "domain=x", status=1)
        self.assertIn("--column: no column 'x' in the header row 'n, host'", self.messages)
