import socket
import unittest

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.management import Management
from tests import in_checkout
from tests.campaign.brokers import running


@in_checkout
class TestManagement(unittest.TestCase):
    def test_added_and_removed(self):
        management = running().management
        management.add("tmp")
        self.assertIn("vp.tmp", {queue["name"] for queue in management.queues()})
        management.remove("tmp")
        self.assertNotIn("vp.tmp", {queue["name"] for queue in management.queues()})
        management.remove("tmp")

    def test_refused(self):
        management = Management(running().fleet.state.local_port, "wrong", 1)
        self.assertRaises(CampaignError, management.queues)
        self.assertFalse(management.is_up())

    def test_not_there(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with self.assertRaisesRegex(CampaignError, "has ended; /f/log say why"):
            Management(port, "x", 1).wait(lambda: False, "/f/log")
        with self.assertRaisesRegex(CampaignError, "within 0 s; /f/log say why"):
            Management(port, "x", 1).wait(lambda: True, "/f/log", 0)
