"""Campaigns for tests: plugins that connect to nothing, lists of targets, and what is found of them."""

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.folder import Campaign, Definition
from pathspider.campaign.records import records
from pathspider.campaign.results import Packer, head_of
from pathspider.cmd.main import main
from tests.packaging.files import ROOT

PLUGINS = '''"""Connect to nothing."""

import os
import signal

from pathspider.base import PluggableSpider
from pathspider.desync import DesynchronizedSpider
from pathspider.records import CONN_DISCARD, CONN_SKIPPED


class Nowhere(DesynchronizedSpider, PluggableSpider):
    """Connects to nothing."""

    name = "nowhere"
    description = "Connects to nothing"
    version = "1"
    capabilities = ()
    conditions = {"nowhere.connectivity.works": "always"}

    @staticmethod
    def extra_args(parser):
        parser.add_argument("--wait", help="Wait at a target until this named pipe is written to.")
        parser.add_argument("--at", help="That target.")
        parser.add_argument("--kill", help="Be killed at that target.", action="store_true")
        parser.add_argument("--discard", help="Want no record of that target.", action="store_true")
        parser.add_argument("--fail", help="Have the machine fail at that target.", action="store_true")
        parser.add_argument("--mistaken", help="Raise where it is asked what is unfinished.", action="store_true")

    def up(self, job, config):
        if job["dip"] == self.args.at and config == 0:
            if self.args.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.args.wait:
                with open(self.args.wait) as pipe:
                    pipe.read()
            if self.args.discard:
                return {"spdr_state": CONN_DISCARD, "sp": 0}
            if self.args.fail:
                return {"spdr_state": CONN_SKIPPED, "sp": 0, "local_error": "EMFILE"}
        return {"spdr_state": 0, "sp": 0}

    connections = [up, up]

    def combine_flows(self, flows):
        return ["nowhere.connectivity.works"]

    def is_unfinished(self, record):
        if self.args.mistaken:
            raise ValueError("mistaken")
        return super().is_unfinished(record)
'''


def target(number):
    return {"dip": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "dp": 80, "number": number}


def definition(**more):
    return Definition(**{"plugin": "nowhere", "measure": [["--confirm", "0"]], "options": [], "mode": "local",
                         "vantages": ["local"], "chunk": 4, "seed": 1, **more})


def results_of(chunk: Chunk, vantage="local", jobs=None, **facts):
    """Results of a chunk as they are sent."""
    packer = Packer()
    for job in chunk.jobs if jobs is None else jobs:
        packer.add(json.dumps({**job, "conditions": ["nowhere.connectivity.works"], "run": "r"}).encode() + b"\n")
    known = {"run": "r", "begin": "2026-01-01 00:00:00.000000", "end": "2026-01-01 00:00:01.000000",
             "records": packer.records, "conditions": {"nowhere.connectivity.works": packer.records}}
    return packer.whole(head_of(chunk, vantage, {**known, **facts}))


class FolderCase(unittest.TestCase):
    """Has a folder with plugins and a list of ten targets, of which one is there twice."""

    TARGETS = 10

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)  # who measures is nobody
        plugins = self.folder / "pathspider" / "plugins"
        plugins.mkdir(parents=True)
        plugins.joinpath("nowhere.py").write_text(PLUGINS, encoding="utf-8")
        self.targets = self.folder / "targets.ndjson"
        jobs = [target(number) for number in range(self.TARGETS)]
        self.targets.write_text("".join(json.dumps(job) + "\n" for job in [*jobs, jobs[3]]), encoding="utf-8")

    def create(self, **more):
        campaign = Campaign.create(self.folder / "c", definition(**more), map(target, range(self.TARGETS)))
        self.addCleanup(campaign.close)
        return campaign

    def command(self, *words):
        return [sys.executable, "-m", "pathspider", *map(str, words)]

    def environment(self):
        return {**os.environ, "PYTHONPATH": f"{self.folder}:{ROOT}"}

    def pspdr(self, *words):
        return subprocess.run(self.command(*words), env=self.environment(), capture_output=True, text=True, check=False,
                              cwd=self.folder)

    def here(self, *words):
        """The same in this process: status, standard output, and what is said."""
        output, said = io.StringIO(), io.StringIO()
        handler = logging.StreamHandler(said)
        log = logging.getLogger("pathspider")
        log.addHandler(handler)
        level, before = log.level, os.getcwd()
        log.setLevel(logging.INFO)  # another test's --quiet may have set it
        os.chdir(self.folder)
        try:
            with redirect_stdout(output), redirect_stderr(said):
                status = main([str(word) for word in words])
        except SystemExit as error:
            status = error.code
        finally:
            os.chdir(before)
            log.removeHandler(handler)
            log.setLevel(level)
        return status, output.getvalue(), said.getvalue()

    def local(self, *more, chunk=4):
        """The command that runs a campaign on this machine; what follows ``--`` is the plugin's."""
        return ("campaign", "run", "c", "--local", "-i", "lo", "--targets", self.targets, "--chunk", chunk, "--",
                "--confirm", "0", "-w", "2", "nowhere", *more)

    def records(self):
        campaign = Campaign(self.folder / "c")
        return [json.loads(line) for line in records(campaign)]

    def assert_each_once(self, targets=None):
        counts = Counter(record["dip"] for record in self.records())
        self.assertEqual(counts, Counter(target(number)["dip"] for number in range(targets or self.TARGETS)))

    def events(self, kind):
        return [event for event in Campaign(self.folder / "c").journal.events() if event["event"] == kind]
