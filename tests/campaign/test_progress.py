import json

from pathspider.campaign.progress import Progress, Row, cells, duration, read_seen, table, with_rates
from tests.campaign.cases import FolderCase, results_of


class TestProgress(FolderCase):
    def test_rows(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        progress = Progress(campaign, {"b": {"at": 90.0, "errors": 2, "remark": "clock is 3 s off"}})
        progress.rows(100.0)
        for number in (0, 2):
            campaign.store("a", number, results_of(campaign.chunk("a", number)))  # the last chunk: two targets of four
        campaign.journal.record("dead", slot="b", chunk=1, why="it kills")
        a, b = progress.rows(103.0)
        self.assertEqual((a.name, a.done, a.total, a.rate, a.seconds_left), ("a", 6, 10, 2.0, 2.0))
        self.assertEqual((b.done, b.seconds_left, b.errors, b.last_seen, b.remark),
                         (0, None, 3, 90.0, "clock is 3 s off"))

    def test_of_a_split_campaign_nobody_knows_each_one_s_part(self):
        progress = Progress(self.create(mode="split", vantages=["a"]), {"a": {"at": 90.0}})
        self.assertEqual([(row.name, row.total) for row in progress.rows(100.0)], [("any", 10), ("a", None)])

    def test_the_status_file(self):
        campaign = self.create()
        progress = Progress(campaign, {"local": {"at": 90.0}})
        self.assertEqual(progress.state(100.0, [])["state"], "interrupted")
        campaign.lock()
        self.assertEqual(progress.state(100.0, [])["state"], "running")
        progress.write(100.0, runs=False)
        self.assertEqual(json.loads((campaign.folder / "status.json").read_bytes())["state"], "interrupted")
        progress.write(100.0)
        found = json.loads((campaign.folder / "status.json").read_bytes())
        self.assertEqual((found["state"], found["chunks_left"]), ("running", 3))
        self.assertEqual(read_seen(campaign.folder)["local"]["at"], 90.0)
        for number in range(2):
            campaign.store("local", number, results_of(campaign.chunk("local", number)))
        campaign.journal.record("dead", slot="local", chunk=2, why="it kills")
        progress.write(101.0)
        found = json.loads((campaign.folder / "status.json").read_bytes())
        self.assertEqual((found["state"], found["given_up"][0]["why"]), ("ended", "it kills"))
        campaign.cancel()
        self.assertEqual(progress.state(101.0, [])["state"], "ended")  # there is nothing left to cancel
        campaign.path("local", 0).unlink()
        self.assertEqual(progress.state(101.0, [])["state"], "cancelled")

    def test_no_status_file(self):
        self.assertEqual(read_seen(self.folder), {})
        self.assertEqual([*with_rates([Row("local")], self.folder)], [Row("local")])

    def test_the_rate_is_what_who_runs_it_has_seen(self):
        (self.folder / "status.json").write_text('{"vantages": [{"name": "a", "rate": 2.5, "seconds_left": 4.0}]}')
        a, b = with_rates([Row("a", done=1, total=9), Row("b")], self.folder)
        self.assertEqual((a, b), (Row("a", done=1, total=9, rate=2.5, seconds_left=4.0), Row("b")))


class TestTable(FolderCase):
    def test_it_is_aligned_and_harmless(self):
        text = table([Row("a\x1b[2J", 1000, 20000, 12.34, 7200.0, 90.0, 3, "x")], 100.0)
        self.assertEqual(text, "vantage point   done      of    rate    left  last seen  errors\n"
                               "a\\x1b[2J       1,000  20,000  12.3/s  2h 00m    10s ago       3  x")

    def test_cells_of_what_is_not_known(self):
        self.assertEqual(cells(Row("b", total=None), 100.0), ("b", "", "", "", "", "", "", ""))

    def test_durations(self):
        self.assertEqual([duration(value) for value in (3.4, 61, 3725, 2 * 86400 + 3600)],
                         ["3s", "1m 01s", "1h 02m", "2d 01h"])
