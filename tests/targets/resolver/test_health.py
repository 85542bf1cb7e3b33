"""Which resolvers are asked, and which are set aside."""

import unittest

from pathspider.targets.resolver.health import IN_A_ROW, LONGEST_PAUSE, PAUSE, Change, Health


class TestHealth(unittest.TestCase):
    def fail(self, server=0, times=IN_A_ROW, now=100.0):
        return [self.health.failed(server, "refused", now) for _ in range(times)]

    def test_set_aside_and_asked_again(self):
        self.health = Health(3)
        self.assertEqual(self.fail(), [False] * (IN_A_ROW - 1) + [True])
        self.assertEqual((self.health.in_use, self.health.changes), ([1, 2], [Change(0, "refused")]))
        self.assertEqual(self.fail(), [False] * IN_A_ROW)
        self.assertEqual(self.health.troubles(103.0), [(0, 1, 3.0, True)])
        self.assertTrue(self.health.answered(0, 110.0))
        self.assertEqual((self.health.in_use, self.health.aside), ([0, 1, 2], {}))
        self.assertEqual(self.health.troubles(200.0), [(0, 1, 10.0, False)])

    def test_only_for_failures_in_a_row(self):
        self.health = Health(2)
        for _ in range(5):
            self.fail(times=IN_A_ROW - 1)
            self.assertFalse(self.health.answered(0, 100.0))
        self.assertEqual((self.health.in_use, self.health.troubles(100.0)), ([0, 1], []))

    def test_never_the_last(self):
        self.health = Health(2)
        self.fail(0)
        self.fail(1, 3 * IN_A_ROW)
        self.assertEqual(self.health.in_use, [1])

    def test_it_is_tried_again_ever_more_rarely(self):
        self.health = Health(2)
        self.fail()
        now, pauses = 100.0, []
        for _ in range(9):
            self.assertIsNone(self.health.trial(self.health.aside[0] - 0.01))
            pauses.append(self.health.aside[0] - now)
            now = self.health.aside[0]
            self.assertEqual(self.health.trial(now), 0)
            self.health.tried(0, now)
        self.assertEqual(pauses[:3], [PAUSE, 2 * PAUSE, 4 * PAUSE])
        self.assertEqual(pauses[-1], LONGEST_PAUSE)
