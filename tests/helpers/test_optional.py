"""What not every installation has."""

import unittest
from unittest import mock

from pathspider.helpers import optional
from pathspider.helpers.optional import MissingError, has_aioquic, require_aioquic
from tests.helpers.h3 import with_aioquic


class TestAioquic(unittest.TestCase):
    def tearDown(self):
        has_aioquic.cache_clear()

    @with_aioquic
    def test_where_it_is(self):
        require_aioquic("this")

    def test_where_it_is_not(self):
        has_aioquic.cache_clear()
        with mock.patch.object(optional, "find_spec", return_value=None), \
                self.assertRaisesRegex(MissingError, r"^the plugin quic needs .*aioquic.*pip install"):
            require_aioquic("the plugin quic")


if __name__ == "__main__":
    unittest.main()
