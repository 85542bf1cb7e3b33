"""``pspdr report``, on real records and on hostile ones."""

import csv
import gzip
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

from pathspider.lab import Lab
from pathspider.report.questions import BASELINE_UP as UP
from tests import in_checkout
from tests.packaging.files import ROOT
from tests.report.records import BROKEN, WORKS, record

PSPDR = [sys.executable, "-P", "-m", "pathspider"]
VOID = {"meta", "br", "line", "circle", "rect", "path"}
HOSTILE = "</style><script>alert(1)</script>\x1b[31m\u202e=1+1|"


class Page(HTMLParser):
    """What a page is made of; complains of what does not fit."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.tables, self.problems = [], [], [], [], []
        self.feed(text)
        self.problems += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.attributes.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif "td" in self.open or ("th" in self.open and "table" in self.open):
            self.tables[-1]["rows"][-1][-1] += data

    def table(self, caption):
        (found,) = (table["rows"][1:] for table in self.tables if table["caption"] == caption)
        return found


class ReportCase(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, records):
        path = self.folder / name
        path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
        return name

    def report(self, *arguments, status=0, data=b""):
        done = subprocess.run([*PSPDR, "report", *arguments], cwd=self.folder, input=data, capture_output=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr.decode())
        self.said = done.stderr.decode()
        return done.stdout.decode()


class TestReal(ReportCase):
    def test_what_the_lab_measured(self):
        targets = subprocess.run([*PSPDR, "lab", "targets", "--plugin", "mss", "--connect", "tcp"], check=True,
                                 capture_output=True).stdout
        with Lab() as lab:
            done = lab.run([*PSPDR, "measure", "-i", "lab0", "--confirm", "0", "mss", "--connect", "tcp",
                            "--timeout", "1"], data=targets, capture_output=True, timeout=60)
        (self.folder / "results.ndjson").write_bytes(done.stdout)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        online = sum("mss.connectivity.online" in one["conditions"] for one in records)
        rows = Page(self.report("results.ndjson")).table("mss.connectivity: all records")
        self.assertIn(["online", f"{online} of {len(records)}"], [row[:2] for row in rows])
        report = json.loads(self.report("--format", "json", "results.ndjson"))
        self.assertEqual(report["files"][0]["records"], len(records))
        self.assertEqual(report["files"][0]["from"], min(one["time"]["from"] for one in records))
        for version, sign in (("IPv4", "."), ("IPv6", ":")):
            (row,) = (row for row in report["counts"] if row["condition"] == "mss.connectivity.online"
                      and row["value"] == version)
            self.assertEqual(row["total"], sum(sign in one["dip"] for one in records))


class TestFormats(ReportCase):
    def setUp(self):
        super().setUp()
        self.write("monday.ndjson", [
            record("192.0.2.1", WORKS, dip_asn=64496), record("192.0.2.2", WORKS, dip_asn=64497),
            record("2001:db8::3", BROKEN, minute=1), record("192.0.2.4", "pathspider.not_observed",
                                                            "pathspider.missed_flows:1")])
        with gzip.open(self.folder / "tuesday.ndjson.gz", "wt") as stream:
            stream.write(json.dumps(record("192.0.2.1", BROKEN)) + "\n" + json.dumps(record("192.0.2.2", WORKS)) + "\n")

    def test_page(self):
        text = self.report("monday.ndjson", "tuesday.ndjson.gz")
        page = Page(text)
        self.assertEqual(page.problems, [])
        self.assertEqual([row[:3] for row in page.table("ecn.connectivity: all records")],
                         [["broken", "monday", "1 of 3"], ["broken", "tuesday", "1 of 2"],
                          ["works", "monday", "2 of 3"], ["works", "tuesday", "1 of 2"]])
        self.assertEqual(page.table("Reasons"), [["pathspider.not_observed", "monday", "1 of 4", "25.00 %"]])
        self.assertEqual(page.table("Targets that answer a question in two files"),
                         [["ecn.connectivity", "monday", "tuesday", "1 of 2", "50.00 %"]])
        self.assertEqual(page.table("Targets with different answers"),
                         [["192.0.2.1 80 www.example.com", "AS64496", f"monday: {WORKS}; tuesday: {BROKEN}"]])
        self.assertEqual([row[1:6] for row in page.table("The result files")],
                         [["4", "4", "3", "1", "0"], ["2", "2", "2", "0", "0"]])
        self.assertEqual([(row[0], row[5]) for row in page.table("Differences that chance may have made")],
                         [("ecn.connectivity (baseline up): broken", "+1 -0 of 2")])
        self.assertIn("Of the same 2 targets, <b>1 is broken in tuesday alone</b>, none in monday alone", text)

    def test_page_can_be_read_by_all_and_asks_nobody(self):
        page = Page(self.report("monday.ndjson", "tuesday.ndjson.gz"))
        self.assertEqual(page.attributes[0], ("html", {"lang": "en"}))
        headings = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
        self.assertEqual(headings[0], 1)
        self.assertEqual(headings.count(1), 1)
        self.assertTrue(all(later <= before + 1 for before, later in itertools.pairwise(headings)))
        for tag, attributes in page.attributes:
            for name in ("src", "href", "action", "srcset"):
                self.assertTrue(attributes.get(name, "#").startswith("#"), (tag, attributes))
            self.assertFalse({name for name in attributes if name.startswith("on") or name == "style"})
            if tag == "th":
                self.assertIn(attributes["scope"], ("row", "col"))
            if tag == "svg":
                self.assertIn(("title", {"id": attributes["aria-labelledby"]}), page.attributes)
        links = {attributes["href"][1:] for tag, attributes in page.attributes if tag == "a"}
        self.assertLessEqual(links, {attributes.get("id") for _, attributes in page.attributes})
        self.assertEqual(len(page.tables), sum(bool(table["caption"]) for table in page.tables))
        (policy,) = (attributes["content"] for _, attributes in page.attributes if "http-equiv" in attributes)
        self.assertTrue(policy.startswith("default-src 'none'"))

    def test_page_tells_that_targets_were_measured_again(self):
        self.write("again.ndjson", [record("192.0.2.1", WORKS), record("192.0.2.1", BROKEN),
                                    record("192.0.2.2", WORKS)])
        text = self.report("monday.ndjson", "again.ndjson")
        self.assertEqual(re.findall("<strong>(.*)</strong>: (.*?)[.] ", text), [
            ("again has targets that were measured more than once", "ecn.connectivity has 3 records of 2 targets")])
        self.assertEqual(text.count("too narrow"), 1)
        self.assertNotIn("too narrow", self.report("monday.ndjson", "tuesday.ndjson.gz"))

    def test_json(self):
        report = json.loads(self.report("--format", "json", "--title", "Week", "--label", "M", "monday.ndjson",
                                        "tuesday.ndjson.gz"))
        self.assertEqual((report["title"], [file["label"] for file in report["files"]]), ("Week", ["M", "tuesday"]))
        self.assertEqual(report["without_verdict"],
                         [{"file": "M", "condition": "pathspider.not_observed", "count": 1, "total": 4}])
        self.assertIn(("M", "as", "AS64496", WORKS, 1, 1), [
            tuple(row[key] for key in ("file", "group", "value", "condition", "count", "total"))
            for row in report["counts"]])
        self.assertEqual(report["changed_targets"], [
            {"dip": "192.0.2.1", "dp": 80, "domain": "www.example.com", "as": "AS64496", "country": None,
             "questions": ["ecn.connectivity"],
             "seen": [{"file": "M", "conditions": [WORKS], "records": 1},
                      {"file": "tuesday", "conditions": [BROKEN], "records": 1}]}])
        self.assertEqual(report["paired"], [{"first": "M", "second": "tuesday", "question": "ecn.connectivity",
                                             "targets": 2, "changed": 1,
                                             "changes": [{"before": ["works"], "after": ["broken"], "targets": 1}]}])
        self.assertEqual([(row["question"], row["answer"], round(row["value"], 3), row["clear"])
                          for row in report["differences"]],
                         [(question, answer, value, False) for question in ("ecn.connectivity", f"ecn.connectivity{UP}")
                          for answer, value in (("broken", 0.5), ("works", -0.5))])
        row = report["differences"][0]
        self.assertEqual([row[f"{place}_{key}"] for place in ("first", "second")
                          for key in ("count", "total", "share")], [1, 3, 1 / 3, 1, 2, 1 / 2])
        self.assertEqual([file["plugins"] for file in report["files"]], [{"ecn": 3}, {"ecn": 2}])

    @in_checkout
    def test_every_key_of_the_json_is_documented(self):
        text = ROOT.joinpath("docs", "report.rst").read_text(encoding="utf-8")

        def check(value):
            if isinstance(value, dict):
                for key, inner in value.items():
                    self.assertIn(f"``{key}``", text)
                    if key not in ("sources", "plugins"):
                        check(inner)
            elif isinstance(value, list):
                for inner in value:
                    check(inner)

        check(json.loads(self.report("--format", "json", "monday.ndjson", "tuesday.ndjson.gz")))

    def test_csv(self):
        rows = [*csv.DictReader(io.StringIO(self.report("--format", "csv", "monday.ndjson")))]
        self.assertIn(("all", "", WORKS, "2", "3"), [
            tuple(row[key] for key in ("group", "value", "condition", "count", "total")) for row in rows])
        text = self.report("--format", "csv", "--targets", "monday.ndjson", "tuesday.ndjson.gz")
        self.assertEqual([(row["dip"], row["file"], row["conditions"]) for row in csv.DictReader(io.StringIO(text))],
                         [("192.0.2.1", "monday", WORKS), ("192.0.2.1", "tuesday", BROKEN)])

    def test_markdown(self):
        text = self.report("--format", "md", "monday.ndjson", "tuesday.ndjson.gz")
        self.assertIn("| broken | monday | tuesday | +50.00 | -27.26 to +90.55 | 2: 1 gained, 0 lost | 1 | no |\n",
                      text)
        self.assertIn("| ecn.connectivity | monday | tuesday | 2 | 1 |\n", text)
        self.assertIn("| monday | all | works | 2 | 3 | 66.67 % | 20.77 % to 93.85 % |\n", text)
        self.assertIn("| monday | AS64496 | broken | 0 | 1 | 0.00 % | 0.00 % to 79.35 % |\n", text)
        self.assertIn("| ecn.connectivity | monday | works | tuesday | broken | 1 |\n", text)

    def test_what_makes_figures_less_than_they_seem(self):
        whole = (self.folder / "tuesday.ndjson.gz").read_bytes()
        (self.folder / "cut.ndjson.gz").write_bytes(whole[:-9])
        for form, bold in (("md", "**{}**"), ("html", "<strong>{}</strong>")):
            with self.subTest(form):
                text = self.report("--format", form, "cut.ndjson.gz", "monday.ndjson", status=1)
                self.assertIn(bold.format("cut breaks off"), text)
        self.write("long", [record("192.0.2.1", "x." + "a" * 500 + ".b")])
        self.write("bad", [record("192.0.2.1", WORKS), 7])
        text = self.report("--format", "md", "long", "bad", status=1)
        self.assertIn("**1 record has conditions** that are too many, or too long", text)
        self.assertIn("* line 2: a JSON int", text)

    def test_who_says_nothing_of_a_question(self):
        self.write("mss", [record("192.0.2.1", "mss.connectivity.online")])
        for form in ("md", "html"):
            text = self.report("--format", form, "mss", "monday.ndjson")
            if form == "md":
                self.assertIn("No answers in mss.", text)
                self.assertIn("No answers in monday.", text)
            self.assertIn("mss, measured from 203.0.113.1; records with a verdict of mss (1)", text)

    def test_an_answer_that_nobody_gave_is_a_count_of_0(self):
        values = [record("192.0.2.1", *(f"x.many:{number}" for number in range(17)))]
        self.write("few", [record("192.0.2.1", "x.few:1", dip_asn=64496), record("2001:db8::1", "x.few:2"), *values])
        self.write("one", [record("192.0.2.1", "x.few:1", "x.many:1")])
        rows = [*csv.DictReader(io.StringIO(self.report("--format", "csv", "few", "one")))]
        found = {tuple(row[key] for key in ("file", "value", "answer", "count", "total")) for row in rows
                 if row["question"] == "x.few"}
        self.assertEqual(found, {("few", "", "1", "1", "2"), ("few", "", "2", "1", "2"), ("one", "", "1", "1", "1"),
                                 ("one", "", "2", "0", "1"), ("few", "IPv4", "1", "1", "1"),
                                 ("few", "IPv4", "2", "0", "1"), ("few", "IPv6", "1", "0", "1"),
                                 ("few", "IPv6", "2", "1", "1"), ("one", "IPv4", "1", "1", "1"),
                                 ("one", "IPv4", "2", "0", "1"), ("few", "AS64496", "1", "1", "1"),
                                 ("few", "AS64496", "2", "0", "1")})
        self.assertEqual(sum(row["question"] == "x.many" and row["group"] == "all" for row in rows), 18)

    def test_strangers_text(self):
        hostile = record("192.0.2.1", f"x.{HOSTILE}.works", "=cmd.a.b")
        hostile["domain"] = HOSTILE
        again = {**hostile, "conditions": [f"x.{HOSTILE}.broken"]}
        name = self.write("hostile.ndjson", [hostile, again])
        for form in ("html", "md", "csv", "json"):
            text = self.report("--format", form, "--title", HOSTILE, "--label", HOSTILE, name)
            self.assertNotIn("\x1b", text)
            if form != "json":
                self.assertNotIn("\u202e", text)
            if form == "html":
                page = Page(text)
                self.assertEqual((page.problems, page.tags.count("script"), page.tags.count("style")), ([], 1, 1))
            elif form == "csv":
                cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
                self.assertIn("'=cmd.a.b", cells)
                self.assertFalse([cell for cell in cells if cell.startswith("=")])
            elif form == "md":
                self.assertNotIn("<script>", text.replace("\\<script\\>", ""))


class TestInput(ReportCase):
    def test_bad_lines_are_named_and_the_report_is_made(self):
        self.write("results.ndjson", [record("192.0.2.1", WORKS), {"dip": "192.0.2.1"}, record("192.0.2.2", WORKS)])
        with (self.folder / "results.ndjson").open("a") as stream:
            stream.write('{"dip": "192.0')
        report = json.loads(self.report("--format", "json", "results.ndjson", status=1))
        self.assertEqual((report["files"][0]["records"], report["files"][0]["bad_lines"]), (2, 2))
        self.assertIn("results.ndjson, line 2: not a record: it has no list of conditions", self.said)
        self.assertIn("results.ndjson, line 4: not JSON", self.said)
        self.assertEqual([one["line"] for one in report["files"][0]["bad"]], [2, 4])
        text = self.report("results.ndjson", status=1)
        self.assertEqual((Page(text).problems, text.count("Bad lines of results: 2</summary>")), ([], 1))

    def test_a_compressed_file_that_breaks_off(self):
        packed = gzip.compress(b"".join(json.dumps(record(f"192.0.2.{number}", WORKS, x=os.urandom(99).hex())).encode()
                                        + b"\n" for number in range(200)))
        (self.folder / "cut.gz").write_bytes(packed[:-500])
        report = json.loads(self.report("--format", "json", "cut.gz", status=1))
        self.assertIn("cut.gz breaks off after", self.said)
        self.assertGreater(report["files"][0]["records"], 100)

    def test_a_compressed_file_with_an_error_in_it(self):
        lines = [json.dumps(record(f"192.0.2.{number}", WORKS, x=os.urandom(999).hex())) for number in range(200)]
        packed = bytearray(gzip.compress("\n".join(lines).encode()))
        packed[len(packed) // 2:len(packed) // 2 + 999] = bytes(999)
        (self.folder / "bad.gz").write_bytes(packed)
        self.report("bad.gz", status=1)
        self.assertIn("bad.gz breaks off after", self.said)

    def test_zstandard(self):
        lines = "".join(json.dumps(record(f"192.0.2.{number}", WORKS, x=os.urandom(999).hex())) + "\n"
                        for number in range(200))
        packed = subprocess.run(["zstd", "-qc"], input=lines.encode(), capture_output=True, check=True).stdout
        (self.folder / "whole.zst").write_bytes(packed)
        self.assertEqual(json.loads(self.report("--format", "json", "whole.zst"))["files"][0]["records"], 200)
        (self.folder / "cut.zst").write_bytes(packed[:len(packed) // 2])
        report = json.loads(self.report("--format", "json", "cut.zst", status=1))
        self.assertIn("cut.zst breaks off after", self.said)
        self.assertIn(report["files"][0]["records"], range(1, 200))

    def test_records_without_conditions_are_told(self):
        self.write("results", [record("192.0.2.1", WORKS), record("192.0.2.2")])
        page = Page(self.report("results"))
        self.assertEqual(page.table("Reasons")[0][:4], ["(no answer, and no reason)", "results", "1 of 2", "50.00 %"])

    def test_a_condition_without_a_name(self):
        self.write("results", [record("192.0.2.1", "odd", ".")])
        self.assertEqual(Page(self.report("results")).problems, [])

    def test_standard_input(self):
        data = json.dumps(record("192.0.2.1", WORKS)).encode()
        self.assertEqual(json.loads(self.report("--format", "json", "-", data=data))["files"][0]["records"], 1)

    def test_what_cannot_be_reported(self):
        self.write("empty", [])
        self.write("results", [record("192.0.2.1", WORKS)])
        for arguments, says in ((["nothing.ndjson"], "no such file"), (["."], "is a folder"),
                                (["empty"], "no records"), (["-", "-"], "once"),
                                (["results", "--targets"], "--format csv"),
                                (["results", "--output", "results"], "is the file that is read"),
                                (["results", "--label", "a", "--label", "b"], "2 labels"),
                                (["results", "--label", ""], "no name"),
                                (["results", "--output", "no/such/folder"], "No such file")):
            self.assertEqual(self.report(*arguments, status=2), "", arguments)
            self.assertIn(says, self.said)
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"empty", "results"})

    def test_the_output_is_whole_or_as_it_was(self):
        self.write("results", [record("192.0.2.1", WORKS)])
        (self.folder / "page.html").write_text("before")
        self.report("results", "--output", "page.html", status=2)
        self.assertIn("there is something in this file already", self.said)
        self.report("empty", "-f", "--output", "page.html", status=2)
        self.assertEqual((self.folder / "page.html").read_text(), "before")
        self.report("results", "--force", "--output", "page.html")
        self.assertTrue((self.folder / "page.html").read_text().endswith("</html>\n"))
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual((self.folder / "page.html").stat().st_mode & 0o777, 0o666 & ~mask)
        self.assertEqual(len([*self.folder.iterdir()]), 2)

    def test_what_stays_as_it_is(self):
        self.write("results", [record("192.0.2.1", WORKS)])
        (self.folder / "page.html").touch(0o600)
        (self.folder / "link.html").symlink_to("page.html")
        self.report("results", "--output", "link.html")
        self.assertTrue((self.folder / "link.html").is_symlink())
        self.assertEqual((self.folder / "page.html").stat().st_mode & 0o777, 0o600)
        os.mkfifo(self.folder / "pipe")
        with subprocess.Popen(["cat", self.folder / "pipe"], stdout=subprocess.PIPE) as reader:
            self.report("results", "--output", "pipe", "--format", "csv")
            self.assertTrue(reader.communicate(timeout=100)[0].startswith(b"file,group,"))
        self.assertTrue((self.folder / "pipe").is_fifo())

    def test_runs_that_were_not_made_alike_are_warned_of(self):
        for name, seed in (("monday", 0), ("tuesday", 7)):
            self.write(name, [record("192.0.2.1", WORKS, run=f"of {name}")])
            facts = {"run": f"of {name}", "options": {"measure": {"seed": seed}, "plugin": {}}}
            (self.folder / f"{name}.meta.json").write_text(json.dumps({"runs": [facts]}))
        self.assertIn("of tuesday", self.report("--format", "md", "monday", "tuesday"))
        self.assertIn("monday and tuesday: runs that were not made alike: seed was 0, and is 7", self.said)
        self.report("--format", "md", "monday")
        self.assertNotIn("alike", self.said)

    def test_targets_that_were_measured_again_are_warned_of(self):
        self.write("again", [record("192.0.2.1", WORKS), record("192.0.2.2", WORKS)] * 2)
        text = "targets that were measured more than once"
        self.assertIn(f"**again has {text}**: ecn.connectivity has 4 rec", self.report("--format", "md", "again"))
        self.assertIn(f"again has {text}: ecn.connectivity has 4 records of 2 targets", self.said)
        self.write("once", [record("192.0.2.1", WORKS), record("192.0.2.2", WORKS)])
        self.assertNotIn("more than once", self.report("--format", "md", "once"))
        self.assertNotIn("again", self.said)
        self.write("plugins", [record("192.0.2.1", WORKS), record("192.0.2.1", "mss.connectivity.online"),
                               {"conditions": ["pathspider.invalid_job:dip_missing"]}])
        self.assertEqual(json.loads(self.report("--format", "json", "plugins"))["files"][0]["targets"], 1)
        self.assertNotIn("more than once", self.said)

    def test_one_file_twice(self):
        self.write("a.2026-11-22.ndjson", [record("192.0.2.1", WORKS)])
        (self.folder / "b.ndjson").symlink_to("a.2026-11-22.ndjson")
        report = json.loads(self.report("--format", "json", "a.2026-11-22.ndjson", "b.ndjson"))
        self.assertIn("a.2026-11-22.ndjson and b.ndjson are one file", self.said)
        self.assertEqual([file["label"] for file in report["files"]], ["a.2026-11-22", "b"])

    def test_how_often_the_feature_breaks_what_worked_without(self):
        offline = record("192.0.2.9", "ecn.connectivity.offline")
        self.write("results", [record("192.0.2.1", WORKS), record("192.0.2.2", WORKS), record("192.0.2.3", BROKEN),
                               offline, record("2001:db8::1", WORKS)])
        rows = [*csv.DictReader(io.StringIO(self.report("--format", "csv", "results")))]
        found = {(row["value"], row["answer"]): (row["count"], row["total"]) for row in rows
                 if row["question"] == "ecn.connectivity (baseline up)"}
        self.assertEqual(found, {("", "broken"): ("1", "4"), ("", "works"): ("3", "4"), ("IPv4", "broken"): ("1", "3"),
                                 ("IPv4", "works"): ("2", "3"), ("IPv6", "broken"): ("0", "1"),
                                 ("IPv6", "works"): ("1", "1")})
        self.write("dead", [offline])
        self.assertNotIn("baseline up", self.report("--format", "csv", "dead"))

    def test_labels_are_told_apart(self):
        for name in "abc":
            self.write(name, [record("192.0.2.1", WORKS)])
        labels = ("A", "A", "A (2)")
        report = json.loads(self.report("--format", "json", *(f"--label={one}" for one in labels), "a", "b", "c"))
        self.assertEqual([one["label"] for one in report["files"]], ["A", "A (3)", "A (2)"])

    def test_equal_names_are_told_apart(self):
        for folder in ("a", "b"):
            (self.folder / folder).mkdir()
            self.write(f"{folder}/results.ndjson", [record("192.0.2.1", WORKS)])
        report = json.loads(self.report("--format", "json", "a/results.ndjson", "b/results.ndjson", "b/results.ndjson"))
        self.assertEqual([file["label"] for file in report["files"]],
                         ["a/results.ndjson", "b/results.ndjson", "b/results.ndjson (3)"])
