"""The search for the size of a path: against paths that are functions of a size."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.helpers.pathmtu import MOST_TOLD, SIZES, Found, Outcome, heed, interface_mtu, search

ALL = [*SIZES]


def walk(path, sizes=SIZES):
    """What is found where ``path`` says what becomes of each size, and the sizes that were tried."""
    steps, tried = search(sizes), []
    size = next(steps)
    while True:
        tried.append(size)
        try:
            size = steps.send(path(size))
        except StopIteration as end:
            return end.value, tried


def link(takes, says=None):
    """A link: what passes it, and what its router says of the rest."""
    return lambda size: Outcome.PASSED if size <= takes else Outcome.VANISHED if says is None else says


class TestSearch(unittest.TestCase):
    def test_all_passes(self):
        self.assertEqual(walk(link(1500)), (Found(passed=1500), [1500]))

    def test_a_router_says_what_it_takes(self):
        for takes in (1492, 1337, 600, 100):
            self.assertEqual(walk(link(takes, takes)), (Found(passed=takes, told=takes), [1500, takes]))
            self.assertTrue(walk(link(takes, takes))[0].works)

    def test_links_become_smaller(self):
        def path(size):
            return link(1450, 1450)(size) if size > 1450 else link(1400, 1400)(size)

        self.assertEqual(walk(path), (Found(passed=1400, told=1400), [1500, 1450, 1400]))

    @given(st.integers(1, 1600))
    def test_a_black_hole_lies_between_two_steps(self, takes):
        found, tried = walk(link(takes))
        passed = [size for size in ALL if size <= takes]
        beyond = [size for size in ALL if size > takes]
        self.assertEqual(found, Found(passed=passed[-1] if passed else None, silent=beyond[0] if beyond else None))
        self.assertEqual(found.works, not beyond)
        self.assertLessEqual(len(tried), 7)
        self.assertEqual(len(set(tried)), len(tried))

    @given(st.integers(600, 1600), st.integers(600, 1600))
    def test_what_is_said_and_what_vanishes(self, told, silent):
        def path(size):
            return link(told, told)(size) if size > told else link(silent)(size)

        found, _ = walk(path)
        if min(told, silent) >= 1500:
            self.assertEqual(found, Found(passed=1500))
        elif told <= silent:
            self.assertEqual(found, Found(passed=told, told=told))
        else:
            self.assertEqual(found.told, told if told < 1500 else None)
            self.assertEqual(found.passed, max(size for size in ALL if size <= silent))
            self.assertEqual(found.silent, min(size for size in [*ALL, told] if size > silent))
        self.assertEqual(found.works, found.silent is None)

    def test_a_router_that_names_no_size(self):
        found, _ = walk(lambda size: Outcome.PASSED if size <= 1400 else Outcome.TOO_BIG)
        self.assertEqual((found, found.works), (Found(passed=1400), True))

    def test_where_nothing_passes_nothing_is_known(self):
        for outcome in (Outcome.TOO_BIG, None):
            found, _ = walk(lambda size, outcome=outcome: outcome or size - 1)
            self.assertEqual((found.passed, found.silent, found.works), (None, None, False))
            self.assertIsNotNone(found.unclear)

    def test_where_nothing_is_clear_it_ends(self):
        self.assertEqual(walk(lambda size: Outcome.UNCLEAR), (Found(unclear=1500), [1500]))
        self.assertEqual(walk(lambda size: Outcome.VANISHED if size == 1500 else Outcome.UNCLEAR)[0],
                         Found(silent=1500, unclear=1420))

    @given(st.data())
    def test_whatever_is_said_it_ends(self, data):
        outcomes = st.sampled_from([*Outcome]) | st.integers(0, 2000)
        found, tried = walk(lambda size: data.draw(
            outcomes.filter(lambda one: isinstance(one, Outcome) or one < size)))
        self.assertLessEqual(len(tried), len(SIZES) + MOST_TOLD + 1)
        if found.passed and found.silent:
            self.assertLess(found.passed, found.silent)


class TestWords(unittest.TestCase):
    def test_what_is_believed(self):
        for told, size, version, heeded in (
            (1400, 1500, 4, 1400), (1500, 1500, 4, None), (0, 1500, 4, Outcome.TOO_BIG), (67, 1500, 4, Outcome.TOO_BIG),
            (68, 1500, 4, 68), (1279, 1500, 6, None), (1280, 1500, 6, 1280), (0, 1500, 6, None), (1500, 1400, 6, None),
        ):
            self.assertEqual(heed(told, size, version), heeded)

    def test_interfaces(self):
        self.assertEqual(interface_mtu("lo"), 65536)
        self.assertIsNone(interface_mtu("no-such"))


if __name__ == "__main__":
    unittest.main()
