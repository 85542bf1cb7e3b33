"""The plugin for path MTU discovery: what it sends, and what follows. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest
from unittest import mock

from dnslib import DNSRecord
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from pathspider import libtrace
from pathspider.conditions import NOT_OBSERVED
from pathspider.helpers.probes import probe
from pathspider.helpers.segments import payload_of
from pathspider.helpers.sockets import local_error
from pathspider.plugins import pmtud
from pathspider.plugins.pmtud import PMTUD, SMALL, packet_size
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT
from pathspider.run.specimen import Specimen

V4, V6 = {"dip": "192.0.2.2", "dp": 80, "domain": "www.example.com"}, {"dip": "2001:db8::2", "dp": 80}
ISN = 1000


def spider(connect="http", **options):
    """The plugin in a run without packets."""
    args = {"connect": connect, "timeout": 1, "source": ("192.0.2.1", "2001:db8::1"), "largest": None, **options}
    return PMTUD(1, "int:no-such", argparse.Namespace(**args))


def view(packet):
    """As chains see it."""
    return (libtrace.IP if packet[0] >> 4 == 4 else libtrace.IP6)(packet)


class Wire:
    """A forged flow over a path of which a function knows what becomes of a packet, and what comes back."""

    source_port = 5000

    def __init__(self, path):
        self.path, self.sent, self.come, self.too_big = path, [], [], []

    def send(self, packet):
        self.sent.append(packet)
        self.path(self, packet)

    def wait(self, until):
        return bool(self.come or self.too_big)

    def answers(self):
        while self.come:
            yield self.come.pop(0)


def server(takes, says=None, *, quotes=None, window=65535):
    """A TCP server that acknowledges all that comes to it, in order, over a link of a size."""
    state = {"next": None}

    def path(wire, packet):
        tcp = view(packet).tcp
        state["next"] = state["next"] or tcp.seq_nbr
        if len(packet) > takes:
            if says is not None:
                at = 20 if packet[0] >> 4 == 4 else 40
                wire.too_big.append((says, (quotes or (lambda segment: segment[:8]))(packet[at:])))
            return
        if tcp.seq_nbr <= state["next"]:
            state["next"] = max(state["next"], tcp.seq_nbr + tcp.payload_len)
        if tcp.payload_len:
            wire.come.append(bytes(TCP(sport=80, dport=5000, seq=ISN + 1, ack=state["next"] % 2 ** 32, flags="A",
                                       window=window)))

    return path


def resolver(takes, says=None, *, longest=65535):
    """A DNS server that answers what comes to it, whole or in fragments, over a link of a size."""
    datagram = bytearray()

    def path(wire, packet):
        if len(packet) > takes:
            if says is not None:
                wire.too_big.append((says, b""))
            return
        offset, more, part = fragment_of(packet)
        if offset == 0:
            datagram.clear()
        assert offset == len(datagram)
        datagram.extend(part)
        message = bytes(datagram[8:])
        if not more and len(message) <= longest:
            wire.come.append(DNSRecord.parse(message).reply().pack())

    return path


def fragment_of(packet):
    """Where a packet's payload stands in the datagram, whether more follow, and the payload."""
    if packet[0] >> 4 == 4:
        field = int.from_bytes(packet[6:8])
        return (field & 0x1FFF) * 8, bool(field & 0x2000), packet[20:]
    if packet[6] != 44:
        return 0, False, packet[40:]
    field = int.from_bytes(packet[42:44])
    return field & 0xFFF8, bool(field & 1), packet[48:]


def measured(path, job=V4, config=1, connect="http", *, mss=None, window=65535, **options):
    """What comes of a connection over a path, and what was sent."""
    plugin, wire = spider(connect, **options), Wire(path)
    plugin._own.searches, plugin._own.sent = bool(config), 0
    packet = plugin.forge(job, config)
    raw = bytes(packet)
    if connect == "http":
        reply = bytes(TCP(sport=80, dport=5000, seq=ISN, ack=1, flags="SA", window=window, options=[
            ("MSS", mss or (1460 if job is V4 else 1440)), ("Timestamp", (7, 0))]))
    else:
        reply = DNSRecord.parse(bytes(packet[UDP].payload)).reply().pack()
    with mock.patch.object(pmtud, "PAUSE", 0.0):
        said = plugin.go_on(job, packet, raw, reply, wire, 0.0)
    return said, wire.sent


def found(said):
    """The sizes of a result."""
    return {name.removeprefix("mtu_"): size for name, size in said.items() if name.startswith("mtu_") and size}


class TestTCP(unittest.TestCase):
    def test_the_baseline_is_small(self):
        for job in (V4, V6):
            said, sent = measured(server(1500), job, 0)
            self.assertEqual((said["spdr_state"], max(map(len, sent))), (CONN_OK, SMALL))
            self.assertEqual(measured(server(300), job, 0)[0]["spdr_state"], CONN_TIMEOUT)

    def test_paths(self):
        for job in (V4, V6):
            for path, state, sizes in (
                (server(1500), CONN_OK, {"passed": 1500}),
                (server(1492, 1492), CONN_OK, {"passed": 1492, "told": 1492}),
                (server(1400), CONN_TIMEOUT, {"passed": 1400, "silent": 1420}),
                (server(1400, 1500), CONN_TIMEOUT, {"passed": 1400, "silent": 1420, "invalid": 1500}),
                (server(1400, 1400, window=0xFFFF), CONN_OK, {"passed": 1400, "told": 1400}),
                (server(1400, 1400, quotes=lambda segment: segment[:4] + bytes(4)), CONN_TIMEOUT,
                 {"passed": 1400, "silent": 1420}),
            ):
                said, sent = measured(path, job)
                self.assertEqual((said["spdr_state"], found(said)), (state, sizes))
                self.assertEqual(len(sent[1]), 1500)

    def test_packets_may_not_be_fragmented(self):
        _, sent = measured(server(1400))
        self.assertTrue(all(view(packet).has_df for packet in sent))

    def test_each_try_has_octets_of_its_own_and_they_are_a_request(self):
        _, sent = measured(server(1400))
        stream = {}
        for packet in sent:
            tcp = view(packet).tcp
            for at, octet in enumerate(bytes(packet)[len(packet) - tcp.payload_len:]):
                self.assertEqual(stream.setdefault(tcp.seq_nbr + at, octet), octet)
        text = bytes(stream[at] for at in sorted(stream))
        self.assertRegex(text, rb"^GET / HTTP/1\.1\r\nHost: www\.example\.com\r\n([A-Za-z-]+: .+\r\n)+X")
        self.assertNotIn(b"\r\n\r\n", text)

    def test_whose_server_has_enough_says_nothing_of_the_path(self):
        def path(wire, packet):
            if len(packet) <= 1500 and view(packet).tcp.payload_len:
                wire.come.append(bytes(TCP(sport=80, dport=5000, flags="RA")))

        self.assertEqual(found(measured(path)[0]), {"unclear": 1500})
        self.assertEqual(measured(path, config=0)[0]["spdr_state"], CONN_TIMEOUT)

        def silence(wire, packet):
            pass

        self.assertEqual(found(measured(silence)[0]), {"unclear": 1500})

    def test_one_that_is_lost_is_no_black_hole(self):
        good, lost = server(1500), []

        def path(wire, packet):
            if len(packet) == 1500 and len(lost) < 2:
                lost.append(packet)
            else:
                good(wire, packet)

        self.assertEqual(found(measured(path)[0]), {"passed": 1500})
        self.assertEqual(len(lost), 2)

    def test_the_largest(self):
        said, sent = measured(server(9000), largest=9000, mss=8960)
        self.assertEqual((found(said), max(map(len, sent))), ({"passed": 9000}, 9000))
        self.assertEqual(spider(largest=576).sizes(True), [1280])
        for text in ("575", "65536", "-1", "x"):
            with self.assertRaises(argparse.ArgumentTypeError):
                packet_size(text)
        self.assertEqual(packet_size("65535"), 65535)

    def test_no_more_than_tcp_would_send(self):
        """Who takes no larger segments, or has no room for them, says nothing of the path."""
        said, sent = measured(server(1100), mss=1000)
        self.assertEqual((found(said), max(map(len, sent))), ({"passed": 1040}, 1040))
        said, sent = measured(server(1100, window=1024), window=1024)
        self.assertEqual((found(said), max(map(len, sent))), ({"unclear": 1500}, 52))
        self.assertEqual(found(measured(server(1500, window=1100), mss=1000)[0]), {"passed": 1040})

    def test_a_router_that_names_no_size(self):
        for told in (0, 20):
            for connect, path in (("http", server), ("dnsudp", resolver)):
                said = measured(path(1400, told), connect=connect)[0]
                self.assertEqual((said["spdr_state"], said["mtu_passed"], said["mtu_silent"]), (CONN_OK, 1400, None))
                self.assertEqual((said["mtu_told"], said["mtu_invalid"]), (0, None) if not told else (None, 20))
                said = measured(path(1400, told), V6, connect=connect)[0]
                self.assertEqual((said["spdr_state"], said["mtu_silent"], said["mtu_told"], said["mtu_invalid"]),
                                 (CONN_TIMEOUT, 1420, None, told))

    def test_messages_that_come_twice(self):
        """The second one is about the packet before."""
        def twice(wire, packet, good):
            before = len(wire.too_big)
            good(wire, packet)
            late.extend(wire.too_big[before:])
            if len(wire.too_big) == before and late:
                wire.too_big += late

        for told, sizes in ((1400, {"passed": 1400, "told": 1400}), (0, {"passed": 1400})):
            late, good = [], server(1400, told)
            self.assertEqual(found(measured(lambda wire, packet, good=good: twice(wire, packet, good))[0]), sizes)

    def test_a_router_that_is_never_content(self):
        def path(wire, packet):
            if view(packet).tcp.payload_len:
                wire.too_big.append((len(packet) - 1, packet[20:28]))

        said = measured(path)[0]
        self.assertIsNone(said["mtu_passed"])
        self.assertIsNotNone(said["mtu_unclear"])

    def test_an_outage_is_no_black_hole(self):
        for connect, path in (("http", server), ("dnsudp", resolver)):
            for lost, sizes in ((3, {"passed": 1500}), (4, {"passed": 1500}), (5, {"passed": 1492, "silent": 1500})):
                good, count = path(1500), []

                def breaks(wire, packet, good=good, count=count, lost=lost):
                    if len(packet) == 1500 and len(count) < lost:
                        count.append(packet)
                    else:
                        good(wire, packet)

                self.assertEqual(found(measured(breaks, connect=connect)[0]), sizes, (connect, lost))
        self.assertEqual(spider(largest=1300).sizes(True), [1280, 1300])
        self.assertEqual(spider(largest=1300).sizes(False), [576, 1006, 1280, 1300])

    def test_a_name_that_cannot_be(self):
        """Nothing leaves."""
        self.assertEqual(spider().connect({**V4, "domain": "a b"}, 0), local_error("bad_domain"))


class TestDNS(unittest.TestCase):
    def test_paths(self):
        for job in (V4, V6):
            for path, state, sizes in (
                (resolver(1500), CONN_OK, {"passed": 1500}),
                (resolver(1492, 1492), CONN_OK, {"passed": 1492, "told": 1492}),
                (resolver(1400), CONN_TIMEOUT, {"passed": 1400, "silent": 1420}),
            ):
                said, sent = measured(path, job, connect="dnsudp")
                self.assertEqual((said["spdr_state"], found(said)), (state, sizes))
                self.assertEqual(max(map(len, sent)), 1500)

    def test_who_answers_no_long_queries_says_nothing_of_the_path(self):
        for job in (V4, V6):
            said, _ = measured(resolver(1500, longest=512), job, connect="dnsudp")
            self.assertEqual(found(said), {"unclear": 1500})

    def test_a_size_that_a_query_does_not_fit(self):
        job = {**V4, "domain": ".".join(["a" * 60] * 4)}
        said = measured(resolver(300, 300), job, connect="dnsudp")[0]
        self.assertEqual((said["mtu_passed"], said["mtu_silent"], said["mtu_unclear"]), (None, None, 300))

    def test_the_baseline_is_the_query(self):
        said, sent = measured(resolver(1500), config=0, connect="dnsudp")
        self.assertEqual((said["spdr_state"], sent), (CONN_OK, []))


def flow(state=CONN_OK, **more):
    """A flow as chains and worker note it."""
    return {"spdr_state": state, "observed": True, "size_fwd": 1500, "tcp_connected": True, **more}


class TestProbed(unittest.TestCase):
    """What --locate makes its probes of: the size that vanished."""

    def sizes_of(self, plugin, packets, silent):
        made = plugin.probed({"mtu_silent": silent}, packets)
        return [len(probe(one, port=7, ttl=3, number=1)) for one in (made.first, *made.segments)], made

    def test_data(self):
        plugin = spider()
        for job in (V4, V6):
            _, sent = measured(server(1400), job)
            data = [one for one in sent if view(one).tcp.payload_len]
            syn = bytes(plugin.forge(job, 1))
            packets = Specimen(syn, data[0], more=(*data[1:3],))
            self.assertIs(plugin.probed({"mtu_silent": None}, packets), packets)
            self.assertIs(plugin.probed({}, packets), packets)
            for silent in (1420, 1500, 9000):  # of a larger one than is kept, the rest is made up
                sizes, made = self.sizes_of(plugin, packets, silent)
                self.assertEqual(sizes, [len(syn), silent])
                self.assertEqual(payload_of(made.data)[:1000], payload_of(data[0])[:1000])
                found = probe(made.data, port=7, ttl=3, number=1)
                whole = (IP if job is V4 else IPv6)(found)
                self.assertEqual(bytes(whole), found)
                del whole[TCP].chksum
                self.assertEqual(bytes(whole), found)  # length and checksum fit

    def test_queries(self):
        plugin = spider("dnsudp")
        for job in (V4, V6):
            packets = Specimen(bytes(plugin.forge(job, 1)))
            sizes, made = self.sizes_of(plugin, packets, 1420)
            self.assertEqual(sizes, [1420])
            whole = (IP if job is V4 else IPv6)(probe(made.first, port=7, ttl=3, number=1))
            self.assertEqual(whole[UDP].len, 1420 - (20 if job is V4 else 40))
            sent, small = (DNSRecord.parse(bytes(one[UDP].payload)) for one in
                           (whole, (IP if job is V4 else IPv6)(packets.first)))
            self.assertEqual((sent.q, len(sent.ar)), (small.q, 1))


class TestVerdicts(unittest.TestCase):
    def said(self, baseline, experiment):
        return [one.removeprefix("pmtud.") for one in spider().combine_flows([baseline, experiment])]

    def test_each(self):
        for experiment, words in (
            (flow(mtu_passed=1500), ["connectivity.works", "mtu:1500"]),
            (flow(mtu_passed=1400, mtu_told=1400), ["connectivity.works", "mtu:1400", "told:1400"]),
            (flow(CONN_TIMEOUT, mtu_passed=1400, mtu_silent=1420, mtu_invalid=0),
             ["connectivity.broken", "mtu:1400", "blackhole:1420", "told_invalid:0"]),
            (flow(mtu_unclear=1500), ["unclear:1500"]),
            (flow(CONN_TIMEOUT, mtu_silent=1500, mtu_unclear=1400),
             ["connectivity.broken", "blackhole:1500", "unclear:1400"]),
            (flow(CONN_TIMEOUT), ["connectivity.broken"]),
        ):
            self.assertEqual(self.said(flow(), experiment), words)
        self.assertEqual(self.said(flow(CONN_TIMEOUT), flow(CONN_FAILED)), ["connectivity.offline"])
        self.assertEqual(self.said(flow(CONN_TIMEOUT), flow(mtu_passed=1500)), ["connectivity.transient", "mtu:1500"])

    def test_what_was_not_seen(self):
        self.assertEqual(self.said(flow(), flow(observed=False)), [NOT_OBSERVED])
        self.assertEqual(self.said(flow(), flow(mtu_passed=1500, size_fwd=1400)), [NOT_OBSERVED])

    def test_a_window_without_room(self):
        """Nothing large was sent: the capture has not missed it."""
        self.assertEqual(self.said(flow(), flow(mtu_unclear=1500, size_fwd=60)), ["unclear:1500"])


if __name__ == "__main__":
    unittest.main()
