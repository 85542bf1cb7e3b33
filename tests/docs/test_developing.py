"""The examples of the pages for plugin authors do what the pages say."""

import doctest
import unittest
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "developing"


@unittest.skipUnless(PAGES.is_dir(), "needs the checkout")
class TestPages(unittest.TestCase):
    def test_examples(self):
        for name, examples in {"objects": 20, "testing": 9, "lab": 7}.items():
            with self.subTest(page=name):
                result = doctest.testfile(str(PAGES / f"{name}.rst"), module_relative=False)
                self.assertEqual(result.failed, 0)
                self.assertGreaterEqual(result.attempted, examples)
