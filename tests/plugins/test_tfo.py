"""The TCP Fast Open plugin: its verdicts from flow records, its chain, and its three connections."""

import argparse
import unittest
from unittest import mock

from pathspider.chains.tcp import TCP_RST, TCP_SA, TCP_SYN, TO_EXPA, TO_FASTOPEN
from pathspider.helpers.tfo import FAST_OPEN
from pathspider.plugins import tfo
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT

SEQ = 2**32 - 1  # the sum with what was sent wraps


def flow(synkind=0, cookie=0, *, data=0, acked=1, ackkind=0, resent=False, fell_back=False,
         state=CONN_OK, synack=TCP_SA):
    return {"spdr_state": state, "observed": True, "tcp_synflags_fwd": TCP_SYN, "tcp_synflags_rev": synack,
            "tfo_synkind": synkind, "tfo_synclen": cookie, "tfo_dlen": data, "tfo_seq": SEQ, "tfo_ackkind": ackkind,
            "tfo_ack": (SEQ + acked) % 2**32, "tfo_resent": resent or fell_back, "tfo_fell_back": fell_back,
            "tcp_connected": synack == TCP_SA, "tcp_rst_rev": synack == TCP_RST}


DOWN = {"state": CONN_TIMEOUT, "synack": None}
GIVEN = flow(TO_FASTOPEN, ackkind=TO_FASTOPEN)
NOT_GIVEN = flow(TO_FASTOPEN)


def spider():
    return tfo.TFO(1, "int:lo", argparse.Namespace(connect="http", timeout=1, source=("192.0.2.1", None)))


class TestVerdicts(unittest.TestCase):
    def check(self, flows, *expected):
        self.assertEqual(spider().combine_flows(flows), [f"tfo.{condition}" for condition in expected])

    def test_data_on_the_syn(self):
        use = {"synkind": TO_FASTOPEN, "cookie": 8, "data": 100}
        for experiment, connectivity, syndata in (
            (flow(**use, acked=101), "works", "acked"),
            (flow(**use, acked=1), "works", "not_acked"),
            (flow(**use, acked=51), "works", "not_acked"),
            (flow(**use, acked=1, fell_back=True), "broken", "failed"),
            (flow(**use, acked=101, fell_back=True), "works", "acked"),  # the answer was slower than the resent SYN
            (flow(**use, **DOWN), "broken", "failed"),
            (flow(**use, state=CONN_FAILED, synack=TCP_RST), "broken", "failed"),
        ):
            with self.subTest(connectivity=connectivity, syndata=syndata):
                self.check([flow(), GIVEN, experiment], f"connectivity.{connectivity}", "cookie.received",
                           f"syndata.{syndata}")

    def test_no_cookie(self):
        self.check([flow(), NOT_GIVEN, flow(TO_FASTOPEN)], "connectivity.works", "cookie.not_received")
        self.check([flow(), flow(TO_EXPA), flow(TO_FASTOPEN)], "connectivity.works", "cookie.not_received")

    def test_a_request_that_only_passes_without_the_option(self):
        fallback = flow(TO_FASTOPEN, fell_back=True)
        self.check([flow(), fallback, fallback], "connectivity.broken", "cookie.not_received")
        self.check([flow(), NOT_GIVEN, flow(TO_FASTOPEN, ackkind=TO_FASTOPEN, fell_back=True)],
                   "connectivity.works", "cookie.not_received")

    def test_offline_and_transient(self):
        self.check([flow(**DOWN), flow(TO_FASTOPEN, **DOWN), flow(TO_FASTOPEN, **DOWN)], "connectivity.offline")
        self.check([flow(**DOWN), GIVEN, flow(TO_FASTOPEN, 8, data=10, acked=11)],
                   "connectivity.transient", "cookie.received", "syndata.acked")

    def test_connections_that_were_not_made_as_asked_are_our_own_fault(self):
        use = flow(TO_FASTOPEN, 8, data=10, acked=11)
        plain = flow()
        for flows in ([flow(TO_FASTOPEN), GIVEN, use], [plain, plain, use], [plain, use, use], [plain, GIVEN, plain]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.local_error:tfo_not_configured"])

    def test_a_path_that_delays_or_loses_every_first_syn_tells_nothing_of_fast_open(self):
        resent, use = flow(resent=True), {"synkind": TO_FASTOPEN, "cookie": 8, "data": 100}
        fallback = flow(TO_FASTOPEN, fell_back=True)
        for flows in ([resent, fallback, fallback], [resent, GIVEN, flow(**use, acked=1, fell_back=True)]):
            self.assertEqual(spider().combine_flows(flows), ["pathspider.not_observed"])
        self.check([resent, GIVEN, flow(**use, acked=101, fell_back=True)],
                   "connectivity.works", "cookie.received", "syndata.acked")
        self.check([resent, GIVEN, flow(**use, fell_back=True, **DOWN)],
                   "connectivity.broken", "cookie.received", "syndata.failed")
        down = flow(TO_FASTOPEN, fell_back=True, **DOWN)
        self.check([flow(resent=True, **DOWN), down, down], "connectivity.offline")

    def test_a_handshake_without_an_answer(self):
        use = {"synkind": TO_FASTOPEN, "cookie": 8, "data": 100, "state": CONN_TIMEOUT}
        self.check([flow(), GIVEN, flow(**use, acked=101)],
                   "connectivity.broken", "handshake.works", "cookie.received", "syndata.acked")
        self.check([flow(), GIVEN, flow(**use, acked=1, fell_back=True)],  # that of a plain SYN
                   "connectivity.broken", "cookie.received", "syndata.failed")

    def test_up_without_a_syn_ack_was_not_observed(self):
        self.assertEqual(spider().combine_flows([flow(), GIVEN, flow(TO_FASTOPEN, 8, data=10, synack=None)]),
                         ["pathspider.not_observed"])


PLAIN = {"spdr_state": CONN_OK}


class TestConnections(unittest.TestCase):
    JOB = {"dip": "192.0.2.2", "dp": 80}

    def run_all(self, cookies, states=(CONN_OK, CONN_OK, CONN_OK, CONN_OK), results=None):
        """Make the three connections; ``cookies``: what the kernel holds each time it is asked."""
        results = iter(results or [{"spdr_state": state} for state in states])
        measurement = spider()
        measurement._cookies = mock.Mock()
        measurement._cookies.cookie.side_effect = cookies
        with mock.patch.object(tfo, "connect", side_effect=lambda *_, **__: next(results)) as connect:
            for config in range(3):
                measurement.perform(self.JOB, config)
        measurement._cookies.forget.assert_called_once_with("192.0.2.2")
        return [call.kwargs.get("sockopts") for call in connect.call_args_list]

    def test_three_connections(self):
        self.assertEqual(self.run_all([b"cookie"]), [None, FAST_OPEN, FAST_OPEN])

    def test_without_a_cookie_it_is_asked_once_more(self):
        self.assertEqual(self.run_all([None]), [None, FAST_OPEN, FAST_OPEN, FAST_OPEN])

    def test_nobody_asks_again_who_was_not_answered(self):
        self.assertEqual(self.run_all([None], [CONN_OK, CONN_TIMEOUT, CONN_SKIPPED]), [None, FAST_OPEN, FAST_OPEN])

    def test_a_slow_connection_is_made_once_more(self):
        with mock.patch.object(tfo, "monotonic", side_effect=[0, 1.2]):
            self.assertEqual(self.run_all([b"cookie"]), [None, FAST_OPEN, FAST_OPEN, FAST_OPEN])
        with mock.patch.object(tfo, "monotonic", side_effect=[0, 5]):
            used = {"spdr_state": CONN_OK, "syn_data_acked": True}
            self.assertEqual(self.run_all([b"cookie"], results=[PLAIN, PLAIN, used]), [None, FAST_OPEN, FAST_OPEN])
        with mock.patch.object(tfo, "monotonic", side_effect=[0, 5]):
            self.assertEqual(self.run_all([b"cookie"], [CONN_OK, CONN_OK, CONN_TIMEOUT]), [None, FAST_OPEN, FAST_OPEN])

    def test_nobody_else_touches_a_target_s_cookie_meanwhile(self):
        for asked in (1, 2, 50, None):
            measurement = tfo.TFO(1, "int:lo", argparse.Namespace(connect="http", timeout=1, per_address=asked))
            self.assertEqual(measurement.per_address(), 1)


class TestSettings(unittest.TestCase):
    def configure(self, fastopen, blackhole):
        values = {"net.ipv4.tcp_fastopen": fastopen, "net.ipv4.tcp_fastopen_blackhole_timeout_sec": blackhole}
        measurement = spider()
        with mock.patch.object(tfo.TFO, "settings") as settings:
            settings.read.side_effect = values.get
            measurement.borrow()
        measurement.cookies.close()
        return [call.args for call in settings.sysctl.call_args_list]

    def test_what_is_borrowed(self):
        self.assertEqual(self.configure("1", "0"), [("net.ipv4.tcp_fastopen", 1)])
        self.assertEqual(self.configure("0x602", "3600"), [
            ("net.ipv4.tcp_fastopen", 0x603), ("net.ipv4.tcp_fastopen_blackhole_timeout_sec", 0)])
        self.assertEqual(self.configure("5", "0"), [("net.ipv4.tcp_fastopen", 1)])
