"""No run begins that would run out of descriptors."""

import resource
import subprocess
import sys
import unittest

from pathspider.run.limits import PER_WORKER, RESERVE, LimitError, allow_workers


def under_limit(soft, hard, workers):
    """What ``allow_workers`` does in a process with these limits."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"from pathspider.run.limits import allow_workers; allow_workers({workers})\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


class TestLimits(unittest.TestCase):
    def test_the_soft_limit_is_raised_as_far_as_needed(self):
        self.assertEqual(under_limit(256, 4096, 500).stdout, f"{500 * PER_WORKER + RESERVE}\n")
        self.assertEqual(under_limit(3000, 4096, 500).stdout, "3000\n")

    def test_beyond_the_hard_limit_is_an_error_that_says_what_to_do(self):
        outcome = under_limit(256, 256, 1000)
        self.assertIn("1000 workers need", outcome.stderr)
        self.assertIn("at most -w 96", outcome.stderr)
        self.assertIn("ulimit -n", outcome.stderr)

    def test_impossible_here(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            with self.assertRaises(LimitError):
                allow_workers(hard)
