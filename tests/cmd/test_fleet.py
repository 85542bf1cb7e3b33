import socket

from pathspider.campaign.certificates import make_authority
from pathspider.campaign.fleet import Fleet, State
from pathspider.cmd.fleet import _management
from tests import in_checkout
from tests.campaign.brokers import running
from tests.campaign.cases import FolderCase


class TestFleet(FolderCase):
    def test_without_a_broker(self):
        self.assertEqual(self.here("fleet", "init", "f", "--host", "h.example.org", "--local-port", 9)[0], 0)
        status, _, said = self.here("fleet", "add", "f", "ams")
        self.assertEqual(status, 0)
        self.assertIn("copy f/ams.bundle", said)
        self.assertEqual(Fleet(self.folder / "f").state.vantages, ["ams"])
        self.assertIn("the broker is not there", self.here("fleet", "status", "f")[2])
        self.assertIn("ExecStart", self.here("fleet", "up", "f", "--unit")[1])
        self.assertEqual(self.here("fleet", "remove", "f", "ams")[0], 0)

    def test_refusals(self):
        for words, said in ((("add", "f", "ams"), "there is no fleet"), (("init", "f", "--host", "a b"), "host 'a b'"),
                            (("init", "f", "--broker", "amqps://[::1"), "--broker amqps://[::1: Invalid IPv6 URL; amqps://HOST"),
                            (("init", "f", "--broker", "amqps://h:port"), "port"),
                            (("init", "f", "--host", "h", "--port", "99999"), "from 1 to 65535"),
                            (("init", "f", "--host", "h", "--local-port", "5670"), "none of them --port (5671)"),
                            (("init", "f", "--host", "h", "--local-port", "65533"), "over 65535"),
                            ((), "usage")):
            status, _, text = self.here("fleet", *words)
            self.assertEqual(status, 2)
            self.assertIn(said, text)

    def test_a_port_that_is_taken(self):
        with socket.create_server(("0.0.0.0", 0)) as taken:
            number = taken.getsockname()[1]
            local = 20000 if number > 40000 else 50000
            Fleet.create(self.folder / "f", State("h", number, local))
            status, _, said = self.here("fleet", "up", "f")
        self.assertEqual(status, 2)
        self.assertIn(f"port {number}: Address already in use (0.0.0.0)", said)

    def test_a_broker_of_others(self):
        Fleet.create(self.folder / "f", State("h", broker="amqps://mq.example.org/v", vantages=["ams"]))
        self.assertIsNone(_management(Fleet(self.folder / "f")))
        for command in ("up", "status"):
            self.assertIn("mq.example.org", self.here("fleet", command, "f")[2])
        self.assertIn("import_definitions", self.here("fleet", "add", "f", "ber")[2])
        self.assertIn("delete_user ams", self.here("fleet", "remove", "f", "ams")[2])
        self.assertIn("--vhost v delete_queue vp.ber", self.here("fleet", "remove", "f", "ber")[2])

    def test_a_broker_of_others_with_a_certificate_of_others(self):
        make_authority(self.folder, "Company")
        words = ["fleet", "init", "f", "--broker", "amqps://mq.example.org/v", "--broker-ca"]
        self.assertIn("not certificates", self.here(*words, "targets.ndjson")[2])
        self.assertIn("No such file", self.here(*words, "nosuch")[2])
        without = ["fleet", "init", "f", "--host", "h", "--broker-ca", "x"]
        self.assertIn("--broker-ca is for --broker", self.here(*without)[2])
        self.assertIn("--host", self.here("fleet", "init", "f")[2])
        self.assertIn("definitions.json", self.here(*words, "ca.pem")[2])
        self.assertEqual(Fleet(self.folder / "f").coordinator.authority,
                         (self.folder / "ca.pem").read_text(encoding="ascii"))


@in_checkout
class TestWithABroker(FolderCase):
    def test_status_add_and_remove(self):
        fleet = running().fleet.folder
        self.assertEqual(self.here("fleet", "add", fleet, "tmp-1")[0], 0)
        shown = self.here("fleet", "status", fleet)[1]
        self.assertIn("tmp-1: not connected, 0 chunks waiting", shown)
        self.assertIn("dead letters: ", shown)
        self.assertEqual(self.here("fleet", "remove", fleet, "tmp-1")[0], 0)
        self.assertNotIn("vp.tmp-1", {queue["name"] for queue in running().management.queues()})
