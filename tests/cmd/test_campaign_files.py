"""A campaign's folder in the place of files of records."""

import csv
import json
import os

from pathspider.cmd.campaign_files import files_of
from pathspider.cmd.main import UsageError
from tests.campaign.cases import FolderCase, results_of


class TestCampaignFiles(FolderCase):
    def fill(self, campaign, slot, numbers):
        for number in numbers:
            chunk = campaign.chunk(slot, number)
            jobs = [{**job, "path": [f"203.0.113.{len(slot)}", "*", job["dip"]],
                     "time": {"from": "2026-01-01 00:00:00.000000", "to": "2026-01-01 00:00:01.000000"}}
                    for job in chunk.jobs]
            campaign.store(slot, number, results_of(chunk, slot, jobs))

    def files(self):
        """Of a campaign of which two vantage points have measured all."""
        campaign = self.create(mode="fanout", vantages=["a", "bb"])
        for slot in ("a", "bb"):
            self.fill(campaign, slot, range(3))
        return campaign

    def test_a_folder_stands_for_its_vantage_points_and_other_names_for_themselves(self):
        folder = self.files().folder
        self.assertEqual(files_of(["x", str(folder), "-"], "records"),
                         (["x", f"{folder}/records/a.ndjson", f"{folder}/records/bb.ndjson", "-"], True, []))
        self.assertEqual(files_of([str(self.folder)], "records"), ([str(self.folder)], True, []))

    def test_a_campaign_that_has_nothing_or_is_none(self):
        folder = self.create().folder
        with self.assertRaisesRegex(UsageError, f"records {folder}: there are no results of this campaign yet"):
            files_of([str(folder)], "records")
        (folder / "campaign.json").write_text("{", encoding="utf-8")
        with self.assertRaisesRegex(UsageError, "campaign.json: Expecting"):
            files_of([str(folder)], "records")

    def test_exported(self):
        self.files()
        status, _, said = self.here("export", "c", "--format", "csv", "-o", "x.csv")
        self.assertEqual(status, 0, said)
        with (self.folder / "x.csv").open(newline="", encoding="utf-8") as stream:
            rows = [*csv.DictReader(stream)]
        self.assertEqual((len(rows), {row["source"] for row in rows}), (20, {"203.0.113.1", "203.0.113.2"}))
        self.assertEqual(self.here("export", "c", "--format", "pto", "-o", "x.pto")[0], 0)
        self.assertEqual(len((self.folder / "x.pto").read_bytes().splitlines()), 21)
        self.assertIn("this is the file that is read", self.here(
            "export", "c", "--format", "csv", "--force", "-o", os.path.join("c", "records", "a.ndjson"))[2])

    def test_a_campaign_that_is_not_finished(self):
        campaign = self.create(mode="fanout", vantages=["a", "bb", "c"])
        self.fill(campaign, "a", range(3))
        self.fill(campaign, "bb", [2])
        self.assertEqual(files_of([str(campaign.folder)], "records").short, [
            f"the campaign in {campaign.folder} is not finished: bb has results of 2 of 10 targets, "
            "c has results of 0 of 10 targets"])
        self.assertRegex(self.here("export", "c", "--format", "csv", "-o", "x")[2],
                         "(?m)^the campaign in c is not finished: bb has results of 2 of 10 targets, c has .*$")
        self.assertRegex(self.here("campaign", "compare", "c")[2], "the campaign in c is not finished: bb has ")
        sentence = ("The campaign c is not finished: bb has results of 2 of 10 targets, "
                    "c has results of 0 of 10 targets.")
        self.here("campaign", "records", "c", "-o", "all")
        for name in ("c", "all"):
            status, _, said = self.here("report", name, "--format", "md", "--force", "-o", "r.md")
            self.assertEqual((status, said.count(sentence)), (0, 1), said)
            self.assertIn(sentence, (self.folder / "r.md").read_text(encoding="utf-8").replace("**", ""))
        self.here("campaign", "records", "c", "--vantage", "a", "-o", "of-a")
        self.assertNotIn("not finished", self.here("report", "of-a", "-o", "r.html")[2])
        self.fill(campaign, "bb", [0, 1])
        self.fill(campaign, "c", range(3))
        for words in (("report", "c", "-o", "f.html"), ("export", "c", "--format", "csv", "-o", "f.csv"),
                      ("campaign", "compare", "c")):
            status, _, said = self.here(*words)
            self.assertEqual((status, "finished" in said), (0, False), said)
        self.assertNotIn("is not finished", (self.folder / "f.html").read_text(encoding="utf-8"))

    def test_damaged_results_are_told_and_are_an_exit_status(self):
        path = self.files().path("a", 1)
        path.write_bytes(path.read_bytes()[:-9])
        for command in ("export", "report"):
            status, _, said = self.here(command, "c", "--format", "csv", "-o", f"{command}.csv")
            self.assertEqual((status, (self.folder / f"{command}.csv").exists()), (1, True), said)
            self.assertIn("c/results/a/000001.zst: torn", said)

    def test_reported_side_by_side(self):
        self.files()
        self.assertEqual(self.here("report", "c", "--format", "json", "-o", "r.json")[0], 0)
        report = json.loads((self.folder / "r.json").read_bytes())
        self.assertEqual([one["label"] for one in report["files"]], ["a", "bb"])
