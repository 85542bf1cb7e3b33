"""Plugins by the name that a scenario gives."""

import unittest

from pathspider.lab.errors import LabError
from pathspider.lab.plugins import find_plugin
from pathspider.plugins.ecn import ECN


class TestFind(unittest.TestCase):
    def test_by_name(self):
        self.assertIs(find_plugin("ecn"), ECN)

    def test_one_that_is_not_there(self):
        with self.assertRaisesRegex(LabError, "no plugin called 'nothing_such'; .*PYTHONPATH"):
            find_plugin("nothing_such")


if __name__ == "__main__":
    unittest.main()
