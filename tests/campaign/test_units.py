import unittest
from configparser import ConfigParser
from pathlib import Path

from pathspider.campaign.units import broker_unit, vantage_unit


def read(text):
    unit = ConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(text)
    return unit


class TestUnits(unittest.TestCase):
    def test_the_broker(self):
        unit = read(broker_unit(Path("/srv/fleet"), "rabbitmq"))
        self.assertEqual(unit["Service"]["User"], "rabbitmq")
        self.assertTrue(unit["Service"]["ExecStart"].endswith("pspdr fleet up /srv/fleet"))

    def test_a_vantage_point_is_not_root(self):
        unit = read(vantage_unit("/srv/ams.bundle", "eth0", "/etc/allow", "/var/spool"))
        self.assertEqual(unit["Service"]["User"], "pathspider")
        self.assertEqual(unit["Service"]["AmbientCapabilities"], "CAP_NET_RAW CAP_NET_ADMIN")
        self.assertIn("-i eth0 --allow-list /etc/allow --spool /var/spool", unit["Service"]["ExecStart"])
