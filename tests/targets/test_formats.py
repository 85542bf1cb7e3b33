"""Lists as they are published: each from a sample made by hand after its publisher's description, with odd cases."""

import bz2
import gzip
import io
import logging
import lzma
import unittest
import zipfile

import zstandard

from pathspider.cmd.filter import Sieve
from pathspider.targets.formats import FORMATS
from pathspider.targets.lists import TargetReader
from pathspider.targets.names import to_wire
from tests.targets.test_zone import CZDS

NAMES = ["example.com", "WWW.Example.COM", "straße.example", "xn--strae-oqa.example", "_dmarc.example.org",
         "-lead.trail-.example", "example.net.", "example.com"]
"""Odd ones: large letters, U-label and A-label, underscore, hyphens, a dot at its end, one twice."""


def zipped(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top-1m.csv", text)
    return file.getvalue()


RANKED = [{"rank": str(rank), "domain": name} for rank, name in enumerate(NAMES, 1)]
RANKED_TEXT = "".join(f"{job['rank']},{job['domain']}\r\n" for job in RANKED)
MAJESTIC = ("GlobalRank,TldRank,Domain,TLD,RefSubNets,RefIPs,IDN_Domain,IDN_TLD,PrevGlobalRank,PrevTldRank,"
            "PrevRefSubNets,PrevRefIPs\n")
CITIZENLAB = "url,category_code,category_description,date_added,source,notes\n"

PUBLISHED = {
    "tranco": (RANKED_TEXT, RANKED),
    "umbrella": ("1,com\n2,www.example.com\n3,net.\n", [{"rank": "1", "domain": "com"},
                                                        {"rank": "2", "domain": "www.example.com"},
                                                        {"rank": "3", "domain": "net."}]),
    "alexa": (RANKED_TEXT, RANKED),
    "majestic": (
        MAJESTIC + '1,1,example.com,com,500000,2700000,example.com,com,2,1,499000,2600000\n'
        '2,1,xn--strae-oqa.example,example,4,5,straße.example,example,"2",1,,\n',
        [{"rank": "1", "TldRank": "1", "domain": "example.com", "TLD": "com", "RefSubNets": "500000",
          "RefIPs": "2700000", "IDN_Domain": "example.com", "IDN_TLD": "com", "PrevGlobalRank": "2", "PrevTldRank": "1",
          "PrevRefSubNets": "499000", "PrevRefIPs": "2600000"},
         {"rank": "2", "TldRank": "1", "domain": "xn--strae-oqa.example", "TLD": "example", "RefSubNets": "4",
          "RefIPs": "5", "IDN_Domain": "straße.example", "IDN_TLD": "example", "PrevGlobalRank": "2",
          "PrevTldRank": "1"}]),
    "crux": (
        "origin,rank\nhttps://www.example.com,1000\nhttp://example.org:8080,1000\nhttps://straße.example,10000\n",
        [{"domain": "www.example.com", "rank": "1000"}, {"domain": "example.org", "dp": 8080, "rank": "1000"},
         {"domain": "straße.example", "rank": "10000"}]),
    "radar": ("domain\nexample.com\n_a.example.net\n", [{"domain": "example.com"}, {"domain": "_a.example.net"}]),
    "citizenlab": (
        CITIZENLAB + 'https://www.example.com/,NEWS,News Media,2014-04-15,citizenlab,\n'
        'http://user@example.org:81/a?b=1,HUMR,Human Rights Issues,2014-04-15,"a, b","said ""so"""\n'
        "http://192.0.2.1/x,ANON,,,,\n",
        [{"domain": "www.example.com", "url": "https://www.example.com/", "category": "NEWS",
          "category_description": "News Media", "date_added": "2014-04-15", "source": "citizenlab"},
         {"domain": "example.org", "dp": 81, "url": "http://user@example.org:81/a?b=1", "category": "HUMR",
          "category_description": "Human Rights Issues", "date_added": "2014-04-15", "source": "a, b",
          "notes": 'said "so"'},
         {"dip": "192.0.2.1", "url": "http://192.0.2.1/x", "category": "ANON"}]),
    "opendns": ("\n".join(NAMES), [{"domain": name} for name in NAMES]),
    "czds": (CZDS, [{"domain": name} for name in
                    ("a.example", "_under.example", "xn--nxasmq6b.example", "wild.example")]),
    "ct": ("*.example.com\nexample.com\n*.*.straße.example\n", [{"domain": "example.com"}, {"domain": "example.com"},
                                                                {"domain": "straße.example"}]),
    "zmap": ("saddr,sport,success,ttl\n192.0.2.1,443,1,55\n2001:db8::1,443,1,\n",
             [{"dip": "192.0.2.1", "dp": 443, "success": "1", "ttl": "55"},
              {"dip": "2001:db8::1", "dp": 443, "success": "1"}]),
    "zgrab2": ('{"ip":"192.0.2.1","domain":"example.com","data":{"http":{"status":"success","protocol":"http",'
               '"result":{}}}}\n{"domain":"example.org","data":{"http":{"status":"io-timeout","protocol":"http"}}}\n',
               [{"dip": "192.0.2.1", "domain": "example.com"}, {"domain": "example.org"}]),
    "names": ("\n".join(NAMES), [{"domain": name} for name in NAMES]),
    "urls": ("https://example.com/a,b\nhttp://[2001:db8::1]:81\n",
             [{"domain": "example.com", "url": "https://example.com/a,b"},
              {"dip": "2001:db8::1", "dp": 81, "url": "http://[2001:db8::1]:81"}]),
    "endpoints": ("192.0.2.1:6881\n[2001:db8::1]:51413\n192.0.2.2,6881\n",
                  [{"dip": "192.0.2.1", "dp": 6881}, {"dip": "2001:db8::1", "dp": 51413},
                   {"dip": "192.0.2.2", "dp": 6881}]),
    "csv": ('Host;Port;note\n"example.com";443;"a; b"\nexample.org;;\n',
            [{"domain": "example.com", "dp": 443, "note": "a; b"}, {"domain": "example.org"}]),
    "ndjson": ('{"dip": "192.0.2.1", "dp": 80}\n', [{"dip": "192.0.2.1", "dp": 80}]),
}


class TestFormats(unittest.TestCase):
    def read(self, content, *, bad=0, **options):
        self.reader = TargetReader(io.BytesIO(content if isinstance(content, bytes) else content.encode()), "list",
                                   **options)
        with self.assertLogs("pathspider") as logs:
            logging.getLogger("pathspider").error("begin")
            jobs = list(self.reader)
        self.messages = "\n".join(logs.output)
        self.assertEqual(self.reader.skipped, bad, self.messages)
        self.assertEqual(self.reader.broken_off, "")
        return jobs

    def test_there_is_a_sample_of_each(self):
        self.assertEqual([*PUBLISHED], [*FORMATS])

    def test_named(self):
        for form, (text, jobs) in PUBLISHED.items():
            expected = [{**job, "list": form} if FORMATS[form].published else job for job in jobs]
            with self.subTest(form):
                self.assertEqual(self.read(text, form=form), expected)

    def test_the_content_tells(self):
        for form, (text, jobs) in PUBLISHED.items():
            if form != "zgrab2":
                with self.subTest(form):
                    self.assertEqual(self.read(text), jobs)

    def test_zgrab2_is_told_by_what_it_found(self):
        self.assertEqual(self.read(PUBLISHED["zgrab2"][0]), PUBLISHED["zgrab2"][1])

    def test_packed_and_encoded(self):
        for form, (text, jobs) in PUBLISHED.items():
            octets = text.encode()
            for content in (b"\xef\xbb\xbf" + octets, octets.replace(b"\r", b"").replace(b"\n", b"\r\n"),
                            gzip.compress(octets), bz2.compress(octets), lzma.compress(octets),
                            zstandard.compress(octets), zipped(octets), text.encode("utf-16"),
                            b"\n\n" + octets.replace(b"\n", b"\n\n")):
                with self.subTest(form, content=content[:8]):
                    self.assertEqual([{**job, "list": 0} for job in self.read(content, form=form)],
                                     [{**job, "list": 0} for job in jobs])

    def test_shuffled(self):
        for form, (text, jobs) in PUBLISHED.items():
            with self.subTest(form):
                found = self.read(text, form=form, seed=5)
                for job in found:
                    job.pop("list", None)
                self.assertCountEqual(found, jobs[:1] + jobs if form == "czds" else jobs)  # one has two servers

    def test_comments(self):
        for form in ("tranco", "opendns", "ct", "names", "urls", "endpoints", "zmap"):
            text, jobs = PUBLISHED[form]
            if form != "zmap":
                text = text.replace("\n", " # so\n", 1)
            with self.subTest(form):
                self.assertEqual(len(self.read(f"# a comment\n{text}\n# one more\n", form=form)), len(jobs))

    def test_a_bad_line_costs_nothing_but_itself(self):
        for form, line, says in (
            ("tranco", "one,example.org", "'one,example.org': rank,domain is needed"),
            ("tranco", "1,not a name", "'not a name': a name is needed"), ("umbrella", "5", "rank,domain is needed"),
            ("majestic", "1,2", "2 columns, where the header row has 12"),
            ("crux", "https://a.example/x,1", "no origin"),
            ("citizenlab", "mailto:x,A,B,C,D,E", "no URL"), ("citizenlab", '"a', "not CSV"),
            ("opendns", "192.0.2.1", "'192.0.2.1': a name is needed"), ("opendns", "a.example,b", "a name alone"),
            ("radar", "two,cells", "2 columns"), ("czds", "a.example. 60 in", "no record"),
            ("ct", "*.", "'*.': a name is needed"), ("ct", "a@example.org", "a name is needed"),
            ("zmap", "192.0.2.1,x,1,2", "port 'x'"),
            ("zgrab2", '{"a": 1}', "neither saddr"), ("zgrab2", "{", "not JSON"), ("zgrab2", "oops", "not a target"),
            ("zgrab2", "a.example,1", "an address or a JSON object"),
            *(("names", text, "a name is needed") for text in ("https://a.example", "a.example:80", "a..example")),
            ("urls", "https:///x", "no URL"), ("urls", "a b", "not a target"),
            ("endpoints", "192.0.2.1", "address:port is needed"), ("endpoints", "192.0.2.1,x", "port 'x'"),
            ("csv", "a.example;x;", "port 'x'"), ("ndjson", "[]", "a JSON list"),
        ):
            text, jobs = PUBLISHED[form]
            text = text.rstrip("\n") + f"\n{line}\n"
            with self.subTest(form, line=line):
                self.assertEqual(len(self.read(text, form=form, bad=1)), len(jobs))
                self.assertIn(f"list, line {len(text.splitlines())}: ", self.messages)
                self.assertIn(says, self.messages)

    def test_a_header_row_that_is_missing(self):
        for form in ("majestic", "crux", "citizenlab", "csv"):
            reader = TargetReader(io.BytesIO(b"1,example.org\n"), "list", form=form)
            with self.assertLogs("pathspider", "ERROR"):
                self.assertEqual(list(reader), [])
            self.assertRegex(reader.broken_off, f"1,example.org', where for {form} there has to be a header row")

    def test_names_that_are_none_are_named(self):
        """By IDNA 2008; what is mapped and encoded is told in records."""
        text = "1,a\uff0fb.example\n2,straße.example\n3,xn--a.example\n4,\u200d.example\n"
        sieve = Sieve(TargetReader(io.BytesIO(text.encode()), "list"))
        with self.assertLogs("pathspider", "ERROR") as logs:
            self.assertEqual([to_wire(job["domain"]) for job in sieve], ["xn--strae-oqa.example", "xn--a.example"])
        self.assertIn("list, line 1: domain_not_a_name", logs.output[0])
        self.assertIn("list, line 4: domain_not_a_name", logs.output[1])

    def test_columns_that_the_user_names(self):
        text = "id,host,ip,Seite\n7,192.0.2.9,192.0.2.1,a.example\n"
        self.assertEqual(self.read(text, columns={"Seite": "domain"}),
                         [{"id": "7", "host": "192.0.2.9", "dip": "192.0.2.1", "domain": "a.example"}])
        self.assertEqual(self.read(text, columns={"host": "dip", "Seite": "domain"}),
                         [{"id": "7", "dip": "192.0.2.9", "ip": "192.0.2.1", "domain": "a.example"}])
        self.assertEqual(self.read("a.example\tx\t443\nb.example\ty\t80\n", columns={"1": "domain", "3": "dp"}),
                         [{"domain": "a.example", "dp": 443}, {"domain": "b.example", "dp": 80}])
        self.assertEqual(self.read("a.example,x\n", columns={"1": "domain", "3": "dp"}, bad=1), [])
        self.assertEqual(self.read('{"h": "a.example", "domain": 1}\n{}\n', columns={"h": "domain"}, bad=1),
                         [{"domain": "a.example"}])
        reader = TargetReader(io.BytesIO(text.encode()), "list", columns={"nope": "domain"})
        with self.assertLogs("pathspider", "ERROR"):
            self.assertEqual(list(reader), [])
        self.assertIn("no column 'nope' in the header row 'id, host, ip, Seite'", reader.broken_off)
