import os
import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.allowlist import AllowList, RefusedError
from pathspider.campaign.errors import CampaignError

TEXT = b"""# here
plugin ecn
  option --connect http https tcp   # these
  option --timeout 1..10 60
  option --quick
plugin mss
measure --confirm 0..4
measure --workers 1..1000
rate 50
workers 20
blocklist /etc/blocklist
"""


class TestWords(unittest.TestCase):
    def setUp(self):
        self.allowed = AllowList.parse(TEXT, "allow")

    def words(self, plugin="ecn", measure=(), options=(), rate=None):
        return self.allowed.words(plugin, measure, options, rate)

    def test_what_is_allowed(self):
        self.assertEqual(self.words("mss"), ["--rate=50", "--workers=20", "--blocklist=/etc/blocklist", "mss"])
        self.assertEqual(self.words(options=[["--connect", "tcp"], ["--timeout", "2.5"], ["--quick"]])[-4:],
                         ["ecn", "--connect=tcp", "--timeout=2.5", "--quick"])
        self.assertEqual(self.words(options=[["--timeout", "60"]])[-1], "--timeout=60")

    def test_caps_that_no_campaign_lifts(self):
        words = self.words(measure=[["--workers", "1000"], ["--confirm", "2"]], rate=10000.0)
        self.assertEqual(words[:-1], ["--workers=1000", "--confirm=2", "--rate=50", "--workers=20",
                                      "--blocklist=/etc/blocklist"])  # the last of an option counts
        self.assertIn("--rate=7", self.words(rate=7.0))
        self.assertIn("--workers=5", self.words(measure=[["--workers", "5"]])[1:])

    def test_refusals(self):
        for plugin in ("tfo", "", "ecn ", "../ecn", "ECN", "-h"):
            self.assertRaises(RefusedError, self.words, plugin)
        for option in (["--resolver", "x"], ["--connect"], ["--connect", "dnstcp"], ["--connect", "tcp", "http"],
                       ["--connect", "--quick"], ["--timeout", "11"], ["--timeout", "nan"], ["--timeout", "1e1"],
                       ["--timeout", "-1"], ["--timeout", "5\n"], ["--timeout", "٣"], ["--quick", "1"],
                       ["--qui"], ["--connect=tcp"], ["-h"], [""]):
            self.assertRaises(RefusedError, self.words, options=[option])
            self.assertRaises(RefusedError, self.words, measure=[option])
        for option in (["--user", "root"], ["--output", "/x"], ["--confirm", "5"]):
            self.assertRaises(RefusedError, self.words, measure=[option])


class TestParse(unittest.TestCase):
    def test_what_is_wrong_is_told_with_its_line(self):
        for line in ("option --x y", "plugin ecn tfo", "plugin ../x", "measure --user root", "measure --output x",
                     "rate 0", "rate x", "workers -1", "blocklist relative", "nonsense", "plugin ecn\noption -x",
                     "plugin ecn\noption --x 'y z'", "plugin ecn\noption --x $(id)"):
            with self.assertRaises(CampaignError) as caught:
                AllowList.parse(b"# one\n" + line.encode(), "allow")
            self.assertRegex(str(caught.exception), "allow-list allow, line [23]: ")
        for data in (b"", b"rate 5\n", b"plugin \xff\n"):
            self.assertRaises(CampaignError, AllowList.parse, data, "allow")


class TestRead(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "allow"
        self.path.write_bytes(TEXT)
        self.owner = self.path.stat().st_uid

    def refused(self, word, path=None, owner=None):
        with self.assertRaises(CampaignError) as caught:
            AllowList.read(path or self.path, owner=self.owner if owner is None else owner)
        self.assertIn(word, str(caught.exception))

    def test_its_owner_s(self):
        self.assertEqual(sorted(AllowList.read(self.path, owner=self.owner).plugins), ["ecn", "mss"])

    def test_what_others_can_change(self):
        self.refused("root's", owner=self.owner + 1)
        self.path.chmod(0o664)
        self.refused("nobody else may write")
        self.path.chmod(0o644)
        self.folder.chmod(0o777)
        self.refused("nobody else may write in")

    def test_what_is_none(self):
        self.refused("No such file", self.folder / "x")
        os.mkfifo(self.folder / "pipe", 0o600)
        self.refused("not an ordinary file", self.folder / "pipe")
        (self.folder / "link").symlink_to(self.path)
        self.refused("symbolic link", self.folder / "link")
