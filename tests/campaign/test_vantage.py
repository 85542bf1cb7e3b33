"""A vantage point whose broker may send anything; and one with a real broker."""

import json
import random
import tempfile
import time
import unittest
from contextlib import suppress
from pathlib import Path

import zstandard

from pathspider.campaign import messages
from pathspider.campaign.allowlist import AllowList
from pathspider.campaign.bundle import Bundle
from pathspider.campaign.certificates import certify, make_authority
from pathspider.campaign.chunks import Chunk
from pathspider.campaign.link import Delivery
from pathspider.campaign.spool import Spool
from pathspider.campaign.vantage import BrokerExchange
from tests.campaign.cases import definition, target

ALLOWED = b"""plugin nowhere
  option --at 10.0.0.1 10.0.0.2
  option --timeout 1..10
measure --confirm 0..4
workers 3
rate 7
"""
ID = "01a21b8f-c436-7728-82a7-d6baade16fa8"
NASTY = ["../../../etc/passwd", "/etc/passwd", "x/../../y", ".", "..", "", "\0", "a\nb", "--user=root", "$(id)",
         "'; id", "--output=/tmp/x", "ecn", "nowhere", "any", "ams", "ber", -1, 0, 1 << 64, 1.5, None, True, [], {},
         [[]], [["--output", "/x"]], [["--at", "10.0.0.1"]], [["--at", "--kill"]], [["--kill"]], ["x"],
         "é", "\ud800", "x" * 5000]
VALID = {"campaign": ID, "slot": "ams", "chunk": 1, "epoch": 0, "plugin": "nowhere", "measure": [["--confirm", "2"]],
         "options": [["--at", "10.0.0.2"]], "rate": None, "start": None, "version": definition().version,
         "other_versions": False, "jobs": [target(1)]}


class ExchangeCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.keys = Path(folder.name)
        make_authority(cls.keys, "fleet")
        cls.bundle = Bundle("ams", "amqps://127.0.0.1:9", (cls.keys / "ca.pem").read_text(encoding="ascii"),
                            *certify(cls.keys, "ams"))

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.exchange = BrokerExchange(self.bundle, AllowList.parse(ALLOWED, "allow"), Spool(self.folder / "spool"))

    def deliver(self, body, queue="vp.ams"):
        self.exchange._inbox.put(Delivery(self.exchange.link.number, 1, queue, queue, body,
                                          type("Properties", (), {"message_id": "x"})))

    def task(self, **other):
        self.deliver(zstandard.compress(json.dumps({**VALID, **other}).encode()))

    def take(self):
        """What is taken of all that was delivered so far."""
        self.exchange._inbox.put(None)
        taken = []
        while (chunk := self.exchange.take()) is not None:
            taken.append(chunk)
        return taken


class TestTake(ExchangeCase):
    def test_a_chunk_and_its_words(self):
        self.task()
        chunk, = self.take()
        self.assertEqual(chunk, Chunk(ID, "ams", 1, 0, [target(1)]))
        self.assertEqual(self.exchange.words(chunk), ["--confirm=2", "--rate=7", "--workers=3", "nowhere",
                                                      "--at=10.0.0.2"])

    def test_measured_before(self):
        self.exchange._spool.sent(f"{ID}.ams.1.0")
        self.exchange._spool.put(f"{ID}.ams.2.0", b"waits to be sent")
        for number in (1, 2, 3):
            self.task(chunk=number)
        self.task(chunk=3)  # while it is under way
        self.task(chunk=1, epoch=1)  # asked for anew
        self.assertEqual([(chunk.number, chunk.epoch) for chunk in self.take()], [(3, 0), (1, 1)])

    def test_of_an_earlier_connection(self):
        self.task()
        self.exchange.link.number += 1
        self.assertEqual(self.take(), [])

    def test_versions(self):
        with self.assertLogs("pathspider", "ERROR") as logged:
            self.task(version="2.0.0")
            self.task(version="2.0.0", other_versions=True)
            self.assertEqual(len(self.take()), 1)
        self.assertIn("version 2.0.0", logged.output[0])

    def test_before_its_start(self):
        self.task(start=time.time() + 1e6)
        self.exchange.wake()
        self.assertEqual(self.take(), [])

    def test_facts(self):
        facts = self.exchange.facts()
        self.assertEqual(sorted(facts), ["clock", "disk_free", "vantage_version"])
        self.assertEqual(sorted(facts["clock"]), ["error", "offset", "synchronized"])

    def test_refused_of_a_split_campaign_it_leaves_to_others(self):
        with self.assertLogs("pathspider", "ERROR"):
            self.deliver(zstandard.compress(json.dumps({**VALID, "slot": "any", "plugin": "ecn"}).encode()), "any")
            self.assertEqual(self.take(), [])
        said = []
        self.exchange.link.leave = lambda queue: said.append(("leave", queue))
        self.exchange.link.refuse = lambda delivery, requeue: said.append(("back", requeue))
        for request in self.exchange._requests:
            request()
        self.assertEqual(said, [("leave", "any"), ("back", True)])


class TestHostileBroker(ExchangeCase):
    def test_ten_thousand_messages(self):
        """No plugin, no option and no value outside the allow-list; no file outside the spool."""
        draw = random.Random(19)
        valid = zstandard.compress(json.dumps(VALID).encode())
        known = {"nowhere", "--rate=1.5", "--rate=1", "--rate=7", "--workers=3",
                 *(f"--confirm={number}" for number in (0, 1, 1.5, 2, 3, 4)),
                 "--at=10.0.0.1", "--at=10.0.0.2"}
        taken = 0
        with self.assertLogs("pathspider", "ERROR"):
            for _ in range(20):
                for _ in range(500):
                    self.deliver(self.message(draw, valid))
                for chunk in self.take():
                    words = self.exchange.words(chunk)
                    self.assertLessEqual(set(words), known)
                    rate, workers = words[words.index("nowhere") - 2:words.index("nowhere")]
                    self.assertLessEqual((float(rate.removeprefix("--rate=")), workers), (7, "--workers=3"))
                    if taken % 50 == 0:  # the disk has to have each
                        self.exchange.done(chunk, b"")
                    taken += 1
        self.assertGreater(taken, 500)
        self.assertGreater(self.exchange.errors, 5000)
        files = {path.relative_to(self.folder).parent.as_posix() for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual(files, {"spool/waiting"})

    def message(self, draw, valid):
        kind = draw.randrange(4)
        if kind == 0:
            return draw.randbytes(draw.randrange(200))
        if kind == 1:
            data = bytearray(valid)
            for _ in range(draw.randrange(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            return bytes(data)
        found = {**VALID, "chunk": draw.randrange(1 << 30)}
        for _ in range(draw.randrange(3)):
            found[draw.choice([*VALID, "more"])] = draw.choice(NASTY)
        if kind == 3:
            key = draw.choice(["measure", "options"])
            found[key] = [[draw.choice(["--at", "--kill", "--timeout", "--confirm", "--user", "-h", ""]),
                           str(draw.choice(NASTY))] for _ in range(draw.randrange(3))]
        with suppress(UnicodeEncodeError):
            return zstandard.compress(json.dumps(found).encode())
        return b""


class TestMessagesOfOurOwn(ExchangeCase):
    def test_what_the_coordinator_packs_is_taken(self):
        chunk = Chunk(ID, "ams", 1, 0, [target(1)])
        self.deliver(messages.pack(chunk, definition(measure=[], options=[["--timeout", "5"]])))
        self.assertEqual(self.take(), [chunk])
