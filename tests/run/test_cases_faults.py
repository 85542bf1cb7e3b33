"""Cases of ends and faults: what fails is named, the rest goes on or ends in order, and nothing stays behind."""

import re
import shutil
import signal
import subprocess
import sys
import unittest

from tests.run.cases import COMMAND, CaseTest, clean, dead, ndjson, pids_cgroup, twice

FINE = '''
    def combine_flows(self, flows):
        return ["faulty.fine"]
'''
AT_SEVEN = "job['number'] == 7"


class TestPlugins(CaseTest):
    """What a plugin does to one target ends in that target's record."""

    tracebacks = True

    def one_is_named(self, fault, status=1):
        tree = self.tree("faulty", twice("faulty", FINE + fault))
        code, records, errors = self.measure(clean(40), "-w", "10", "faulty", tree=tree, timeout=30)
        self.assertEqual(len(records), 40, errors)
        self.assertEqual(code, status, errors)
        for record in records:
            if record["number"] == 7:
                self.assertNotIn("faulty.fine", record["conditions"], record)
                self.assertTrue(any(one.startswith("pathspider.") for one in record["conditions"]), record)
            else:
                self.assertEqual(record["conditions"], ["faulty.fine"], record)
        return records[7], errors

    def test_raises_for_one_target(self):
        record, errors = self.one_is_named(f"""
    def conn_two(self, job, config):
        if {AT_SEVEN}:
            raise KeyError("seven")
        return connect_tcp(self.source, job, self.args.timeout)
""")
        self.assertIn("KeyError", record["error"])
        self.assertIn("faulty", errors)

    def test_raises_before_the_connections(self):
        record, _ = self.one_is_named(f"""
    def pre_connect(self, job):
        if {AT_SEVEN}:
            raise RuntimeError("seven")
""")
        self.assertIn("seven", record["error"])

    def test_raises_after_a_connection(self):
        record, _ = self.one_is_named(f"""
    def post_connect(self, job, rec, config):
        if {AT_SEVEN}:
            raise RuntimeError("seven")
""")
        self.assertIn("seven", record["error"])

    def test_raises_when_it_judges(self):
        record, _ = self.one_is_named("""
    def post_connect(self, job, rec, config):
        rec["number_of_job"] = job["number"]

    def combine_flows(self, flows):
        if flows[0]["number_of_job"] == 7:
            raise ZeroDivisionError("seven")
        return ["faulty.fine"]
""")
        self.assertIn("ZeroDivisionError", record["error"])

    def test_raises_when_it_merges(self):
        record, _ = self.one_is_named("""
    def post_connect(self, job, rec, config):
        rec["number_of_job"] = job["number"]

    def merge(self, flow, res):
        if res["number_of_job"] == 7:
            raise LookupError("seven")
        return super().merge(flow, res)
""")
        self.assertIn("LookupError", record["error"])

    def test_a_connection_without_a_port(self):
        self.one_is_named(f"""
    def conn_two(self, job, config):
        rec = connect_tcp(self.source, job, self.args.timeout)
        if {AT_SEVEN}:
            rec["dp"] = None
        return rec
""")

    def test_a_connection_function_that_returns_rubbish(self):
        for rubbish in ("None", "[1, 2]", "'rubbish'", "{'sp': 'x'}", "{}"):
            with self.subTest(rubbish=rubbish):
                shutil.rmtree(self.folder / "pathspider-faulty", ignore_errors=True)
                self.one_is_named(f"""
    def conn_two(self, job, config):
        if {AT_SEVEN}:
            return {rubbish}
        return connect_tcp(self.source, job, self.args.timeout)
""")

    def test_many_in_a_row_end_the_run(self):
        tree = self.tree("faulty", twice("faulty", FINE + """
    def conn_two(self, job, config):
        raise KeyError("always")
"""))
        status, records, errors = self.measure(clean(2000), "-w", "10", "faulty", tree=tree)
        self.assertEqual(status, 1, errors)
        self.assertLess(sum("error" in record for record in records), 1000, "it went on for ever")
        self.assertIn("KeyError", errors)

    def test_a_merger_that_raises(self):
        tree = self.tree("faulty", twice("faulty", FINE + """
    def merger(self):
        self.mergequeue.get()
        raise RuntimeError("a merger of my own")
"""))
        status, _, errors = self.measure(clean(300), "-w", "10", "faulty", tree=tree, timeout=30)
        self.assertEqual(status, 1, errors)
        self.assertIn("a merger of my own", errors)


class TestEnds(CaseTest):
    def check_restoring(self, *plugin):
        """An nft that cannot be started any more from the middle of a run on."""
        broken, binaries = self.folder / "broken", self.folder / "bin"
        binaries.mkdir()
        nft = binaries / "nft"
        nft.write_text(f'#!/bin/sh\nif [ -e {broken} ]; then echo "nft: out of order" >&2; exit 3; fi\n'
                       f'exec {shutil.which("nft")} "$@"\n')
        nft.chmod(0o755)
        before = self.lab.run(["sysctl", "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"], capture_output=True).stdout
        run = self.start(clean(2000), "--rate", "200", *plugin,
                         environment={"PATH": f"{binaries}:/usr/sbin:/sbin:/usr/bin:/bin"})
        self.wait_for_packets(self.sent() + 40)
        broken.touch()
        run.send_signal(signal.SIGTERM)
        _, errors = self.finish(run, 30)
        after = self.lab.run(["sysctl", "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"], capture_output=True).stdout
        self.assertEqual(after, before, "what could be put back was not")
        rules = self.lab.run(["nft", "list", "tables"], capture_output=True).stdout.decode()
        if "pathspider" in rules or "pspdr" in rules:
            self.assertIn("nft", errors)
            self.assertIn("out of order", errors)
            self.assertEqual(run.returncode, 1, errors)
        else:
            self.assertIn(run.returncode, (1, 128 + signal.SIGTERM), errors)

    def test_what_cannot_be_put_back_is_named(self):
        for plugin in ("dscp", "ecn"):
            with self.subTest(plugin=plugin):
                shutil.rmtree(self.folder / "bin", ignore_errors=True)
                (self.folder / "broken").unlink(missing_ok=True)
                self.check_restoring(plugin, "--connect", "tcp")

    def test_the_same_in_lockstep(self):
        self.check_restoring("--lockstep", "dscp", "--connect", "tcp")

    def test_a_full_disk(self):
        """As soon as nothing can be written, nobody is contacted any more."""
        program = ('mount -t tmpfs -o size=128k none /mnt && "$@"; status=$?; wc -l </mnt/records; exit $status')
        command = ["unshare", "-m", "sh", "-c", program, "sh", *COMMAND, "-w", "20", "--output", "/mnt/records"]
        # A record comes a second after its connection: at this rate some 200 are under way.
        run = self.start(clean(3000), "--rate", "200", "mss", "--connect", "tcp", command=command)
        output, errors = run.communicate(timeout=60)
        written = int(output)
        contacted = self.lab.run(["ss", "-Htan", "state", "time-wait"], capture_output=True).stdout.count(b"\n")
        self.assertEqual(run.returncode, 1, errors)
        self.assertIn(b"No space left", errors)
        self.assertIn(b"--resume", errors)
        self.assertNotIn(b"without a record", errors)
        self.assertGreater(written, 20)
        self.assertLessEqual(contacted, written)

    def test_standard_output_that_takes_nothing(self):
        command = ["sh", "-c", '"$@" >/dev/full', "sh", *COMMAND, "-w", "10"]
        run = self.start(clean(3000), "mss", "--connect", "tcp", command=command)
        _, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 1, errors)
        self.assertIn(b"No space left", errors)
        self.assertRegex(errors, rb"without a record")

    def test_too_few_threads_for_the_workers(self):
        """Said before anything is begun, with the greatest number that is possible."""
        with pids_cgroup(80) as group:
            if group is None:
                self.skipTest("no cgroup (version 1) for pids can be made here")
            program = f'echo 0 >{group}/cgroup.procs; exec unshare -n sh -c \'ip link set lo up; exec "$@"\' sh "$@"'
            command = [sys.executable, "-m", "pathspider", "measure", "-i", "lo"]
            jobs = self.folder / "jobs"
            jobs.write_bytes(ndjson([{"dip": "127.0.0.1", "dp": 80}]))

            def measure(workers):
                return subprocess.run(["sh", "-c", program, "sh", *command, "--input", str(jobs), "-w", str(workers),
                                       "mss", "--connect", "tcp"], capture_output=True, text=True, timeout=60,
                                      check=False)

            done = measure(200)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            greatest = re.search(r"-w (\d+)", done.stderr)
            self.assertTrue(greatest, done.stderr)
            self.assertEqual(measure(int(greatest[1])).returncode, 0)

    def test_no_standard_error(self):
        for plugin in ("mss", "ecn"):
            command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND]
            status, records, _ = self.measure(clean(50), plugin, "--connect", "tcp", command=command)
            self.assertEqual((status, len(records)), (0, 50))

    def test_signals_write_what_is_in_flight(self):
        self.drop()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                before = self.sent()
                # whoever started the tests may ignore SIGHUP, as nohup does
                command = ["env", "--default-signal", *COMMAND]
                run = self.start(dead(20) + clean(1000), "-w", "20", "mss", "--connect", "tcp", "--timeout", "3",
                                 command=command)
                self.wait_for_packets(before + 20)
                run.send_signal(number)
                records, errors = self.finish(run)
                offline = [one for one in records if "mss.connectivity.offline" in one["conditions"]]
                self.assertEqual((run.returncode, len(offline)), (128 + number, 20), errors)

    def middle(self, change, *plugin):
        """A run in whose middle something happens to the machine's network; the run, records, what was said."""
        run = self.start(clean(400), "--rate", "200", "--output", str(self.folder / "records"), *plugin)
        self.wait_for_packets(self.sent() + 200)
        done = self.lab.run(["sh", "-c", change], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        _, errors = self.finish(run)
        self.assertEqual(run.returncode, 1, errors)
        records = (self.folder / "records").read_text()
        for word in (".broken", ".transient", ".offline"):
            self.assertNotIn(word, records)
        return errors

    def resumed(self, *plugin):
        """With the network as it was, ``--resume`` measures what our own machine kept from being measured."""
        self.measure(clean(400), "--resume", str(self.folder / "records"), *plugin)
        text = (self.folder / "records").read_text()
        numbers = {line.partition('"number": ')[2].partition(",")[0] for line in text.splitlines() if ".works" in line
                   or ".online" in line}
        self.assertEqual(len(numbers), 400)

    def test_the_interface_goes_down(self):
        errors = self.middle("ip link set lab0 down", "ecn", "--connect", "tcp")
        self.assertIn("lab0", errors)

    def test_the_address_changes(self):
        plugin = ("ecn", "--connect", "tcp")
        errors = self.middle("ip addr del 10.0.0.2/24 dev lab0; ip addr add 10.0.0.77/24 dev lab0;"
                             "ip route replace default via 10.0.0.1", *plugin)
        reasons = re.findall(r"for a reason of this machine: (\w+) ", errors)
        self.assertIn("new_source", reasons, errors)
        self.assertEqual(len(reasons), len(set(reasons)), errors)  # each once: it is gone, perhaps; then another
        self.lab.run(["sh", "-c", "ip addr del 10.0.0.77/24 dev lab0; ip addr add 10.0.0.2/24 dev lab0;"
                                  "ip route replace default via 10.0.0.1"])
        self.resumed(*plugin)

    def test_the_default_route_goes(self):
        plugin = ("mss", "--connect", "tcp")
        errors = self.middle("ip route del default", *plugin)
        self.assertEqual(len(re.findall("route", errors)), 1, errors)
        self.lab.run(["ip", "route", "add", "default", "via", "10.0.0.1"])
        self.resumed(*plugin)


if __name__ == "__main__":
    unittest.main()
