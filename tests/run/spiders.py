"""Spiders for tests: real ones, without a network or over loopback, and what runs them to their end."""

import argparse
import socket
import threading
import unittest

from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.tcp import connect_tcp
from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL

PATIENCE = 30
"""Seconds after which a test gives up that should have ended at once."""


class Nowhere(DesynchronizedSpider):
    """Two connections to each target, of which no packet leaves; what came up is the condition."""

    def up(self, job, config):
        return {"spdr_state": CONN_OK, "sp": 0}

    connections = [up, up]

    def combine_flows(self, flows):
        return [f"up.{flow['config']}" for flow in flows if flow["spdr_state"] == CONN_OK]


class Twice(Nowhere):
    """The same, over loopback."""

    def connect(self, job, config):
        return connect_tcp(("127.0.0.1", "::1"), job, 5)

    connections = [connect, connect]


def make(spider=Nowhere, workers=4, **arguments):
    """A spider that observes nothing."""
    return spider(workers, "int:lo", argparse.Namespace(**{"timeout": 5, **arguments}))


def job(number=0, **keys):
    """A job for a target of its own."""
    return {"dip": f"192.0.2.{number % 250 + 1}", "dp": 80, "number": number, **keys}


def records_of(spider):
    """All records of a spider, until their end."""
    records = []
    reader = threading.Thread(target=lambda: records.extend(iter(spider.outqueue.get, SHUTDOWN_SENTINEL)), daemon=True)
    reader.start()
    reader.join(PATIENCE)
    if reader.is_alive():
        raise AssertionError(f"the records do not end; there were {len(records)}")
    return records


def in_thread(function, *args):
    """The thread that runs a function."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def feed(spider, jobs):
    """The thread that feeds a started spider, as long as it takes jobs, and then ends the run."""
    def run():
        for one in jobs:
            if not spider.add_job(one):
                break
        spider.shutdown()

    return in_thread(run)


def run_jobs(spider, jobs):
    """Run a spider over jobs; its records, when all of it has ended."""
    spider.start()
    feeder = feed(spider, jobs)
    records = records_of(spider)
    feeder.join(PATIENCE)
    if feeder.is_alive() or spider.running:
        raise AssertionError("the run does not end")
    return records


class LoopbackCase(unittest.TestCase):
    """Has a server on all of 127.0.0.0/8."""

    @classmethod
    def setUpClass(cls):
        cls.server = socket.create_server(("0.0.0.0", 0), backlog=512)
        cls.port = cls.server.getsockname()[1]
        in_thread(cls.serve)
        with socket.create_server(("127.0.0.1", 0)) as unused:
            cls.closed_port = unused.getsockname()[1]

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown(socket.SHUT_RDWR)
        cls.server.close()

    @classmethod
    def serve(cls):
        try:
            while True:
                cls.server.accept()[0].close()
        except OSError:
            pass

    def job(self, number=0, port=None):
        return {"dip": f"127.0.0.{number % 250 + 1}", "dp": port or self.port, "number": number}
