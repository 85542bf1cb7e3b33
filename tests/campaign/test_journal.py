import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.journal import Journal


class TestJournal(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "journal")

    def note(self, *events):
        journal = Journal(self.path)
        for event in events:
            journal.record(event, chunk=1)
        journal.close()

    def seen(self):
        return [event["event"] for event in Journal(self.path).events()]

    def test_nothing_yet(self):
        self.assertEqual(self.seen(), [])

    def test_events_of_several_processes(self):
        self.note("begin")
        self.note("done", "begin")
        self.assertEqual(self.seen(), ["begin", "done", "begin"])
        self.assertEqual(Journal(self.path).events()[0]["chunk"], 1)

    def test_what_another_process_adds(self):
        journal = Journal(self.path)
        for events in (["begin"], ["done", "failed"], []):
            self.note(*events)
            seen = [event["event"] for event in journal.events()]
        self.assertEqual(seen, ["begin", "done", "failed"])
        self.path.write_bytes(b"")
        self.assertEqual([*journal.events()], [])

    def test_a_torn_line(self):
        self.note("begin", "done")
        self.path.write_bytes(self.path.read_bytes()[:-5])
        self.assertEqual(self.seen(), ["begin"])
        self.note("failed")
        self.assertEqual(self.seen(), ["begin", "failed"])
