"""The registry of connection modes."""

import unittest
from unittest import mock

from pathspider.helpers.modes import MODES, connect, connector, default_port, require
from pathspider.helpers.optional import MissingError
from pathspider.network.interfaces import capture_filter
from pathspider.records import CONN_SKIPPED
from tests.helpers.h3 import has_http3


class TestModes(unittest.TestCase):
    def test_every_mode_has_a_name_and_a_function(self):
        for name, mode in MODES.items():
            self.assertEqual((mode.name, connector(name).__name__), (name, mode.function))

    def test_an_unknown_mode_is_named_with_those_that_are(self):
        with self.assertRaisesRegex(ValueError, "'sctp'.*dnstcp"):
            connector("sctp")

    def test_connect(self):
        for mode in MODES:
            if mode == "h3" and not has_http3():
                continue  # as with Debian 12's libcurl
            outcome = connect(mode, (None, None), {"dip": "192.0.2.1", "dp": 80, "domain": "example.com"}, 1)
            self.assertEqual((outcome["spdr_state"], outcome["local_error"]), (CONN_SKIPPED, "no_ipv4_source"), mode)

    def test_what_is_not_installed(self):
        for mode in ("http", "a-plugin's-own", None):
            require(mode)
        with mock.patch("pycurl.version_info", return_value=(0, "7.88.1", 0, "", 0)), \
                self.assertRaisesRegex(MissingError, "--connect h3 needs"):
            require("h3")

    def test_ports(self):
        ports = {mode: default_port(mode) for mode in MODES}
        self.assertEqual(ports, {"tcp": 80, "http": 80, "https": 443, "h3": 443, "dnstcp": 53, "dnsudp": 53})
        self.assertEqual((default_port(None), default_port("a-plugin's-own")), (80, 80))

    def test_protocols_are_those_of_the_capture_filter(self):
        for mode in MODES.values():
            self.assertIn("ip proto", capture_filter(("192.0.2.1", None), [mode.protocol]))
