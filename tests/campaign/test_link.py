"""The broker's refusals, asked of a real RabbitMQ, and a connection that comes back."""

import json
import socket
import ssl
import tempfile
import unittest
from pathlib import Path

try:
    import pika
    import pika.exceptions
except ImportError:
    raise unittest.SkipTest("pika is not installed: apt-get install python3-pika") from None

from pathspider.campaign.bundle import Bundle
from pathspider.campaign.certificates import certify, client_context, make_authority
from pathspider.campaign.link import Link, NoQueueError
from tests import in_checkout
from tests.campaign.brokers import running, until


class BrokerCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.running = running()
        cls.fleet = cls.running.fleet
        cls.bundle = Bundle.read(cls.fleet.folder / "ams.bundle")

    def connect(self, context=None, credentials=None):
        host, port, vhost = self.bundle.address()
        return pika.BlockingConnection(pika.ConnectionParameters(
            host, port, vhost, credentials or pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context or self.bundle.context(), host), socket_timeout=20, stack_timeout=20))

    def channel(self):
        connection = self.connect()
        self.addCleanup(lambda: connection.is_open and connection.close())
        channel = connection.channel()
        channel.confirm_delivery()
        return channel


@in_checkout
class TestRefusals(BrokerCase):
    def refused(self, code, call, *arguments, **more):
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            call(self.channel(), *arguments, **more)
        self.assertEqual(caught.exception.reply_code, code)

    def test_other_queues(self):
        for queue in ("vp.ber", "results", "dead"):
            self.refused(403, lambda channel, queue=queue: channel.basic_get(queue))
            self.refused(403, lambda channel, queue=queue: channel.queue_purge(queue))

    def test_other_routing_keys(self):
        for key in ("ber", "coordinator", "ams.x", ""):
            self.refused(403, lambda channel, key=key: channel.basic_publish("results", key, b"x"))

    def test_a_forged_user(self):
        self.refused(406, lambda channel: channel.basic_publish("results", "ams", b"x",
                                                                pika.BasicProperties(user_id="ber")))

    def test_declare(self):
        self.refused(403, lambda channel: channel.queue_declare("mine"))
        self.refused(403, lambda channel: channel.exchange_declare("mine"))

    def test_delete(self):
        self.refused(403, lambda channel: channel.queue_delete("vp.ams"))
        self.refused(403, lambda channel: channel.exchange_delete("results"))

    def test_bind(self):
        self.refused(403, lambda channel: channel.queue_bind("vp.ams", "results", "#"))

    def test_publish_a_job(self):
        for queue in ("vp.ams", "vp.ber", "any"):
            self.refused(403, lambda channel, queue=queue: channel.basic_publish("", queue, b"x"))

    def not_let_in(self, context=None, credentials=None):
        # What openssl raises of a handshake that was refused is for pika a connection that failed.
        with self.assertRaises((pika.exceptions.AMQPConnectionError, OSError)):
            self.connect(context, credentials).close()

    def context(self, *certificate):
        return client_context(self.bundle.authority, *certificate)

    def test_no_certificate(self):
        context = ssl.create_default_context(cadata=self.bundle.authority)
        self.not_let_in(context)

    def test_a_certificate_of_another_authority(self):
        with tempfile.TemporaryDirectory() as other:
            make_authority(Path(other), "ams")
            self.not_let_in(self.context(*certify(Path(other), "ams")))
            # Signed by itself: the authority's own.
            self.not_let_in(self.context(*(Path(other, name).read_text(encoding="ascii")
                                           for name in ("ca.pem", "ca.key"))))

    def test_a_certificate_without_a_user(self):
        self.not_let_in(self.context(*certify(self.fleet.folder, "nobody")))

    def test_a_password(self):
        for user, password in (("manager", self.fleet.password), ("ams", ""), ("guest", "guest")):
            self.not_let_in(credentials=pika.PlainCredentials(user, password))

    def test_no_tls(self):
        host, port, vhost = self.bundle.address()
        with self.assertRaises((pika.exceptions.AMQPConnectionError, OSError)):
            pika.BlockingConnection(pika.ConnectionParameters(host, port, vhost, socket_timeout=10, stack_timeout=10))
        with self.assertRaises(ConnectionRefusedError):  # AMQP's own port is not there at all
            socket.create_connection((host, 5672), 5).close()

    def test_a_removed_user(self):
        fleet, management = self.fleet, self.running.management
        fleet.add("gone")
        management.add("gone")
        bundle = Bundle.read(fleet.folder / "gone.bundle")
        link = Link(bundle, {"vp.gone": lambda delivery: None})
        link.start()
        self.addCleanup(link.close)
        until(lambda: link.connected, "the vantage point is connected")
        fleet.remove("gone")
        management.remove("gone")
        until(lambda: not link.connected and link.said, "it is cut off")
        self.not_let_in(bundle.context())

    def test_what_it_may(self):
        channel = self.channel()
        channel.basic_publish("results", "ams", b"x", pika.BasicProperties(user_id="ams", type="test"))
        channel.basic_get("vp.ams")
        coordinator = self.fleet.coordinator
        got = []

        def take(delivery):  # other tests have left theirs
            link.acknowledge(delivery)
            got.extend([delivery] if delivery.properties.type == "test" else [])

        link = Link(coordinator, {"results": take})
        link.start()
        self.addCleanup(link.close)
        self.assertEqual((until(lambda: got, "the result has come")[0].key, got[0].properties.user_id), ("ams", "ams"))


@in_checkout
class TestABrokerOfOthers(BrokerCase):
    """A fleet comes to a broker that is there: another authority, another virtual host."""

    def link(self, bundle, queue, work=lambda: None):
        got = []

        def take(delivery):
            link.acknowledge(delivery)
            got.append(delivery)

        link = Link(bundle, {queue: take}, work=work)
        return link, got

    def test_jobs_and_results(self):
        guest = self.running.guest
        bundle = Bundle.read(guest.add("dub"))
        self.running.management.ask("POST", "definitions", value=json.loads(
            (guest.folder / "broker/definitions.json").read_bytes()))
        self.assertEqual(bundle.address()[2], "measure")
        jobs, results = [b"job"], [b"result"]

        def publish():
            while jobs:
                coordinator.publish("", "vp.dub", jobs[0], type="job")
                del jobs[0]

        def answer():
            while results and taken:
                vantage.publish("results", "dub", results[0], type="result")
                del results[0]

        vantage, taken = self.link(bundle, "vp.dub", answer)
        coordinator, collected = self.link(guest.coordinator, "results", publish)
        for link in (vantage, coordinator):
            link.start()
            self.addCleanup(link.close)
        until(lambda: taken, "the job has come")
        vantage.wake()
        until(lambda: collected, "the result has come")
        self.assertEqual([(one.key, one.body) for one in (*taken, *collected)],
                         [("vp.dub", b"job"), ("dub", b"result")])


@in_checkout
class TestLink(BrokerCase):
    def test_no_queue(self):
        raised = []

        def work():
            try:
                link.publish("", "vp.nosuch", b"x")
            except NoQueueError as error:
                raised.append(error)

        link = Link(self.fleet.coordinator, {}, work=work)
        link.start()
        self.addCleanup(link.close)
        until(lambda: raised, "it is told")

    def test_it_comes_back(self):
        for error in (ConnectionResetError(104, "reset"), AssertionError("as pika has them"), KeyError("our own")):
            errors = [error]

            def work(errors=errors):
                if errors:
                    raise errors.pop()

            link = Link(self.bundle, {}, work=work)
            with self.assertLogs("pathspider") as logged:
                link.start()
                self.addCleanup(link.close)
                until(lambda link=link: link.number == 2 and link.connected and not link.said, "it is back")
            self.assertIn("no connection to the broker", logged.output[0])

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        link = Link(Bundle("ams", f"amqps://127.0.0.1:{port}", self.bundle.authority, self.bundle.certificate,
                           self.bundle.key), {})
        with self.assertLogs("pathspider", "WARNING"):
            link.start()
            until(lambda: link.said, "it says so")
        link.close()
