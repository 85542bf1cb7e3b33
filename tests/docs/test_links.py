"""Every link of the documentation to itself leads somewhere: pages, sections, drawings, downloads."""

import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.packaging.files import ROOT

DOCS = ROOT / "docs"


class Page(HTMLParser):
    """The names and the links of one page."""

    def __init__(self, text):
        super().__init__()
        self.names, self.links = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.names.add(value)
            elif name in ("href", "src", "data"):
                self.links.add(value)


@unittest.skipUnless(DOCS.is_dir() and find_spec("sphinx"), "needs the checkout and Sphinx")
class TestLinks(unittest.TestCase):
    def test_links_within(self):
        with tempfile.TemporaryDirectory() as folder:
            sphinx = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "-d", f"{folder}/trees"]
            build = subprocess.run([*sphinx, DOCS, f"{folder}/html"], capture_output=True, text=True, check=False)
            self.assertEqual(build.returncode, 0, build.stderr)
            top = Path(folder, "html")
            pages = {path: Page(path.read_text(encoding="utf-8")) for path in top.rglob("*.html")}
            self.assertGreater(len(pages), 30)
            count = 0
            for path, page in pages.items():
                for link in page.links:
                    address = urlsplit(link)
                    if address.scheme or address.netloc:
                        continue
                    count += 1
                    target = (path.parent / unquote(address.path)).resolve() if address.path else path
                    where = f"{path.relative_to(top)}: {link}"
                    self.assertTrue(target.exists(), where)
                    if address.fragment and target in pages:
                        self.assertIn(unquote(address.fragment), pages[target].names, where)
            self.assertGreater(count, 1000)
