"""The page of figures says what benchmarks measured, and each of them can write that down."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

from tests import CHECKOUT, in_checkout
from tests.packaging.files import ROOT

BENCHMARKS = ROOT / "benchmarks"
if CHECKOUT:
    with patch.object(sys, "path", [str(ROOT / "docs" / "_ext"), str(BENCHMARKS), *sys.path]):
        import benchmarked
        import everything
        import figures

HOLDER = """
import os, sys
held = bytearray(os.urandom(64 << 20))
child = os.fork()
if child:
    print("ready", flush=True)
sys.stdin.read()
"""
"""A process of 64 MiB and one that shares them, until standard input ends."""

SMALL = {"report": ["--records", "500"], "export": ["--records", "500"],
         "targets": ["--prefixes", "500", "--lines", "500", "--lookups", "500"]}
"""Benchmarks that need no lab, at a size of seconds."""


def tables():
    """Of each title of the page, its table: rows of cells."""
    found, rows = {}, []
    lines = [*benchmarked.figures()]
    for place, line in enumerate(lines):
        if line.startswith("----"):
            rows = found.setdefault(lines[place - 1], [])
        elif line.startswith("   * - "):
            rows.append([line[7:]])
        elif line.startswith("     - "):
            rows[-1].append(line[7:])
    return found


@in_checkout
class TestPage(unittest.TestCase):
    def test_its_numbers_are_those_of_the_files(self):
        shown = tables()
        files = sorted((BENCHMARKS / "results").glob("*.json"))
        self.assertGreater(len(files), 0)
        self.assertEqual(len(shown), len(files))
        for path in files:
            measured = json.loads(path.read_text(encoding="utf-8"))["rows"]
            heads, *rows = shown[benchmarked.TITLES[path.stem]]
            self.assertEqual([row[0] for row in rows], [benchmarked.named(name) for name in measured])
            columns = list(dict.fromkeys(key for one in measured.values() for key in one))
            for row, figures_of in zip(rows, measured.values(), strict=True):
                self.assertEqual(len(row), len(heads))
                cells = {key: cell for key, cell in zip(columns, row[1:], strict=True)
                         if cell != benchmarked.MISSING}
                self.assertEqual(cells.keys(), figures_of.keys())
                for key, value in figures_of.items():
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        near = 0.005 * abs(value) + (0.5 if abs(value) >= 100 else 0.005)
                        self.assertAlmostEqual(float(cells[key].replace(",", "")), value, delta=near)

    def test_each_file_tells_what_made_it(self):
        for path in (BENCHMARKS / "results").glob("*.json"):
            made = json.loads(path.read_text(encoding="utf-8"))["made"]
            self.assertRegex(made["date"], r"^20\d\d-\d\d-\d\d \d\d:\d\d$")
            self.assertTrue(made["command"].startswith(f"benchmarks/{path.stem}.py"))
            self.assertTrue(made["processor"] and made["system"] and made["versions"])

    def test_options_are_told_from_words(self):
        self.assertEqual([benchmarked.named(one) for one in ("resolve --mixed-case, a_b", "a -- b", "half-open--x")],
                         [r"resolve ``--mixed-case``, a\_b", "a -- b", "half-open--x"])

    def test_figures_keep_three_digits(self):
        self.assertEqual([benchmarked.shown(one) for one in (12345, 1234.5, 99.94, 12.34, 1.234, 0.01234, 0, "a_b")],
                         ["12,345", "1,234", "99.9", "12.3", "1.23", "0.0123", "0", r"a\_b"])


@in_checkout
class TestBenchmarks(unittest.TestCase):
    def test_all_of_them_are_run_and_have_a_place_on_the_page(self):
        names = {path.stem for path in BENCHMARKS.glob("*.py")} - {"everything", "figures"}
        self.assertEqual({*everything.BENCHMARKS}, names)
        self.assertEqual({*benchmarked.TITLES}, names)

    def test_half_an_hour_is_enough(self):
        self.assertLessEqual(sum(seconds for seconds, _ in everything.BENCHMARKS.values()), 1800)

    def test_each_takes_json(self):
        for name in everything.BENCHMARKS:
            told = subprocess.run([sys.executable, BENCHMARKS / f"{name}.py", "--help"], capture_output=True, text=True,
                                  check=True).stdout
            self.assertIn("--json FILE", re.sub(r"\s+", " ", told), name)

    def test_what_small_ones_write(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, options in SMALL.items():
                path = Path(folder, f"{name}.json")
                subprocess.run([sys.executable, BENCHMARKS / f"{name}.py", *options, "--json", path], check=True,
                               capture_output=True)
                found = json.loads(path.read_text(encoding="utf-8"))
                self.assertEqual(found["made"]["command"], " ".join([f"benchmarks/{name}.py", *options]))
                self.assertTrue(found["rows"])
                self.assertTrue(all(isinstance(value, int | float) for row in found["rows"].values()
                                    for value in row.values()))

    def test_memory_is_that_of_all_processes_and_shared_once(self):
        process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertTrue(64 <= figures.proportional(process.pid) < 110, figures.proportional(process.pid))
        process.communicate()

    def test_what_is_no_number_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder, patch.object(figures, "_found", {}):
            path = Path(folder, "x.json")
            figures.note("one", ratio=float("nan"), each=[1, 2], wall=2.5)
            figures.write_figures(str(path))
            self.assertEqual(json.loads(path.read_text(encoding="utf-8"))["rows"], {"one": {"wall": 2.5}})


if __name__ == "__main__":
    unittest.main()
