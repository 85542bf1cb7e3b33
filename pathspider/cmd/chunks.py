"""The process that measures a campaign's chunks: one spider in server mode, fed over a socket.

:class:`pathspider.campaign.measuring.Measuring` starts it as ``python -m pathspider.cmd.chunks DESCRIPTOR WORDS...``,
the words being those of ``pspdr measure``. What comes over the socket is, for each chunk, a line of JSON
(``{"jobs": 2}``) and so many jobs; what goes back are records as they come, and lines of JSON behind ``!`` that say
what is the matter. The end of the socket ends this process, whoever has been killed.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pathspider.cmd.main import UsageError, build_parser, escape_controls
from pathspider.cmd.measure import run_options
from pathspider.cmd.plugins import plugin_mistakes
from pathspider.cmd.signals import Signals
from pathspider.cmd.start import spider_here, start_spider
from pathspider.records import SHUTDOWN_SENTINEL, Job, Record

if TYPE_CHECKING:
    from pathspider.base import Spider

log = logging.getLogger("pathspider")

OVER = object()
"""Among the records: those of a chunk are complete."""

AT_ONCE = 2.0
"""Seconds that giving the settings back may take when the socket has ended; the guard process does it otherwise."""


class Chunks:
    """Feeds a started spider with chunks, one after the other, and writes its records to the socket."""

    def __init__(self, words: Sequence[str], args: argparse.Namespace, spider: Spider,
                 stream: io.BufferedRWPair[Any, Any]) -> None:
        self.words = words
        self.args = args
        self.spider = spider
        self.stream = stream
        self._chunks: queue.Queue[list[Job]] = queue.Queue(1)
        self._expected: int | None = None
        self._settling = threading.Lock()
        spider.pipeline.settled = self._settled

    def run(self) -> int:
        """Measure until the socket ends, or the spider does; the exit status."""
        from pathspider.run import metadata  # noqa: PLC0415

        asked = metadata.what(self.args, self.spider.options.blocklist)
        self._tell({"ready": metadata.at_begin(self.args, ["pspdr", *self.words], self.spider, asked)})
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while True:
            jobs = self._chunks.get()
            if not self._measure(jobs):
                error = self.spider.exception
                self._tell({"failed": f"{type(error).__name__}: {error}" if error else "the spider has ended"})
                self.spider.shutdown()
                return 1

    def _read(self) -> None:
        """Chunks from the socket; its end is ours."""
        try:
            while line := self.stream.readline():
                count = json.loads(line)["jobs"]
                lines = [self.stream.readline() for _ in range(count)]
                if not all(lines):
                    break
                self._chunks.put([json.loads(one) for one in lines])
        except (OSError, ValueError, KeyError) as error:
            log.debug("chunks: %s", error)
        end = threading.Thread(target=self.spider.terminate, name="terminate", daemon=True)
        end.start()
        end.join(AT_ONCE)
        os._exit(0)

    def _measure(self, jobs: list[Job]) -> bool:
        """Measure a chunk and write its records; False if the spider ended before it was complete."""
        from pathspider.conditions import unfinished_reason  # noqa: PLC0415
        from pathspider.run import metadata  # noqa: PLC0415
        from pathspider.run.alarms import Alarms  # noqa: PLC0415
        from pathspider.run.counts import Counts  # noqa: PLC0415

        pipeline, counts, alarms = self.spider.pipeline, Counts(), Alarms()
        unfinished: Counter[str] = Counter()
        before = pipeline.jobs_done, pipeline.flows_missed, self.spider.capture_losses(), pipeline.jobs_failed
        begin = metadata.now()
        self._expected = before[0] + len(jobs)
        if jobs:
            threading.Thread(target=self._feed, args=(jobs,), name="feeder", daemon=True).start()
        else:
            self._settled()
        for record in iter(self.spider.outqueue.get, SHUTDOWN_SENTINEL):
            if record is OVER:
                break
            self._write(record)
            counts.add(record)
            alarms.note(record)
            with plugin_mistakes(self.args.plugin_name):
                if self.spider.is_unfinished(record):
                    unfinished[unfinished_reason(record)] += 1
        else:
            return False
        self._tell({"over": {
            "begin": begin, "end": metadata.now(), "jobs": pipeline.jobs_done - before[0], "records": counts.lines,
            "conditions": dict(sorted(counts.conditions.items())),
            "local_errors": dict(sorted(counts.local_errors.items())), "alarms": alarms.lines(),
            "unfinished": dict(sorted(unfinished.items())),
            "missed_flows": pipeline.flows_missed - before[1],
            "packets_lost": self.spider.capture_losses() - before[2], "jobs_failed": pipeline.jobs_failed - before[3]}})
        return True

    def _feed(self, jobs: list[Job]) -> None:
        if all(self.spider.add_job(job) for job in jobs):
            self.spider.pipeline.drain()

    def _settled(self) -> None:
        """Records were put into their queue, by the merger's thread or the locator's: perhaps the chunk's last ones."""
        with self._settling:
            if self._expected is not None and self.spider.pipeline.jobs_done >= self._expected:
                self._expected = None
                self.spider.outqueue.put(OVER)

    def _write(self, record: Record) -> None:
        from pathspider.writing import json_line  # noqa: PLC0415

        try:
            line = json_line(record)
            self.spider.pipeline.written()
        except (TypeError, ValueError, RecursionError) as error:  # a plugin's value that JSON cannot hold
            line = json_line(self.spider.pipeline.unwritable(record, error))
        self.stream.write(line)

    def _tell(self, what: dict[str, Any]) -> None:
        from pathspider.writing import json_line  # noqa: PLC0415

        self.stream.write(b"!" + json_line(what))
        self.stream.flush()


def main(argv: Sequence[str]) -> int:
    """Measure what comes over the socket with this number; the exit status."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(escape_controls)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="pspdr: %(message)s")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    descriptor, words = int(argv[0]), ["measure", *argv[1:]]
    os.set_inheritable(descriptor, False)
    stream = socket.socket(fileno=descriptor).makefile("rwb")
    try:
        args = build_parser("measure", words).parse_args(words)
        if args.quiet:
            log.setLevel(logging.WARNING)
        spider = spider_here(args, run_options(args), server_mode=True)
        start_spider(args, spider, Signals())
    except UsageError as error:
        log.error("%s", error)
        return 2
    try:
        return Chunks(words, args, spider, stream).run()
    except OSError as error:  # whoever reads the records has gone
        log.debug("chunks: %s", error)
        spider.terminate()
        return 1
    except SystemExit:  # a mistake of the plugin's, which has been told
        spider.terminate()
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
