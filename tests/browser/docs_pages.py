"""The documentation, as ``make docs`` builds it, fits a phone."""

import unittest

from tests.browser.chromium import Chromium
from tests.packaging.files import ROOT

PAGES = ROOT / "docs" / "_build" / "html"


class TestDocumentation(unittest.TestCase):
    def test_no_page_is_wider_than_a_phone(self):
        pages = sorted(PAGES.rglob("*.html"))
        self.assertIn(PAGES / "index.html", pages, "make docs builds it")
        wide = []
        with Chromium() as chromium:
            for width in (360, 390):
                chromium.view(width)
                for page in pages:
                    chromium.open(page)
                    if found := chromium.overflow():
                        wide.append(f"{page.relative_to(PAGES)}: {found}")
                    if page.name in ("index.html", "report.html"):
                        chromium.picture(f"docs-{page.stem}-{width}")
        self.assertEqual(wide, [])
