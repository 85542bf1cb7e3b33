import json

from pathspider.campaign.records import RunFacts, by_vantage, records, summary
from tests.campaign.cases import FolderCase, results_of


class TestRecords(FolderCase):
    def fill(self, campaign, slot, numbers, vantage, run):
        for number in numbers:
            campaign.store(slot, number, results_of(campaign.chunk(slot, number), vantage, run=run))

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
