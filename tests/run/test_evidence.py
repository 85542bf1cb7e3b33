"""Evidence: which targets' packets are kept, where, and with what words."""

import json
import logging
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

from pathspider import pcapng
from pathspider.chains.basic import BasicChain
from pathspider.libtrace._core import FlowTable, PacketStore
from pathspider.observer import DummyObserver
from pathspider.records import CONN_OK, CONN_TIMEOUT, Result
from pathspider.run.confirm import Round, Suspect, suspicious
from pathspider.run.evidence import Evidence, file_name
from pathspider.run.folder import Folder
from tests import in_checkout, wireshark
from tests.libtrace.frames import tcp4

TARGET = "198.51.100.1"
NAME = "198.51/198.51.100.1_80.pcapng"


class Captures(DummyObserver):
    """Says that it captures."""

    def interface(self):
        return pcapng.Interface("lab0", 1, 65535, "tcp")


@in_checkout
class EvidenceCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.folder = Folder.open(folder.name)
        self.addCleanup(self.folder.close)
        self.evidence = Evidence(self.folder, "the-run", "x 1.0", suspicious)
        self.evidence.begin(Captures())
        self.store = PacketStore(1 << 20)
        self.start = 1000.0

    def packets(self, *flows):
        """What the observer holds of flows of so many SYNs."""
        held = []
        for number, count in enumerate(flows):
            table = FlowTable([BasicChain()], 30, 5, 1000, self.store)
            for packet in range(count):
                table.feed(tcp4("S", sport=1000 + number), self.start + number + packet / 1000)
            held.append(table.flush()[0]["_packets"] if count else None)
        self.start += 100
        return held

    def result(self, job=None, states=(CONN_OK, CONN_TIMEOUT), **keys):
        connections = [{"spdr_state": state, "sp": 1000 + config, "config": config, "dp": 80}
                       for config, state in enumerate(states)]
        return Result({"dip": TARGET, "dp": 80, **keys} if job is None else job, connections, 0, 1)

    def record(self, *found, **more):
        return {"dip": TARGET, "dp": 80, "path": ["10.0.0.2", "*", TARGET], "conditions": list(found),
                "time": {"from": "", "to": ""}, "run": "the-run", **more}

    def take(self, *found, flows=(2, 3), **keys):
        record = self.record(*found, **keys)
        self.evidence.take([record], self.result(**keys), self.packets(*flows))
        return record

    def files(self):
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file())

    def comments(self, name=NAME):
        return [comment for comment, in wireshark.fields(self.path / name, "frame.comment", where="frame.comment")]


class TestWhich(EvidenceCase):
    def test_the_word_decides(self):
        for found, kept in ((["x.connectivity.works", "x.negotiation.failed"], False),
                            (["x.connectivity.online"], False), (["x.connectivity.offline"], True),
                            (["x.46.connectivity.transient"], True), (["x.connectivity.broken"], True),
                            (["x.connectivity.works", "y.connectivity.broken"], True),
                            (["pathspider.not_observed"], False), (["x.negotiation.failed"], False)):
            record = self.take(*found)
            self.assertEqual("evidence" in record, kept, found)
        self.assertEqual(self.evidence.files, len(self.files()))

    def test_what_a_plugin_suspects_is_evidence_too(self):
        self.evidence._suspicious = lambda found: [one for one in found if one == "x.mark.lost"]
        self.assertIn("evidence", self.take("x.mark.lost"))
        self.assertNotIn("evidence", self.take("x.mark.seen"))

    def test_responses_of_the_dns_that_differ_stand_for_a_word(self):
        self.assertIn("evidence", self.take("x.response.differs:noerror:formerr"))
        self.assertNotIn("evidence", self.take("x.connectivity.works", "x.response.differs:200:403"))

    def test_a_state_that_there_is_not_is_counted(self):
        record = self.record("x.connectivity.broken")
        with self.assertLogs("pathspider", logging.ERROR):
            self.evidence.take([record], self.result(states=(CONN_OK, 77)), self.packets(1, 1))
        self.assertEqual((self.evidence.failed, "evidence" in record), (1, False))

    def test_an_observer_of_a_plugin_s_own_is_told_of(self):
        with self.assertLogs("pathspider", logging.WARNING) as said:
            self.evidence.begin(object())
        self.assertIn("x 1.0 has an observer of its own", said.output[0])

    def test_without_packets_there_is_no_file(self):
        for flows in ((0, 0), ()):
            record = self.record("x.connectivity.offline")
            self.evidence.take([record], self.result(states=(CONN_TIMEOUT,) * len(flows)), self.packets(*flows))
            self.assertNotIn("evidence", record)
        self.assertEqual(self.files(), [])

    def test_packets_that_had_to_go_do_not_count(self):
        self.store = PacketStore(256)
        record = self.record("x.connectivity.broken")
        held = self.packets(1, 1)  # the second takes the room of the first
        self.evidence.take([record], self.result(), held)
        self.assertRegex(self.comments(record["evidence"])[0], "^configuration 1 ")
        record = self.record("x.connectivity.broken")
        self.evidence.take([record], self.result(), [held[0], None])
        self.assertNotIn("evidence", record)


class TestContent(EvidenceCase):
    def test_each_flow_has_its_comment_and_the_section_all_that_was_found(self):
        record = self.take("x.connectivity.broken", "x.mark.seen", domain="www.example.com")
        self.assertEqual((record["evidence"], self.files()), (NAME, [NAME]))
        self.assertEqual(self.comments(), [
            "configuration 0 (baseline), first connections: ok; x.connectivity.broken",
            "configuration 1 (experiment), first connections: timeout; x.connectivity.broken"])
        packets = wireshark.fields(self.path / NAME, "tcp.srcport", "frame.time_epoch")
        self.assertEqual([port for port, _ in packets], ["1000"] * 2 + ["1001"] * 3)
        self.assertEqual(packets[1][1], "1000.001000000")
        facts = wireshark.facts(self.path / NAME)
        sentence, line = facts["Capture comment"]
        self.assertEqual(sentence, "x 1.0, run the-run: x.connectivity.broken, x.mark.seen")
        self.assertEqual(json.loads(line), {key: record[key] for key in record if key != "evidence"})
        self.assertEqual((facts["Name"], facts["Filter string"], facts["Number of stat entries"]),
                         (["lab0"], ["tcp"], ["1"]))

    def test_of_flows_that_ran_together_packets_stand_by_time(self):
        held = self.packets(2, 2)
        table = FlowTable([BasicChain()], 30, 5, 1000, self.store)
        for port, moment in ((1000, 0), (1001, 1), (1000, 2), (1001, 3)):
            table.feed(tcp4("S", sport=port), 1000.0 + moment)
        held = [flow["_packets"] for flow in sorted(table.flush(), key=lambda flow: flow["sp"])]
        self.evidence.take([self.record("x.connectivity.broken")], self.result(), held)
        self.assertEqual([port for port, in wireshark.fields(self.path / NAME, "tcp.srcport")],
                         ["1000", "1001"] * 2)

    def test_it_says_what_was_not_kept(self):
        self.take("x.connectivity.broken", flows=(2, 70))
        self.assertTrue(self.comments()[1].endswith("; 64 of 70 packets were kept"), self.comments())

    def test_a_job_that_brings_much_along(self):
        self.take("x.connectivity.broken", flow_results=[{"x": 1}], info="x" * 70000)
        _, line = wireshark.facts(self.path / NAME)["Capture comment"]
        self.assertEqual(json.loads(line)["conditions"], ["x.connectivity.broken"])
        self.assertNotIn("flow_results", line)


class TestSuspects(EvidenceCase):
    def suspect(self, word="broken"):
        self.first = self.take(f"x.connectivity.{word}")
        return Suspect({"dip": TARGET, "dp": 80}, self.first, [f"x.connectivity.{word}"])

    def round(self, suspect, *found):
        again = Round(suspect, [0, 1])
        self.evidence.take([self.record(*found)], self.result(again), self.packets(1, 1))
        suspect.rounds.append({"order": [0, 1], "states": [0, 0], "flow_results": [{}]})

    def test_rounds_are_added_and_the_stable_word_stands_in_front(self):
        suspect = self.suspect()
        self.round(suspect, "x.connectivity.broken")
        self.assertEqual(self.store.free, self.store.size)  # nothing waits in memory
        self.assertEqual(len(self.comments()), 4)  # also if we end here
        self.round(suspect, "x.connectivity.transient")
        record = {**self.first, "conditions": ["x.connectivity.broken", "x.stable.connectivity.unstable"],
                  "rounds": suspect.rounds}
        self.evidence.complete(record)
        self.assertEqual((record["evidence"], self.files()), (NAME, [NAME]))
        self.assertEqual([comment.partition(" (")[0] + comment.partition(")")[2] for comment in self.comments()], [
            "configuration 0, first connections: ok; x.connectivity.broken",
            "configuration 1, first connections: timeout; x.connectivity.broken",
            "configuration 0, round 1: ok; x.connectivity.broken",
            "configuration 1, round 1: timeout; x.connectivity.broken",
            "configuration 0, round 2: ok; x.connectivity.transient",
            "configuration 1, round 2: timeout; x.connectivity.transient"])
        sentence, line = wireshark.facts(self.path / NAME)["Capture comment"]
        self.assertTrue(sentence.endswith(": x.connectivity.broken, x.stable.connectivity.unstable"), sentence)
        self.assertEqual(len(json.loads(line)["rounds"]), 2)
        self.assertNotIn("flow_results", line)

    def test_where_all_rounds_say_that_it_works_nothing_is_left(self):
        suspect = self.suspect()
        self.round(suspect, "x.connectivity.works")
        record = {**self.first, "conditions": ["x.connectivity.broken", "x.stable.connectivity.works"],
                  "rounds": suspect.rounds}
        self.evidence.complete(record)
        self.assertNotIn("evidence", record)
        self.assertEqual((self.files(), self.evidence.files), ([], 0))

    def test_the_first_packets_may_be_those_of_a_round(self):
        suspect = Suspect({"dip": TARGET, "dp": 80}, self.record("x.connectivity.broken"), ["x.connectivity.broken"])
        self.round(suspect, "x.connectivity.broken")
        self.assertEqual(suspect.record["evidence"], NAME)
        self.assertIn("round 1", self.comments()[0])

    def test_without_rounds_the_record_is_complete_at_once(self):
        record = self.take("x.connectivity.broken")
        before = (self.path / NAME).read_bytes()
        self.evidence.complete(record)
        self.assertEqual((self.path / NAME).read_bytes(), before)


class TestFiles(EvidenceCase):
    def test_names(self):
        for target, port, number, name in (
                ("192.0.2.1", 80, 0, "192.0/192.0.2.1_80.pcapng"),
                ("192.0.2.1", 80, 3, "192.0/192.0.2.1_80_3.pcapng"),
                ("2001:0db8::0:1", 443, 0, "2001-db8/2001-db8--1_443.pcapng"),
                ("::1", 53, 0, "0-0/--1_53.pcapng"),
                ("fe80::1%../x", 53, 0, "fe80-0/fe80--1_53.pcapng")):
            self.assertEqual(file_name(target, port, number), name)
        for target in ("", "../../etc/passwd", "None", "192.0.2.1/../x"):
            with self.assertRaises(ValueError):
                file_name(target, 80)

    def test_several_jobs_on_one_address(self):
        names = [self.take("x.connectivity.broken", domain=str(number))["evidence"] for number in range(4)]
        self.assertEqual(names[0], NAME)
        self.assertEqual(sorted(names), sorted(set(self.files())))
        for number, name in enumerate(names):
            self.assertIn(f'"domain": "{number}"', wireshark.facts(self.path / name)["Capture comment"][1])

    def test_what_cannot_be_written_is_counted_and_said_once(self):
        (self.path / "198.51").symlink_to("/etc")
        with self.assertLogs("pathspider", logging.ERROR) as said:
            records = [self.take("x.connectivity.broken") for _ in range(3)]
        self.assertEqual([one.get("evidence") for one in records], [None] * 3)
        self.assertEqual((self.evidence.failed, self.evidence.files, len(said.output)), (3, 0, 1))
        self.assertIn(f"packets of {TARGET} could not be written", said.output[0])

    def test_a_target_that_is_none(self):
        with self.assertLogs("pathspider", logging.ERROR):
            record = self.record("x.connectivity.broken")
            self.evidence.take([record], self.result({"dip": "../x", "dp": 80}), self.packets(1, 1))
        self.assertEqual(self.evidence.failed, 1)

    def test_a_full_disk_is_left_to_the_records(self):
        self.assertIn("evidence", self.take("x.connectivity.broken"))
        with patch("pathspider.run.folder.SPARE", 1 << 62), self.assertLogs("pathspider", logging.ERROR) as said:
            self.assertNotIn("evidence", self.take("x.connectivity.broken"))
        self.assertIn("the disk is full but for what is kept for the records", said.output[0])
        self.assertEqual((self.evidence.failed, self.files()), (1, [NAME]))


if __name__ == "__main__":
    unittest.main()
