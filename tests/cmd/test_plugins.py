"""Plugins on the command line of ``pspdr measure``: their options are their own, and so are their mistakes."""

import json
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest import mock

from pathspider.cmd import measure
from pathspider.cmd.main import build_parser
from pathspider.cmd.plugins import make_spider
from pathspider.plugins.mss import MSS
from tests.cmd.test_measure import COMMAND, LabCase, clean_jobs, ndjson
from tests.run.cases import CaseTest, clean, twice

THIRD = """
from pathspider.plugins import mss

OWN = ("rate", "order", "seed", "input", "output", "output_flows", "workers", "interface", "resume", "csv_input",
       "per_address", "lockstep", "blocklist", "vantage_lookup", "dry_run", "func", "parser", "command", "version",
       "verbose", "quiet", "advice", "plugin", "plugin_name", "plugin_args", "run_options")

class Third(mss.MSS):
    name = "third"
    conditions = {"third.saw:<values>": "what it was told"}
    placeholders = {"values": ".*"}

    @staticmethod
    def extra_args(parser):
        for name in OWN:
            parser.add_argument(f"--{name}", dest=name, default=None)
        parser.set_defaults(func=None)

    def combine_flows(self, flows):
        return [f"third.saw:{self.args.rate},{self.args.seed},{self.options.rate},{self.options.seed}"]
"""
"""A plugin whose options have the names of all those of the commands above it."""


def third_plugin(test):
    """A folder for PYTHONPATH that holds it."""
    folder = test.enterContext(tempfile.TemporaryDirectory())
    path = Path(folder, "pathspider", "plugins", "third.py")
    path.parent.mkdir(parents=True)
    path.write_text(THIRD)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path[1:]])}


class TestArguments(unittest.TestCase):
    """A plugin's options are its own, whatever they are called."""

    def parse(self, *words, own=("rate", "per_address", "order", "seed", "workers", "func", "plugin", "version")):
        class Third(MSS):
            name = "third"

            @staticmethod
            def extra_args(parser):
                for name in own:
                    parser.add_argument(f"--{name}", dest=name, default=None)

        with mock.patch.object(measure, "available_plugins", return_value=[Third]):
            return build_parser("measure", words).parse_args(["measure", *words]), Third

    def test_the_run_s_are_what_was_told_to_measure(self):
        args, plugin = self.parse("--rate", "10", "--order", "random", "--seed", "5", "--per-address", "7", "third",
                                  "--seed", "mine")
        options = measure.run_options(args)
        self.assertEqual((options.rate, options.order, options.seed, options.per_address), (10, "random", 5, 7))
        self.assertEqual((args.workers, args.plugin, args.func, args.version), (100, plugin, measure.run, False))
        spider = make_spider(args, options)
        self.assertIsInstance(spider, plugin)
        self.assertIs(spider.options, options)
        self.assertEqual((spider.args.rate, spider.args.order, spider.args.seed, spider.args.workers),
                         (None, None, "mine", None))

    def test_a_plugin_sees_those_of_measure_where_it_has_none_of_that_name(self):
        args, _ = self.parse("--seed", "5", "-w", "3", "third", "--timeout", "2", own=())
        seen = make_spider(args, measure.run_options(args)).args
        self.assertEqual((seen.seed, seen.workers, seen.timeout, seen.connect), (5, 3, 2, MSS.connect_supported[0]))

    def test_short_options(self):
        args, _ = self.parse("-o", "records", "-r", "5", "-w3", "third", own=())
        self.assertEqual((args.output, args.rate, args.workers, args.verbose, args.quiet),
                         ("records", 5, 3, False, False))

    def test_how_much_is_told_may_stand_before_or_after_the_command(self):
        class Third(MSS):
            name = "third"

        with mock.patch.object(measure, "available_plugins", return_value=[Third]):
            for words, told in ((["-v", "measure"], (True, False)), (["measure", "-v"], (True, False)),
                                (["-q", "measure"], (False, True)), (["measure", "--quiet"], (False, True)),
                                (["measure"], (False, False))):
                args = build_parser("measure", words).parse_args([*words, "third"])
                self.assertEqual((args.verbose, args.quiet), told, words)

    def test_what_nobody_knows_is_refused(self):
        with redirect_stderr(StringIO()) as told, self.assertRaises(SystemExit):
            self.parse("third", "--unknown")
        self.assertIn("unrecognized arguments: --unknown", told.getvalue())


class TestOptions(LabCase):
    def test_a_plugin_with_options_of_the_same_names(self):
        (job,) = clean_jobs(1)
        environment = third_plugin(self)
        with tempfile.TemporaryDirectory() as folder:
            jobs, records = Path(folder, "jobs"), Path(folder, "records")
            jobs.write_bytes(ndjson([job]))
            for more, seen in (((), "None"), (("--seed", "mine", "--version", "3"), "mine")):
                outcome = self.lab.run([*COMMAND, "-i", "lab0", "--rate", "10", "--seed", "5", "--input", str(jobs),
                                        "--output", str(records), "-f", "third", *more],
                                       capture_output=True, timeout=60, env=environment)
                self.assertEqual((outcome.returncode, outcome.stdout), (0, b""), outcome.stderr)
                (record,) = map(json.loads, records.read_text().splitlines())
                self.assertEqual(record["conditions"], [f"third.saw:None,{seen},10.0,5"])


MADE = twice("old", """
    def __init__(self, worker_count, libtrace_uri, args, server_mode):
        super().__init__(worker_count, libtrace_uri, args, server_mode)
BODY

    def combine_flows(self, flows):
        return [f"old.saw:{self.saw}"]
""")


class TestMade(CaseTest):
    """The plugin's object: made once, as it was in 2.x, and by its name where that goes wrong."""

    tracebacks = True

    def run_old(self, source, *before, data=(), jobs=1):
        tree = self.folder / "pathspider-old"
        if not tree.exists():
            self.tree("old", "")
        (tree / "pathspider/plugins/old.py").write_text(source)
        return self.measure(clean(jobs), *before, "old", tree=str(tree), timeout=60)

    def saw(self, source, *before):
        status, records, errors = self.run_old(source, *before)
        self.assertEqual((status, len(records)), (0, 1), errors)
        return records[0]["conditions"][0].removeprefix("old.saw:")

    def test_it_knows_where_packets_leave_from(self):
        self.assertRegex(self.saw(MADE.replace("BODY", "        self.saw = str(self.source[0])")), r"^\d+(\.\d+){3}$")

    def test_once(self):
        body = """
        import socket
        self.listener = socket.create_server(("127.0.0.1", 4711))  # not twice
        self.saw = (worker_count, libtrace_uri, server_mode)"""
        self.assertEqual(self.saw(MADE.replace("BODY", body), "-w", "7"), "(7, 'int:lab0', False)")
        records = self.folder / "records"
        for _ in range(2):
            status, _, errors = self.run_old(MADE.replace("BODY", body), *(
                ("--resume", str(records)) if records.exists() else ("-o", str(records))))
            self.assertEqual(status, 0, errors)
        status, _, errors = self.run_old(MADE.replace("BODY", body), "--dry-run")
        self.assertEqual(status, 0, errors)

    def test_with_and_without_server_mode(self):
        body = "        self.saw = 'made'"
        for signature in ("args, server_mode", "args, server_mode=False", "*args", "args"):
            source = MADE.replace("BODY", body).replace("args, server_mode):", f"{signature}):")
            if signature != "args, server_mode" and "mode" not in signature:
                source = source.replace("args, server_mode)", signature + ")")
            self.assertEqual(self.saw(source), "made", signature)

    def test_a_source_that_it_chooses_stays(self):
        body = "        self.source = ('10.66.0.66', None); self.saw = 'made'"
        status, records, errors = self.run_old(MADE.replace("BODY", body), "--vantage", "x")
        self.assertEqual(records[0]["path"][0], "10.66.0.66", (status, errors))

    def test_what_it_raises_is_told_with_its_name(self):
        for what, told in (("raise KeyError('mine')", "KeyError: 'mine'"),
                           ("open('/nonexistent/file')", "FileNotFoundError: [Errno 2] No such file or directory: "
                                                         "'/nonexistent/file'"),
                           ("raise SystemExit(0)", "SystemExit: 0")):
            for before in ((), ("--dry-run",), ("-o", str(self.folder / "kept"), "-f")):
                (self.folder / "kept").write_text("kept")
                status, records, errors = self.run_old(MADE.replace("BODY", f"        {what}"), *before)
                self.assertEqual((status, records), (1, []), errors)
                self.assertTrue(errors.startswith(f"pspdr: plugin old: {told}; the run does not begin\n"), errors)
                self.assertIn("old.py", errors)
                self.assertEqual((self.folder / "kept").read_text(), "kept")

    def test_what_it_declares_wrongly_is_told_with_its_name(self):
        for body, before, told in (('capabilities = ("CAP_SYS_NICE",)', (), "ValueError: capability CAP_SYS_NICE: "),
                                   ('capabilities = "CAP_NET_RAW"', (), "ValueError: capability C: only "),
                                   ('default_port = plan = lambda self: {}["x"]', (), "KeyError: 'x'; "),
                                   ('plan = lambda self: {}["x"]', (), "KeyError: 'x'; "),
                                   ('plan = lambda self: {}["x"]', ("--dry-run",), "KeyError: 'x'; "),
                                   ('job_problem = lambda self, job: {}["x"]', ("--dry-run",), "KeyError: 'x'; ")):
            status, _, errors = self.run_old(twice("old", f"    {body}\n"), *before)
            self.assertEqual(status, 1, errors)
            self.assertTrue(errors.startswith(f"pspdr: plugin old: {told}"), (body, errors))

    def test_each_that_cannot_be_set_up_is_named(self):
        bad = '    @staticmethod\n    def extra_args(parser):\n        raise KeyError("mine")\n'
        status, _, errors = self.run_old(twice("one", bad) + twice("two", bad))
        self.assertEqual(status, 2, errors)
        for name in ("One", "Two"):
            self.assertIn(f"pathspider.plugins.old.{name} cannot be set up and is skipped: KeyError: 'mine'", errors)
        self.assertIn("invalid choice: 'old'", errors)
        self.assertIn("cannot be set up, for the reason above", errors)

    def test_one_that_leaves_the_model_s_out_is_told_with_its_name(self):
        source = MADE.replace("        super().__init__(worker_count, libtrace_uri, args, server_mode)", "")
        status, records, errors = self.run_old(source.replace("BODY", "        self.saw = 1"))
        self.assertEqual((status, records), (1, []))
        self.assertTrue(errors.startswith("pspdr: plugin old: AttributeError: "), errors)

    def test_what_it_raises_of_an_earlier_run_leaves_that_alone(self):
        body = "        self.saw = 1\n\n    def is_unfinished(self, record):\n        raise ValueError('mine')"
        records = self.folder / "records"
        source = MADE.replace("BODY", body)
        self.assertEqual(self.run_old(source, "-o", str(records))[0], 0)
        before = records.read_bytes()
        status, _, errors = self.run_old(source, "--resume", str(records))
        self.assertEqual(status, 1, errors)
        self.assertTrue(errors.startswith("pspdr: plugin old: ValueError: mine; the run does not begin\n"), errors)
        self.assertEqual(records.read_bytes(), before)
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith((".", "records."))],
                         ["records.meta.json"])


if __name__ == "__main__":
    unittest.main()
