"""The HTTP/2 plugin: its verdicts, from flow records, and what it asks for."""

import argparse
import unittest
from unittest import mock

import pycurl

from pathspider.plugins import h2
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT


def flow(version="1.1", state=CONN_OK, connected=True, status=200):
    record = {"spdr_state": state, "observed": True, "tcp_connected": connected}
    return record | ({"http_version": version, "http_status": status} if state == CONN_OK else {})


def spider(connect="http"):
    return h2.H2(1, "int:lo", argparse.Namespace(connect=connect, timeout=1, source=("192.0.2.1", None)))


class TestH2(unittest.TestCase):
    def test_verdicts(self):
        silent = flow(state=CONN_TIMEOUT, connected=False)
        refused = {**flow(state=CONN_FAILED), "http2_error": "HTTP_1_1_REQUIRED"}
        for baseline, experiment, expected in (
            (flow(), flow("2"), ["h2.connectivity.works", "h2.upgrade.success"]),
            (flow("1.0"), flow("1.1"), ["h2.connectivity.works", "h2.upgrade.failed"]),
            (flow(), flow(state=CONN_FAILED), ["h2.connectivity.broken", "h2.upgrade.failed"]),
            (flow(), refused, ["h2.connectivity.works", "h2.upgrade.failed:http11_required"]),
            (flow(state=CONN_FAILED), refused, ["h2.connectivity.transient", "h2.upgrade.failed:http11_required"]),
            (flow(), silent, ["h2.connectivity.broken"]),
            (silent, flow("2"), ["h2.connectivity.transient", "h2.upgrade.success"]),
            (silent, silent, ["h2.connectivity.offline"]),
            (flow(status=500), flow("2", status=404), ["h2.connectivity.works", "h2.upgrade.success"]),
        ):
            with self.subTest(expected=expected):
                self.assertEqual(spider().combine_flows([baseline, experiment]), expected)

    def test_a_response_without_a_handshake_was_not_observed(self):
        for flows in ([flow(), flow("2", connected=False)], [flow(connected=False), flow("2")]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.not_observed"])

    def test_only_the_experiment_offers_http_2(self):
        job = {"dip": "192.0.2.2", "dp": 443}
        for mode in h2.H2.connect_supported:
            with mock.patch.object(h2, "connect", return_value={"spdr_state": CONN_OK}) as connect:
                for config, function in enumerate(h2.H2.connections):
                    function(spider(mode), job, config)
            asked = [call.kwargs["curlopts"][pycurl.HTTP_VERSION] for call in connect.call_args_list]
            self.assertEqual(asked, [pycurl.CURL_HTTP_VERSION_1_1, pycurl.CURL_HTTP_VERSION_2_0])
            self.assertEqual({call.args[0] for call in connect.call_args_list}, {mode})
