"""The desynchronized model: its connection functions, in order, each told its configuration."""

import argparse
import threading
import unittest

from pathspider.desync import DesynchronizedSpider
from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL


class Three(DesynchronizedSpider):
    def conn_a(self, job, config):
        return {"spdr_state": CONN_OK, "sp": 0, "made_by": ("a", config)}

    def conn_b(self, job, config):
        return {"spdr_state": CONN_OK, "sp": 0, "made_by": ("b", config)}

    connections = [conn_a, conn_b, conn_b]

    def combine_flows(self, flows):
        return [f"{flow['made_by'][0]}.{flow['made_by'][1]}.{flow['config']}" for flow in flows]


class TestDesynchronizedSpider(unittest.TestCase):
    def test_connections_in_order(self):
        spider = Three(2, "int:lo", argparse.Namespace())
        spider.start()
        spider.add_job({"dip": "192.0.2.1"})
        threading.Thread(target=spider.shutdown).start()
        (record,) = iter(spider.outqueue.get, SHUTDOWN_SENTINEL)
        self.assertEqual(record["conditions"], ["a.0.0", "b.1.1", "b.2.2"])

    def test_workers_do_not_wait_for_each_other(self):
        """A job that hangs in its first connection keeps nobody from the second."""
        hang = threading.Event()

        class Hanging(Three):
            def conn(self, job, config):
                if job["dip"] == "192.0.2.1" and config == 0:
                    hang.wait(100)
                return {"spdr_state": CONN_OK, "sp": 0, "made_by": ("c", config)}

            connections = [conn, conn]

        spider = Hanging(2, "int:lo", argparse.Namespace())
        spider.start()
        spider.add_job({"dip": "192.0.2.1"})
        spider.add_job({"dip": "192.0.2.2"})
        self.assertEqual(spider.outqueue.get(timeout=100)["dip"], "192.0.2.2")
        hang.set()
        threading.Thread(target=spider.shutdown).start()
        self.assertEqual([record["dip"] for record in iter(spider.outqueue.get, SHUTDOWN_SENTINEL)], ["192.0.2.1"])
