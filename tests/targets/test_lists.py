"""Lines of target lists, in the forms in which people have them."""

import io
import unittest

from pathspider.targets.lists import TargetReader, parse_csv, parse_target
from pathspider.targets.reading import LineError


class TestTarget(unittest.TestCase):
    def test_what_a_line_can_be(self):
        for line, job in {
            "192.0.2.1": {"dip": "192.0.2.1"},
            "192.0.2.1 # a comment": {"dip": "192.0.2.1"},
            "2001:db8::1": {"dip": "2001:db8::1"},
            "192.0.2.1:8080": {"dip": "192.0.2.1", "dp": 8080},
            "[2001:db8::1]:443": {"dip": "2001:db8::1", "dp": 443},
            "[2001:db8::1]": {"dip": "2001:db8::1"},
            "192.0.2.1,443": {"dip": "192.0.2.1", "dp": 443},
            '"2001:db8::1", 443': {"dip": "2001:db8::1", "dp": 443},
            "www.example.org": {"domain": "www.example.org"},
            "straße.example.": {"domain": "straße.example."},
            "www.example.org:8443": {"domain": "www.example.org", "dp": 8443},
            "7,example.org": {"rank": "7", "domain": "example.org"},
            "7,example.org # a comment": {"rank": "7", "domain": "example.org"},
            "192.0.2.1,80,example.org": {"dip": "192.0.2.1", "dp": 80, "domain": "example.org"},
            "192.0.2.1,80,example.org,7": {"dip": "192.0.2.1", "dp": 80, "domain": "example.org", "rank": "7"},
            '{"dip": "192.0.2.1"}': {"dip": "192.0.2.1"},
            "# nothing": None,
            "*.example.org": {"domain": "example.org"},
            "*.*.example.org.": {"domain": "example.org."},
            "https://www.example.org:8443/a,b?c=1#d": {"domain": "www.example.org", "dp": 8443,
                                                       "url": "https://www.example.org:8443/a,b?c=1#d"},
            '{"saddr": "192.0.2.1", "sport": 443, "ttl": 60}': {"dip": "192.0.2.1", "dp": 443, "ttl": 60},
            '{"ip": "192.0.2.1", "data": {"tls": {"status": "success", "protocol": "tls"}}}': {"dip": "192.0.2.1"},
            '{"ip": "192.0.2.1", "data": {}}': {"ip": "192.0.2.1", "data": {}},
        }.items():
            with self.subTest(line):
                self.assertEqual(parse_target(line), job)

    def test_what_is_none(self):
        for line, says in {
            "oops": "not a target", "two words.": "not a target", "https:///x": "no URL",
            "192.0.2.0/24": "a network of 256 addresses", "192.0.2.1:http": "port 'http' is not a number",
            "[192.0.2.1]:80": "no IPv6 address", "192.0.2.999": "not a target", "a,b,c,d,e": "5 columns",
            "example.org,443": "2 columns", '"': "not CSV", "null": "not a target", "[1, 2]": "2 columns",
            '{"dip"': "not JSON", "192.0.2.1,99999999999": "is not a number",
        }.items():
            with self.subTest(line), self.assertRaisesRegex(LineError, says):
                parse_target(line)


class TestCSV(unittest.TestCase):
    def test_columns(self):
        self.assertEqual(parse_csv("1,example.com"), {"rank": "1", "domain": "example.com"})
        self.assertEqual(parse_csv("2,*.example.com"), {"rank": "2", "domain": "example.com"})
        self.assertEqual(parse_csv("192.0.2.1,80,example.com"), {"dip": "192.0.2.1", "dp": 80, "domain": "example.com"})
        self.assertEqual(
            parse_csv("2001:db8::1, 80,example.com,7"),
            {"dip": "2001:db8::1", "dp": 80, "domain": "example.com", "rank": "7"},
        )

    def test_what_is_not(self):
        for line in ("192.0.2.1", "a,b,c,d,e", "dip,dp,domain", '"a,b'):
            with self.subTest(line=line), self.assertRaises(LineError):
                parse_csv(line)


class TestReader(unittest.TestCase):
    def read(self, text, **options):
        self.reader = TargetReader(io.BytesIO(text.encode()), "targets", **options)
        return list(self.reader)

    def test_headers(self):
        for text, jobs in (
            ("saddr\n192.0.2.1\n", [{"dip": "192.0.2.1"}]),
            ("# ZMap\n\nsaddr,daddr,sport,dport,ttl\n192.0.2.1,198.51.100.7,443,40000,\n",
             [{"dip": "192.0.2.1", "daddr": "198.51.100.7", "dp": 443, "dport": "40000"}]),
            ("IP,Port,Country\n192.0.2.1,80,NZ\n# x\n", [{"dip": "192.0.2.1", "dp": 80, "Country": "NZ"}]),
            ('rank,domain\n1,"example.org"\n', [{"rank": "1", "domain": "example.org"}]),
            ("domain\nexample.org\n", [{"domain": "example.org"}]),
        ):
            for seed in (None, 3):
                with self.subTest(text, seed=seed):
                    self.assertEqual(self.read(text, seed=seed), jobs)

    def test_origins_of_crux(self):
        for origin, job in (("https://www.example.org", {"domain": "www.example.org"}),
                            ("http://example.org:8080/", {"domain": "example.org", "dp": 8080}),
                            ("https://192.0.2.1", {"dip": "192.0.2.1"}),
                            ("https://[2001:db8::1]:444", {"dip": "2001:db8::1", "dp": 444}),
                            ("example.org", {"domain": "example.org"})):
            with self.subTest(origin):
                self.assertEqual(self.read(f"origin,rank\n{origin},1000\n"), [{**job, "rank": "1000"}])
        for origin in ("https://a.example/x", "https://user@a.example", "ftp://a.example", "https://",
                       "https://a.example:x"):
            with self.subTest(origin), self.assertLogs("pathspider", "ERROR"):
                self.assertEqual(self.read(f"origin\n{origin}\n"), [])

    def test_rows_that_do_not_fit(self):
        with self.assertLogs("pathspider", "ERROR") as logs:
            self.assertEqual(self.read("ip,port\n192.0.2.1\n192.0.2.1,http\n192.0.2.1,80\n"),
                             [{"dip": "192.0.2.1", "dp": 80}])
        self.assertIn("line 2: 1 columns, where the header row has 2", logs.output[0])
        self.assertIn("line 3: port 'http'", logs.output[1])

    def test_no_header(self):
        with self.assertLogs("pathspider", "ERROR"):
            self.assertEqual(self.read("foo,bar\n1,example.org\n"), [{"rank": "1", "domain": "example.org"}])
        self.assertEqual(self.reader.skipped, 1)

    def test_json_where_csv_was_promised(self):
        with self.assertLogs("pathspider", "ERROR") as logs:
            self.assertEqual(self.read('{"dip": "192.0.2.1", "dp": 80}\n' * 9, csv_input=True), [])
        self.assertEqual([record.getMessage() for record in logs.records],
                         ["targets: this looks like JSON: leave --csv-input out"])
        self.assertFalse(self.reader.all_were_jobs)
