"""The first minute with PATHspider, as it is had."""

import re
import subprocess
import sys
import unittest

from pathspider.lab.listing import cases_for
from pathspider.lab.scenario import without_mode


class TestDemo(unittest.TestCase):
    def test_every_path_is_shown_and_judged_right(self):
        done = subprocess.run([sys.executable, "-m", "pathspider", "lab", "demo"], capture_output=True, text=True,
                              timeout=120, check=False)
        cases = [case for case in cases_for(["ecn"], "http", 4) if without_mode(case.scenario.measure) == ["ecn"]]
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"\n{len(cases)} of {len(cases)} paths judged right, in ", done.stdout)
        for case in cases:
            self.assertRegex(done.stdout, rf"(?m)^{re.escape(case.address)} .* yes$")
        for word in ("works", "broken", "offline", "negotiation succeeded", "negotiation failed"):
            self.assertIn(word, done.stdout)
        self.assertIn("pspdr lab shell", done.stdout)


if __name__ == "__main__":
    unittest.main()
