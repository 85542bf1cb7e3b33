import json
import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.bundle import Bundle
from pathspider.campaign.errors import CampaignError


class TestBundle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "ams.bundle")

    def test_written_and_read(self):
        bundle = Bundle("ams", "amqps://h.example.org/x", "a", "c", "k")
        bundle.write(self.path)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(Bundle.read(self.path), bundle)
        self.assertEqual(bundle.address(), ("h.example.org", 5671, "x"))
        self.assertEqual(Bundle("a", "amqps://[::1]:99", "", "", "").address(), ("::1", 99, "pathspider"))
        self.assertEqual(Bundle("a", "amqps://h/%2F", "", "", "").address(), ("h", 5671, "/"))
        self.assertRaises(CampaignError, bundle.context)

    def test_what_is_none(self):
        keys = ("name", "broker", "authority", "certificate", "key")
        for text in ("", "[]", "{}", json.dumps(dict.fromkeys(keys, 1)),
                     json.dumps({**dict.fromkeys(keys, ""), "broker": "amqp://h"})):
            self.path.write_text(text, encoding="ascii")
            self.assertRaises(CampaignError, Bundle.read, self.path)
        self.assertRaises(CampaignError, Bundle.read, self.path.with_name("nosuch"))
