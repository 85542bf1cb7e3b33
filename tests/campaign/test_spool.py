import os
import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.spool import KEPT, Spool
from tests.campaign.cases import results_of, target

WHOLE = results_of(Chunk("c", "a", 1, 0, [target(1)]), "a")


class TestSpool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "spool")

    def test_kept_until_sent_and_remembered(self):
        spool = Spool(self.folder)
        spool.put("c.a.1.0", WHOLE)
        spool.put("c.a.1.0", b"again")
        self.assertEqual(([*spool.waiting()], spool.get("c.a.1.0"), spool.was_sent("c.a.1.0")),
                         (["c.a.1.0"], WHOLE, False))
        again = Spool(self.folder)  # after a kill
        again.sent("c.a.1.0")
        again.sent("c.a.1.0")
        self.assertEqual(([*again.waiting()], again.get("c.a.1.0"), Spool(self.folder).was_sent("c.a.1.0")),
                         ([], None, True))

    def test_what_was_sent_long_ago_is_forgotten(self):
        Spool(self.folder).sent("old")
        os.utime(self.folder / "sent" / "old", (0, (self.folder / "sent" / "old").stat().st_mtime - KEPT - 1))
        self.assertFalse(Spool(self.folder).was_sent("old"))

    def test_halves_are_removed(self):
        Spool(self.folder)
        (self.folder / "waiting" / ".draft-x").write_bytes(b"half")
        self.assertEqual([*Spool(self.folder).waiting()], [])
        self.assertEqual(os.listdir(self.folder / "waiting"), [])

    def test_what_is_torn_is_measured_again(self):
        """As after a full disk, or a copy of the spool: the coordinator would refuse it, and wait for ever."""
        spool = Spool(self.folder)
        for key, data in (("c.a.1.0", WHOLE), ("c.a.2.0", WHOLE[:-3]), ("c.a.3.0", b"")):
            spool.put(key, data)
        with self.assertLogs("pathspider", "WARNING") as logged:
            again = Spool(self.folder)
        self.assertEqual([*again.waiting()], ["c.a.1.0"])
        self.assertEqual(len(logged.output), 2)
        self.assertIn("is torn, and was removed", logged.output[0])

    def test_no_folder_can_be(self):
        self.folder.write_bytes(b"")
        self.assertRaises(CampaignError, Spool, self.folder)

    def test_room(self):
        self.assertGreater(Spool(self.folder).room(), 0)
