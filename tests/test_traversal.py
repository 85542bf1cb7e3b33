"""The traversal model: which rows are tried, what they set, and what follows from what left and came back."""

import argparse
import select
import socket
import threading
import unittest
from unittest import mock

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from pathspider import traversal
from pathspider.base import PluggableSpider
from pathspider.chains.tcp import tcp_options
from pathspider.conditions import NOT_OBSERVED
from pathspider.helpers import poller
from pathspider.helpers.forged import Link, hold_tcp_port
from pathspider.installed import available_plugins
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT
from pathspider.traversal import (
    NOT_AS_FORGED,
    TraversalSpider,
    Variant,
    both,
    left_as_forged,
    positive,
    tcp_flags,
    tcp_option,
    traffic_class,
)

V4, V6 = {"dip": "192.0.2.2", "dp": 80}, {"dip": "2001:db8::2", "dp": 80}


def look(experiment, baseline):
    yield f"flags:{experiment.reply.tcp.flags}"
    if baseline is None:
        yield "alone"


class Trial(TraversalSpider, PluggableSpider):
    """A table of three."""

    name = "trial"
    connect_supported = ["tcp", "dnsudp"]
    variants = [Variant("", tcp_flags(0x1C2), look, {"flags:<flags>": "flags", "alone": "no baseline"}),
                Variant("marked", traffic_class(1)), Variant("option", tcp_option(99, b"ab"))]


def spider(plugin=Trial, **options):
    """A plugin in a run without packets."""
    args = {"connect": "tcp", "timeout": 1, "source": ("192.0.2.1", "2001:db8::1"), **options}
    return plugin(1, "int:lo", argparse.Namespace(**args))


def reply(flags="SA", six=False, **fields):
    """What came back, as the chain tells it."""
    return bytes((IPv6 if six else IP)() / TCP(flags=flags, **fields)).hex()


def flows_of(plugin, *states, job=V4, answer=None):
    """The flows of one target: its connections in the plan's order, which ended so."""
    found = []
    for config, state in zip(plugin.plan(), states, strict=True):
        packet = bytes(plugin.forge(job, config)).hex()
        found.append({"spdr_state": state, "forged": packet, "headers_fwd": packet,
                      "headers_rev": None if state else answer or reply()})
        if config:
            found[-1]["variant"] = plugin.chosen(job)[config - 1].name
    return found


class TestVariant(unittest.TestCase):
    def test_what_is_no_function_is_named(self):
        for what, options in (("set", {"set": 7}), ("look", {"set": tcp_flags(2), "look": None})):
            with self.assertRaisesRegex(TypeError, rf"Variant\('odd'\) has {what}="):
                Variant("odd", **options)


class TestTogether(unittest.TestCase):
    """Whose connections are exchanges of the poller's, and that each has its own worker's packets there."""

    def test_who(self):
        def waits(self, *_):
            return {"spdr_state": CONN_OK}

        def yields(self, *_):
            yield

        for name, own, together in (("", None, True), ("go_on", waits, False), ("go_on", yields, True),
                                    ("forge", waits, False), ("post_connect", waits, False),
                                    ("connect", waits, False), ("perform", waits, False), ("judge", waits, True)):
            plugin = type("Own", (Trial,), {name: own} if name else {})
            self.assertIs(spider(plugin).in_poller, together, name)
        plugins = {plugin.name: plugin for plugin in available_plugins()}
        for name in ("accecn", "dscpclass", "ipv6eh", "l4s", "mptcp", "tcpopt"):
            parser = argparse.ArgumentParser()
            plugin = plugins[name]
            plugin.register_args(parser.add_subparsers())
            args = parser.parse_args([name])
            args.source = (None, None)
            self.assertTrue(plugin(0, "int:lo", args).in_poller, name)

    def test_at_each_step_the_thread_has_what_is_the_workers(self):
        seen, mine, threads = [], {}, []

        class Looks(Trial):
            def go_on(self, job, packet, raw, reply, flow, deadline):  # noqa: PLR0917 - as there
                for _ in range(3):
                    yield flow.arrival(0.0)
                    seen.append((job["dip"], self.source[0], self._worker() is mine[job["dip"]]))
                return {"spdr_state": CONN_OK}

            def not_applicable(self, job):
                threads.append(threading.current_thread())

        plugin = spider(Looks, timeout=100)
        self.assertTrue(plugin.in_poller)
        self.addCleanup(plugin.finish)
        with socket.create_server(("0.0.0.0", 0)) as server:
            def work(source, target):
                plugin._job.source, mine[target] = (source, None), plugin._worker()
                exchanges[target] = plugin.exchange({"dip": target, "dp": server.getsockname()[1]}, 0)

            exchanges, workers = {}, [threading.Thread(target=work, args=(f"127.0.0.{number}", f"127.0.1.{number}"))
                                      for number in (2, 3)]
            for worker in workers:
                worker.start()
                worker.join()
            self.assertEqual(threads, workers)
            going = [*exchanges.values()]
            while going:
                one = going.pop(0)
                try:
                    one.send(None)
                    going.append(one)
                except StopIteration as end:
                    end.value["client"].close()
        self.assertEqual(sorted(seen), [(f"127.0.1.{number}", f"127.0.0.{number}", True)
                                        for number in (2, 2, 2, 3, 3, 3)])

    def test_packets_of_workers_whose_exchanges_take_turns(self):
        plugin, wire = spider(timeout=100), Link("127.0.0.1")
        self.addCleanup(wire.close)
        self.addCleanup(plugin.finish)
        syns = wire.receiver(socket.IPPROTO_TCP)
        with hold_tcp_port("127.0.0.1", 0) as silent:
            job, found = {"dip": "127.0.0.1", "dp": silent.getsockname()[1]}, {}

            def answer():
                """Wait for a SYN, and answer it."""
                while True:
                    self.assertTrue(select.select([syns], [], [], 100)[0])
                    syn = IP(syns.recv(1000))
                    if syn[TCP].dport == job["dp"] and syn[TCP].flags == "S":
                        break
                wire.send(bytes(IP(src="127.0.0.1", dst=syn.src) / TCP(
                    sport=job["dp"], dport=syn[TCP].sport, flags="SA", ack=syn[TCP].seq + 1)), syn.src)

            def work(source):
                plugin._job.source = source, None
                one = threading.Thread(target=answer)
                one.start()
                plugin.connect(job, 0)["client"].close()  # of its packet, the next one is made
                one.join()
                found[source] = plugin.exchange(job, 0)

            for source in ("127.0.0.2", "127.0.0.3"):
                worker = threading.Thread(target=work, args=(source,))
                worker.start()
                worker.join()
            steps = {source: exchange.send(None) for source, exchange in found.items()}  # both SYNs have left
            for _ in found:
                answer()
            for source, exchange in found.items():
                with self.assertRaises(StopIteration) as end:
                    while poller.wait(*steps[source]):
                        steps[source] = exchange.send(select.POLLIN)
                connection = end.exception.value
                connection["client"].close()
                self.assertEqual((connection["spdr_state"], bytes.fromhex(connection["forged"])[12:16]),
                                 (CONN_OK, socket.inet_aton(source)))


class TestPlan(unittest.TestCase):
    def test_one_baseline_or_one_for_each(self):
        self.assertEqual(spider().plan(), [0, 1, 2, 3])
        self.assertEqual(spider(baseline="each").plan(), [0, 1, 0, 2, 0, 3])
        self.assertEqual(spider(variants=2).plan(), [0, 1, 2])
        self.assertEqual(spider(variants=9).plan(), [0, 1, 2, 3])

    def test_samples_are_drawn_by_target_and_seed(self):
        jobs = [{"dip": f"192.0.2.{number}", "dp": 80} for number in range(60)]
        drawn = [[row.name for row in spider(variants=2, seed=7).chosen(job)] for job in jobs]
        self.assertEqual({tuple(one) for one in drawn}, {("", "marked"), ("", "option"), ("marked", "option")})
        self.assertEqual(drawn, [[row.name for row in spider(variants=2, seed=7).chosen(job)] for job in jobs])
        self.assertNotEqual(drawn, [[row.name for row in spider(variants=2, seed=8).chosen(job)] for job in jobs])

    def test_options(self):
        parser = argparse.ArgumentParser()
        Trial.register_args(parser.add_subparsers())
        args = parser.parse_args(["trial", "--variants", "2", "--baseline", "each"])
        self.assertEqual((args.variants, args.baseline), (2, "each"))
        for text in ("0", "-1", "x", ""):
            with self.assertRaises(argparse.ArgumentTypeError):
                positive(text)


class TestConditions(unittest.TestCase):
    def test_they_follow_from_the_table(self):
        names = [condition for condition in Trial.conditions if ".works" in condition]
        self.assertEqual(names, [f"trial.{name}connectivity.works" for name in ("", "marked.", "option.")])
        self.assertEqual(Trial.conditions["trial.flags:<flags>"], "flags")
        self.assertIn(NOT_AS_FORGED, Trial.conditions)

    def test_a_plugin_may_declare_its_own(self):
        mine = type("Mine", (TraversalSpider,), {"name": "mine", "conditions": {"mine.x": "x"}, "variants": []})
        self.assertEqual([*mine.conditions], ["mine.x", NOT_AS_FORGED])


class TestPackets(unittest.TestCase):
    def test_what_is_set_and_nothing_else(self):
        for job in (V4, V6):
            plugin = spider()
            plain, flags, marked, option = (plugin.forge(job, seq) for seq in range(4))
            self.assertEqual(int(plain[TCP].flags), 2)
            self.assertEqual(int(flags[TCP].flags), 0x1C2)
            self.assertEqual([one.tos if job is V4 else one.tc for one in (plain, marked)], [0, 1])
            self.assertEqual(option[TCP].options, [*plain[TCP].options[:2], mock.ANY, *plain[TCP].options[3:],
                                                   (99, b"ab")])

    def test_one_packet_made_of_another(self):
        """What a worker sent before is sent to the next target with other numbers, and nothing else of it changes."""
        for job, other in ((V4, {**V4, "dip": "198.51.100.7", "dp": 443}), (V6, {**V6, "dip": "2001:db8:7::7"})):
            plugin, fresh = spider(), spider()
            for config in plugin.plan():
                row = fresh.variants[config - 1] if config else None
                plugin.source = ("192.0.2.8", "2001:db8::8")  # the kernel may choose another one for each target
                self.assertIs(plugin.forge(other, config), plugin.forge(other, config))
                plugin.source = fresh.source
                for draw in (0, 0xFFF):  # the same numbers for a packet from scratch
                    with (mock.patch("random.getrandbits", return_value=draw),
                          mock.patch("random.randrange", return_value=7)):
                        again, new = plugin.forge(job, config), fresh.made(job, row)
                    self.assertEqual(bytes(again), bytes(new))
                    self.assertEqual(plugin._maker(again)(again), bytes(again))
                self.assertNotEqual(bytes(plugin.forge(job, config)), bytes(plugin.forge(job, config)))

    def test_what_may_differ_otherwise_is_made_anew(self):
        calls = []

        def counts(packet):
            calls.append(packet)
            return packet

        class Own(Trial):
            name = "own"
            variants = [Variant("", tcp_flags(2)), Variant("mine", both(tcp_flags(2), counts))]

        class OwnSyn(Own):
            name = "ownsyn"

            def tcp_syn(self, job, **fields):
                calls.append(job)
                return super().tcp_syn(job, **fields)

        class OwnForge(Own):
            name = "ownforge"

            def forge(self, job, seq):
                calls.append(job)
                packet = super().forge(job, seq)
                packet.payload.options.append((254, job["domain"].encode()))
                return packet

        own = spider(OwnForge)
        for domain in ("aa", "bb", "aa"):
            self.assertEqual([value for kind, value in own.forge({**V4, "domain": domain}, 1).payload.options
                              if kind == 254], [domain.encode()])

        for plugin, configs, times in ((Own, [1, 1], 0), (Own, [2, 2], 2), (OwnSyn, [0, 0, 1, 1], 4)):
            calls.clear()
            made = spider(plugin)
            for config in configs:
                made.forge(V4, config)
            self.assertEqual(len(calls), times)

    def test_an_option_takes_the_place_of_one_of_its_kind(self):
        syn = tcp_option(8, b"PATHecho")(spider().forge(V4, 0))
        view = traversal.IP(bytes(syn))
        self.assertEqual(tcp_options(view.tcp)[8], b"PATHecho")
        self.assertEqual([one[0] for one in syn[TCP].options].count("Timestamp"), 0)

    def test_room_for_options(self):
        for kind, octets in ((99, 18), (2, 22)):
            bytes(tcp_option(kind, bytes(octets))(spider().forge(V4, 0)))
            with self.assertRaisesRegex(ValueError, f"TCP option {kind} of {octets + 1} octets"):
                tcp_option(kind, bytes(octets + 1))(spider().forge(V4, 0))

    def test_one_change_after_the_other(self):
        packet = both(tcp_flags(0x1C2), traffic_class(3))(spider().forge(V6, 0))
        self.assertEqual((int(packet[TCP].flags), packet.tc), (0x1C2, 3))

    def test_queries(self):
        plugin = spider(connect="dnsudp")
        packet = plugin.forge({**V4, "domain": "www.example.com"}, 0)
        self.assertIn(UDP, packet)
        self.assertIsNone(plugin.judge(V4, packet, b"other"))


class TestVerdicts(unittest.TestCase):
    def test_each_row(self):
        for job in (V4, V6):
            plugin = spider()
            flows = flows_of(plugin, CONN_OK, CONN_OK, CONN_TIMEOUT, CONN_FAILED, job=job,
                             answer=reply("SAE", six=job is V6))
            self.assertEqual(plugin.combine_flows(flows), [
                "trial.connectivity.works", "trial.flags:82", "trial.marked.connectivity.broken",
                "trial.option.connectivity.broken"])

    def test_each_has_the_baseline_before_it(self):
        plugin = spider(baseline="each")
        flows = flows_of(plugin, CONN_TIMEOUT, CONN_OK, CONN_OK, CONN_OK, CONN_OK, CONN_TIMEOUT)
        self.assertEqual(plugin.combine_flows(flows), [
            "trial.connectivity.transient", "trial.flags:18", "trial.alone", "trial.marked.connectivity.works",
            "trial.option.connectivity.broken"])

    def test_samples(self):
        plugin = spider(variants=1)
        found = plugin.combine_flows(flows_of(plugin, CONN_TIMEOUT, CONN_TIMEOUT))
        self.assertEqual(found, [f"{plugin.chosen(V4)[0].prefix('trial')}.connectivity.offline"])

    def test_what_was_not_seen(self):
        plugin = spider()
        for spoil in ({"observed": False}, {"headers_rev": None}):
            flows = flows_of(plugin, CONN_OK, CONN_OK, CONN_OK, CONN_OK)
            flows[2].update(spoil)
            self.assertEqual(plugin.combine_flows(flows), [NOT_OBSERVED])

    def test_what_left_otherwise(self):
        plugin = spider()
        flows = flows_of(plugin, CONN_OK, CONN_OK, CONN_OK, CONN_OK)
        flows[3]["headers_fwd"] = flows[0]["headers_fwd"]
        self.assertEqual(plugin.combine_flows(flows), [NOT_AS_FORGED])

    def test_as_forged(self):
        packet = bytes(spider().forge(V4, 1))
        for other, same in (
            (packet, True), (packet[:10] + b"\x12\x34" + packet[12:], True),  # the header's checksum
            (packet[:-1] + bytes([packet[-1] ^ 1]), False), (packet[:-1], False), (b"", False),
            (packet[:1] + b"\x03" + packet[2:], False), (packet[:33] + b"\x02" + packet[34:], False),
        ):
            flow = {"forged": packet.hex(), "headers_fwd": other.hex() or None}
            self.assertEqual(left_as_forged(flow), same)


if __name__ == "__main__":
    unittest.main()
