"""HTTP and HTTPS requests over connections whose source port is known whatever happens."""

import os
import queue
import socket
import subprocess
import sys
import threading
import unittest
from time import monotonic
from unittest import mock

import pycurl

from pathspider.helpers import http
from pathspider.helpers.http import connect_h3, connect_http, connect_https, url_host
from pathspider.helpers.optional import MissingError
from pathspider.lab.servers.http1 import BODY
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from pathspider.version import __version__
from tests.helpers import netlab
from tests.helpers.h3 import serving, with_http3
from tests.helpers.netlab import SOURCE, V4, V6, NetLab

FAST_OPEN = [(socket.IPPROTO_TCP, 30, 1)]  # TCP_FASTOPEN_CONNECT


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


def get(port, address=V4, timeout=5.0, connect=connect_http, domain="example.org", **options):
    return connect(SOURCE, {"dip": address, "dp": port, "domain": domain}, timeout, **options)


class LabCase(unittest.TestCase):
    def setUp(self):
        while not lab.requests.empty():
            lab.requests.get()


class TestHttp(LabCase):
    def test_response(self):
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            with self.subTest(address):
                result = get(netlab.HTTP, address)
                self.assertTrue(lab.saw(own, result["sp"]))
                self.assertEqual({**result, "sp": 0},
                                 {"spdr_state": CONN_OK, "sp": 0, "proto": 6, "http_status": 200,
                                  "http_version": "1.1"})
                request = lab.requests.get(timeout=100).decode()
                self.assertTrue(request.startswith("GET / HTTP/1.1\r\nHost: example.org\r\n"), request)
                self.assertIn(f"User-Agent: PATHspider/{__version__}", request)

    def test_default_port_and_address_as_host(self):
        self.assertEqual(connect_http(SOURCE, {"dip": V6}, 5)["spdr_state"], CONN_OK)
        self.assertIn(b"Host: [fd00:9::2]\r\n", lab.requests.get(timeout=100))

    def test_the_name_is_never_looked_up_and_proxies_are_not_asked(self):
        environment = {"http_proxy": "http://198.51.100.1:3128", "all_proxy": "http://198.51.100.1:3128"}
        with mock.patch.dict(os.environ, environment):
            result = get(netlab.HTTP, domain="no-such-name.invalid")
        self.assertEqual(result["spdr_state"], CONN_OK)
        self.assertIn(b"Host: no-such-name.invalid\r\n", lab.requests.get(timeout=100))

    def test_endings(self):
        for port, state in ((netlab.GARBAGE, CONN_FAILED), (netlab.RESET, CONN_FAILED), (netlab.MUTE_END, CONN_FAILED),
                            (netlab.CLOSED, CONN_FAILED), (netlab.SILENT, CONN_TIMEOUT), (netlab.DROP, CONN_TIMEOUT),
                            (netlab.ENDLESS, CONN_OK), (netlab.HUGE, CONN_OK), (netlab.TRICKLE, CONN_OK)):
            with self.subTest(port=port):
                begin = monotonic()
                result = get(port, timeout=0.4 if state == CONN_TIMEOUT else 60)
                self.assertEqual(result["spdr_state"], state, result)
                self.assertLess(monotonic() - begin, 50)  # it does not wait for more than there is
                if port not in (netlab.CLOSED, netlab.DROP):
                    self.assertTrue(lab.saw(SOURCE[0], result["sp"]))
                self.assertGreater(result["sp"], 1023)
                self.assertNotIn("local_error", result)

    def test_a_body_that_stalls_is_still_a_response(self):
        result = get(netlab.HALF, timeout=0.4)
        self.assertEqual((result["spdr_state"], result["http_status"]), (CONN_OK, 200))
        self.assertIn("after the response's header", result["error"])

    def test_interim_responses_are_no_response(self):
        for address in (V4, V6):
            for options in ({}, {"sockopts": FAST_OPEN}, {"response": True}):
                for port, state in ((netlab.INTERIM, CONN_FAILED), (netlab.INTERIM_SILENT, CONN_TIMEOUT)):
                    with self.subTest(address=address, port=port, options=options):
                        result = get(port, address, 0.4 if state == CONN_TIMEOUT else 20, **options)
                        self.assertEqual((result["spdr_state"], result.keys() - {"syn_data_acked"}),
                                         (state, {"spdr_state", "sp", "proto", "error"}), result)

    def test_interim_responses_are_passed_over(self):
        self.assertEqual(get(netlab.BLOCKS)["http_status"], 404)

    def test_a_server_that_ends_http_2_since_it_wants_http_1_1(self):
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            for port in (netlab.REFUSED_RESET, netlab.REFUSED_GOAWAY):
                with self.subTest(address=address, port=port):
                    result = get(port, address, curlopts={pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2_0})
                    self.assertEqual((result["spdr_state"], result.get("http2_error")),
                                     (CONN_FAILED, "HTTP_1_1_REQUIRED"), result)
                    self.assertTrue(lab.saw(own, result["sp"]))
        with self.assertRaises(queue.Empty):  # libcurl would begin again, over HTTP/1.1
            lab.peers.get(timeout=0.2)

    def test_remarks_of_libcurl(self):
        for text in (b"HTTP/2 stream 0 was not closed cleanly: HTTP_1_1_REQUIRED (err 13)\n",
                     b"HTTP/2 stream 1 reset by server (error 0xd HTTP_1_1_REQUIRED)\n",
                     b"recveived GOAWAY, error=13, last_stream=0\n", b"received GOAWAY, error=13, last_stream=1\n"):
            self.assertTrue(http.SAID_HTTP_1_1_REQUIRED.search(text), text)
        for text in (b"received GOAWAY, error=1, last_stream=0", b"received GOAWAY, error=7, last_stream=13",
                     b"HTTP/2 stream 1 reset by server (error 0x7 REFUSED_STREAM)"):
            self.assertFalse(http.SAID_HTTP_1_1_REQUIRED.search(text), text)

    def test_one_deadline_for_connecting_and_exchange(self):
        begin = monotonic()
        self.assertEqual(get(netlab.SILENT, timeout=0.3)["spdr_state"], CONN_TIMEOUT)
        self.assertGreater(monotonic() - begin, 0.29)

    def test_loading_libcurl_takes_none_of_the_time(self):
        """It can take seconds: see ``_pycurl``. Here, 60, on a clock of our own."""
        now, seen = [0.0], []

        def load():
            now[0] = 60.0
            return pycurl

        def opening(_source, _job, deadline, *_more, **_options):
            seen.append(deadline)
            return {"spdr_state": CONN_TIMEOUT, "sp": 0}
            yield

        for connect in (connect_http, connect_https):
            now[0] = 0.0
            with self.subTest(connect.__name__), mock.patch.multiple(
                    http, _pycurl=load, clock=lambda: now[0], opening=opening):
                get(netlab.HTTP, timeout=5.0, connect=connect)
                self.assertEqual(seen.pop(), 65.0)

    def test_tcp_fast_open(self):
        """The second request rides on the SYN; ``sp`` is known although connecting sends nothing."""
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            for port, state in ((netlab.HTTP, CONN_OK), (netlab.HTTP, CONN_OK), (netlab.CLOSED, CONN_FAILED),
                                (netlab.UNREACHABLE, CONN_FAILED), (netlab.SILENT, CONN_TIMEOUT),
                                (netlab.DROP, CONN_TIMEOUT)):
                with self.subTest(address=address, port=port):
                    timeout = 0.4 if state == CONN_TIMEOUT else 3
                    result = get(port, address, timeout, sockopts=FAST_OPEN)
                    self.assertEqual(result["spdr_state"], state, result)
                    self.assertGreater(result["sp"], 1023)
                    if state == CONN_OK:
                        self.assertTrue(lab.saw(own, result["sp"]))
        self.assertEqual(get(80, "198.51.100.1", sockopts=FAST_OPEN)["local_error"], "ENETUNREACH")

    def test_options_and_facts_of_libcurl(self):
        result = get(netlab.HTTP, curlopts={pycurl.USERAGENT: "other", pycurl.HTTPHEADER: ["X-Test: 1"]},
                     curlinfos=[pycurl.INFO_HTTP_VERSION, pycurl.CONTENT_TYPE],
                     sockopts=[(socket.SOL_IP, socket.IP_TOS, 0xB8)])
        self.assertEqual(result["curl_http_version"], pycurl.CURL_HTTP_VERSION_1_1)
        self.assertIsNone(result["curl_content_type"])
        request = lab.requests.get(timeout=100)
        self.assertIn(b"User-Agent: other\r\n", request)
        self.assertIn(b"X-Test: 1\r\n", request)

    def test_response_for_those_who_ask(self):
        server = ("server", "test")
        for port, connect, headers, body in (
            (netlab.HTTP, connect_http, [server, ("content-length", "5")], "hello"),
            (netlab.TLS, connect_https, [server, ("content-length", "5")], "hello"),
            (netlab.HUGE, connect_http, [server, ("content-length", "99000000000")], "\0" * 65536),
            (netlab.ENDLESS, connect_http, [server], "\0" * 65536),
            (netlab.BLOCKS, connect_http, [
                server, ("set-cookie", "a=1"), ("set-cookie", "b=\xe9:2"), ("x-long", "one two"), ("empty", ""),
                ("transfer-encoding", "chunked"), ("connection", "close")], "\0\xffabc"),
        ):
            for options in ({}, {"sockopts": FAST_OPEN}):
                with self.subTest(port=port, options=options):
                    result = get(port, connect=connect, response=True, **options)
                    self.assertEqual((result["http_headers"], result["http_body"]), (headers, body))
                    without = get(port, connect=connect, **options)
                    self.assertEqual(result.keys() - without.keys(), {"http_headers", "http_body"})
        half = get(netlab.HALF, timeout=0.4, response=True)
        self.assertEqual((half["http_headers"], half["http_body"]), ([server, ("content-length", "5")], "he"))
        for port in (netlab.MUTE_END, netlab.CLOSED, netlab.GARBAGE):
            self.assertNotIn("http_body", get(port, response=True), port)

    def test_headers_without_end_are_not_kept(self):
        kept = http._Response()
        kept.take_header(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            kept.take_header(b"X-%d: y\r\n" % number)
        self.assertLessEqual(sum(len(name) + len(value) for name, value in kept.headers), 65_536)
        self.assertGreater(len(kept.headers), 5_000)

    def test_domains_that_cannot_be_asked_for(self):
        for domain in ("a b", "a\r\nX-Evil: 1", "a/b", "user@host", "a#b", "a:99", 7, "x" * 300, ".." * 200):
            with self.subTest(domain=domain):
                result = get(netlab.HTTP, domain=domain)
                self.assertEqual(result, {"spdr_state": CONN_SKIPPED, "sp": 0, "proto": 6, "local_error": "bad_domain"})
        self.assertEqual(connect_http(SOURCE, {"dip": "example.org"}, 1)["local_error"], "bad_dip")
        self.assertEqual(connect_http(SOURCE, {"dip": None}, 1)["local_error"], "bad_dip")
        self.assertEqual(url_host({"dip": V4, "domain": "2001:db8::1"}), "[2001:db8::1]")

    def test_names_as_they_are_sent(self):
        for domain, host in (("straße.de", b"xn--strae-oqa.de"), ("💩.la", b"xn--ls8h.la"),
                             ("EXAMPLE.org.", b"example.org"), ("XN--ls8h.la", b"xn--ls8h.la"),
                             ("xn--a-.example", b"xn--a-.example"),
                             ("-lead.tumblr.example", b"-lead.tumblr.example"), ("trail-.a_b-", b"trail-.a_b-"),
                             ("192.0.2.1", b"192.0.2.1"), ("2001:DB8::1", b"[2001:db8::1]")):
            with self.subTest(domain):
                self.assertEqual(get(netlab.HTTP, domain=domain)["spdr_state"], CONN_OK)
                self.assertIn(b"\r\nHost: " + host + b"\r\n", lab.requests.get(timeout=100))

    def test_connections_are_closed_and_share_nothing(self):
        before = len(os.listdir("/proc/self/fd"))
        ports = [get(netlab.HTTP)["sp"] for _ in range(5)]
        self.assertEqual(len(set(ports)), 5)
        self.assertTrue(all(lab.saw(SOURCE[0], port) for port in ports))
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before + 5)  # the server's side may still be closing

    def test_many_threads(self):
        results = []
        threads = [threading.Thread(target=lambda: results.append(get(netlab.HTTP))) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({result["spdr_state"] for result in results}, {CONN_OK})
        self.assertEqual(len({result["sp"] for result in results}), 50)

    def test_a_lack_of_descriptors_is_our_own_fault(self):
        program = (
            "import resource, os, sys\n"
            "from pathspider.helpers.http import connect_http\n"
            "job = {'dip': sys.argv[1], 'dp': 80}\n"
            "print(connect_http(('10.9.0.1', None), job, 3))\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
            "held = []\n"
            "try:\n"
            "    while True: held.append(os.dup(0))\n"
            "except OSError: pass\n"
            "states = set()\n"
            "while held:\n"
            "    result = connect_http(('10.9.0.1', None), job, 3)\n"
            "    states.add((int(result['spdr_state']), 'local_error' in result))\n"
            "    os.close(held.pop())\n"
            "print(states == {(3, True), (0, False)}, states)\n"
        )
        done = subprocess.run([sys.executable, "-c", program, V4], capture_output=True, text=True, check=True)
        self.assertIn("True", done.stdout.splitlines()[1], done.stdout)


class TestHttps(LabCase):
    def test_a_certificate_that_does_not_hold_is_no_failure(self):
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            result = get(netlab.TLS, address, connect=connect_https)
            self.assertEqual((result["spdr_state"], result.get("http_status")), (CONN_OK, 200), result)
            self.assertTrue(lab.saw(own, result["sp"]))

    def test_a_handshake_that_fails_is_one(self):
        result = get(netlab.HTTP, connect=connect_https)
        self.assertEqual(result["spdr_state"], CONN_FAILED, result)
        self.assertEqual(get(netlab.SILENT, connect=connect_https, timeout=0.4)["spdr_state"], CONN_TIMEOUT)

    def test_the_servers_name_is_the_wires_and_no_address(self):
        """A server that speaks no TLS sees the ClientHello as it is."""
        for domain, name in (("straße.de.", b"xn--strae-oqa.de"), ("-lead.a_b", b"-lead.a_b"), ("192.0.2.1", None),
                             ("2001:db8::1", None), (None, None)):
            with self.subTest(domain):
                get(netlab.HTTP, connect=connect_https, domain=domain)
                hello = lab.requests.get(timeout=100)
                self.assertEqual(hello[:1], b"\x16")
                if name:
                    self.assertIn(b"\0" + bytes([0, 0, len(name)])[1:] + name, hello)
                else:
                    self.assertNotRegex(hello, rb"192\.0\.2|2001:|fd00:")

    def test_no_session_is_resumed(self):
        for _ in range(3):
            get(netlab.TLS, connect=connect_https)
        self.assertEqual(lab.tls.session_stats()["hits"], 0)


H3, H3_MUTE, H3_DRAFT = range(9443, 9446)


@with_http3
class TestH3(LabCase):
    def test_response(self):
        with serving(lab, H3):
            for address in (V4, V6):
                result = get(H3, address, connect=connect_h3, response=True)
                self.assertEqual((result["spdr_state"], result["proto"], result["http_status"], result["http_version"]),
                                 (CONN_OK, socket.IPPROTO_UDP, 200, "3"))
                self.assertEqual(result["http_body"], BODY.decode())
                self.assertGreater(result["sp"], 0)

    def test_socket_options_are_those_of_the_connection(self):
        netlab.sh("nft -f -", "table inet own { chain output { type filter hook output priority 0;"
                              f" udp dport {H3} ip dscp != ef drop\n }}\n }}")
        self.addCleanup(netlab.sh, "nft delete table inet own")
        with serving(lab, H3):
            marked = [(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)]
            self.assertEqual(get(H3, connect=connect_h3, sockopts=marked)["spdr_state"], CONN_OK)
            self.assertEqual(get(H3, connect=connect_h3)["spdr_state"], CONN_SKIPPED)

    def test_failures(self):
        with serving(lab, H3_MUTE, "h3-mute"), serving(lab, H3_DRAFT, "h3-draft"):
            for port, state, error in ((netlab.CLOSED, CONN_FAILED, "ECONNREFUSED"),
                                       (netlab.PROHIBITED, CONN_FAILED, "EACCES|EHOSTUNREACH"),
                                       (netlab.UNREACHABLE, CONN_TIMEOUT, "timed out"),
                                       (netlab.DROP, CONN_TIMEOUT, "timed out"),
                                       (H3_MUTE, CONN_TIMEOUT, "timed out"),
                                       (H3_DRAFT, CONN_FAILED, "curl")):
                for address in (V4, V6):
                    with self.subTest(port=port, address=address):
                        result = get(port, address, timeout=1.0, connect=connect_h3)
                        self.assertEqual(result["spdr_state"], state, result)
                        self.assertRegex(result["error"], error)

    def test_what_our_own_firewall_holds_back(self):
        netlab.sh("nft -f -", "table inet own { chain output { type filter hook output priority 0;"
                              " udp dport 9500 drop\n udp dport 9501 reject\n }\n }")
        self.addCleanup(netlab.sh, "nft delete table inet own")
        for port in (9500, 9501):
            result = get(port, timeout=2.0, connect=connect_h3)
            self.assertEqual((result["spdr_state"], result["local_error"]), (CONN_SKIPPED, "EPERM"))


class TestMissing(unittest.TestCase):
    def test_a_libcurl_without_http3(self):
        with mock.patch("pycurl.version_info", return_value=(0, "7.88.1", 0, "", 0)), \
                self.assertRaisesRegex(MissingError, "--connect h3 needs .*HTTP/3.*7.88.1.*pip install"):
            get(H3, connect=connect_h3)
