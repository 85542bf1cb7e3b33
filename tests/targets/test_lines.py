"""What a line of a target list says."""

import unittest

from pathspider.targets.lines import (
    delimiter_of,
    header_columns,
    is_zgrab2,
    parse_endpoint,
    parse_url,
    scanned,
    without_wildcard,
)
from pathspider.targets.reading import LineError


class TestLines(unittest.TestCase):
    def test_urls(self):
        for url, host in {
            "http://example.org": {"domain": "example.org"}, "HTTPS://a@Example.ORG:/x": {"domain": "Example.ORG"},
            "http://[2001:db8::1]/": {"dip": "2001:db8::1"}, "http://192.0.2.1:81?q": {"dip": "192.0.2.1", "dp": 81},
            "http://example.org#a/b@c": {"domain": "example.org"}, "https://*.example.org/": {"domain": "example.org"},
        }.items():
            with self.subTest(url):
                self.assertEqual(parse_url(url), {**host, "url": url})
        for url in ("http://", "http:example.org", "http://a b.example/", "http://localhost:x/", "http://[x]/", ""):
            with self.subTest(url), self.assertRaises(LineError):
                parse_url(url)

    def test_wildcards(self):
        self.assertEqual([without_wildcard(name) for name in ("*.a.example", "*.*.a.example", "a.*.example", "*")],
                         ["a.example", "a.example", "a.*.example", "*"])
        with self.assertRaisesRegex(LineError, "'a.\\*.example' is not a target"):
            parse_endpoint("a.*.example")

    def test_header_rows(self):
        self.assertEqual(header_columns("url,GlobalRank,categories"), {0: "url", 1: "rank", 2: "category"})
        self.assertEqual(header_columns("domain,name"), {0: "domain", 1: "name"})
        self.assertEqual(header_columns("a b\thost"), {0: "a b", 1: "domain"})
        for line in ("rank,place", "1,domain", '"a', "example.org"):
            self.assertIsNone(header_columns(line), line)
        self.assertEqual(header_columns("1,x y!", {"x y!": "domain"}), {0: "1", 1: "domain"})
        self.assertEqual([delimiter_of(line) for line in ("a,b;c", "a;b", "a", "a|b")], [",", ";", ",", "|"])

    def test_scanners(self):
        self.assertEqual(scanned({"saddr": "192.0.2.1", "dport": 4, "sport": 80, "x": ""}),
                         {"dip": "192.0.2.1", "dport": 4, "dp": 80})
        self.assertEqual(scanned({"ip": "192.0.2.1", "port": 80, "data": {}}),
                         {"dip": "192.0.2.1", "dp": 80, "data": {}})
        for value in ({"dip": "192.0.2.1"}, {}, {"data": {"http": {"status": "success", "protocol": "http"}}}):
            self.assertIsNone(scanned(value))
        self.assertFalse(is_zgrab2({"data": [1]}) or is_zgrab2({"data": {"a": {"status": 1}}}) or is_zgrab2({}))
