import json
from unittest import mock

from pathspider.campaign import folder
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import Campaign, remove_drafts, write_once
from tests.campaign.cases import FolderCase, definition, results_of, target


class TestCampaign(FolderCase):
    def test_what_was_made_is_found_again(self):
        made = self.create(label="L", rate=5.0)
        again = Campaign(self.folder / "c")
        self.assertEqual(again.definition.same(made.definition), [])
        self.assertEqual(again.definition.targets, 10)
        self.assertEqual(made.definition.same(definition(chunk=5)), ["chunk", "targets", "sha256", "label", "rate"])

    def test_no_campaign(self):
        for broken in (None, "{", "[]", '{"x": 1}'):
            if broken is not None:
                (self.folder / "campaign.json").write_text(broken, encoding="utf-8")
            with self.assertRaises(CampaignError) as caught:
                Campaign(self.folder)
            self.assertIn("campaign", str(caught.exception))

    def test_without_targets_there_is_none(self):
        with self.assertRaises(CampaignError):
            Campaign.create(self.folder / "c", definition(), [])
        self.assertEqual([*(self.folder / "c").iterdir()], [])

    def test_chunks_have_each_target_once(self):
        campaign = self.create()
        jobs = [job for number in range(3) for job in campaign.chunk("local", number).jobs]
        self.assertEqual(sorted(job["number"] for job in jobs), [*range(10)])
        for slot, number in (("local", 3), ("local", -1), ("other", 0)):
            self.assertRaises(LookupError, campaign.chunk, slot, number)

    def test_a_list_that_was_changed(self):
        campaign = self.create()
        with (self.folder / "c" / "targets.ndjson").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(target(99)) + "\n")
        with self.assertRaises(CampaignError) as caught:
            campaign.chunk("local", 0)
        self.assertIn("11 targets", str(caught.exception))

    def test_the_first_results_stay(self):
        campaign = self.create()
        self.assertTrue(campaign.store("local", 0, b"first"))
        self.assertFalse(campaign.store("local", 0, b"second"))
        self.assertEqual(campaign.path("local", 0).read_bytes(), b"first")
        self.assertEqual(campaign.done("local"), {0})
        self.assertEqual([*campaign.left()], [("local", 1), ("local", 2)])

    def test_given_up_and_asked_for_anew(self):
        campaign = self.create()
        for number in (0, 1):
            campaign.journal.record("dead", slot="local", chunk=number, why="it kills")
        campaign.store("local", 1, b"come late")
        self.assertEqual(campaign.dead(), {("local", 0): "it kills"})
        self.assertEqual([*campaign.left()], [("local", 2)])
        self.assertEqual(campaign.retry(), [("local", 0)])
        self.assertEqual(campaign.epochs(), {("local", 0): 1})
        self.assertEqual((campaign.dead(), [*campaign.left()]), ({}, [("local", 0), ("local", 2)]))
        campaign.journal.record("dead", slot="local", chunk=0, why="again")
        campaign.retry()
        self.assertEqual(campaign.epochs(), {("local", 0): 2})

    def test_cancelled(self):
        campaign = self.create()
        campaign.cancel()
        self.assertTrue(Campaign(self.folder / "c").cancelled)
        campaign.retry(lost=True)
        self.assertFalse(campaign.cancelled)
        self.assertEqual(campaign.journal.events()[-1]["event"], "taken_back")

    def test_one_process_at_a_time(self):
        self.create().lock()
        with mock.patch.object(folder, "PATIENCE", 0), self.assertRaises(CampaignError) as caught:
            Campaign(self.folder / "c").lock()
        self.assertIn("another process", str(caught.exception))

    def test_results_in_order(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        for slot, number in (("b", 1), ("a", 2), ("a", 0)):
            campaign.store(slot, number, results_of(campaign.chunk(slot, number), slot))
        self.assertEqual([(one.head["slot"], one.head["chunk"]) for _, one in campaign.results()],
                         [("a", 0), ("a", 2), ("b", 1)])

    def test_results_that_are_damaged_are_named(self):
        campaign = self.create()
        campaign.store("local", 0, results_of(campaign.chunk("local", 0), "local"))
        path = campaign.path("local", 0)
        whole = path.read_bytes()
        for content in (b"", b"x", whole[:-5], whole[:20]):
            path.write_bytes(content)
            with self.subTest(content), self.assertRaisesRegex(CampaignError, f"{path}: .*remove the file"):
                for _, unpacked in campaign.results():
                    list(unpacked.lines())


class TestWriteOnce(FolderCase):
    def test_what_fails_leaves_nothing(self):
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")), self.assertRaises(OSError):
            write_once(self.folder / "f", b"x")
        self.assertEqual([*self.folder.glob("f"), *self.folder.glob(".draft*")], [])

    def test_what_a_kill_leaves_is_removed(self):
        draft = self.folder / ".draft-x"
        draft.write_bytes(b"half")
        remove_drafts(self.folder)
        self.assertFalse(draft.exists())
