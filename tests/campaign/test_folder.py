import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from unittest import mock

import zstandard

from pathspider.campaign import folder
from pathspider.campaign.chunks import Chunk
from pathspider.campaign.coordinator import unpublished
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import Campaign, remove_drafts, write_once
from pathspider.campaign.results import Packer, head_of
from tests.campaign.cases import FolderCase, definition, results_of, target


class TestCampaign(FolderCase):
    def test_what_was_made_is_found_again(self):
        made = self.create(label="L", rate=5.0)
        again = Campaign(self.folder / "c")
        self.assertEqual(again.definition.same(made.definition), [])
        self.assertEqual(again.definition.targets, 10)
        self.assertEqual(made.definition.same(definition(chunk=5)), ["chunk", "label", "rate"])

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
        self.assertFalse((self.folder / "c").exists())

    def test_what_cannot_be_made_leaves_nothing(self):
        def jobs():
            yield target(0)
            raise CampaignError("the list breaks off")

        for path in (self.folder / "c", self.folder / "d/e/f"):
            self.assertRaises(CampaignError, Campaign.create, path, definition(), jobs())
            self.assertFalse(path.exists())
        self.assertFalse((self.folder / "d").exists())
        (self.folder / "mine").mkdir()
        self.assertRaises(CampaignError, Campaign.create, self.folder / "mine", definition(), jobs())
        self.assertEqual([*(self.folder / "mine").iterdir()], [])

    def test_what_is_not_on_the_disk_is_no_campaign(self):
        (self.folder / "mine").mkdir()
        with mock.patch.object(folder, "sync", side_effect=OSError(5, "Input/output error")):
            for path in (self.folder / "c", self.folder / "mine"):
                with self.assertRaisesRegex(CampaignError, "Input/output error"):
                    Campaign.create(path, definition(), [target(0)])
        self.assertFalse((self.folder / "c").exists())
        self.assertEqual([*(self.folder / "mine").iterdir()], [])

    def test_files_of_others_stay_as_they_are(self):
        before = self.targets.read_bytes()
        with self.assertRaisesRegex(CampaignError, r"other files in this folder \(pathspider, targets.ndjson\)"):
            Campaign.create(self.folder, definition(), [target(0)])
        self.assertEqual(self.targets.read_bytes(), before)

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
        first, second = (results_of(campaign.chunk("local", 0), run=run) for run in ("first", "second"))
        self.assertTrue(campaign.store("local", 0, first))
        self.assertFalse(campaign.store("local", 0, second))
        self.assertEqual(campaign.path("local", 0).read_bytes(), first)
        self.assertEqual(campaign.done("local"), {0})
        self.assertEqual([*campaign.left()], [("local", 1), ("local", 2)])

    def test_given_up_and_asked_for_anew(self):
        campaign = self.create()
        for number in (0, 1):
            campaign.journal.record("dead", slot="local", chunk=number, why="it kills")
        campaign.store("local", 1, results_of(campaign.chunk("local", 1)))
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
        campaign = self.create()
        campaign.lock()
        with mock.patch.object(folder, "PATIENCE", 0), self.assertRaises(CampaignError) as caught, \
                self.assertLogs("pathspider", "WARNING") as logged:
            Campaign(self.folder / "c").lock()
        self.assertIn(f"c: process {os.getpid()} runs this campaign; waiting up to 0 seconds", logged.output[0])
        for one in (f"process {os.getpid()} runs this campaign", f"kill -INT {os.getpid()}", "pspdr campaign status"):
            self.assertIn(one, str(caught.exception))

    def test_who_runs_it_where_that_is_not_a_process_here(self):
        campaign = self.create()
        campaign.lock()
        for run, said in (({"pid": 1, "host": "elsewhere"}, "process 1 on elsewhere runs"),
                          ({"pid": 1 << 30, "host": socket.gethostname()}, "has ended; what it has started has not")):
            campaign.journal.record("run", **run)
            self.assertIn(said, campaign._holder()[0])
        (self.folder / "c" / "journal.ndjson").unlink()
        self.assertIn("another process", Campaign(self.folder / "c")._holder()[0])

    def test_asking_whether_it_is_run_disturbs_nobody(self):
        campaign = self.create()
        self.assertFalse(campaign.is_run())
        campaign.lock()
        self.assertTrue(Campaign(self.folder / "c").is_run())
        campaign.close()
        self.assertFalse(campaign.is_run())

    def test_nobody_runs_it_where_what_a_killed_process_has_started_goes_on(self):
        campaign = self.create()
        program = ("import os, signal, subprocess, sys\nfrom pathspider.campaign.folder import Campaign\n"
                   "lock = Campaign(sys.argv[1]).lock()\n"
                   "started = subprocess.Popen(['sleep', '1000'], pass_fds=[lock])\n"
                   "print(started.pid, flush=True)\nsys.stdin.read()\nos.kill(os.getpid(), signal.SIGKILL)")
        with subprocess.Popen([sys.executable, "-c", program, campaign.folder], env=self.environment(),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            started = int(run.stdout.readline())
            self.addCleanup(os.kill, started, signal.SIGKILL)
            self.assertTrue(campaign.is_run())
            run.stdin.close()
            run.wait(60)
            self.assertFalse(campaign.is_run())
            with mock.patch.object(folder, "PATIENCE", 0), self.assertLogs("pathspider"), \
                    self.assertRaisesRegex(CampaignError, "has ended; what it has started has not"):
                Campaign(campaign.folder).lock()

    def test_a_file_system_on_which_folders_cannot_be_locked(self):
        def refuse(where, operation, flock=fcntl.flock):
            if stat.S_ISDIR(os.fstat(where if isinstance(where, int) else where.fileno()).st_mode):
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            flock(where, operation)

        campaign = self.create()
        with mock.patch("fcntl.flock", refuse):
            self.assertFalse(campaign.is_run())
            campaign.lock()
            self.assertTrue(Campaign(campaign.folder).is_run())
            campaign.close()
            self.assertFalse(campaign.is_run())

    def test_results_in_order(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"])
        for slot, number in (("b", 1), ("a", 2), ("a", 0)):
            campaign.store(slot, number, results_of(campaign.chunk(slot, number), slot))
        self.assertEqual([(one.head["slot"], one.head["chunk"]) for one in campaign.results(campaign.there(), [])],
                         [("a", 0), ("a", 2), ("b", 1)])


class TestDamaged(FolderCase):
    """Results that were cut, by a full disk or a copy, emptied, renamed, or changed."""

    def setUp(self):
        super().setUp()
        self.campaign = self.create()
        for number in range(3):
            self.campaign.store("local", number, results_of(self.campaign.chunk("local", number)))
            for event in ("published", "done"):
                self.campaign.journal.record(event, slot="local", chunk=number, epoch=0)
        self.path = self.campaign.path("local", 1)
        self.whole = self.path.read_bytes()

    def spoilt(self):
        """What can have become of a file, by what is said of it."""
        head = next(cut for cut in range(len(self.whole)) if self.whole[cut:].startswith(self.whole[:4]) and cut)
        other = head_of(Chunk("another", "local", 1, 0, []), "local", {})
        return [("empty", b""), ("empty, or torn before line 1", self.whole[:20]),
                ("torn behind line 1: 0 rec", self.whole[:head]),
                ("torn", self.whole[:-1]), ("torn", self.whole[:-30]), ("not compressed", b"x" * 100),
                ("torn", self.whole + b"\0" * 40), ("not compressed by Zstandard, or torn", self.whole + b"more"),
                ("chunk 0 of local", self.campaign.path("local", 0).read_bytes()),
                ("chunk 1 of local in campaign another", Packer().whole(other)),
                ("line 1 does not say", zstandard.compress(b"{}\n") + zstandard.compress(b"{}\n"))]

    def test_none_counts_as_done_and_each_is_told(self):
        for what, content in self.spoilt():
            with self.subTest(what, size=len(content)):
                self.path.write_bytes(content)
                for campaign in (self.campaign, Campaign(self.folder / "c")):
                    campaign._whole.clear()  # another process has it changed
                    self.assertEqual((campaign.done("local"), [*campaign.left()]), ({0, 2}, [("local", 1)]))
                    found, = campaign.damaged()
                    self.assertIn(what, str(found))
                    self.assertIn("000001.zst", str(found))

    def test_each_cut_is_seen(self):
        for cut in range(len(self.whole)):
            self.path.write_bytes(self.whole[:cut])
            with self.subTest(cut=cut):
                self.assertEqual(Campaign(self.folder / "c").done("local"), {0, 2})

    def test_what_only_reading_shows(self):
        """An octet of what is compressed has changed, and all of it is there."""
        place = len(self.whole) - 12
        self.path.write_bytes(self.whole[:place] + bytes([self.whole[place] ^ 1]) + self.whole[place + 1:])
        campaign = Campaign(self.folder / "c")
        damaged = []
        self.assertEqual([one.head["chunk"] for one in campaign.results(campaign.there(), damaged)], [0, 2])
        self.assertEqual([one.path for one in damaged], [self.path])
        self.assertEqual(campaign.done("local"), {0, 2})

    def test_a_file_that_cannot_be_read_may_be_whole(self):
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual(Campaign(self.folder / "c").done("local"), {0, 2})
        self.assertIn("000001.zst: Is a directory; make it readable", self.here("campaign", "status", "c")[1])
        with self.assertRaisesRegex(CampaignError, "000001.zst: Is a directory; make it readable, or remove it: then"):
            Campaign(self.folder / "c").set_aside()

    def test_measured_again(self):
        self.path.write_bytes(self.whole[:-9])
        campaign = Campaign(self.folder / "c")
        self.addCleanup(campaign.close)
        self.assertEqual([(one.slot, one.number) for one in campaign.set_aside()], [("local", 1)])
        self.assertEqual(campaign.epochs(), {("local", 1): 1})  # a vantage point has sent the former one
        self.assertEqual(self.path.with_suffix(".damaged").read_bytes(), self.whole[:-9])
        self.assertEqual((campaign.damaged(), campaign.set_aside(), [*campaign.left()]), ([], [], [("local", 1)]))
        self.assertTrue(campaign.store("local", 1, self.whole))
        self.assertEqual(campaign.done("local"), {0, 1, 2})

    @contextmanager
    def no_room(self):
        """Files cannot grow beyond the journal as it is now. setrlimit(2)"""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((self.folder / "c/journal.ndjson").stat().st_size, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_without_room_for_the_journal_all_stays_and_the_next_run_does_it(self):
        self.path.write_bytes(self.whole[:-9])
        campaign = Campaign(self.folder / "c")
        self.addCleanup(campaign.close)
        with self.no_room(), self.assertRaises(OSError):
            campaign.set_aside()
        self.assertEqual((self.path.exists(), campaign.epochs()), (True, {}))
        campaign = Campaign(self.folder / "c")
        self.addCleanup(campaign.close)
        self.assertEqual([one.kept for one in campaign.set_aside()], ["000001.damaged"])
        self.assertEqual(unpublished(campaign), [("local", 1, 1)])

    def test_killed_before_it_is_renamed(self):
        self.path.write_bytes(self.whole[:-9])
        with mock.patch("pathlib.Path.rename", side_effect=OSError(28, "No space left on device")), \
                self.assertRaises(OSError):
            self.campaign.set_aside()
        self.assertEqual([one.kept for one in self.campaign.set_aside()], ["000001.damaged"])
        self.assertEqual((self.campaign.epochs(), self.campaign.set_aside()), ({("local", 1): 1}, []))
        self.assertEqual(unpublished(self.campaign), [("local", 1, 1)])

    def test_what_was_there_and_is_missing_is_asked_for_anew(self):
        self.path.unlink()
        self.campaign.path("local", 2).unlink()
        self.campaign.retry(lost=True)
        self.campaign.journal.record("published", slot="local", chunk=2, epoch=0)  # who has sent it says that it has
        self.assertEqual([(str(one), one.kept) for one in self.campaign.set_aside()], [
            (f"{self.campaign.path('local', number)}: this file was there, and is missing", "") for number in (1, 2)])
        self.assertEqual(unpublished(self.campaign), [("local", 1, 1), ("local", 2, 1)])
        self.assertEqual(self.campaign.set_aside(), [])
        for number in (1, 2):
            self.campaign.journal.record("published", slot="local", chunk=number, epoch=1)
        self.assertEqual((self.campaign.set_aside(), unpublished(self.campaign)), ([], []))  # it is being measured
        self.campaign.store("local", 1, self.whole)
        self.campaign.journal.record("done", slot="local", chunk=1)
        self.path.unlink()
        self.assertEqual([one.number for one in self.campaign.set_aside()], [1])
        self.assertEqual(self.campaign.epochs(), {("local", 1): 2, ("local", 2): 1})

    def test_a_folder_whose_results_were_not_copied(self):
        shutil.rmtree(self.folder / "c/results")
        self.assertEqual([one.number for one in self.campaign.set_aside()], [0, 1, 2])
        self.assertEqual(unpublished(self.campaign), [("local", number, 1) for number in range(3)])

    def test_what_was_given_up_is_not_asked_for_since_it_is_missing(self):
        self.campaign.journal.record("dead", slot="local", chunk=1, why="the vantage point was removed")
        self.path.unlink()
        self.assertEqual((self.campaign.set_aside(), [*self.campaign.left()]), ([], []))

    def test_all_that_was_put_aside_is_kept(self):
        for number, name in ((1, "000001.damaged"), (2, "000001.damaged-2"), (3, "000001.damaged-3")):
            self.path.write_bytes(self.whole[:-number])
            if number == 2:
                self.assertTrue(Campaign(self.folder / "c").store("local", 1, self.whole))
            else:
                self.assertEqual([one.kept for one in Campaign(self.folder / "c").set_aside()], [name])
            self.assertEqual((self.path.parent / name).read_bytes(), self.whole[:-number])
        self.assertEqual((self.path.parent / "000001.damaged").read_bytes(), self.whole[:-1])

    def test_what_cannot_be_read_stays(self):
        """A folder in its place, and a whole file that its owner alone may read."""
        other = results_of(self.campaign.chunk("local", 1), run="other")
        self.path.unlink()
        self.path.mkdir()
        campaign = Campaign(self.folder / "c")
        with self.assertLogs("pathspider", "ERROR") as logged:
            self.assertFalse(campaign.store("local", 1, other))
        self.assertIn("000001.zst: Is a directory; other results of this chunk have come and are not kept: make it "
                      "readable, or remove it: then pspdr campaign run", logged.output[0])
        self.assertTrue(self.path.is_dir())
        self.path.rmdir()
        self.path.write_bytes(self.whole)
        self.path.chmod(0)
        os.chown(self.path.parent, 65534, 65534)
        before = os.geteuid()
        os.seteuid(before or 65534)
        try:
            with self.assertLogs("pathspider", "ERROR") as logged:
                self.assertFalse(Campaign(self.folder / "c").store("local", 1, other))
        finally:
            os.seteuid(before)
        self.assertIn("000001.zst: Permission denied", logged.output[0])
        self.assertEqual((self.path.read_bytes(), [*self.path.parent.glob("*.damaged")]), (self.whole, []))

    def test_what_comes_takes_the_place_of_what_is_damaged(self):
        self.path.write_bytes(b"")
        campaign = Campaign(self.folder / "c")
        self.assertTrue(campaign.store("local", 1, self.whole))
        self.assertEqual(campaign.done("local"), {0, 1, 2})

    def test_given_up_and_damaged(self):
        self.campaign.journal.record("dead", slot="local", chunk=1, why="it kills")
        self.path.write_bytes(b"")
        self.assertEqual(Campaign(self.folder / "c").dead(), {("local", 1): "it kills"})


class TestUnfinished(FolderCase):
    """Results that are whole, and have targets without a verdict for a reason of the machine."""

    def setUp(self):
        super().setUp()
        self.campaign = self.create()
        self.store(0)
        self.store(1, unfinished={"ENETUNREACH": 2, "not_measured": 1})

    def store(self, number, **facts):
        chunk = self.campaign.chunk("local", number, self.campaign.epochs().get(("local", number), 0))
        self.assertTrue(self.campaign.store("local", number, results_of(chunk, **facts)))
        self.campaign.journal.record("done", slot="local", chunk=number)

    def test_counted_by_chunk(self):
        for campaign in (self.campaign, Campaign(self.folder / "c")):
            self.assertEqual(campaign.unfinished(),
                             {("local", 1): ("local", Counter({"ENETUNREACH": 2, "not_measured": 1}))})
            self.assertEqual(campaign.unfinished([]), {})
            self.assertEqual(campaign.done("local"), {0, 1})

    def test_what_earlier_versions_have_noted(self):
        self.store(2, local_errors={"EACCES": 1}, conditions={"pathspider.local_error:EACCES": 1})
        self.assertEqual(self.campaign.unfinished()["local", 2].reasons, {"EACCES": 1})
        self.campaign.path("local", 2).unlink()
        self.store(2, local_errors={"EACCES": 1}, unfinished={})  # the newer word counts
        self.assertEqual([*self.campaign.unfinished()], [("local", 1)])

    def test_what_cannot_be_a_count(self):
        for told in (None, 3, [1], {"x": "1"}, {"x": -1}, {"x": True}, {"x": 0}, {"x": {}}):
            with self.subTest(told=told):
                self.store(2, unfinished=told)
                self.assertEqual([*self.campaign.unfinished()], [("local", 1)])
                self.campaign.path("local", 2).unlink()

    def test_damaged_ones_are_to_be_measured_anyway(self):
        path = self.campaign.path("local", 1)
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-9])
        self.assertEqual((self.campaign.unfinished(), self.campaign.done("local")), ({}, {0}))

    def test_measured_again(self):
        before = self.campaign.path("local", 1).read_bytes()
        self.assertEqual(self.campaign.set_aside_unfinished(), [("local", 1, "000001.unfinished")])
        self.assertEqual(self.campaign.path("local", 1).with_suffix(".unfinished").read_bytes(), before)
        self.assertEqual((self.campaign.unfinished(), self.campaign.set_aside_unfinished(), self.campaign.set_aside()),
                         ({}, [], []))
        self.assertEqual(([*self.campaign.left()], self.campaign.epochs()),
                         ([("local", 1), ("local", 2)], {("local", 1): 1}))
        self.assertEqual(unpublished(self.campaign), [("local", 1, 1), ("local", 2, 0)])
        self.assertTrue(self.campaign.outdated("local", 1, 0))
        self.assertFalse(self.campaign.outdated("local", 1, 1) or self.campaign.outdated("local", 2, 0))
        self.store(1, unfinished={"ENETUNREACH": 1})
        self.assertEqual(self.campaign.set_aside_unfinished(), [("local", 1, "000001.unfinished-2")])
        self.assertEqual(self.campaign.epochs(), {("local", 1): 2})
        self.store(1)
        self.assertEqual((self.campaign.unfinished(), self.campaign.done("local")), ({}, {0, 1}))

    def test_killed_before_it_is_renamed(self):
        with mock.patch("pathlib.Path.rename", side_effect=OSError(28, "No space left on device")), \
                self.assertRaises(OSError):
            self.campaign.set_aside_unfinished()
        self.assertEqual([*self.campaign.unfinished()], [("local", 1)])
        self.assertEqual(self.campaign.set_aside_unfinished(), [("local", 1, "000001.unfinished")])
        self.assertEqual(self.campaign.epochs(), {("local", 1): 1})

    def test_not_while_it_is_run(self):
        self.campaign.lock()
        with self.assertRaisesRegex(CampaignError, "c is run now"):
            Campaign(self.folder / "c").set_aside_unfinished()
        self.assertEqual((self.campaign.epochs(), self.campaign.done("local")), ({}, {0, 1}))

    def test_status_records_and_retry_say_so(self):
        self.store(2)
        status, shown, _ = self.here("campaign", "status", "c")
        self.assertEqual(status, 1)
        self.assertIn("unfinished: local: 3 targets in 1 chunk got no verdict, or only part of one, for a reason of "
                      "the machine that measured: 2 ENETUNREACH, 1 not_measured\n", shown)
        self.assertIn("pspdr campaign retry c --unfinished, and then campaign run, measures these chunks again", shown)
        status, shown, _ = self.here("campaign", "status", "c", "--json")
        found = json.loads(shown)
        self.assertEqual((status, found["state"], found["unfinished"], found["vantages"][0]["unfinished"]),
                         (1, "ended", {"ENETUNREACH": 2, "not_measured": 1}, 3))
        status, _, said = self.here("campaign", "records", "c", "-o", "all")
        self.assertEqual((status, "local: 3 targets in 1 chunk" in said), (1, True), said)
        self.assertNotIn("unfinished", json.loads((self.folder / "all.meta.json").read_bytes())["runs"][0])
        status, _, said = self.here("campaign", "retry", "c")
        self.assertEqual((status, "campaign retry c --unfinished" in said), (0, True), said)
        status, _, said = self.here("campaign", "retry", "c", "--unfinished")
        self.assertEqual(status, 0, said)
        self.assertIn("once more: local, chunk 1, which has unfinished targets; what was measured is kept as "
                      "000001.unfinished", said)
        self.assertEqual(json.loads(self.here("campaign", "status", "c", "--json")[1])["chunks_left"], 1)
        self.store(1)
        self.assertEqual(self.here("campaign", "status", "c")[0], 0)
        self.assertEqual(self.here("campaign", "records", "c", "-o", "again")[0], 0)

    def test_records_of_one_vantage_point(self):
        shutil.rmtree(self.folder / "c")
        self.campaign = self.create(mode="fanout", vantages=["a", "b"])
        for slot, unfinished in (("a", {}), ("b", {"EACCES": 1})):
            for number in range(3):
                self.campaign.store(slot, number, results_of(self.campaign.chunk(slot, number), slot,
                                                             unfinished=unfinished))
        for name, expected in (("a", 0), ("b", 1)):
            self.assertEqual(self.here("campaign", "records", "c", "--vantage", name, "-o", name)[0], expected)
        self.assertIn("unfinished: b: 3 targets in 3 chunks", self.here("campaign", "status", "c")[1])


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
