"""The pages that Sphinx makes: links lead somewhere, tables have no empty cells."""

import unittest
from html.parser import HTMLParser
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from tests.docs.built import DOCS, built


class Page(HTMLParser):
    """The names and the links of one page, and the rows of its tables as lists of texts."""

    def __init__(self, text):
        super().__init__()
        self.names, self.links, self.rows = set(), set(), []
        self.ours = self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.names.add(value)
            elif name in ("href", "src", "data"):
                self.links.add(value)
        if tag == "table":  # not those of the indices that Sphinx lays out in tables
            self.ours = "docutils" in dict(attributes).get("class", "").split()
        elif tag == "tr" and self.ours:
            self.rows.append([])
        elif tag in ("td", "th") and self.ours:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, text):
        if self.in_cell:
            self.rows[-1][-1] += text.strip()


@unittest.skipUnless(DOCS.is_dir() and find_spec("sphinx"), "needs the checkout and Sphinx")
class TestPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = built("html")
        cls.pages = {path: Page(path.read_text(encoding="utf-8")) for path in cls.top.rglob("*.html")}

    def test_there_are_pages(self):
        self.assertGreater(len(self.pages), 30)

    def test_links_within(self):
        count = 0
        for path, page in self.pages.items():
            for link in page.links:
                address = urlsplit(link)
                if address.scheme or address.netloc:
                    continue
                count += 1
                target = (path.parent / unquote(address.path)).resolve() if address.path else path
                where = f"{path.relative_to(self.top)}: {link}"
                self.assertTrue(target.exists(), where)
                if address.fragment and target in self.pages:
                    self.assertIn(unquote(address.fragment), self.pages[target].names, where)
        self.assertGreater(count, 1000)

    def test_no_cell_of_a_table_is_empty(self):
        """In a simple table of RST a second line in the first column begins a row, whose other cells are then empty."""
        rows = [(str(path.relative_to(self.top)), row) for path, page in self.pages.items() for row in page.rows]
        self.assertGreater(len(rows), 300)
        self.assertEqual([(page, row) for page, row in rows if not all(row)], [])
