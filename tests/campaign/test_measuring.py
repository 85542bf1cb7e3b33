import io
import json
import os
from unittest import mock

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.measuring import KilledError, Measuring, StoppedError
from pathspider.campaign.results import Unpacked
from tests.campaign.cases import FolderCase
from tests.run.spiders import in_thread

WORDS = ["-i", "lo", "--confirm=0", "-w", "2", "nowhere"]


class TestMeasuring(FolderCase):
    def setUp(self):
        super().setUp()
        path = mock.patch("sys.path", [str(self.folder), *__import__("sys").path])
        path.start()
        self.addCleanup(path.stop)
        self.measuring = Measuring()
        self.addCleanup(self.measuring.close)

    def test_one_process_for_several_chunks(self):
        campaign = self.create()
        runs = set()
        for number in range(3):
            chunk = campaign.chunk("local", number)
            unpacked = Unpacked(io.BytesIO(self.measuring.measure(chunk, WORDS, "local")))
            facts = unpacked.head["facts"]
            self.assertEqual(sorted(json.loads(line)["number"] for line in unpacked.lines()),
                             sorted(job["number"] for job in chunk.jobs))
            self.assertEqual((facts["jobs"], facts["records"], facts["discarded"]), (len(chunk.jobs),) * 2 + (0,))
            self.assertEqual(facts["argv"][:2], ["pspdr", "measure"])
            runs.add(facts["run"])
        self.assertEqual(len(runs), 1)
        self.measuring.measure(campaign.chunk("local", 0), [*WORDS, "--timeout=3"], "local")
        self.assertNotIn(self.measuring.facts["run"], runs)

    def test_a_target_without_a_record_and_a_killed_process(self):
        chunk = self.create().chunk("local", 0)
        at = ["--at", chunk.jobs[1]["dip"]]
        unpacked = Unpacked(io.BytesIO(self.measuring.measure(chunk, [*WORDS, *at, "--discard"], "local")))
        self.assertEqual(unpacked.head["facts"]["discarded"], 1)
        self.assertEqual(len([*unpacked.lines()]), 3)
        with self.assertRaises(KilledError) as caught:
            self.measuring.measure(chunk, [*WORDS, *at, "--kill"], "local")
        self.assertIn("SIGKILL", str(caught.exception))

    def test_what_cannot_begin(self):
        with self.assertRaises(CampaignError) as caught:
            self.measuring.measure(self.create().chunk("local", 0), ["-i", "nosuch0", "ecn"], "local")
        self.assertIn("status 2", str(caught.exception))

    def test_broken_off(self):
        chunk = self.create().chunk("local", 0)
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        raised = []

        def measure():
            try:
                self.measuring.measure(chunk, [*WORDS, f"--at={chunk.jobs[0]['dip']}", f"--wait={pipe}"], "local")
            except StoppedError as error:
                raised.append(error)

        thread = in_thread(measure)
        with pipe.open("w"):  # it has come to that target
            self.measuring.stop()
            thread.join(100)
        self.assertEqual(len(raised), 1)
        self.assertRaises(StoppedError, self.measuring.measure, chunk, WORDS, "local")
