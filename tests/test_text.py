"""What strangers write is harmless to look at, and can still be read."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.text import did_you_mean, harmless, printable


class TestPrintable(unittest.TestCase):
    def test_what_is_seen_stays(self):
        for text in ("", "www.example.org", "größe 1 \u4e2d\u6587", r"back\slash"):
            self.assertEqual(printable(text), text)

    def test_only_what_is_not_seen_is_escaped(self):
        self.assertEqual(printable("\x1b[31m"), r"\x1b[31m")
        self.assertEqual(printable("a\x1b[31mé\u202e\r\n\x7f\x9b"), r"a\x1b[31mé\u202e\r\n\x7f\x9b")
        self.assertEqual(printable("\ud800\U000e0001"), r"\ud800\U000e0001")

    @given(st.text(st.characters()))
    def test_any_text(self, text):
        shown = printable(text)
        self.assertTrue(shown.isprintable())
        self.assertEqual(printable(shown), shown)

    def test_formulas(self):
        self.assertEqual([harmless(one) for one in ("=1", "+1", "-1", "@x", "\t=1", "a=1", "")],
                         ["'=1", "'+1", "'-1", "'@x", r"\t=1", "a=1", ""])


class TestDidYouMean(unittest.TestCase):
    def test_the_word_that_resembles_most(self):
        self.assertEqual(did_you_mean("enc", ["dscp", "ecn", "tfo"]), "; did you mean ecn?")
        self.assertEqual(did_you_mean("--conect", ["--codepoint", "--connect", "-c"]), "; did you mean --connect?")

    def test_dashes_are_no_resemblance(self):
        self.assertEqual(did_you_mean("--xy", ["--ab", "-x"]), "")


if __name__ == "__main__":
    unittest.main()
