"""What is given up stays given up, also in what is started later."""

import subprocess
import sys
import unittest

CODE = """
import subprocess, sys, threading
from pathspider.network.privileges import keep_only
keep_only({kept!r})
def show(): print(next(line for line in open("/proc/thread-self/status") if line.startswith("CapEff")).split()[1])
show()
thread = threading.Thread(target=show); thread.start(); thread.join()
sys.stdout.flush()
subprocess.run(["sh", "-c", "grep CapEff /proc/self/status | cut -f 2"])
"""


class TestPrivileges(unittest.TestCase):
    def left(self, *kept):
        outcome = subprocess.run(
            [sys.executable, "-c", CODE.format(kept=kept)], capture_output=True, text=True, check=True
        )
        return {int(line, 16) for line in outcome.stdout.split()}

    def test_only_what_is_named_and_reading_stays(self):
        self.assertEqual(self.left(), {1 << 2})
        self.assertEqual(self.left("CAP_NET_RAW"), {1 << 2 | 1 << 13})
        self.assertEqual(self.left("CAP_NET_RAW", "CAP_NET_ADMIN"), {1 << 2 | 1 << 12 | 1 << 13})
        self.assertEqual(self.left("CAP_NET_RAW", "CAP_BPF"), {1 << 2 | 1 << 13 | 1 << 39})

    def test_an_unknown_name_is_refused(self):
        with self.assertRaises(subprocess.CalledProcessError):
            self.left("CAP_SYS_ADMIN")
