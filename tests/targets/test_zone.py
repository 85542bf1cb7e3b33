"""Names out of zone files."""

import contextlib
import unittest

from pathspider.targets.reading import LineError
from pathspider.targets.zone import ZoneParser, looks_like_zone

CZDS = """example.\t3600\tin\tsoa\tns1.example. hostmaster.example. 1 2 3 4 5
example.\t3600\tin\tns\tns1.example.
a.example.\t3600\tin\tns\tns1.a.example.
a.example.\t3600\tin\tns\tns2.a.example.
a.example.\t3600\tin\tds\t1 8 2 00
ns1.a.example.\t3600\tin\ta\t192.0.2.1
_under.example.\t3600\tin\tns\tns1.a.example.
xn--nxasmq6b.example.\t3600\tin\tns\tns1.a.example.
*.wild.example.\t3600\tin\tns\tns1.a.example.
b.example.\t3600\tin\ttxt\t"a ; b ( c"
b.example.\t3600\tin\trrsig\tns 8 2 3600 1 2 3 example. AAAA
"""

VERISIGN = """; The use of this data is restricted
$ORIGIN COM.
$TTL 900
@ IN SOA a.gtld-servers.net. nstld.verisign-grs.com. (
    1 ; serial
    1800 900 604800 86400 )
  NS A.GTLD-SERVERS.NET.
KITTY NS NS1.KITTY
 1h IN NS NS2.KITTY
NS NS NS1.KITTY
10 IN 172800 NS NS1.KITTY
WWW A 192.0.2.1
"""


def names(text, **options):
    zone = ZoneParser(**options)
    return [job["domain"] for line in text.splitlines() if line.strip() and (job := zone(line)) is not None]


class TestZone(unittest.TestCase):
    def test_czds(self):
        found = ["a.example", "_under.example", "xn--nxasmq6b.example", "wild.example"]
        self.assertEqual(names(CZDS), found)
        self.assertEqual(names(CZDS, in_order=False), found)

    def test_relative_names(self):
        self.assertEqual(names(VERISIGN), ["kitty.com", "ns.com", "10.com"])

    def test_what_is_none(self):
        for line in ("a.example.", "a.example. 1 in", "a.example. 3600 in ns", "a NS b.example.", "$INCLUDE x",
                     "a\\046b.example. 1 in ns b.example.",
                     "<html>. .", "a.example. 1 in ns b.example. c.example."):
            with self.subTest(line), self.assertRaises(LineError):
                ZoneParser()(line)

    def test_what_stands_behind_a_bad_line_is_given_to_no_other_name(self):
        for text, found in (("a.example. A 192.0.2.1\nb A 192.0.2.1\n NS ns.example.\nc.example. NS ns.example.",
                             ["c.example"]),
                            ("$ORIGIN com.\na NS ns.example.\n$ORIGIN net. org.\nb NS ns.example.\n"
                             "$ORIGIN org.\nc NS ns.example.", ["a.com", "c.org"])):
            zone, names = ZoneParser(), []
            for line in text.splitlines():
                with contextlib.suppress(LineError):
                    names.append(zone(line))
            with self.subTest(text):
                self.assertEqual([job["domain"] for job in names if job], found)

    def test_lines_that_depend_on_others_are_not_shuffled(self):
        for line in (" NS a.example.", "$ORIGIN example.", "example. SOA a. b. ("):
            with self.subTest(line), self.assertRaisesRegex(LineError, "cannot be shuffled"):
                ZoneParser(in_order=False)(line)

    def test_preamble(self):
        zone = ZoneParser()
        lines = VERISIGN.splitlines()
        self.assertEqual([zone.is_preamble(line) for line in lines[:7]], [True] * 6 + [False])
        self.assertEqual([zone(line) for line in lines[6:8]], [None, {"domain": "kitty.com"}])

    def test_how_it_looks(self):
        for line in (CZDS.splitlines()[0], "$ORIGIN example.", "$ttl 5"):
            self.assertTrue(looks_like_zone(line), line)
        for line in ("example.org", "example. in ns a.", "1,example.org", "{}"):
            self.assertFalse(looks_like_zone(line), line)
