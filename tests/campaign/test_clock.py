import subprocess
import unittest

from pathspider.campaign.clock import clock


class TestClock(unittest.TestCase):
    def test_plausible(self):
        found = clock()
        self.assertIsInstance(found.synchronized, bool)
        self.assertLess(abs(found.offset), 10)
        self.assertGreaterEqual(found.error, 0)

    def test_as_another_program_has_it(self):
        """timedatectl(1) asks systemd, which asks adjtimex(2)."""
        try:
            shown = subprocess.run(["timedatectl", "show", "-p", "NTPSynchronized", "--value"], capture_output=True,
                                   text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("systemd does not run here")
        self.assertEqual(clock().synchronized, shown == "yes")
