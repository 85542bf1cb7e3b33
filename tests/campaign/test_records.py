import json
import os
import random
from unittest import mock

from pathspider.campaign import results
from pathspider.campaign.folder import Campaign
from pathspider.campaign.records import RunFacts, by_vantage, records, summary
from pathspider.campaign.results import Unpacked
from tests.campaign.cases import FolderCase, results_of


class TestRecords(FolderCase):
    def fill(self, campaign, slot, numbers, vantage, run, *, padding=0):
        for number in numbers:
            chunk = campaign.chunk(slot, number)
            jobs = [{**job, "padding": random.Random(job["dip"]).randbytes(padding).hex()} for job in chunk.jobs]
            campaign.store(slot, number, results_of(chunk, vantage, jobs, run=run))

    def test_one_stream_and_the_facts_of_its_runs(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        self.fill(campaign, "a", range(3), "a", "r1")
        self.fill(campaign, "b", [0], "b", "r2")
        facts = RunFacts(campaign)
        self.assertEqual(len([*records(campaign, facts)]), 14)
        self.assertEqual(len([*records(campaign, slots=["b"])]), 4)
        one, two = facts.runs()
        self.assertEqual((one["run"], one["records"], one["conditions"], one["campaign"]["chunks"]),
                         ("r1", 10, {"nowhere.connectivity.works": 10}, 3))
        self.assertEqual((two["run"], two["records"]), ("r2", 4))
        self.assertFalse(one["targets"]["complete"])
        self.assertEqual(summary(campaign), {"chunks": 6, "done": 4, "given_up": 0, "left": 2})

    def test_a_file_for_each_vantage_point(self):
        campaign = self.create(mode="split", vantages=["a", "b"])
        self.fill(campaign, "any", [0, 2], "b", "r2")
        self.assertEqual({name: len(path.read_bytes().splitlines()) for name, path in by_vantage(campaign).items()},
                         {"b": 6})
        before = (campaign.folder / "records" / "b.ndjson").stat().st_ino
        by_vantage(campaign)
        self.assertEqual((campaign.folder / "records" / "b.ndjson").stat().st_ino, before)
        self.fill(campaign, "any", [1], "a", "r1")
        found = by_vantage(campaign)
        self.assertEqual(sorted(found), ["a", "b"])
        self.assertEqual((campaign.folder / "records" / "b.ndjson").stat().st_ino, before)
        facts = json.loads((campaign.folder / "records" / "a.ndjson.meta.json").read_bytes())
        self.assertEqual(facts["runs"][0]["run"], "r1")

    def measured(self, path):
        run, = json.loads(path.with_name(f"{path.name}.meta.json").read_bytes())["runs"]
        return [row["measured"] for row in run["campaign"]["measured"]], run["targets"]["complete"]

    def test_how_far_the_campaign_is_stands_with_records_that_stay_the_same(self):
        campaign = self.create(mode="split", vantages=["a", "b"])
        self.fill(campaign, "any", [0, 2], "b", "r2")
        path = by_vantage(campaign)["b"]
        self.assertEqual(self.measured(path), ([6], False))
        before = path.with_name("b.ndjson.meta.json").stat().st_ino
        by_vantage(campaign)
        self.assertEqual(path.with_name("b.ndjson.meta.json").stat().st_ino, before)
        self.fill(campaign, "any", [1], "a", "r1")
        for path in by_vantage(campaign).values():
            self.assertEqual(self.measured(path), ([10], True), path)

    def test_metadata_that_cannot_be_read_stays_as_it_is(self):
        campaign = self.create()
        self.fill(campaign, "local", [0], "local", "r")
        path = by_vantage(campaign)["local"].with_name("local.ndjson.meta.json")
        for spoiled in ("{", '{"runs": [{}]}', '{"runs": [7]}', "[]"):
            path.write_text(spoiled, encoding="utf-8")
            by_vantage(campaign)
            self.assertEqual(path.read_text(encoding="utf-8"), spoiled)

    def test_compared(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        for slot in ("a", "b"):
            self.fill(campaign, slot, range(3), slot, slot)
        status, shown, _ = self.here("campaign", "compare", "c")
        self.assertEqual((status, shown.splitlines()[1].split()), (0, ["nowhere", "10", "0", "0"]))
        self.assertEqual(self.here("campaign", "compare", "c", "--targets")[1], "")

    def test_the_report_of_a_folder(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        self.assertIn("no results of this campaign", self.here("report", "c")[2])
        for slot in ("a", "b"):
            self.fill(campaign, slot, range(3), slot, slot)
        status, _, said = self.here("report", "c", "--format", "json", "-o", "r.json")
        self.assertEqual(status, 0, said)
        found = json.loads((self.folder / "r.json").read_bytes())
        self.assertEqual([(one["label"], one["records"]) for one in found["files"]], [("a", 10), ("b", 10)])

    def test_what_is_whole_comes_and_what_is_not_is_told(self):
        campaign = self.create()
        self.fill(campaign, "local", range(3), "local", "r")
        path = campaign.path("local", 1)
        path.write_bytes(path.read_bytes()[:-9])
        for words in (("records", "c", "-o", "some"), ("compare", "c")):
            status, shown, said = self.here("campaign", *words)
            self.assertEqual(status, 1, said)
            self.assertIn("c/results/local/000001.zst: torn behind line ", said)
            self.assertIn("pspdr campaign run c has this chunk measured again", said)
        self.assertEqual(self.here("campaign", "records", "c", "-o", "all")[0], 1)
        self.assertEqual(len((self.folder / "all").read_bytes().splitlines()), 6)
        run, = json.loads((self.folder / "all.meta.json").read_bytes())["runs"]
        self.assertEqual((run["records"], run["targets"]["complete"]), (6, False))
        status, shown, _ = self.here("campaign", "status", "c")
        self.assertEqual(status, 1)
        self.assertIn("damaged: c/results/local/000001.zst: torn behind line ", shown)
        damaged, = json.loads(self.here("campaign", "status", "c", "--json")[1])["damaged"]
        self.assertEqual((damaged["slot"], damaged["chunk"], damaged["file"]),
                         ("local", 1, "c/results/local/000001.zst"))
        status, _, said = self.here("report", "c", "--format", "json", "-o", "r.json")
        self.assertEqual((status, "000001.zst: torn" in said), (1, True), said)

    def test_a_report_has_what_was_measured_again(self):
        campaign = self.create()
        self.fill(campaign, "local", range(3), "local", "first")
        by_vantage(campaign)
        campaign.path("local", 1).write_bytes(b"")
        campaign.set_aside()
        self.fill(campaign, "local", [1], "local", "other")
        runs = {json.loads(line)["run"] for line in by_vantage(campaign)["local"].read_bytes().splitlines()}
        facts = json.loads((campaign.folder / "records" / "local.ndjson.meta.json").read_bytes())
        self.assertEqual([one["run"] for one in facts["runs"]], ["first", "other"], runs)

    def test_results_are_read_once_and_not_while_they_are_the_same_files(self):
        campaign = self.create()
        self.fill(campaign, "local", range(2), "local", "r")
        with self.readings() as read:
            found = by_vantage(campaign)
            self.assertEqual((len(found["local"].read_bytes().splitlines()), read.call_count), (8, 2))
            self.assertEqual((by_vantage(Campaign(campaign.folder)), read.call_count), (found, 2))
            self.fill(campaign, "local", [2], "local", "r")
            read.reset_mock()
            self.assertEqual((len(by_vantage(campaign)["local"].read_bytes().splitlines()), read.call_count), (10, 3))
            read.reset_mock()
            self.assertEqual((len([*records(campaign)]), read.call_count), (10, 3))

    def readings(self):
        """Counts how often results are unpacked behind their first line."""
        return mock.patch.object(Unpacked, "lines", autospec=True, side_effect=Unpacked.lines)

    def spoil(self, campaign, number):
        """Change an octet that only reading finds, and have the file be as old as it was, and as long."""
        path = campaign.path("local", number)
        data, status = bytearray(path.read_bytes()), path.stat()
        data[-12] ^= 1
        with path.open("r+b") as stream:
            stream.write(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def test_an_octet_that_has_changed_since_is_found_and_told_again(self):
        campaign = self.create()
        self.fill(campaign, "local", range(3), "local", "r", padding=50000)
        by_vantage(campaign)
        self.spoil(campaign, 1)
        for again in (False, True):
            damaged = []
            with self.subTest(again=again), self.readings() as read:
                found = by_vantage(Campaign(campaign.folder), damaged)
                self.assertEqual([(one.number, one.path) for one in damaged], [(1, campaign.path("local", 1))])
                self.assertIn("torn behind line", damaged[0].why)
                self.assertEqual(len(found["local"].read_bytes().splitlines()), 6)
                self.assertEqual(read.call_count, 0 if again else 3)
        self.spoil(campaign, 1)  # as it was
        damaged = []
        self.assertEqual((len(by_vantage(campaign, damaged)["local"].read_bytes().splitlines()), damaged), (10, []))

    def test_nothing_whole_is_no_file(self):
        campaign = self.create()
        self.fill(campaign, "local", [1], "local", "r", padding=50000)
        self.spoil(campaign, 1)
        for _ in range(2):
            damaged = []
            self.assertEqual((by_vantage(campaign, damaged), len(damaged)), ({}, 1))

    def test_a_stamp_that_says_nothing(self):
        campaign = self.create()
        self.fill(campaign, "local", range(3), "local", "r")
        stamp = by_vantage(campaign)["local"].with_suffix(".chunks")
        whole = stamp.read_bytes()
        for content in (b"", b"local/000000.zst 5 5\n", b"[]", b'{"x": 1}', b"\xff"):
            stamp.write_bytes(content)
            by_vantage(campaign)
            self.assertEqual(stamp.read_bytes(), whole)

    def test_large_results_are_not_kept_in_memory(self):
        campaign = self.create()
        self.fill(campaign, "local", range(3), "local", "r")
        with mock.patch.object(results, "MOST_KEPT", 300):
            whole, *_ = campaign.results(campaign.there(), [])
            self.assertIsNone(whole._kept)
            large = [*records(campaign)]
        self.assertEqual(large, [*records(campaign)])
        self.assertEqual(len(large), 10)
