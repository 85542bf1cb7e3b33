"""A whole list, against a resolver on loopback."""

import contextlib
import json
import tempfile
import threading
from pathlib import Path
from unittest import mock

import dnslib

from pathspider.targets.resolver import run
from pathspider.targets.resolver.engine import Engine, Server
from pathspider.targets.resolver.journal import Journal
from pathspider.targets.resolver.message import AAAA
from pathspider.targets.resolver.naming import Plan, Shape
from pathspider.targets.resolver.run import Ahead, Direct, Run, places
from pathspider.writing import RecordWriter
from tests.helpers.resolvers import ResolverCase


def world(query):
    """Names with ``h`` have an address, those with ``x`` do not exist, and others have no server that works."""
    record = dnslib.DNSRecord.parse(query)
    name = str(record.q.qname)
    reply = record.reply()
    reply.header.rcode = {"h": 0, "x": 3}.get(name[0], 2)
    if name[0] == "h" and record.q.qtype == dnslib.QTYPE.A:
        reply.add_answer(*dnslib.RR.fromZone(f"{name} 60 A 192.0.2.{name[1:].partition('.')[0]}"))
    return reply.pack()


class Torn(Exception):  # noqa: N818 - no error of ours
    """The process is no more."""


class TestRun(ResolverCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.serve(world)
        self.plan = Plan()

    def resolve(self, source, *, journal=False, torn=None, reads=Direct):
        """What comes of the jobs; at the ``torn``-th time that something is written, all ends."""
        streams = {}
        for name in ("output", "unresolved"):
            path = self.folder / name
            streams[name] = self.enterContext(open(path, "r+b" if path.exists() else "wb", buffering=0))
        kept = Journal(self.folder / "journal", streams, {}) if journal else None
        if kept is not None:
            kept.load()
        writers = {name: RecordWriter(stream) for name, stream in streams.items()}
        with Engine([Server("127.0.0.1", self.port)], 10) as engine:
            self.run = Run(engine, self.plan, Shape(), writers["output"], writers["unresolved"], window=8, journal=kept)
            write, times = writers["output"].write_all, iter(range(1000))

            def write_all(records):
                write(records)
                if next(times) == torn:
                    raise Torn

            todo = places(source, kept)
            with mock.patch.object(writers["output"], "write_all", write_all):
                self.run.resolve(reads(todo, engine.wake) if reads is Ahead else reads(todo))
        return self.found()

    def found(self):
        return [[json.loads(line) for line in (self.folder / name).read_bytes().splitlines()]
                for name in ("output", "unresolved")]

    def test_each_name_has_one_outcome(self):
        names = [f"{kind}{number}.example" for number in range(30) for kind in "hxs"]
        for reads in (Direct, Ahead):
            (self.folder / "output").unlink(missing_ok=True)
            (self.folder / "unresolved").unlink(missing_ok=True)
            jobs, others = self.resolve(({"domain": name} for name in names), reads=reads)
            self.assertEqual({job["domain"]: job["dip"] for job in jobs},
                             {f"h{number}.example": f"192.0.2.{number}" for number in range(30)})
            self.assertEqual(len(jobs), 30)
            self.assertEqual(sorted((one["domain"][0], *one["conditions"]) for one in others),
                             30 * [("s", "dnsresolv.unresolved:servfail")]
                             + 30 * [("x", "dnsresolv.unresolved:nxdomain")])
            self.assertEqual(self.run.counts, {"names": 90, "resolved": 30, "jobs": 30, "servfail": 30,
                                               "nxdomain": 30})
            self.assertEqual(self.run.unanswered(), 0)

    def test_what_needs_no_question(self):
        jobs, others = self.resolve([{"dip": "192.0.2.9", "rank": 1}, {"domain": "192.0.2.8"}, {"domain": ""}])
        self.assertEqual(jobs, [{"dip": "192.0.2.9", "rank": 1}, {"domain": "192.0.2.8", "dip": "192.0.2.8"}])
        self.assertEqual(others, [{"domain": "", "conditions": ["pathspider.invalid_job:domain_missing"]}])

    def test_what_cannot_be_measured_is_no_target(self):
        jobs, others = self.resolve([{"domain": "h1.example", "dip": None}, {"domain": "h2.example", "dip": "1.2.3"},
                                     {"dip": 5}, {"domain": 5}, {"dip": "224.0.0.1"}, {"domain": "a..b"}])
        self.assertEqual([(job["domain"], job["dip"]) for job in jobs], [("h1.example", "192.0.2.1")])
        self.assertEqual(sorted(condition for one in others for condition in one["conditions"]),
                         ["dnsresolv.unresolved:bad_domain"]
                         + [f"pathspider.invalid_job:{word}" for word in (
                             "dip_not_an_address", "dip_not_an_address", "dip_not_unicast", "domain_missing")])
        self.assertEqual((self.run.counts[run.INVALID_JOBS], self.run.failures()["invalid"]), (5, 0))

    def test_an_address_in_the_place_of_a_name_is_of_a_version_that_was_asked_for(self):
        self.plan = Plan((AAAA,))
        jobs, others = self.resolve([{"domain": "192.0.2.8"}, {"domain": "2001:db8::8"}])
        self.assertEqual([job["dip"] for job in jobs], ["2001:db8::8"])
        self.assertEqual([one["conditions"] for one in others], [["dnsresolv.unresolved:nodata"]])

    def test_none_is_lost_and_none_repeated_however_it_ends(self):
        names = [{"domain": f"h{number}.example", "rank": number} for number in range(60)]
        with mock.patch.object(run, "SAVE_EVERY", 0.0):
            for torn in (0, 1, 2, 3):
                with self.assertRaises(Torn):
                    self.resolve(names, journal=True, torn=torn)
            before = len(self.found()[0])
            jobs, _ = self.resolve(names, journal=True)
        self.assertGreater(before, 3)
        self.assertEqual(sorted(job["rank"] for job in jobs), [*range(60)])
        self.assertEqual(self.run.counts["jobs"], 60)

    def test_a_signal_ends_reading_and_what_is_under_way_is_finished(self):
        def names():
            for number in range(200):
                if number == 20:
                    self.run.stop(2)
                yield {"domain": f"h{number}.example"}

        jobs, _ = self.resolve(names())
        self.assertEqual(len(jobs), 21)

    def test_whoever_finds_nothing_is_woken_by_what_comes_next(self):
        most, rounds = Ahead.MOST, 8
        bell = threading.Semaphore(0)
        ahead = Ahead(((place, {}) for place in range(most * rounds)), bell.release)
        places_read = []
        with contextlib.suppress(StopIteration):
            while True:
                item = ahead.next()
                if item is not None:
                    places_read.append(item[0])
                elif not bell.acquire(timeout=30):
                    break
        self.assertEqual(places_read, [*range(most * rounds)])

    def test_an_error_of_a_list_ends_it(self):
        def names():
            yield {"domain": "h1.example"}
            raise OSError(5, "Input/output error")

        for reads in (Direct, Ahead):
            self.assertRaises(OSError, self.resolve, names(), reads=reads)
