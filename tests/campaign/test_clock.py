import platform
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
        """Perl asks adjtimex(2), and looks for STA_UNSYNC in the status, which is behind five numbers of 8 octets."""
        call = {"x86_64": 159, "aarch64": 171}[platform.machine()]
        asks = f'my $timex = "\\0" x 208; syscall({call}, $timex); print unpack("i", substr($timex, 40, 4)) & 0x40'
        shown = subprocess.run(["perl", "-e", asks], capture_output=True, text=True, check=True).stdout
        self.assertEqual(clock().synchronized, shown == "0")
