import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.campaign import broker
from pathspider.campaign.broker import Broker, find_root
from pathspider.campaign.errors import CampaignError
from tests import in_checkout
from tests.campaign.brokers import running

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as IPv6 has it, and ::1, as /proc has them."""


@in_checkout
class TestBroker(unittest.TestCase):
    def test_who_it_is_and_where_it_listens(self):
        found = running()
        status = Path(f"/proc/{found.broker.process.pid}/status").read_text(encoding="ascii")
        uid = int(status.partition("Uid:")[2].split()[0])
        self.assertNotEqual(uid, 0)
        listening = set()
        for name in ("tcp", "tcp6"):
            for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[7]) == uid:
                    address, _, port = words[1].rpartition(":")
                    listening.add((int(port, 16), address in LOOPBACK))
        state = found.fleet.state
        self.assertIn((state.port, False), listening)
        for port in range(state.local_port, state.local_port + 4):
            self.assertIn((port, True), listening)  # on 127.0.0.1
            self.assertNotIn((port, False), listening)


class TestPrograms(unittest.TestCase):
    def test_none(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(broker, "SERVER", "nosuch"), \
                mock.patch.dict(os.environ, PATHSPIDER_SERVERS=folder), self.assertRaises(CampaignError) as caught:
            find_root()
        self.assertIn("apt-get install rabbitmq-server", str(caught.exception))

    @unittest.skipIf(os.geteuid(), "asks root alone")
    def test_users_that_cannot_be(self):
        for user in ("root", "no such user"):
            self.assertRaises(CampaignError, Broker, Path("/x"), 1, user)
