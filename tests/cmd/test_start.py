"""How a measurement starts: the vantage point, its rights, and what a plugin begins with."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.cmd.test_main import pspdr
from tests.cmd.test_measure import COMMAND, LabCase, clean_jobs, ndjson


class TestHere(unittest.TestCase):
    def check(self, outcome, status, *words):
        self.assertEqual((outcome.returncode, outcome.stdout), (status, ""), outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)
        self.assertNotIn("Traceback", outcome.stderr)

    def test_no_such_interface(self):
        self.check(pspdr("measure", "-i", "nowhere0", "ecn", input=""), 2, "nowhere0", "that are up", "lo")

    def test_no_permission_to_capture(self):
        outcome = subprocess.run(
            ["setpriv", "--bounding-set=-net_raw,-net_admin", *COMMAND, "-i", "lo", "ecn"],
            input="",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.check(outcome, 2, "CAP_NET_RAW")

    def test_what_is_not_installed(self):
        """As in Debian 12: neither aioquic nor HTTP/3 in libcurl."""
        without = ("import sys, pycurl; sys.modules['aioquic'] = None; about = [*pycurl.version_info()]; "
                   "about[1], about[4] = '7.88.1', 0; pycurl.version_info = lambda: tuple(about); "
                   "from pathspider.cmd.main import main; sys.exit(main())")
        for words, told in ((["quic"], "the plugin quic needs the Python package aioquic"),
                            (["dscp", "--connect", "h3"], "--connect h3 needs a libcurl with HTTP/3")):
            outcome = subprocess.run([sys.executable, "-P", "-c", without, "measure", "-i", "lo", *words], input="",
                                     capture_output=True, text=True, check=False, timeout=60)
            self.check(outcome, 2, told, "pip install")


class TestStart(LabCase):
    def test_a_plugin_that_cannot_be_configured(self):
        text = ("from pathspider.plugins import ecn\n"
                "class Failing(ecn.ECN):\n"
                "    name = 'failing'\n"
                "    def fail(self):\n"
                "        self.settings.sysctl('net.ipv4.tcp_ecn', 0)\n"
                "        raise KeyError('of its own')\n"
                "    configurations = [fail, fail]\n")
        before = self.settings()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pathspider", "plugins", "failing.py")
            path.parent.mkdir(parents=True)
            path.write_text(text)
            outcome = self.lab.run([*COMMAND, "-i", "lab0", "--lockstep", "failing"], data=ndjson(clean_jobs(1)),
                                   capture_output=True, timeout=60,
                                   env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path[1:]])})
        self.assertEqual((outcome.returncode, outcome.stdout), (1, b""), outcome.stderr)
        self.assertTrue(outcome.stderr.startswith(b"pspdr: plugin failing: KeyError: 'of its own'; the run does not"))
        self.assertEqual(self.settings(), before)

    def test_an_interface_without_an_address(self):
        self.lab.run(["ip", "link", "add", "bare0", "type", "veth", "peer", "bare1"])
        self.addCleanup(self.lab.run, ["ip", "link", "del", "bare0"])
        self.lab.run(["ip", "link", "set", "bare0", "addrgenmode", "none"])
        for name in ("bare0", "bare1"):
            self.lab.run(["ip", "link", "set", name, "up"])
        outcome = self.lab.run([*COMMAND, "-i", "bare0", "mss"], data=ndjson(clean_jobs(1)), capture_output=True,
                               timeout=60)
        self.assertEqual((outcome.returncode, outcome.stdout), (2, b""))
        self.assertIn(b"interface bare0 has no address to measure from", outcome.stderr)

    def test_a_vantage_point_that_nobody_answers(self):
        outcome, _ = self.measure("--vantage-lookup", "mss", data=ndjson(clean_jobs(1)))
        self.assertEqual((outcome.returncode, outcome.stdout), (2, b""))
        self.assertIn(b"leave the option off to have paths begin with the interface's own address", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
