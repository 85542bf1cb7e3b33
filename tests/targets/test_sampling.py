"""Parts of a list that are drawn."""

import subprocess
import sys
import unittest

from pathspider.targets.sampling import ALL, Sample, drawn, in_shard, in_share, prefix_of

JOBS = [{"dip": f"192.0.{number // 250}.{number % 250}", "dp": 80, "info": {"prefix": f"192.0.{number // 250}.0/24"}}
        for number in range(4000)]


class TestDrawn(unittest.TestCase):
    def test_the_same_everywhere(self):
        """Numbers that were published with 3.0: a campaign's shards stay as they are."""
        self.assertEqual(drawn({"dip": "192.0.2.1", "dp": 80, "domain": "example.org"}, "shard"), 10659817168295487567)
        self.assertEqual(drawn({"dip": "2001:DB8:0::1", "domain": "EXAMPLE.org."}, "shard"),
                         drawn({"dip": "2001:db8::1", "domain": "example.org", "rank": 7}, "shard"))
        program = "from pathspider.targets.sampling import drawn; print(drawn({'domain': 'straße.example'}, 'x'))"
        other = subprocess.run([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(int(other), drawn({"domain": "xn--strae-oqa.example"}, "x"))
        drawn({"domain": "\udcff", "dip": 7}, "x")

    def test_shards(self):
        parts = [[job for job in JOBS if in_shard(number, 7)(job)] for number in range(1, 8)]
        self.assertEqual(sum(map(len, parts)), len(JOBS))
        for part in parts:
            self.assertAlmostEqual(len(part), 4000 / 7, delta=4 * 22.2)  # four standard deviations

    def test_shares(self):
        shares = [{job["dip"] for job in JOBS if in_share(share, seed)(job)}
                  for share, seed in ((0.1, 0), (0.2, 0), (0.1, 1))]
        self.assertAlmostEqual(len(shares[0]), 400, delta=4 * 19)
        self.assertLess(shares[0], shares[1])
        self.assertAlmostEqual(len(shares[0] & shares[2]), 40, delta=4 * 6.3)
        self.assertFalse(any(map(in_share(0.5 / ALL, 0), JOBS)))

    def test_a_share_of_a_shard_is_one_of_all(self):
        one = [job for job in JOBS if in_shard(1, 2)(job)]
        self.assertAlmostEqual(sum(map(in_share(0.5, 0), one)), len(one) / 2, delta=4 * 22.4)


class TestSample(unittest.TestCase):
    def test_so_many_in_their_order(self):
        sample = Sample(iter(JOBS), 300, 7)
        found = list(sample)
        self.assertEqual((len(found), sample.kept), (300, 300))
        self.assertEqual(found, [job for job in JOBS if job in found])
        self.assertEqual({job["dip"] for job in found}, {job["dip"] for job in Sample(reversed(JOBS), 300, 7)})
        self.assertNotEqual(found, list(Sample(JOBS, 300, 8)))
        self.assertEqual(list(Sample(JOBS[:9], 300, 7)), JOBS[:9])

    def test_all_have_the_same_chance(self):
        halves = [sum(JOBS.index(job) < 500 for job in Sample(JOBS[:1000], 20, seed)) for seed in range(40)]
        self.assertAlmostEqual(sum(halves), 400, delta=4 * 14.1)

    def test_of_each_group(self):
        found = list(Sample([*JOBS, *({"domain": f"{number}.example"} for number in range(9))], 3, 0, prefix_of))
        self.assertEqual(len(found), 16 * 3 + 3)
        self.assertEqual(sum("domain" in job for job in found), 3)
        for group in range(16):
            self.assertEqual(sum(job.get("info") == {"prefix": f"192.0.{group}.0/24"} for job in found), 3)

    def test_prefixes(self):
        for info in (None, "x", {}, {"prefix": 7}, []):
            self.assertIsNone(prefix_of({"info": info}))
