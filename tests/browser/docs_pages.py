"""The documentation fits a phone (``make docs``) and can be leafed through on paper (``make docs-pdf``)."""

import re
import subprocess
import unittest

from tests.browser.chromium import Chromium
from tests.packaging.files import ROOT

PAGES = ROOT / "docs" / "_build" / "html"
PDF = ROOT / "docs" / "_build" / "pathspider.pdf"


SCROLLING = """
return Array.from(document.querySelectorAll("article[role=main] *")).filter(one => one.scrollWidth > one.clientWidth + 1
    && !["visible", "hidden"].includes(getComputedStyle(one).overflowX))
  .map(one => ({html: one.outerHTML.slice(0, 80), shadow: getComputedStyle(one).backgroundImage.includes("gradient"),
                said: getComputedStyle(one, "::before").content.includes("wider")}));
"""
"""What scrolls sideways, and whether it is shown that it does: by a shadow at the side, or in words."""
DRAWINGS = """return Array.from(document.querySelectorAll("img[src$='.svg']"), one => one.width)"""


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

    def test_what_scrolls_sideways_says_so(self):
        count, drawings = 0, []
        with Chromium() as chromium:
            chromium.view(390)
            for page in sorted(PAGES.rglob("*.html")):
                chromium.open(page)
                for one in chromium.js(SCROLLING):
                    count += 1
                    self.assertTrue(one["shadow"] or one["said"], f"{page.relative_to(PAGES)}: {one['html']}")
                drawings += (widths := chromium.js(DRAWINGS))
                self.assertTrue(all(width >= 600 for width in widths), page)  # text of some 12 pixels
        self.assertGreater(count, 50)
        self.assertEqual(len(drawings), 4)


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


class TestPrinted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sheets = said("pdftotext", "-layout", PDF, "-").removesuffix("\f").split("\f")
        cls.contents = re.findall(r"^ *(\S.*?) {2,}([0-9]+)$", cls.sheets[0], re.MULTILINE)

    def test_every_sheet_but_the_first_has_its_number_and_is_not_empty(self):
        for number, sheet in enumerate(self.sheets[1:], 2):
            *text, last = sheet.strip().splitlines()
            self.assertEqual(last.strip(), str(number))
            self.assertTrue("".join(text).strip(), f"sheet {number} is empty")

    def test_the_list_of_contents_is_right(self):
        self.assertGreater(len(self.contents), 45)
        for title, number in self.contents:
            lines = [line.strip() for line in self.sheets[int(number) - 1].splitlines()]
            self.assertTrue(any(line and title.startswith(line) for line in lines), f"{title} on {number}")

    def test_bookmarks(self):
        outline = said("pdftohtml", "-xml", "-i", "-stdout", PDF).partition("<outline>")[2]
        marks = {(number, "".join(text.split()))  # a line's end in a heading leaves no space
                 for number, text in re.findall(r'<item page="([0-9]+)">([^<]*)</item>', outline)}
        for title, number in self.contents:
            self.assertIn((number, "".join(title.split())), marks)
        self.assertGreater(len(marks), 250)

    def test_no_line_ends_within_an_option(self):
        """A command has to be as good to copy from paper as from the screen."""
        for number, sheet in enumerate(self.sheets, 1):
            self.assertEqual(re.findall(r"(?m)(?:^|[ (])(?:--|--?(?:[a-z]+-)+)$", sheet), [], f"on sheet {number}")
