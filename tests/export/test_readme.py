"""What an archive says of itself: what is known is filled in, what is not is asked for."""

import unittest
from collections import Counter

from pathspider.export.readme import OPEN, Contents, readme

RUN = {"run": "019aae6c", "pathspider": "3.1", "plugin": {"name": "ecn", "version": "3.1"}, "connect": "http",
       "vantage": {"name": "Zürich", "host": "secret-host", "ipv4": "192.0.2.1"}, "begin": "2026-11-22 10:00:00.000000",
       "end": None, "argv": ["pspdr", "--secret"]}
CONTENTS = Contents("a.ndjson", 3, "2026-11-22 10:00:00.000000", "2026-11-22 11:00:00.000000",
                    Counter({"ecn.connectivity.works": 3}), [RUN])


class TestReadme(unittest.TestCase):
    def test_what_is_known(self):
        text = readme("study", [CONTENTS], title="A study", licence="CC BY 4.0", creators="A. Nobody", evidence=2)
        for told in ("# A study", "| `a.ndjson` | 3 | 2026-11-22 10:00:00 |",
                     "plugin `ecn` 3.1, mode `http` from Zürich",
                     "10:00:00 to an end not told", "## Licence\n\nCC BY 4.0\n", "A. Nobody: A study. 2026.",
                     "packets of 2 targets", "| `a.ndjson` | `ecn.connectivity.works` | 3 |", "PATHspider 3.1:"):
            self.assertIn(told, text)
        self.assertEqual(text.count(OPEN), 2)  # ethics, publisher

    def test_what_is_not(self):
        text = readme("study", [Contents("a.ndjson", 1)])
        self.assertEqual(text.count(OPEN), 7)
        self.assertIn("# study\n", text)
        self.assertNotIn("evidence", text.partition("## How")[0])

    def test_a_machine_s_name_and_addresses_are_not_told(self):
        text = readme("study", [CONTENTS])
        for secret in ("secret", "192.0.2.1"):
            self.assertNotIn(secret, text)

    def test_texts_of_strangers_do_nothing(self):
        text = readme("s", [Contents("a`|\n# x", 1, conditions=Counter({"x|`<script>\x1b": 1}),
                                     runs=[{"run": "|", "plugin": 7, "vantage": []}])])
        self.assertNotIn("<script>", text)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\n# x", text)
