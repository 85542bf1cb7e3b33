"""The page of ``pspdr report`` in a browser: one of a few records, and one of many, with long and hostile texts."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import cases
from tests.browser.chromium import Chromium
from tests.report.records import BROKEN, WORKS, record

PSPDR = [sys.executable, "-P", "-m", "pathspider"]
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
HOSTILE = "</title></style><script>alert(1)</script><img src=//example.com/x onerror=alert(2)>\x1b[31m\u202e"
LONG = "without-any-place-to-break-it-" * 6
VALUES = (536, 8960, 8960, 1460, 1460, 1460, 1460, 1460, 1460, 1460)
WIDTHS = (360, 390, 768, 1200)
SIDEWAYS = """
return Array.from(document.querySelectorAll(".scroll"))
  .filter(one => one.checkVisibility() && !one.closest("details:not([open])") && one.scrollWidth > one.clientWidth + 1)
  .map(one => one.getAttribute("aria-label") + ": " + one.scrollWidth + " in " + one.clientWidth);
"""
"""Tables that scroll sideways, of those that are seen."""
FAULTY = """<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="default-src 'self' 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><body><p style="color: #888">grey<p style="width: 2000px">wide
<svg><rect class="bar" fill="#eee"/></svg><img src="https://example.com/"><img src="missing.png">
<script>throw new Error("of the page")</script>"""


def few():
    return [record("192.0.2.1", WORKS), record("2001:db8::1", BROKEN, minute=7), record("192.0.2.2", WORKS)]


def many(first):
    """Records of a first or a second file: most targets change, and what strangers say is long, or hostile."""
    for number in range(1500):
        conditions = [WORKS if (number % 7 == 0) == first else BROKEN, f"mss.option.local.value:{VALUES[number % 10]}",
                      f"other.{HOSTILE if number % 2 else LONG}.{LONG if number % 3 else HOSTILE}"]
        one = record(f"198.51.{100 + number // 250}.{number % 250}", *conditions, minute=number % 60,
                     dip_asn=64496 + number % 40)
        yield {**one, "domain": f"www{number}.example.com" if number % 10 else HOSTILE + LONG}
    yield record("192.0.2.9", "pathspider.not_observed")


class TestReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.small = cls.report("small", [few()], "--label", "frankfurt_monday")
        cls.large = cls.report("large", [many(True), many(False)], "--label", HOSTILE, "--label", LONG,
                               "--title", HOSTILE)
        cls.faulty = cls.folder / "faulty.html"
        cls.faulty.write_text(FAULTY, encoding="utf-8")
        cls.chromium = cls.enterClassContext(Chromium())
        cls.driver = cls.chromium.driver

    @classmethod
    def report(cls, name, files, *options):
        """The page that is made of these records; the large one has a line that is no record."""
        names = []
        for number, records in enumerate(files):
            names.append(cls.folder / f"{name}{number}.ndjson")
            with names[-1].open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(one) + "\n" for one in records)
                stream.write("{}\n" if number else "")
        page = cls.folder / f"{name}.html"
        done = subprocess.run([*PSPDR, "report", *options, *names, "--output", page], check=False, capture_output=True)
        if done.returncode != bool(len(files) - 1):
            raise AssertionError(done.stderr.decode())
        return page

    def setUp(self):
        self.chromium.view(1200)

    def table(self, caption):
        """The table whose caption begins so, in view."""
        found = self.driver.find_element(By.XPATH, f"//table[caption[starts-with(text(), '{caption}')]]")
        self.chromium.js("arguments[0].scrollIntoView()", found)
        return found

    def column(self, table, head):
        """A column's texts, and how it is said to be sorted."""
        return self.chromium.js("""
            const heads = Array.from(arguments[0].tHead.rows[0].cells);
            const place = heads.findIndex(one => one.textContent === arguments[1]);
            return [Array.from(arguments[0].tBodies[0].rows).map(row => row.cells[place].textContent),
                    heads.map(one => one.getAttribute("aria-sort"))[place],
                    heads.filter(one => one.hasAttribute("aria-sort")).length];""", table, head)

    def button(self, table, head):
        return table.find_element(By.XPATH, f".//thead//button[text()='{head}']")

    def contrast(self):
        found = self.chromium.js(f"document.querySelectorAll('details').forEach(one => one.open = true); {CONTRAST}",
                                 4.5, 3)
        self.assertGreater(found["looked"], 2)
        return found["low"]

    def test_nothing_goes_wrong_and_nobody_is_asked(self):
        for page in (self.small, self.large):
            self.chromium.open(page)
            self.assertEqual(self.chromium.problems(), [])
            self.assertEqual(self.chromium.requests(), [page.as_uri()])
            self.assertEqual(self.chromium.js("return performance.getEntriesByType('resource').length"), 0)

    def test_it_fits_every_window(self):
        for page in (self.small, self.large):
            for width in WIDTHS:
                self.chromium.view(width)
                self.chromium.open(page)
                self.chromium.picture(f"{page.stem}-{width}")
                self.chromium.js("document.querySelectorAll('details').forEach(one => one.open = true)")
                self.assertEqual(self.chromium.overflow(), "", width)

    def test_the_files_are_seen_without_scrolling(self):
        self.chromium.open(self.small)
        table = self.table("The result files")
        self.assertTrue(self.chromium.js("return arguments[0].scrollWidth <= arguments[0].clientWidth",
                                         table.find_element(By.XPATH, "..")))

    def test_text_and_drawings_stand_out(self):
        for dark in (False, True):
            self.chromium.view(1200, dark)
            self.chromium.open(self.large)
            self.assertEqual(self.chromium.js("return matchMedia('(prefers-color-scheme: dark)').matches"), dark)
            self.assertEqual(self.contrast(), [])
        self.chromium.view(390, dark=True)
        self.chromium.picture("large-390-dark")

    def test_labels_of_drawings_do_not_run_over(self):
        self.chromium.open(self.large)
        self.assertEqual(self.chromium.js("""
            return Array.from(document.querySelectorAll("svg text"))
              .filter(text => text.getBBox().x < 0 || text.getBBox().x + text.getBBox().width > 361)
              .map(text => text.textContent)"""), [])

    def test_sorting_by_click(self):
        self.chromium.open(self.large)
        table = self.table("mss.option.local.value: all records")
        for head in ("Answer", "Count", "Share"):
            for way in ("ascending", "descending"):
                self.button(table, head).click()
                texts, said, heads = self.column(table, head)
                self.assertEqual((said, heads), (way, 1))
                values = [float(text.replace(",", "").split()[0]) for text in texts]
                self.assertEqual(values, sorted(values, reverse=way == "descending"), head)
        self.assertEqual(len({*self.column(table, "Answer")[0]}), len({*VALUES}))

    def test_sorting_by_keyboard(self):
        self.chromium.open(self.small)
        table = self.table("ecn.connectivity (baseline up): all records")
        self.chromium.js("arguments[0].parentElement.focus()", table)
        ActionChains(self.driver).send_keys(Keys.TAB).perform()
        self.assertEqual(self.driver.switch_to.active_element, self.button(table, "Answer"))
        for key, way, answers in ((Keys.ENTER, "ascending", ["broken", "works"]),
                                  (Keys.SPACE, "descending", ["works", "broken"])):
            ActionChains(self.driver).send_keys(key).perform()
            self.assertEqual(self.column(table, "Answer"), [answers, way, 1])

    def test_differences_sort_by_what_they_are(self):
        self.chromium.open(self.large)
        table = self.table("Clear differences")
        self.button(table, "Difference, points").click()
        values = [float(text.split()[0]) for text in self.column(table, "Difference, points")[0]]
        self.assertEqual(values, sorted(values))
        self.assertLess(values[0], 0)

    def test_paper_shows_everything_and_nothing_stays_open(self):
        self.chromium.open(self.large)
        self.chromium.js("document.querySelectorAll('main > section details')[1].open = true")
        state = "return Array.from(document.querySelectorAll('details')).map(one => one.open)"
        before = self.chromium.js(state)
        self.assertEqual((sum(before), len(before) > 3), (1, True))
        text = "\n".join(self.chromium.printed("large"))
        self.assertEqual(self.chromium.js(state), before)
        self.assertIn("line 1502: not a record", text)
        self.assertIn("ecn.connectivity (baseline up): by autonomous system", text)

    def test_headers_are_repeated_on_paper(self):
        self.chromium.open(self.large)
        target = re.compile(r"^ *198\.51\.\d+\.\d+ 80", re.MULTILINE)
        pages = [text for text in self.chromium.printed("large") if target.search(text)]
        self.assertGreater(len(pages), 2)
        for text in pages:
            self.assertRegex(text, r"Target +AS +What was found")

    def test_it_fits_on_paper(self):
        for page in (self.small, self.large):
            self.chromium.view(718, media="print")  # A4 with Chromium's margins
            self.chromium.open(page)
            self.chromium.js("document.querySelectorAll('details').forEach(one => one.open = true)")
            self.assertEqual(self.chromium.overflow(), "")

    def test_paper_is_white(self):
        self.chromium.view(718, dark=True, media="print")
        self.chromium.open(self.small)
        self.assertEqual(self.chromium.js("return getComputedStyle(document.body).backgroundColor"),
                         "rgb(255, 255, 255)")

    def test_without_scripts(self):
        self.chromium.scripts(allowed=False)
        self.addCleanup(self.chromium.scripts, allowed=True)
        self.chromium.open(self.small)
        caption = "ecn.connectivity (baseline up): all records"
        table = self.driver.find_element(By.XPATH, f"//table[caption[text()='{caption}']]")
        self.assertEqual([row.text.split()[0] for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")],
                         ["broken", "works"])
        self.assertEqual(self.driver.find_elements(By.TAG_NAME, "button"), [])

    def test_the_sign_of_sorting_is_there_on_hover_alone(self):
        self.chromium.open(self.small)
        button = self.button(self.table("ecn.connectivity (baseline up): all records"), "Answer")
        sign = "return getComputedStyle(arguments[0], '::after').opacity"
        self.assertEqual(self.chromium.js(sign, button), "0")
        ActionChains(self.driver).move_to_element(button).perform()
        self.assertEqual(self.chromium.js(sign, button), "1")

    def test_these_checks_can_fail(self):
        self.chromium.view(390)
        self.chromium.open(self.faulty)
        problems = "\n".join(self.chromium.problems())
        for said in ("of the page", "img-src https://example.com", "missing.png"):
            self.assertIn(said, problems)
        self.assertIn(self.folder.joinpath("missing.png").as_uri(), self.chromium.requests())
        self.assertTrue(self.chromium.overflow().startswith("20"))
        self.assertEqual([one.partition(":")[0] for one in self.contrast()], ["grey", "bar"])



class TestCases(unittest.TestCase):
    """What people compare, at the widths of a phone, a tablet and a desk."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.pages = {name: cls.folder / f"{name}.html" for name in cases.cases()}
        for name, page in cls.pages.items():
            subprocess.run([*PSPDR, "report", *cases.write(cls.folder, name), "--output", page], check=True,
                           capture_output=True)
        cls.chromium = cls.enterClassContext(Chromium())

    def test_nothing_is_wider_than_its_window_and_everything_stands_out(self):
        for name, page in self.pages.items():
            for width in (360, 768, 1280):
                for dark in (False, True):
                    with self.subTest(name, width=width, dark=dark):
                        self.chromium.view(width, dark)
                        self.chromium.open(page)
                        self.assertEqual(self.chromium.problems(), [])
                        self.chromium.picture(f"{name}-{width}-{'dark' if dark else 'light'}")
                        self.assertEqual(self.chromium.js(SIDEWAYS), [])
                        self.chromium.js("document.querySelectorAll('details').forEach(one => one.open = true)")
                        self.assertEqual(self.chromium.overflow(), "")
                        self.assertEqual(self.chromium.js(SIDEWAYS) if width < 700 else [], [])
                        found = self.chromium.js(CONTRAST, 4.5, 3)
                        self.assertGreater(found["looked"], 100)
                        self.assertEqual(found["low"], [])

    def test_the_finding_is_on_the_first_screen(self):
        for width in (360, 768, 1280):
            self.chromium.view(width)
            self.chromium.open(self.pages["two-days"])
            found = self.chromium.js("""
                const first = document.querySelector(".find");
                return [first.textContent, first.getBoundingClientRect().bottom, innerHeight];""")
            self.assertIn("40 broke from Monday to Tuesday, none recovered", found[0])
            self.assertIn("All of it is in AS64500 and AS64503.", found[0])
            self.assertLess(found[1], found[2])

    def test_all_findings_are_on_the_first_screen(self):
        self.chromium.view(1280)
        self.chromium.open(self.pages["four-plugins"])
        ends = self.chromium.js("""
            return [...document.querySelectorAll(".find")].map(
                one => one.parentElement.getBoundingClientRect().bottom);""")
        self.assertEqual(len(ends), 4)
        self.assertLess(max(ends), self.chromium.js("return innerHeight"))

    def test_no_line_ends_within_a_figure_or_a_date(self):
        self.chromium.view(360)
        for page in self.pages.values():
            self.chromium.open(page)
            heights = self.chromium.js("""
                return [...document.querySelectorAll("main .figure, h1 .figure")].map(
                    one => one.getClientRects().length);""")
            self.assertEqual({*heights}, {1})
        self.chromium.open(self.pages["two-days"])
        self.assertIn("p < 10", self.chromium.js("return document.querySelector('.find span.figure').textContent"))

    def test_by_keyboard_alone(self):
        self.chromium.view(1280)
        self.chromium.open(self.pages["two-days"])
        self.chromium.js("document.body.focus()")
        keys = ActionChains(self.chromium.driver)
        keys.send_keys(Keys.TAB).perform()
        self.assertEqual(self.chromium.js("return document.activeElement.className"), "skip")
        summary = self.chromium.driver.find_element(By.CSS_SELECTOR, "section details summary")
        self.chromium.js("arguments[0].focus()", summary)
        ActionChains(self.chromium.driver).send_keys(Keys.ENTER).perform()
        self.assertTrue(self.chromium.js("return arguments[0].parentElement.open", summary))
        self.assertNotEqual(self.chromium.js("return getComputedStyle(arguments[0]).outlineStyle", summary), "none")

    def test_paper_is_few_pages(self):
        self.chromium.view(1280)
        self.chromium.open(self.pages["one"])
        self.assertLessEqual(len(self.chromium.printed("one")), 8)


if __name__ == "__main__":
    unittest.main()
