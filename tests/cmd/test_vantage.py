"""``pspdr vantage run`` and ``pspdr campaign run`` as processes, with a real broker between."""

import errno
import os
import signal
import subprocess
import unittest

from pathspider.campaign.folder import Campaign
from tests import in_checkout
from tests.campaign.brokers import running, until
from tests.campaign.cases import FolderCase


class TestRefusals(FolderCase):
    def test_what_is_missing(self):
        for words, said in (((), "usage"), (("run", "x.bundle"), "--interface"),
                            (("run", "x.bundle", "-i", "lo"), "x.bundle: No such file")):
            status, _, text = self.here("vantage", *words)
            self.assertEqual(status, 2)
            self.assertIn(said, text)

    def test_a_unit(self):
        self.assertIn("User=pathspider", self.here("vantage", "unit", "x.bundle", "-i", "eth0")[1])


@in_checkout
@unittest.skipIf(os.geteuid(), "the allow-list has to be root's")
class TestKilled(FolderCase):
    def test_the_vantage_point_and_the_coordinator(self):
        """Both are killed in the midst of a chunk, and begun again: each target once."""
        fleet = running().fleet.folder
        allow = self.folder / "allow"
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        allow.write_text(f"plugin nowhere\n option --at 10.0.0.4\n option --wait {pipe}\nmeasure --confirm 0\n",
                         encoding="ascii")
        vantage = self.command("vantage", "run", fleet / "ams.bundle", "-i", "lo", "--allow-list", allow, "--spool",
                               self.folder / "spool")
        run = self.command("campaign", "run", "c", "--fleet", fleet, "--fanout", "ams", "--targets", self.targets,
                           "--chunk", 4, "--", "--confirm", "0", "nowhere", "--at", "10.0.0.4", "--wait", pipe)
        with self.popen(run) as coordinator, self.popen(vantage) as measures:
            writes = until(lambda: open_pipe(pipe), "it has come to that target")
            measures.kill()
            coordinator.kill()
            measures.communicate(timeout=60)
            coordinator.communicate(timeout=60)
            os.close(writes)
        pipe.unlink()
        pipe.touch()
        with self.popen(vantage) as measures:
            done = self.pspdr("campaign", "run", "c")
            self.assertEqual(done.returncode, 0, done.stderr)
            measures.send_signal(signal.SIGINT)
            _, said = measures.communicate(timeout=60)
        self.assertEqual(measures.returncode, 130, said)
        self.assert_each_once()
        self.assertEqual(Campaign(self.folder / "c").definition.mode, "fanout")

    def popen(self, command):
        """A process that is killed when the test fails."""
        process = subprocess.Popen(command, env=self.environment(), cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process


def open_pipe(path):
    """A descriptor of a named pipe that somebody reads from; None where nobody does."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None
