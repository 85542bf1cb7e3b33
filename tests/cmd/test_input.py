"""Options of the list of targets, as the command line has them."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.input import bare_options, column, columns
from pathspider.cmd.main import UsageError

COMMAND = [sys.executable, "-P", "-m", "pathspider", "measure"]
LIST = "".join(f"192.0.2.{number}\n2001:db8::{number}\n" for number in range(1, 21)).encode()


class TestBareShuffle(unittest.TestCase):
    def test_the_next_word_is_another(self):
        self.assertEqual(bare_options(["--shuffle", "ecn", "--shuffle"], {"ecn"}), ["--shuffle=", "ecn", "--shuffle"])
        self.assertEqual(bare_options(["--shuffle=7", "x"]), ["--shuffle=7", "x"])


class TestOpenInput(unittest.TestCase):
    def test_no_standard_input(self):
        for command in ("filter", "measure mss", "report -"):
            done = subprocess.run(["/bin/sh", "-c", f'exec "$0" -P -m pathspider {command} <&-', sys.executable],
                                  capture_output=True, check=False, timeout=60)
            with self.subTest(command=command):
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"standard input is closed", done.stderr)


class TestMeasure(unittest.TestCase):
    def dry(self, *options, data=LIST, status=0, plugin="mss"):
        done = subprocess.run([*COMMAND, "--dry-run", *options, plugin], input=data, capture_output=True, check=False,
                              timeout=60)
        self.said = done.stderr.decode()
        self.assertEqual(done.returncode, status, self.said)
        self.jobs = [json.loads(line) for line in done.stdout.splitlines()]
        return [job["dip"] for job in self.jobs]

    def test_versions(self):
        self.assertEqual(len(self.dry("-4")), 20)
        self.assertIn("20 left out: IPv6", self.said)
        self.assertTrue(all(":" in dip for dip in self.dry("-6", "--seed", "-5")))
        self.dry("-4", "-6", status=2)
        self.assertIn("not allowed with", self.said)

    def test_an_order_that_is_drawn(self):
        first = self.dry("--shuffle=7", "--max-targets", "9")
        self.assertEqual(first, self.dry("--shuffle=7", "--max-targets", "9"))
        self.assertEqual(len(set(first)), 9)
        self.assertEqual(len(self.dry("--shuffle", "-4", "--seed", "-5")), 20)
        self.assertRegex(self.said, r"--shuffle=\d+ is the same again")
        self.dry("--shuffle=x", status=2)
        self.assertIn("a whole number is needed", self.said)

    def test_what_was_done_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            done = Path(folder, "records")
            first = self.dry("--shuffle=7", "--max-targets", "9")
            done.write_text("".join(json.dumps({"dip": dip, "dp": 80, "conditions": ["mss.connectivity.works"]}) + "\n"
                                    for dip in first[:4]))
            self.assertEqual(self.dry("--resume", str(done), "--shuffle=7", "--max-targets", "9"), first[4:])
            self.dry("--resume", str(done), "--shuffle", status=2)
            self.assertIn("name the seed", self.said)
            self.dry("--resume", str(done), "--allow-repeats", status=2)
            self.assertIn("only one of them can be", self.said)

    def test_repeats(self):
        self.assertEqual(len(self.dry("--allow-repeats", data=b"192.0.2.1\n" * 5)), 5)
        self.assertEqual(len(self.dry(data=b"192.0.2.1\n" * 5)), 1)

    def test_what_cannot_be_read_is_told_once(self):
        self.assertEqual(self.dry(data=b'[{"dip": "192.0.2.1"}]\n', status=1), [])
        self.assertIn("jq -c '.[]'", self.said)
        self.assertEqual(self.dry(data=os.urandom(9000), status=1), [])
        self.assertEqual(self.said.count("standard input"), 1)

    def test_where_targets_are(self):
        with tempfile.NamedTemporaryFile() as prefixes:
            prefixes.write(b"192.0.2.0\t24\t64496_64497\n")
            prefixes.flush()
            self.assertEqual(len(self.dry("--prefixes", prefixes.name, "-4")), 20)
            self.assertEqual(self.jobs[0], {"dip": "192.0.2.1", "dp": 80,
                                            "info": {"prefix": "192.0.2.0/24", "ASN": [64496, 64497]}})
            prefixes.write(b"192.0.2.0\tx\t1\n")
            prefixes.flush()
            self.assertEqual(len(self.dry("--prefixes", prefixes.name, status=1)), 40)

    def test_a_format(self):
        two = b"192.0.2.1,81\n192.0.2.2\n"
        self.assertEqual(self.dry("--list-format", "endpoints", data=two, status=1), ["192.0.2.1"])
        self.assertIn("line 2: '192.0.2.2': address,port", self.said)
        self.assertEqual(self.dry("--column", "dip=2", "--column", "dp=1", data=b"80;192.0.2.1\n"), ["192.0.2.1"])
        self.assertEqual(self.jobs, [{"dip": "192.0.2.1", "dp": 80}])


class TestColumns(unittest.TestCase):
    def test_what_is_none(self):
        for text in ("dip", "=x", "dip=", ""):
            with self.subTest(text), self.assertRaisesRegex(argparse.ArgumentTypeError, "domain=host"):
                column(text)
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "from 1 on"):
            column("domain=0")

    def test_columns(self):
        def found(*given, form=None):
            return columns(argparse.Namespace(column=given, csv_input=False, list_format=form))

        self.assertEqual(found("domain=a=b", "dip=c", form="csv"), {"a=b": "domain", "c": "dip"})
        for given, form in ((("a=b", "a=c"), None), (("a=b", "c=b"), None), (("a=b",), "crux")):
            with self.subTest(given), self.assertRaises(UsageError):
                found(*given, form=form)
