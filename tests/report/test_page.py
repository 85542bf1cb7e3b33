"""The page holds all that it needs, and nothing that a stranger put into a record runs or leads elsewhere."""

import base64
import hashlib
import re
import unittest
from html.parser import HTMLParser

from pathspider.report.page import as_html
from tests.report.records import BROKEN, WORKS, record, report_of

EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
VOID = {"meta", "br", "hr", "img", "input", "col"}


class Page(HTMLParser):
    """What a browser would make of it, as far as these tests ask."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.inside, self.tags = [], [], [], {"style": "", "script": ""}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append((tag, named))
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named["href"]] if "href" in named else []
        if tag not in VOID and "/" not in (self.get_starttag_text() or "")[-2:]:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]] += data


def page_of(title="title", **files):
    with report_of(**files) as report:
        report.title = title
        return "".join(as_html(report))


class TestPage(unittest.TestCase):
    def setUp(self):
        self.text = page_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", BROKEN)])
        self.page = Page(self.text)

    def test_nothing_is_fetched(self):
        self.assertEqual([named for _, named in self.page.tags if named.get("src")], [])
        self.assertEqual([tag for tag, _ in self.page.tags if tag in ("link", "iframe", "object", "base")], [])
        self.assertNotIn("url(", self.page.inside["style"])

    def test_only_its_own_style_and_script_are_allowed(self):
        (policy,) = (named["content"] for tag, named in self.page.tags if tag == "meta" and "http-equiv" in named)
        self.assertIn("default-src 'none'", policy)
        for what in ("style", "script"):
            digest = base64.b64encode(hashlib.sha256(self.page.inside[what].encode()).digest()).decode()
            self.assertIn(f"{what}-src 'sha256-{digest}'", policy)
        self.assertEqual([named for _, named in self.page.tags if "style" in named], [])

    def test_each_link_of_the_contents_has_its_section(self):
        inner = [link[1:] for link in self.page.links if link.startswith("#")]
        self.assertGreater(len(inner), 4)
        self.assertEqual([name for name in inner if name not in self.page.ids], [])
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)))

    def test_what_a_stranger_wrote_is_text(self):
        text = page_of(EVIL, a=[{**record("192.0.2.1", WORKS), "domain": EVIL}],
                       b=[{**record("192.0.2.1", BROKEN), "domain": EVIL}])
        self.assertNotIn("<script>alert", text)
        self.assertNotIn("<img", text)
        self.assertEqual(len(re.findall("<script", text)), 1)
        self.assertIn("&lt;/title&gt;", text)

    def test_of_no_records(self):
        self.assertIn("</html>", page_of(a=[]))


if __name__ == "__main__":
    unittest.main()
