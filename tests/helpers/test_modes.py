"""Connection modes by name."""

import unittest

from pathspider.base import DEFAULT_PORTS
from pathspider.helpers.modes import MODES, connect, connector
from pathspider.records import CONN_SKIPPED


class TestModes(unittest.TestCase):
    def test_every_mode_has_a_function_and_a_port(self):
        for mode, (_, name) in MODES.items():
            self.assertEqual(connector(mode).__name__, name)
            self.assertIn(mode, DEFAULT_PORTS)

    def test_an_unknown_mode_is_named_with_those_that_are(self):
        with self.assertRaisesRegex(ValueError, "'sctp'.*dnstcp"):
            connector("sctp")

    def test_connect(self):
        for mode in MODES:
            outcome = connect(mode, (None, None), {"dip": "192.0.2.1", "dp": 80, "domain": "example.com"}, 1)
            self.assertEqual((outcome["spdr_state"], outcome["local_error"]), (CONN_SKIPPED, "no_ipv4_source"), mode)
