"""Where an address is: files of prefixes in all formats."""

import bz2
import gzip
import io
import json
import logging
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

from pathspider.targets.prefixes import METADATA, Prefixes, PrefixesError, parse_systems
from pathspider.targets.reading import JobReader
from pathspider.targets.selection import Stage
from tests.targets.dumps import UINT32, as_path, mmdb, mrt_record, peer_table, rib_entry

PFX2AS = b"""192.0.2.0\t24\t64496
192.0.2.128\t25\t64497_64498
198.51.100.0\t24\t64499,64500
203.0.113.0\t24\t64501_64499,64500
0.0.0.0\t0\t64511
2001:db8::\t32\t64502
"""


class FilesOfPrefixes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        logging.getLogger("pathspider").setLevel(logging.INFO)

    def read(self, *contents, bad=0):
        names = []
        for number, content in enumerate(contents):
            path = self.folder / f"prefixes{number}"
            path.write_bytes(content)
            names.append(str(path))
        with self.assertLogs("pathspider") as logs:
            logging.getLogger("pathspider").info("begin")
            prefixes = Prefixes.read(names)
        self.messages = "\n".join(logs.output)
        self.assertEqual(prefixes.bad, bad, self.messages)
        return prefixes


class TestText(FilesOfPrefixes):
    def test_pfx2as(self):
        for content in (PFX2AS, gzip.compress(PFX2AS), b"\xef\xbb\xbf" + PFX2AS.replace(b"\n", b"\r\n")):
            prefixes = self.read(content)
            self.assertEqual(len(prefixes), 5)
            for address, location in {
                "192.0.2.1": {"prefix": "192.0.2.0/24", "ASN": 64496},
                "192.0.2.200": {"prefix": "192.0.2.128/25", "ASN": [64497, 64498]},
                "198.51.100.1": {"prefix": "198.51.100.0/24", "ASN": [[64499, 64500]]},
                "203.0.113.1": {"prefix": "203.0.113.0/24", "ASN": [64501, [64499, 64500]]},
                "2001:db8:ffff::1": {"prefix": "2001:db8::/32", "ASN": 64502},
                "10.0.0.1": {}, "2001:db9::": {}, "no address": {}, "fe80::1%lo": {},
            }.items():
                self.assertEqual(prefixes.locate(address), location, address)

    def test_pyasn(self):
        prefixes = self.read(b"; IP-ASN32-DAT file\n;\n192.0.2.0/24\t64496\n\n2001:db8::/32\t64502\n0.0.0.0/0\t1\n")
        self.assertEqual(prefixes.locate("192.0.2.9"), {"prefix": "192.0.2.0/24", "ASN": 64496})
        self.assertEqual(prefixes.locate("2001:db8::"), {"prefix": "2001:db8::/32", "ASN": 64502})
        self.assertEqual(len(prefixes), 2)

    def test_bgpdump(self):
        lines = ["TABLE_DUMP2|1700000000|B|192.0.2.7|64501|0.0.0.0/0|64501|IGP|192.0.2.7|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.7|64501|192.0.2.0/24|64501 64510|IGP|192.0.2.7|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.8|64502|192.0.2.0/24|64502 64511 64511|IGP|192.0.2.8|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.9|64503|192.0.2.0/24|64503 64511|IGP|192.0.2.9|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.9|64503|198.51.100.0/24|1 {64512,64513}|IGP|192.0.2.9|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.9|64503|oops/24|64503|IGP|192.0.2.9|0|0||NAG||",
                 "TABLE_DUMP2|1700000000|B|192.0.2.9|64503|2001:db8::/32|64503 (65001)|IGP|192.0.2.9|0|0||NAG||"]
        prefixes = self.read("\n".join(lines).encode(), bad=1)
        self.assertIn("line 6", self.messages)
        self.assertEqual([prefixes.locate(address).get("ASN") for address in
                          ("192.0.2.1", "198.51.100.1", "2001:db8::1", "10.0.0.1")],
                         [[64511, 64510], [[64512, 64513]], 64503, None])

    def test_a_bad_prefix_of_bgpdump_costs_its_own_lines_alone(self):
        lines = [f"TABLE_DUMP2|1700000000|B|192.0.2.7|64501|{prefix}|64501 {origin}|IGP|192.0.2.7|0|0||NAG||"
                 for prefix, origin in (("192.0.2.0/24", 1), ("192.0.3.0/99", 2), ("192.0.2.0/24", 1),
                                        ("198.51.100.0", 3), ("203.0.113.0/24", 4), ("2001:db8::/129", 5))]
        prefixes = self.read("\n".join(lines).encode(), bad=3)
        self.assertEqual([prefixes.locate(address).get("ASN") for address in
                          ("192.0.2.1", "192.0.3.1", "198.51.100.0", "203.0.113.1", "2001:db8::")],
                         [1, None, None, 4, None])
        for says in ("line 2: a prefix length of 99", "line 4: '' is no prefix length", "line 6: a prefix length"):
            self.assertIn(says, self.messages)

    def test_a_file_without_a_prefix_is_the_wrong_one(self):
        for content in (b"", b"; IP-ASN32-DAT file\n", b"rank,domain\n1,example.org\n", b"TABLE_DUMP2|1|A|x\n",
                        peer_table()):
            with self.subTest(content), self.assertRaisesRegex(PrefixesError, "prefixes1: .* prefix"):
                self.read(PFX2AS, content)

    def test_a_bad_line_costs_nothing_but_itself(self):
        lines = [b"192.0.2.0\t24\t64496", b"192.0.2.0\t33\t1", b"x\t24\t1", b"192.0.3.0\t24\tAS", b"192.0.3.0\t24",
                 b"192.0.3.0 24 4294967296", b"\xff\t24\t1", b"a b c d", b"198.51.100.0\t24\tAS64497"]
        prefixes = self.read(b"\n".join(lines), bad=7)
        self.assertEqual([prefixes.locate(f"{net}.1").get("ASN") for net in ("192.0.2", "198.51.100", "192.0.3")],
                         [64496, 64497, None])
        for says in ("line 2: a prefix length of 33", "line 4: 'AS' is no AS number: '192.0.3.0\\t24\\tAS'", "line 7"):
            self.assertIn(says, self.messages)

    def test_two_files_together(self):
        prefixes = self.read(PFX2AS, b"192.0.2.0/24 64510\n192.0.2.0/24 64496\n192.0.2.128/25 64498\n")
        self.assertEqual(prefixes.locate("192.0.2.1")["ASN"], [64496, 64510])
        self.assertEqual(prefixes.locate("192.0.2.129")["ASN"], [64497, 64498])

    def test_what_is_none(self):
        for content, says in ((b"%PDF-1.7\n", "PDF"), (gzip.compress(PFX2AS)[:12], "cut off"),
                              (bytes(50), "neither text")):
            with self.subTest(says), self.assertRaisesRegex(PrefixesError, says):
                self.read(content)
        with self.assertRaisesRegex(PrefixesError, "/nonexistent/x: No such file"):
            Prefixes.read(["/nonexistent/x"])

    def test_one_that_breaks_off(self):
        for number in range(1, 300, 40):
            packed = gzip.compress(PFX2AS * 100 + b"198.18.0.0\t15\t64496000\n" + PFX2AS)
            torn = self.read(packed[:-8 - number // 8], bad=1)
            self.assertIn(torn.locate("198.18.0.1").get("ASN"), (None, 64496000))
            self.assertEqual(torn.locate("192.0.2.1")["ASN"], 64496)
            self.assertIn("breaks off", self.messages)

    def test_numbers(self):
        self.assertEqual(parse_systems("10_20,30_AS40_30,30"), [10, (20, 30), 40, 30])
        for text in ("", "10_", "x", "-1", "4294967296", "{10}"):
            with self.subTest(text), self.assertRaises(ValueError):
                parse_systems(text)


class TestMRT(FilesOfPrefixes):
    DUMP = (peer_table() + rib_entry("0.0.0.0/0", as_path([64501]))
            + rib_entry("192.0.2.0/24", as_path([64501, 64510]), as_path([64502, 64511]), as_path([64503, 64511]))
            + rib_entry("2001:db8::/32", as_path([64501], {64512, 64513})))

    def test_a_dump(self):
        for content in (self.DUMP, bz2.compress(self.DUMP), gzip.compress(self.DUMP)):
            prefixes = self.read(content)
            self.assertEqual(prefixes.locate("192.0.2.1"), {"prefix": "192.0.2.0/24", "ASN": [64511, 64510]})
            self.assertEqual(prefixes.locate("2001:db8::1")["ASN"], [[64512, 64513]])
            self.assertEqual(len(prefixes), 2)

    def test_one_that_breaks_off(self):
        for content in (self.DUMP[:-10], gzip.compress(self.DUMP * 50)[:-30]):
            prefixes = self.read(content, bad=1)
            self.assertEqual(prefixes.locate("192.0.2.1")["ASN"], [64511, 64510])
            self.assertIn("breaks off", self.messages)
        with self.assertRaisesRegex(PrefixesError, "updates"):
            self.read(mrt_record(4, b"", kind=16))


@unittest.skipUnless(find_spec("maxminddb"), "needs python3-maxminddb, which is optional")
class TestDatabases(FilesOfPrefixes):
    ASN = mmdb({"192.0.2.0/25": {"autonomous_system_number": (UINT32, 64496)},
                "2001:db8::/33": {"asn": "AS64497", "country_code": "DE"}, "198.51.100.0/24": {"asn": "none"}})
    COUNTRY = mmdb({"192.0.2.0/24": {"country": {"iso_code": "FR"}}, "198.51.100.0/24": {"country": "Nowhere"}}, 4)

    def test_databases(self):
        prefixes = self.read(self.ASN, self.COUNTRY)
        for address, location in {
            "192.0.2.1": {"prefix": "192.0.2.0/25", "ASN": 64496, "country": "FR"}, "192.0.2.129": {"country": "FR"},
            "2001:db8::1": {"prefix": "2001:db8::/33", "ASN": 64497, "country": "DE"}, "198.51.100.1": {},
            "2001:db8:8000::1": {}, "203.0.113.1": {},
        }.items():
            self.assertEqual(prefixes.locate(address), location, address)

    def test_a_routed_prefix_counts_first(self):
        prefixes = self.read(PFX2AS, self.ASN, self.COUNTRY)
        self.assertEqual(prefixes.locate("192.0.2.1"), {"prefix": "192.0.2.0/24", "ASN": 64496, "country": "FR"})
        self.assertEqual(prefixes.locate("2001:db8::1"), {"prefix": "2001:db8::/32", "ASN": 64502, "country": "DE"})

    def test_one_that_is_damaged(self):
        with self.assertRaises(PrefixesError):
            self.read(self.ASN[-100:].replace(b"node_count", b"node_cuont"))

    def test_damaged_data_cost_what_is_looked_up_there(self):
        end = self.ASN.rindex(METADATA)
        data = self.ASN.index(b"autonomous_system_number")
        prefixes = self.read(PFX2AS, self.ASN[:data] + bytes([255]) * (end - data) + self.ASN[end:], self.COUNTRY)
        with self.assertLogs("pathspider") as logs:
            for _ in range(2):
                self.assertEqual(prefixes.locate("192.0.2.1"),
                                 {"prefix": "192.0.2.0/24", "ASN": 64496, "country": "FR"})
        self.assertEqual(len(logs.output), 1)
        self.assertIn("prefixes1 is damaged", logs.output[0])
        self.assertEqual(prefixes.bad, 2)

    def test_without_the_package(self):
        with mock.patch.dict(sys.modules, maxminddb=None), self.assertRaisesRegex(PrefixesError, "python3-maxminddb"):
            self.read(self.ASN)


class TestJobs(FilesOfPrefixes):
    def test_jobs(self):
        prefixes = self.read(PFX2AS)
        where = {"prefix": "192.0.2.0/24", "ASN": 64496}
        for job, found in (
            ({"dip": "192.0.2.1", "dp": 80}, {"dip": "192.0.2.1", "dp": 80, "info": where}),
            ({"dip": "192.0.2.1", "info": {"ASN": 7, "more": 1}}, {"dip": "192.0.2.1", "info": {"more": 1, **where}}),
            ({"dip": "192.0.2.1", "info": None}, {"dip": "192.0.2.1", "info": where}),
            ({"dip": "192.0.2.1", "info": "text"}, {"dip": "192.0.2.1", "info": "text"}),
            ({"dip": "10.0.0.1", "info": {"ASN": 7}}, {"dip": "10.0.0.1", "info": {"ASN": 7}}),
            ({"domain": "a.example"}, {"domain": "a.example"}), ({"dip": 5}, {"dip": 5}), ({"dip": "x"}, {"dip": "x"}),
        ):
            before = json.dumps(job)
            self.assertEqual(prefixes.annotate(job), found)
            self.assertEqual(json.dumps(job), before)

    def test_a_list(self):
        reader = JobReader(io.BytesIO(b'{"dip": "192.0.2.1"}\n{"dip": "10.0.0.1"}\n'), "list")
        located = Stage(reader, map(self.read(PFX2AS).annotate, reader))
        self.assertEqual([job.get("info", {}).get("ASN") for job in located], [64496, None])
        self.assertEqual((located.name, located.jobs), ("list", 2))


class TestMemory(unittest.TestCase):
    def test_a_hundred_thousand_prefixes(self):
        """A million take 91 MiB; benchmarks/targets.py has that."""
        program = ("import resource, sys\nfrom pathspider.targets.prefixes import Prefixes\n"
                   "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
                   "prefixes = Prefixes.read(['/dev/stdin'])\n"
                   "print(len(prefixes), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)")
        lines = b"".join(b"10.%d.%d.%d\t32\t%d\n" % (number >> 16, number >> 8 & 255, number & 255, number)
                         for number in range(100_000))
        done = subprocess.run([sys.executable, "-P", "-c", program], input=lines, stdout=subprocess.PIPE, check=True)
        count, kib = map(int, done.stdout.split())
        self.assertEqual(count, 100_000)
        self.assertLess(kib, 40_000)
