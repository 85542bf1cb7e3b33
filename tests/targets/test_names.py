"""Names as they go on the wire."""

import subprocess
import sys
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.names import BadNameError, both_spellings, canonical_domain, to_wire

GOOD = {
    "example.org": "example.org",
    "EXAMPLE.Org": "example.org",
    "example.org.": "example.org",
    "straße.de": "xn--strae-oqa.de",
    "Straße.DE.": "xn--strae-oqa.de",
    "stra\u00adße。de": "xn--strae-oqa.de",  # a soft hyphen, an ideographic full stop
    "κλαρα-σωλις.ευ": "xn----ylba7abgd9bnh0e.xn--qxa6a",
    "ΚΛΑΡΑ.ευ": "xn--mxaaze5a.xn--qxa6a",
    "\uff21\uff22.example": "ab.example",
    "u\u0308.example": "xn--tda.example",  # composed
    "☕.us": "xn--53h.us",
    "💩.la": "xn--ls8h.la",
    "I\u2764\ufe0f.ws": "xn--i-7iq.ws",  # a variation selector
    "xn--ls8h.la": "xn--ls8h.la",
    "XN--strae-OQA.de": "xn--strae-oqa.de",
    "xn--not-punycode-.example": "xn--not-punycode-.example",
    "_dmarc.straße.de": "_dmarc.xn--strae-oqa.de",
    "-lead.tumblr.example": "-lead.tumblr.example",
    "trail-.example": "trail-.example",
    "-ü.example": "xn----eha.example",
    "r3---sn-x.example": "r3---sn-x.example",
    "a_b.example": "a_b.example",
    "*.example": "*.example",
    "0/25.2.0.192.in-addr.arpa": "0/25.2.0.192.in-addr.arpa",
    "localhost": "localhost",
    ".": ".",
    "x" * 63 + ".example": "x" * 63 + ".example",
    "x." * 127: ("x." * 127)[:-1],
    "192.0.2.1": "192.0.2.1",
    "2001:DB8::1": "2001:db8::1",
}

BAD = ("", "a..b", ".a", "..", "x" * 64 + ".example", "x." * 127 + "x", "x." * 5000, "ü" * 60, "ü." * 5000, "a b",
       " example.org", "a\tb", "a\x00b", "a\x7fb", "a\nb", "ü b", "ü\x00", "\u2100.example", "1\u2488example",
       "\u0301a.example", "xn--ü.example", "👩\u200d💻.example", "\u05d01a.example", "\ud800.example", "\ufffd.example",
       "。.example", 7, b"example.org", None)


class TestToWire(unittest.TestCase):
    def test_good_ones(self):
        for domain, wire in GOOD.items():
            with self.subTest(domain):
                self.assertEqual(to_wire(domain), wire)
                self.assertEqual(to_wire(wire), wire)

    def test_a_url_is_none(self):
        for domain in ("https://www.example.org", "http://é.example"):
            with self.assertRaises(BadNameError):
                to_wire(domain)

    def test_bad_ones(self):
        for domain in BAD:
            with self.subTest(ascii(domain)), self.assertRaises(BadNameError) as error:
                to_wire(domain)
            self.assertLess(len(str(error.exception)), 1000)

    @given(st.text(max_size=30) | st.text("aß.-_xn💩\u200d\u05d0\u0660。A", max_size=70))
    def test_whatever_comes_out_can_be_sent(self, text):
        try:
            wire = to_wire(text)
        except BadNameError:
            return
        self.assertRegex(wire, r"\A[!-~]+\Z")
        self.assertEqual(to_wire(wire), wire)
        self.assertLessEqual(len(wire), 253)
        self.assertTrue(wire == "." or all(0 < len(label) < 64 for label in wire.split(".")))

    def test_ascii_needs_no_tables(self):
        code = "import sys; from pathspider.targets.names import to_wire; to_wire('example.org'); " \
               "print('idna' in sys.modules); to_wire('\u00fc.example'); print('idna' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
        self.assertEqual(done.stdout.split(), [b"False", b"True"])


class TestSpellings(unittest.TestCase):
    def test_canonical(self):
        for value, canonical in (("EXAMPLE.org.", "example.org"), ("a b", "a b"), ("", None), (None, None), (7, 7),
                                 ([1], [1])):
            self.assertEqual(canonical_domain(value), canonical)

    def test_both_where_they_differ(self):
        for domain, ascii_form in (("straße.de", "xn--strae-oqa.de"), ("EXAMPLE.ORG", "example.org"),
                                   ("example.org.", "example.org")):
            self.assertEqual(both_spellings({"domain": domain}), {"domain_ascii": ascii_form})
        for domain in ("example.org", "xn--strae-oqa.de", "", None, "a b", 7, [1], "."):
            self.assertEqual(both_spellings({"domain": domain}), {})
        self.assertEqual(both_spellings({}), {})
