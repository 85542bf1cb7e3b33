"""Spiders that make no packets, for tests of a run."""

import argparse
import threading

from pathspider.desync import DesynchronizedSpider
from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL
from pathspider.run.options import RunOptions


class Client:
    """What a connection leaves open."""

    def __init__(self, notes, config):
        self.notes, self.config = notes, config

    def close(self):
        self.notes.append(("closed", self.config))


class Noting(DesynchronizedSpider):
    """Two connections; notes what happens to them, in order."""

    name = "noting"

    def __init__(self, workers=4, **options):
        super().__init__(workers, "int:lo", argparse.Namespace(timeout=1))
        self.options = RunOptions(**options)
        self.notes = []

    def connect(self, job, config):
        self.notes.append(("made", config))
        return {"spdr_state": CONN_OK, "sp": 0, "client": Client(self.notes, config)}

    connections = [connect, connect]

    def post_connect(self, job, rec, config):
        self.notes.append(("post", config))

    def combine_flows(self, flows):
        return [f"noting.{flow['config']}" for flow in flows]


def jobs(count):
    return [{"dip": f"192.0.2.{number % 250 + 1}", "dp": 80, "number": number} for number in range(count)]


def records_of(spider, added, seconds=20):
    """Run jobs; their records. Fails where the run does not end."""
    def feed():
        for job in added:
            if not spider.add_job(job):
                break
        spider.shutdown()

    spider.start()
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    found = []
    while (record := spider.outqueue.get(timeout=seconds)) is not SHUTDOWN_SENTINEL:
        found.append(record)
    feeder.join(seconds)
    assert not feeder.is_alive(), "shutdown() did not return"
    return found
