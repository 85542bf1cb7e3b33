"""``pspdr filter``: target lists in, jobs out."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.main import main


class TestFilter(unittest.TestCase):
    def filter(self, text, *options, status=0):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.write_text(text, encoding="utf-8")
            before = "what was there before\n" * 100
            target.write_text(before, encoding="utf-8")
            with self.assertLogs("pathspider") as logs:
                self.assertEqual(main(["filter", "--input", str(source), "--output", str(target), "-f", *options]),
                                 status)
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
        with subprocess.Popen([sys.executable, "-P", "-m", "pathspider", "filter"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            for number in range(1, 4):
                run.stdin.write(b"192.0.2.%d\n" % number)
                run.stdin.flush()
                self.assertEqual(json.loads(run.stdout.readline()), {"dip": f"192.0.2.{number}"})
            run.stdin.close()
            self.assertEqual((run.stdout.read(), run.wait(30)), (b"", 0))

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
