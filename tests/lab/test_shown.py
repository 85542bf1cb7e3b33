"""The measurements of the lab's paths that README, manual pages and docs/lab.rst show find the lab's truth."""

import json
import os
import re
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pathspider.cmd import lab as command
from pathspider.cmd.manpage import FURTHER, examples_of
from pathspider.lab import Lab
from pathspider.lab.check import compare
from pathspider.lab.scenarios import all_cases
from tests import in_checkout
from tests.docs import test_shown as shown
from tests.packaging.files import ROOT
from tests.programs import write_programs

ABOUT_PATHS = re.compile(r"lab targets(?! --clean| --hops)|(targets|tcp)\.ndjson")
TIMEOUT = "--timeout 3"
"""Seconds for one connection: enough for what the paths do, and no longer, as in ``lab check``."""


def page(name):
    """What a page of the checkout has the lab's paths measured with."""
    found = []
    for language, _, block in shown.blocks((ROOT / name).read_text(encoding="utf-8")):
        for line, below in shown.commands(language, block):
            if any(ABOUT_PATHS.search(one) for one in (line, *below)):
                found += [shown.runnable(line) + " <<'END OF INPUT'" * bool(below)]
                found += [*below, "END OF INPUT"] if below else []
    return found


def outcome(lines):
    """The jobs and the records that a shell script in a lab gives."""
    script = re.sub(r"( measure .*?\becn\b)", rf"\1 {TIMEOUT}", "\n".join([*lines, ""]))
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bin_ = Path(folder, "bin")
        bin_.mkdir()
        write_programs(bin_)
        environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "SHELL": "/bin/sh"}
        done = lab.run(["sh", "-eu"], data=script.encode(), cwd=folder, env=environment, capture_output=True,
                       timeout=120)
        out = [*done.stdout.splitlines(), *(line for path in Path(folder).glob("*.ndjson")
                                            for line in path.read_bytes().splitlines())]
    found = [json.loads(line) for line in out]
    jobs, records = [[one for one in found if ("conditions" in one) is is_record] for is_record in (False, True)]
    return (done.returncode, done.stderr), jobs, records


@in_checkout
class TestShown(unittest.TestCase):
    def test_records_are_the_truth(self):
        scripts = {name: page(name) for name in ("README.md", "docs/lab.rst", "docs/first-hour.rst")}
        scripts["docs/first-hour.rst"] = scripts["docs/first-hour.rst"][:2]  # then a plugin of the reader
        for lines in (*FURTHER.values(), examples_of(command.EPILOG)):
            scripts |= {line: [line.replace("sudo ", "")] for line in lines if "lab targets --plugin" in line}
        self.assertGreaterEqual(len(scripts), 4)
        with ThreadPoolExecutor(4) as pool:
            outcomes = dict(zip(scripts, pool.map(outcome, scripts.values()), strict=True))
        cases = {(case.scenario.name, case.address): case for case in all_cases()}
        for name, ((status, said), jobs, records) in outcomes.items():
            self.assertEqual(status, 0, said)
            self.assertGreater(len(records), 40, name)
            if jobs:
                self.assertEqual(len(records), len(jobs), name)
            for record in records:
                with self.subTest(shown=name, scenario=record["scenario"], address=record["dip"]):
                    (result,) = compare([cases[record["scenario"], record["dip"]]], [json.dumps(record)],
                                        confirmed="rounds" in record)
                    self.assertEqual((result.missing, result.wrong), ([], []))


