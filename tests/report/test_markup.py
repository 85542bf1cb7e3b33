"""Pieces of the page."""

import unittest

from pathspider.report.markup import heading_of, many, number, share, table, text_of


class TestMarkup(unittest.TestCase):
    def test_strangers_text(self):
        self.assertEqual(text_of("<b>&\"'\x1b\u202e\ud800"), "&lt;b&gt;&amp;&quot;&#x27;\\x1b\\u202e\\ud800")
        self.assertEqual(heading_of(""), "(no name)")

    def test_table(self):
        text = "".join(table("<x>", ["<a>", "Count", "Share", "Words"],
                             [["<b>", number(1234), share(0.25), many("<c> d")]]))
        self.assertIn('aria-label="&lt;x&gt;"', text)
        self.assertIn("<caption>&lt;x&gt;</caption>", text)
        self.assertIn('<tr><th scope="col">&lt;a&gt;</th><th scope="col" class="number">Count</th>'
                      '<th scope="col" class="number">Share</th><th scope="col" class="many">Words</th></tr>', text)
        self.assertIn('<tr><th scope="row">&lt;b&gt;</th>'
                      '<td class="number" data-value="1234" data-head="Count">1,234</td>'
                      '<td class="number" data-value="0.25" data-head="Share">25.00 %</td>'
                      '<td class="many" data-head="Words">&lt;c&gt; d</td></tr>', text)

    def test_table_of_nothing(self):
        self.assertIn('<th scope="col">a</th></tr></thead>\n<tbody>\n</tbody>', "".join(table("none", ["a"], [])))
