"""pspdr trace: targets of the command line, earlier runs, and real paths of hops."""

import io
import json
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pathspider.cmd.main import UsageError, build_parser
from pathspider.cmd.trace import earlier_targets, parse_target, run
from pathspider.helpers.optional import has_aioquic
from pathspider.installed import find_plugin
from pathspider.lab import Lab, scenarios
from pathspider.lab.scenario import Family, cases_of
from pathspider.lab.scenarios import HOP_FAMILY, HOPS_FILE

ROOT = Path(__file__).parents[2]


class TestTargets(unittest.TestCase):
    def test_addresses_and_names(self):
        for text, job in (("192.0.2.1", {"dip": "192.0.2.1"}), ("192.0.2.1:443", {"dip": "192.0.2.1", "dp": 443}),
                          ("2001:db8::1", {"dip": "2001:db8::1"}), ("[2001:DB8::1]", {"dip": "2001:db8::1"}),
                          ("[2001:db8::1]:443", {"dip": "2001:db8::1", "dp": 443})):
            self.assertEqual(parse_target(text), job)
        self.assertEqual(parse_target("localhost:80", 4), {"dip": "127.0.0.1", "domain": "localhost", "dp": 80})

    def test_what_is_none(self):
        with self.assertRaisesRegex(UsageError, "']' is missing"):
            parse_target("[2001:db8::1")
        for text in ("192.0.2.1:x", "192.0.2.1:0", "192.0.2.1:65536", "[2001:db8::1]:", "no.such.name.invalid", ""):
            if text != "[2001:db8::1]:":
                with self.assertRaisesRegex(UsageError, "target"):
                    parse_target(text)
        with self.assertRaisesRegex(UsageError, "an IPv4 address, and -6 asks for IPv6"):
            parse_target("192.0.2.1", 6)
        self.assertEqual(parse_target("[2001:db8::1]:"), {"dip": "2001:db8::1"})


class TestEarlier(unittest.TestCase):
    def read(self, *records, plugin="ecn"):
        with tempfile.NamedTemporaryFile("w") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            return [*earlier_targets(file.name, find_plugin(plugin))]

    def test_those_of_which_something_was_found(self):
        def record(number, *found, **more):
            return {"dip": f"192.0.2.{number}", "dp": 80, "conditions": list(found), "path": [], "run": "x", **more}

        self.assertEqual(self.read(
            record(1, "ecn.connectivity.works", "ecn.negotiation.succeeded"),
            record(2, "ecn.connectivity.works", "ecn.negotiation.failed"),
            record(3, "ecn.connectivity.broken", "ecn.stable.connectivity.works", rounds=[]),
            record(4, "ecn.connectivity.broken", "ecn.stable.connectivity.broken", rounds=[]),
            record(5, "ecn.connectivity.broken")),
            [{"dip": f"192.0.2.{number}", "dp": 80} for number in (2, 4, 5)])
        self.assertEqual(self.read(record(1, "accecn.connectivity.works", "accecn.ect0.connectivity.works"),
                                   record(2, "accecn.connectivity.works", "accecn.ect0.forward.bleached",
                                          "accecn.ect0.connectivity.works"), plugin="accecn"),
                         [{"dip": "192.0.2.2", "dp": 80}])

    def test_records_of_another_plugin(self):
        ours, other = ({"dip": "192.0.2.1", "dp": 80, "conditions": [found], "path": [], "run": "x"}
                       for found in ("ecn.negotiation.failed", "mss.option.received.absent"))
        ours["conditions"].insert(0, "ecn.connectivity.works")
        with self.assertRaisesRegex(UsageError, r"2 records of other plugins \(mss\), and none of ecn"):
            self.read(other, other)
        with self.assertLogs("pathspider", "WARNING") as logged:
            self.assertEqual(self.read(ours, other), [{"dip": "192.0.2.1", "dp": 80}])
        self.assertIn("1 record of other plugins (mss): they are left out", logged.output[0])

    def test_what_cannot_be_read(self):
        with self.assertRaisesRegex(UsageError, "--from /nowhere: No such file"):
            [*earlier_targets("/nowhere", find_plugin("ecn"))]


class TestParser(unittest.TestCase):
    def test_plugins_and_their_options(self):
        args = build_parser("trace", ["trace", "dscp"]).parse_args(
            ["trace", "-i", "lo", "--rate", "5", "dscp", "--codepoint", "10", "192.0.2.1", "192.0.2.2"])
        self.assertEqual((args.plugin_name, args.plugin_args.codepoint, args.plugin_args.targets, args.rate),
                         ("dscp", 10, ["192.0.2.1", "192.0.2.2"], 5.0))

    def test_not_those_that_hops_see_nothing_of(self):
        text = io.StringIO()
        with self.assertRaises(SystemExit), redirect_stdout(text):
            build_parser("trace", ["trace"]).parse_args(["trace", "--help"])
        self.assertIn("evilbit", text.getvalue())
        self.assertNotRegex(text.getvalue(), r"\bh2\b")


class TestErrors(unittest.TestCase):
    def trace(self, *words):
        argv = ["trace", "-i", "lo", *words]
        return run(build_parser("trace", argv).parse_args(argv))

    def test_the_output_is_not_lost(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"mine")
            file.flush()
            with self.assertRaisesRegex(UsageError, "there is something in this file already"):
                self.trace("-o", file.name, "mss", "192.0.2.1")
            self.assertEqual(Path(file.name).read_bytes(), b"mine")

    def test_what_no_hop_can_tell(self):
        text = io.StringIO()
        with redirect_stderr(text), self.assertRaises(SystemExit):
            build_parser("trace", ["trace", "h2", "192.0.2.1"])
        self.assertIn("hops can say nothing of what h2 measures", text.getvalue())

    def test_rates(self):
        for rate in ("nan", "-1", "0", "fast"):
            text = io.StringIO()
            with redirect_stderr(text), self.assertRaises(SystemExit):
                self.trace(f"--rate={rate}", "mss", "192.0.2.1")
            self.assertIn(f"{rate}: a number over 0 is needed, of packets per second", text.getvalue())

    def test_no_target(self):
        with self.assertRaisesRegex(UsageError, "no target"):
            self.trace("mss")
        with tempfile.NamedTemporaryFile() as file, self.assertRaisesRegex(UsageError, "nothing in it"):
            self.trace("--from", file.name, "mss")


class TestPaths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(scenarios=[HOPS_FILE]))
        cls.addresses = {case.scenario.name: case.address
                         for case in cases_of(Family(HOP_FAMILY, scenarios.scenarios_of(HOPS_FILE)))
                         if case.version == 4}

    def trace(self, *words):
        return self.lab.run([sys.executable, "-m", "tests.run.locating", "trace", "--rate", "2000", *words], timeout=60,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)

    def test_a_reason_of_this_machine(self):
        """The addresses of the lab, where it does not seem to be the lab, and none is asked for."""
        argv = ["trace", "-i", "lo", "ecn", "10.20.1.1"]
        done = subprocess.run([sys.executable, "-m", "pathspider", *argv], cwd=ROOT, capture_output=True, text=True,
                              check=False, timeout=100)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("10.20.1.1 port 80: pathspider.local_error:lab_address", done.stdout)
        self.assertIn("--allow-lab-addresses", done.stderr)

    def test_data_behind_a_handshake(self):
        """What hops see of ClientHellos: on a clean path how long they are, on another how far they come."""
        targets = [self.addresses[name] for name in ("tls-large-dropped-at-6", "tls-clean-hops")]
        done = self.trace("-o", "-", "tls", "--timeout", "1", "--hellos", "large", *targets)
        self.assertEqual(done.returncode, 0, done.stderr)
        records = {record["dip"]: record for record in map(json.loads, done.stdout.splitlines())}
        dropped, clean = (records[target] for target in targets)
        self.assertIn("tls.large.hop.dropped:6-7", dropped["conditions"])
        self.assertEqual([hop["ttl"] for hop in dropped["hops"]["B"]], [*range(1, 7)])
        self.assertNotIn(".hop.", " ".join(clean["conditions"]))
        lengths = [{hop["quoted"]["payload_length"] for hop in clean["hops"][side]} for side in "AB"]
        self.assertEqual(([*map(len, lengths)], lengths[1]), ([1, 1], {1300}))
        self.assertEqual([{side: (end["ttl"], end["came"]) for side, end in record["reached"].items()}
                          for record in (dropped, clean)],
                         [{"A": (9, "accepted"), "B": (9, "nothing")}, {"A": (9, "accepted"), "B": (9, "accepted")}])

    def test_a_closed_port(self):
        """Its hops are asked, and the path has no others; of QUIC, too, whose connection has no mark that hops could
        quote."""
        target = self.addresses["ecn-clean-tcp-hops"]
        plugins = [["ecn", "--connect", "tcp"], *[["quic"]] * has_aioquic()]
        for plugin in plugins:
            done = self.trace("-o", "-", *plugin, "--timeout", "1", f"{target}:81")
            record = json.loads(done.stdout)
            self.assertEqual((len(record["path"]), record["path"][-1], "*" in record["path"]), (10, target, False))
            self.assertEqual({side: end["came"] for side, end in record["reached"].items()},
                             {"A": "refused", "B": "refused"})

    def test_a_table_and_records(self):
        with tempfile.NamedTemporaryFile() as file:
            targets = [self.addresses[name] for name in ("ecn-syn-dropped-tcp-at-7", "ecn-clean-tcp-hops")]
            done = self.trace("-o", file.name, "ecn", "--connect", "tcp", "--timeout", "1", *targets)
            self.assertEqual(done.returncode, 0, done.stderr)
            records = {record["dip"]: record for record in map(json.loads, file)}
        dropped, clean = (records[target] for target in targets)
        self.assertIn("ecn.hop.dropped:7-8", dropped["conditions"])
        self.assertEqual([[hop["ttl"] for hop in dropped["hops"][side]] for side in "AB"],
                         [[*range(1, 9)], [*range(1, 8)]])
        self.assertEqual([[hop["ttl"] for hop in clean["hops"][side]] for side in "AB"], [[*range(1, 9)]] * 2)
        self.assertNotIn(".hop.", " ".join(clean["conditions"]))
        self.assertEqual(len(clean["path"]), 10)
        self.assertNotIn("*", clean["path"])
        lines = done.stdout.decode().split("\n")
        self.assertEqual(len(lines), 2 * 11 + 1 + 1)
        self.assertEqual([{side: (end["ttl"], end["came"]) for side, end in record["reached"].items()}
                          for record in (dropped, clean)],
                         [{"A": (9, "accepted"), "B": (9, "nothing")}, {"A": (9, "accepted"), "B": (9, "accepted")}])
        for target in targets:
            self.assertTrue(any(line.startswith(f"{target} port 80: ecn.connectivity.") for line in lines))
        self.assertTrue(any("no answer to the experiment <" in line for line in lines))


if __name__ == "__main__":
    unittest.main()
