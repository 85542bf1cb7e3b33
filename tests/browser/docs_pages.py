"""The documentation fits a phone (``make docs``) and can be leafed through on paper (``make docs-pdf``)."""

import re
import subprocess
import unittest
from pathlib import Path

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from tests.browser.chromium import Chromium
from tests.packaging.files import ROOT

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
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
        self.assertEqual(len(drawings), 5)


class TestInviting(unittest.TestCase):
    """The front page and an experiment's page, by day and by night, on a phone, a tablet and a desk."""

    INVITING = ("index.html", "plugins/ecn.html")

    def test_they_fit_and_can_be_read(self):
        with Chromium() as chromium:
            for width in (360, 768, 1280):
                for dark in (False, True):
                    chromium.view(width, dark)
                    for name in self.INVITING:
                        with self.subTest(name=name, width=width, dark=dark):
                            chromium.open(PAGES / name)
                            chromium.picture(f"docs-{Path(name).stem}-{width}-{'dark' if dark else 'light'}")
                            self.assertEqual(chromium.overflow(), "")
                            self.assertEqual(chromium.js(CONTRAST, 4.5, 3)["low"], [])
                            self.assertEqual(chromium.problems(), [])

    def test_drawings_are_dark_where_the_page_is(self):
        look = "return getComputedStyle(document.querySelector('div.drawing img')).filter"
        with Chromium() as chromium:
            for dark in (False, True):
                chromium.view(1280, dark)
                chromium.open(PAGES / "index.html")
                self.assertEqual(chromium.js(look) != "none", dark)

    def test_the_doors_are_seen_at_once_and_lead_somewhere(self):
        with Chromium() as chromium:
            chromium.view(1280)
            chromium.open(PAGES / "index.html")
            doors = chromium.js("""return Array.from(document.querySelectorAll("div.door"), one =>
                [one.querySelector("strong").textContent, one.getBoundingClientRect().bottom < innerHeight,
                 one.querySelector("a").getAttribute("href")])""")
            self.assertEqual([one[:2] for one in doors],
                             [["Try it", True], ["Measure", True], ["Write a plugin", True]])
            for _, _, link in doors:
                self.assertTrue((PAGES / link).is_file(), link)

    def test_a_keyboard_reaches_search_and_doors(self):
        with Chromium() as chromium:
            chromium.view(1280)
            chromium.open(PAGES / "index.html")
            reached = []
            for _ in range(80):
                ActionChains(chromium.driver).send_keys(Keys.TAB).perform()
                reached.append(chromium.js("""const one = document.activeElement;
                    return [one.name || one.getAttribute("href"), getComputedStyle(one).outlineStyle]"""))
            self.assertIn("q", [name for name, _ in reached])
            self.assertIn("study.html", [name for name, _ in reached[-40:]])
            self.assertNotIn("none", [style for name, style in reached if name == "study.html"])

    def test_what_is_copied_of_a_console_are_its_commands(self):
        with Chromium() as chromium:
            chromium.view(1280)
            chromium.open(PAGES / "study.html")
            chromium.js("""window.copied = [];
                document.addEventListener("copy", () => copied.push(document.activeElement.value))""")
            for button in chromium.driver.find_elements(By.CSS_SELECTOR, "div.highlight-console button.copybtn"):
                ActionChains(chromium.driver).move_to_element(button).click().perform()
            copied = chromium.js("return copied")
            self.assertGreater(len(copied), 5)
            for text in copied:
                self.assertRegex(text, r"\A(sudo )?(pspdr|openssl) [^$]*\Z")


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
        """A command has to be as good to copy from paper as from the screen. A word "--" of its own may end a line."""
        broken = re.compile(r"(?m)(?:^|[ (])(?:--(?!\s*--)|--?(?:[a-z]+-)+)$")
        for number, sheet in enumerate(self.sheets, 1):
            self.assertEqual(broken.findall(sheet), [], f"on sheet {number}")
