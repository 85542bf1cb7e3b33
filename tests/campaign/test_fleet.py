import json
import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.bundle import Bundle
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.fleet import Fleet, State


class TestFleet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "fleet")
        self.fleet = Fleet.create(self.folder, State("h.example.org", 5000))

    def refused(self, function, *arguments, word=""):
        with self.assertRaises(CampaignError) as caught:
            function(*arguments)
        self.assertIn(word, str(caught.exception))

    def test_what_nobody_else_may_read(self):
        for name in ("ca.key", "manager.password", "coordinator.bundle", "broker/key.pem", "broker/definitions.json"):
            self.assertEqual((self.folder / name).stat().st_mode & 0o077, 0, name)

    def test_added_and_removed(self):
        path = self.fleet.add("ams")
        self.assertEqual(Bundle.read(path).broker, "amqps://h.example.org:5000/pathspider")
        self.assertIn("vp.ams", (self.folder / "broker" / "definitions.json").read_text(encoding="ascii"))
        self.refused(self.fleet.add, "ams", word="there already")
        again = Fleet(self.folder)
        again.remove("ams")
        self.assertFalse(path.exists())
        self.assertNotIn("vp.ams", json.dumps(Fleet(self.folder).definitions()))
        self.refused(again.add, "ams", word="old certificate")
        self.refused(again.remove, "ams", word="there is none")

    def test_names(self):
        for name in ("any", "coordinator", "manager", "../x", "A", "a.b", ""):
            self.refused(self.fleet.add, name, word="small letters")

    def test_no_fleet_or_another(self):
        self.refused(Fleet, self.folder / "x", word="pspdr fleet init")
        self.refused(Fleet.create, self.folder, State("h"), word="there is a fleet")
        (self.folder / "fleet.json").write_text('{"x": 1}', encoding="ascii")
        self.refused(Fleet, self.folder, word="fleet.json")

    def test_a_folder_that_has_other_files(self):
        other = self.folder.with_name("photos")
        other.mkdir(mode=0o755)
        for number in range(5):
            (other / f"{number}.jpeg").touch()
        self.refused(Fleet.create, other, State("h"), word="(0.jpeg, 1.jpeg, 2.jpeg and 2 more)")
        self.assertEqual((len([*other.iterdir()]), other.stat().st_mode & 0o777), (5, 0o755))

    def test_a_broker_of_others(self):
        fleet = Fleet.create(self.folder.with_name("f2"), State("h", broker="amqps://mq.example.org/v"))
        self.assertEqual(fleet.coordinator.address(), ("mq.example.org", 5671, "v"))
        self.assertEqual(fleet.coordinator.authority, (fleet.folder / "ca.pem").read_text(encoding="ascii"))
        found = json.loads((fleet.folder / "broker/definitions.json").read_bytes())
        self.assertEqual(found["vhosts"], [{"name": "v"}])
        self.assertEqual({one["vhost"] for kind in ("permissions", "queues", "exchanges", "bindings") for one in
                          found[kind]}, {"v"})
        self.assertEqual([user["name"] for user in found["users"]], ["coordinator"])  # no administrator
        self.refused(Fleet.create, self.folder.with_name("f3"), State("h", broker="amqp://h/v"), word="amqps://")
        self.assertFalse(self.folder.with_name("f3").exists())

    def test_campaigns(self):
        identity = "01a21b8f-c436-7728-82a7-d6baade16fa8"
        self.fleet.note_campaign(identity, self.folder / "c")
        self.assertEqual(self.fleet.campaign(identity), (self.folder / "c").resolve())
        for other in ("", "../fleet.json", identity[:-1] + "9"):
            self.assertIsNone(self.fleet.campaign(other))
