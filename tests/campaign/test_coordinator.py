"""Campaigns over a real broker: coordinators and vantage points that end in the midst of it, and some that lie."""

import json
import shutil
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from pathspider.campaign.allowlist import AllowList
from pathspider.campaign.bundle import Bundle
from pathspider.campaign.chunks import Chunk
from pathspider.campaign.coordinator import Coordinator, remark, take_back, unpublished
from pathspider.campaign.folder import Campaign
from pathspider.campaign.link import Link
from pathspider.campaign.measuring import KilledError
from pathspider.campaign.records import records
from pathspider.campaign.spool import Spool
from pathspider.campaign.vantage import BrokerExchange
from pathspider.campaign.work import Worker
from pathspider.version import __version__
from tests import in_checkout
from tests.campaign.brokers import PATIENCE, running, until
from tests.campaign.cases import definition, results_of, target
from tests.run.spiders import in_thread

ALLOWED = b"plugin nowhere\nmeasure --confirm 0\n"


class Measure:
    """Stands for the process that measures, which tests/campaign/test_measuring.py has: what is sent is the same."""

    def __init__(self):
        self.measured = Counter()
        self.kills = set()

    def measure(self, chunk, words, vantage):
        self.measured[chunk.slot, chunk.number] += 1
        if chunk.number in self.kills:
            raise KilledError("ended by SIGKILL")
        return results_of(chunk, vantage, pathspider=__version__)

    def stop(self):
        pass

    def close(self):
        pass


class Vantage:
    """A vantage point in threads of this process."""

    def __init__(self, fleet, name, spool, measure=None):
        self.exchange = BrokerExchange(Bundle.read(fleet.folder / f"{name}.bundle"), AllowList.parse(ALLOWED, "allow"),
                                       Spool(spool))
        self.measure = measure or Measure()
        self.worker = Worker(self.exchange, self.measure, self.exchange.words, name)
        self.exchange.link.start()
        self.thread = in_thread(self.worker.run)

    def end(self):
        self.worker.finish()
        self.exchange.wake()
        self.thread.join(PATIENCE)
        self.exchange.close()


@in_checkout
class TestCoordinator(unittest.TestCase):
    def setUp(self):
        self.running = running()
        self.fleet = self.running.fleet
        self.folder = Path(tempfile.mkdtemp(dir=self.running.folder))
        self.addCleanup(shutil.rmtree, self.folder)

    def create(self, **more):
        campaign = Campaign.create(self.folder / "c", definition(**{
            "mode": "fanout", "vantages": ["ams", "ber"], "fleet": str(self.fleet.folder), **more}),
            map(target, range(10)))
        self.fleet.note_campaign(campaign.definition.id, campaign.folder)
        self.addCleanup(campaign.close)
        return campaign

    def vantage(self, name, measure=None, spool=None):
        found = Vantage(self.fleet, name, self.folder / (spool or f"spool.{name}"), measure)
        self.addCleanup(found.end)
        return found

    def coordinate(self, campaign, **more):
        coordinator = Coordinator(self.fleet, campaign, **more)
        thread = in_thread(coordinator.run)
        self.addCleanup(thread.join, PATIENCE)
        self.addCleanup(coordinator.finish)
        return coordinator, thread

    def ended(self, thread):
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())

    def counts(self, campaign):
        return Counter(json.loads(line)["number"] for line in records(campaign))

    def test_fan_out_with_the_coordinator_off_meanwhile(self):
        campaign = self.create()
        first, thread = self.coordinate(campaign)
        until(lambda: first._to_publish == [], "all is published")
        first.finish()
        self.ended(thread)
        self.assertEqual(unpublished(campaign), [])
        ams, ber = self.vantage("ams"), self.vantage("ber")
        until(lambda: sum(len([*(self.folder / f"spool.{name}" / "sent").iterdir()]) for name in ("ams", "ber")) == 6,
              "all is measured and sent")
        self.assertEqual([*campaign.left()], [(name, number) for name in ("ams", "ber") for number in range(3)])
        again, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual(self.counts(campaign), dict.fromkeys(range(10), 2))
        self.assertEqual(sorted(again.collect()), [(name, number) for name in ("ams", "ber") for number in range(3)])
        self.assertEqual({*ams.measure.measured.values(), *ber.measure.measured.values()}, {1})
        self.assertIn("ams", again.seen)

    def test_published_twice_is_measured_once(self):
        campaign = self.create(vantages=["ams"])
        one, thread = self.coordinate(campaign)
        until(lambda: one._to_publish == [], "all is published")
        one.finish()
        self.ended(thread)
        (campaign.folder / "journal.ndjson").unlink()  # killed between the broker's word and its own
        campaign.journal.close()
        self.coordinate(campaign)
        ams = self.vantage("ams")
        until(lambda: not [*campaign.left()], "all has come")
        until(lambda: not self.waiting("vp.ams"), "what came again was dealt with")
        self.assertEqual(ams.measure.measured, {("ams", number): 1 for number in range(3)})
        self.assertEqual(self.counts(campaign), dict.fromkeys(range(10), 1))

    def waiting(self, queue):
        """Messages in a queue, as somebody who takes them finds them: what is counted lags."""
        found = []
        over = []

        def work():
            if over:
                return
            while (delivery := link.get(queue)) is not None:
                found.append(delivery)
            for delivery in found:
                link.refuse(delivery, requeue=True)
            over.append(True)

        link = Link(self.fleet.coordinator, {}, work=work)
        link.start()
        until(lambda: over, "it has looked")
        link.close()
        return found

    def test_split_one_dies_and_the_other_measures_its_chunk(self):
        campaign = self.create(mode="split", vantages=[])
        measure = Measure()
        holds = Vantage(self.fleet, "ams", self.folder / "spool.ams", measure)
        measure.measure = lambda *_: until(lambda: not holds.exchange.link._thread.is_alive(), "it has died") and b""
        _, thread = self.coordinate(campaign)
        until(lambda: holds.worker.chunk is not None, "it has a chunk")
        self.vantage("ber")
        holds.exchange.link.close()  # as when its machine dies
        self.ended(thread)
        self.assertEqual(self.counts(campaign), dict.fromkeys(range(10), 1))
        self.assertEqual({unpacked.head["vantage"] for unpacked in campaign.results(campaign.there(), [])},
                         {"ber"})
        holds.exchange.wake()

    def test_a_chunk_that_always_kills(self):
        campaign = self.create(vantages=["ams"])
        measure = Measure()
        measure.kills.add(1)
        self.vantage("ams", measure)
        with self.assertLogs("pathspider", "ERROR"):
            _, thread = self.coordinate(campaign)
            self.ended(thread)
        self.assertEqual(campaign.dead(), {("ams", 1): "ams: ended by SIGKILL"})
        self.assertEqual(campaign.done("ams"), {0, 2})
        measure.kills.clear()
        self.assertEqual(campaign.retry(), [("ams", 1)])
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual((campaign.dead(), campaign.done("ams")), ({}, {0, 1, 2}))

    def test_results_that_were_torn_here_are_asked_for_anew(self):
        """The vantage point remembers that it has sent them: it is another epoch that is asked for."""
        campaign = self.create(vantages=["ams"])
        self.vantage("ams")
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        path = campaign.path("ams", 1)
        path.write_bytes(path.read_bytes()[:-7])
        campaign = Campaign(campaign.folder)
        self.addCleanup(campaign.close)
        self.assertEqual([one.number for one in campaign.set_aside()], [1])
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual((campaign.done("ams"), campaign.damaged(thoroughly=True)), ({0, 1, 2}, []))

    def test_results_that_were_removed_here_are_asked_for_anew(self):
        campaign = self.create(vantages=["ams"])
        ams = self.vantage("ams")
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        campaign.path("ams", 1).unlink()
        campaign.retry(lost=True)
        self.assertEqual([one.number for one in campaign.set_aside()], [1])
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual(campaign.done("ams"), {0, 1, 2})
        self.assertEqual(ams.measure.measured, {("ams", 0): 1, ("ams", 1): 2, ("ams", 2): 1})

    def test_unfinished_targets_are_measured_again(self):
        """And what the vantage point had sent of before does not take the place, should it come twice."""
        campaign = self.create(vantages=["ams"])
        ams = self.vantage("ams")
        unfinished = results_of(campaign.chunk("ams", 1), "ams", pathspider=__version__, unfinished={"EACCES": 4})
        coordinator = Coordinator(self.fleet, campaign)
        coordinator._store("ams", unfinished)
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual([*campaign.unfinished()], [("ams", 1)])
        self.assertEqual(campaign.set_aside_unfinished(), [("ams", 1, "000001.unfinished")])
        with self.assertLogs("pathspider", "WARNING") as logged:
            coordinator._store("ams", unfinished)
        self.assertIn("ams, chunk 1: results from before it was asked for anew", logged.output[0])
        self.assertEqual([*campaign.left()], [("ams", 1)])
        _, thread = self.coordinate(campaign)
        self.ended(thread)
        self.assertEqual((campaign.done("ams"), campaign.unfinished()), ({0, 1, 2}, {}))
        self.assertEqual(ams.measure.measured, {("ams", 0): 1, ("ams", 1): 1, ("ams", 2): 1})

    def test_killed_before_it_is_noted_that_results_have_come(self):
        campaign = self.create(vantages=["ams"])
        coordinator = Coordinator(self.fleet, campaign)
        results = results_of(campaign.chunk("ams", 1), "ams", pathspider=__version__)
        campaign.store("ams", 1, results)
        for _ in range(2):  # they come again
            coordinator._store("ams", results)
            self.assertEqual([event["chunk"] for event in campaign.journal.events()], [1])
        campaign.path("ams", 1).unlink()
        self.assertEqual([one.number for one in campaign.set_aside()], [1])

    def test_what_a_vantage_point_refuses(self):
        campaign = self.create(vantages=["ams"], plugin="ecn")
        self.vantage("ams")
        with self.assertLogs("pathspider", "ERROR"):
            _, thread = self.coordinate(campaign)
            self.ended(thread)
        self.assertEqual({*campaign.dead().values()}, {"ams: plugin 'ecn' is not allowed here"})

    def test_a_vantage_point_that_lies(self):
        """It can say wrong things of its own chunks alone."""
        campaign = self.create()
        others = campaign.chunk("ber", 0)
        own = campaign.chunk("ams", 0)
        lies = [("result", results_of(others, "ams", pathspider=__version__)),
                ("result", results_of(others, "ber", pathspider=__version__)),
                ("result", results_of(own, "ams", own.jobs[:1], pathspider=__version__)),
                ("result", results_of(own, "ams", pathspider="2.0")),
                ("result", results_of(Chunk("../x", "ams", 0, 0, own.jobs), "ams")),
                ("result", results_of(own._replace(number=99), "ams")), ("result", b"x"), ("state", b"x"),
                ("given_up", json.dumps({"key": others.key, "why": "x"}).encode()),
                ("given_up", json.dumps({"key": "x", "why": 1}).encode()), ("given_up", b"[]"), ("more", b"")]
        sent = []

        def work():
            while len(sent) < len(lies):
                kind, body = lies[len(sent)]
                link.publish("results", "ams", body, type=kind)
                sent.append(kind)

        link = Link(Bundle.read(self.fleet.folder / "ams.bundle"), {}, work=work)
        link.start()
        self.addCleanup(link.close)
        until(lambda: len(sent) == len(lies), "all is sent")
        with self.assertLogs("pathspider", "ERROR") as logged:
            self.coordinate(campaign, publishes=False)
            until(lambda: len([line for line in logged.output if "of no use" in line]) == len(lies),
                  "all of it is refused")
        self.assertEqual((campaign.done("ams"), campaign.done("ber")), (set(), set()))
        self.assertEqual([*campaign.dead()], [("ams", 0)])  # of another version: its own chunk
        self.assertEqual({path.name for path in campaign.folder.iterdir()},
                         {"campaign.json", "targets.ndjson", "journal.ndjson"})

    def test_cancelled(self):
        campaign = self.create(vantages=["ams"])
        coordinator, thread = self.coordinate(campaign)
        until(lambda: coordinator._to_publish == [], "all is published")
        campaign.cancel()
        self.ended(thread)
        self.assertEqual(take_back(self.fleet, campaign), 3)
        self.assertEqual(self.waiting("vp.ams"), [])
        campaign.retry()
        self.assertEqual(len(unpublished(campaign)), 3)

    def test_a_vantage_point_that_was_removed(self):
        campaign = self.create(vantages=["ams", "gone"])
        self.vantage("ams")
        coordinator = Coordinator(self.fleet, campaign)
        coordinator._check_slots()
        self.assertEqual({*campaign.dead()}, {("gone", number) for number in range(3)})
        thread = in_thread(coordinator.run)
        self.ended(thread)
        self.assertEqual(campaign.done("ams"), {0, 1, 2})


class TestRemark(unittest.TestCase):
    def test_what_is_wrong(self):
        self.assertEqual(remark({"synchronized": True, "clock_offset": 0.01, "disk_free": 1 << 40}), "")
        self.assertEqual(remark({"refused": "x", "synchronized": False, "disk_free": 5 << 20}),
                         "refuses: x; its clock is not synchronized; 5 MB free")
        self.assertEqual(remark({"synchronized": True, "clock_offset": -3.0}), "its clock is -3.0 s off")
