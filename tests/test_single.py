"""The single model, over loopback and without a capture."""

import argparse
import socket
import threading
import unittest

from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL
from pathspider.single import SingleSpider


class One(SingleSpider):
    """The states that came."""

    def combine_flows(self, flows):
        return [f"up.{flow['config']}.{flow['spdr_state'] == CONN_OK}" for flow in flows]


class TestSingleSpider(unittest.TestCase):
    def test_one_connection_a_job(self):
        spider = One(3, "int:lo", argparse.Namespace(connect="tcp", timeout=5, source=("127.0.0.1", None)))
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as unused:
            ports = [server.getsockname()[1], unused.getsockname()[1]]
            unused.close()
            spider.start()

            def feed():
                for port in ports:
                    spider.add_job({"dip": "127.0.0.1", "dp": port})
                spider.shutdown()

            threading.Thread(target=feed, daemon=True).start()
            records = {record["dp"]: record["conditions"] for record in iter(spider.outqueue.get, SHUTDOWN_SENTINEL)}
        self.assertEqual(records, {ports[0]: ["up.0.True"], ports[1]: ["up.0.False"]})
        self.assertEqual(spider.plan(), [0])
