"""Alarms of a run: said where there is something to say, and not by chance."""

import random
import tracemalloc
import unittest

from pathspider.run.alarms import SLICES, Alarms


def record(word, number=0, dip=None, *more):
    dip = dip or f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return {"dip": dip, "conditions": [f"x.connectivity.{word}", *more]}


class TestAlarms(unittest.TestCase):
    def lines(self, records, moments=None):
        alarms = Alarms()
        for number, one in enumerate(records):
            alarms.note(one, moments[number] if moments else number * 0.01)
        return [*alarms.lines()]

    def drawn(self, count, seed=1, **shares):
        """Records whose words are drawn with these shares, else ``works``, each at an address of its own."""
        draw = random.Random(seed)
        words = [*shares, "works"]
        weights = [*shares.values(), 1 - sum(shares.values())]
        return [record(word, 256 * number) for number, word in enumerate(draw.choices(words, weights, k=count))]

    def mixed(self, records):
        random.Random(3).shuffle(records)
        return records

    def test_nothing_to_say(self):
        self.assertEqual(self.lines([]), [])
        self.assertEqual(self.lines([{"conditions": ["pathspider.not_measured"]}, {}]), [])
        for seed in range(20):
            self.assertEqual(self.lines(self.drawn(5000, seed, broken=0.02, offline=0.1, transient=0.002)), [])

    def test_noise_floor(self):
        line, = self.lines(self.drawn(5000, broken=0.01, transient=0.01))
        self.assertRegex(line, r"^x: [0-9]+ transient against [0-9]+ broken: chance alone .*--confirm tells them apart")
        some = [record("broken", 256 * number, None, "x.stable.connectivity.works") for number in range(20)]
        some += [record("transient", 256 * number, None, "x.stable.connectivity.works") for number in range(20, 40)]
        some += [record("broken", 256 * number, None, "x.stable.connectivity.broken") for number in range(40, 43)]
        line, = self.lines(some)
        self.assertIn("20 transient against 23 broken", line)
        self.assertIn("3 of them are confirmed (x.stable.connectivity.broken)", line)

    def test_one_place(self):
        elsewhere = self.drawn(200) + [record("broken", 256 * number) for number in range(5)]
        same = [record("broken", dip="192.0.2.1") for _ in range(12)]
        line, = self.lines(self.mixed(elsewhere + same))
        self.assertTrue(line.startswith("12 of 17 broken targets are at 192.0.2.1:"), line)
        near = [record("broken", dip=f"2001:db8:1::{number:x}") for number in range(12)]
        line, = self.lines(self.mixed(elsewhere + near))
        self.assertTrue(line.startswith("12 of 17 broken targets are at 2001:db8:1::/48:"), line)

    def test_offline_rises_with_the_rate(self):
        draw, records, moments, now = random.Random(2), [], [], 0.0
        for number in range(8000):
            fast = number // 500 % 2
            now += 0.002 if fast else 0.02
            moments.append(now)
            records.append(record("offline" if draw.random() < (0.2 if fast else 0.02) else "works", number))
        line, = self.lines(records, moments)
        self.assertIn("offline rises with the rate", line)
        self.assertRegex(line, r"(1[5-9]|2[0-5])\.\d % at [0-9]{3}/s, [0-4]\.\d % at [0-9]{2}/s")

    def test_a_tenth_of_the_run(self):
        records = self.drawn(9000, offline=0.02) + self.drawn(1000, offline=0.5)
        lines = self.lines(records)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("of the last tenth of the run", lines[0])

    def test_memory_is_bounded(self):
        alarms = Alarms()
        tracemalloc.start()
        for number in range(20_000):
            alarms.note(record("offline", number), float(number))
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        self.assertLess(used, 200_000)
        self.assertLessEqual(len(alarms._slices), 2 * SLICES)
        self.assertEqual(sum(one.count for one in alarms._slices), 20_000)
