"""Cases of time, order and load: what a run says does not depend on what else its machine is busy with."""

import calendar
import itertools
import json
import select
import signal
import statistics
import subprocess
import sys
import time
import unittest

from pathspider.lab.addresses import clean_address
from tests.run.cases import COMMAND, CaseTest, clean, dead, ndjson, observed

ECN_SETUP = "tcp flags & (syn | ack | ecn | cwr) == syn | ecn | cwr drop"


def seconds(text):
    """The moment of a record's ``time``, in seconds since the epoch."""


    whole, fraction = text.split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%d %H:%M:%S")) + float(f"0.{fraction}")


class TestTime(CaseTest):
    def test_stopped_for_longer_than_the_timeout(self):
        run = self.start(clean(200), "-w", "100", "h2", "--connect", "http", "--timeout", "2")
        self.wait_for_packets(150)
        run.send_signal(signal.SIGSTOP)
        time.sleep(3)  # the pause is the case
        run.send_signal(signal.SIGCONT)
        records, errors = self.finish(run)
        self.assert_all(records, "h2.connectivity.works", 200)
        self.assertEqual(run.returncode, 0, errors)

    def test_a_rate_spaces_jobs_and_not_their_connections(self):
        status, records, errors = self.measure(clean(20), "-w", "20", "--rate", "20", "--output-flows", "ecn",
                                               "--connect", "tcp")
        self.assert_all(records, "ecn.connectivity.works", 20)
        self.assertEqual(status, 0, errors)
        flows = [observed(record) for record in records]
        self.assertLess(statistics.median(b["pkt_first"] - a["pkt_first"] for a, b in flows), 0.05)
        begun = sorted(a["pkt_first"] for a, _ in flows)
        # 19 intervals of 50 ms; a job may be late, and then the next ones are not early
        self.assertGreater(begun[-1] - begun[0], 19 * 0.05 * 0.9)
        self.assertGreater(statistics.median(b - a for a, b in itertools.pairwise(begun)), 0.03)

    def test_the_time_of_a_record_is_that_of_its_first_packet(self):
        _, records, _ = self.measure(clean(20), "-w", "20", "--rate", "20", "--output-flows", "ecn", "--connect", "tcp")
        apart = [abs(seconds(record["time"]["from"]) - observed(record)[0]["pkt_first"]) for record in records]
        self.assertEqual(len(apart), 20)
        self.assertLess(statistics.median(apart), 0.05)  # one of them may find the machine busy

    def test_a_slow_rate_with_many_workers(self):
        """Results wait for no flow that has not begun: 8 jobs in 4 s, of which none may be given up."""
        status, records, errors = self.measure(clean(8), "-w", "200", "--rate", "2", "ecn", "--connect", "tcp")
        self.assert_all(records, "ecn.connectivity.works", 8)
        self.assertEqual(status, 0, errors)

    def test_dead_targets_hold_nobody_up(self):
        self.drop()
        for plugin in ("ecn", "dscp"):
            with self.subTest(plugin=plugin):
                jobs = clean(97)
                for place, job in zip((10, 40, 70), dead(3), strict=True):
                    jobs.insert(place, job)
                status, records, errors = self.measure(jobs, "-w", "50", "--output-flows", plugin, "--connect", "tcp",
                                                       "--timeout", "2")
                self.assertEqual((status, len(records)), (0, 100), errors)
                pairs = [observed(record) for record in records if "dead" not in record]
                self.assertEqual({len(pair) for pair in pairs}, {2})
                self.assertLess(statistics.median(b["pkt_first"] - a["pkt_first"] for a, b in pairs), 0.05)

    def test_another_run_beside_ours(self):
        """A path that drops who asks for ECN is broken for ``ecn``, and for nobody else."""
        self.drop(ECN_SETUP)
        jobs = clean(150)
        # On the way at the same time: ``ecn`` waits for its timeout while the others connect.
        ecn = self.start(jobs, "-w", "50", "ecn", "--connect", "tcp", "--timeout", "1")
        others = {"mss": "mss.connectivity.online", "dscp": "dscp.46.connectivity.works",
                  "h2": "h2.connectivity.works", "tfo": "tfo.connectivity.works"}
        self.wait_for_packets(100)
        for plugin, condition in others.items():
            with self.subTest(plugin=plugin):
                mode = "tcp" if plugin in ("mss", "dscp") else "http"
                status, records, errors = self.measure(jobs[:60], "-w", "20", plugin, "--connect", mode, "--timeout",
                                                       "1")
                self.assert_all(records, condition, 60)
                self.assertEqual(status, 0, errors)
        records, errors = self.finish(ecn)
        self.assert_all(records, "ecn.connectivity.broken", 150)

    def test_two_runs_of_one_plugin_side_by_side(self):
        runs = [self.start(clean(100)[part::2], "-w", "10", "ecn", "--connect", "tcp") for part in range(2)]
        for run in runs:
            records, errors = self.finish(run)
            self.assertEqual(run.returncode, 0, errors)
            self.assert_all(records, "ecn.connectivity.works", 50)

    def test_a_thousand_names_at_one_address(self):
        jobs = [{"dip": clean_address(0, 4), "dp": 53, "domain": f"{number}.example", "number": number}
                for number in range(1000)]
        status, records, errors = self.measure(jobs, "--output-flows", "udpzero")
        self.assertEqual(status, 0, errors)
        self.assert_all(records, "udpzero.connectivity.works", 1000)
        ports = [flow["sp"] for record in records for flow in observed(record)]
        self.assertEqual((len(ports), len(set(ports))), (2000, 2000), "a port was used again to the same address")

    def test_at_most_so_many_jobs_at_one_address(self):
        for most in (1, 5):
            jobs = [{"dip": clean_address(number % 2, 4), "dp": 53, "domain": f"{number}.example", "number": number}
                    for number in range(200)]
            status, records, errors = self.measure(jobs, "--output-flows", "--per-address", str(most), "udpzero")
            self.assertEqual(status, 0, errors)
            self.assert_all(records, "udpzero.connectivity.works", 200)
            for address in {job["dip"] for job in jobs}:
                events = []
                for flows in (observed(record) for record in records if record["dip"] == address):
                    events.append((min(flow["pkt_first"] for flow in flows), 1))
                    events.append((max(flow["pkt_first"] for flow in flows), -1))  # still under way at its last one
                at_once, peak = 0, 0
                for _, change in sorted(events):
                    at_once += change
                    peak = max(peak, at_once)
                self.assertLessEqual(peak, most)

    def test_any_order(self):
        """The record says in which order its connections were made, and so do the packets."""
        seeded = ("--order", "random", "--seed", "7")
        for options in (("--order", "fixed"), seeded, seeded):
            status, records, errors = self.measure(clean(40), "--output-flows", *options, "ecn", "--connect", "tcp")
            self.assertEqual(status, 0, errors)
            self.assert_all(records, "ecn.connectivity.works", 40)
            orders = []
            for record in records:
                flows = sorted(observed(record), key=lambda flow: flow["pkt_first"])
                orders.append([flow["config"] for flow in flows])
            if options[1] == "fixed":
                self.assertEqual(orders, [[0, 1]] * 40)
                continue
            self.assertIn([0, 1], orders)
            self.assertIn([1, 0], orders)
            self.assertEqual(orders, getattr(self, "before", orders), "the same seed, another order")
            self.before = orders

    def test_lockstep_says_the_same(self):
        for plugin, condition in (("ecn", "ecn.negotiation.succeeded"), ("dscp", "dscp.46.connectivity.works")):
            status, records, errors = self.measure(clean(30), "--lockstep", plugin, "--connect", "tcp")
            self.assertEqual(status, 0, errors)
            self.assert_all(records, condition, 30)

    def test_a_record_comes_when_the_answer_was_given(self):
        """The input goes on; whoever waits for the first record does not wait for the server's patience."""
        run = self.lab.popen([*COMMAND, "ecn", "--connect", "http"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        self.addCleanup(run.kill)
        run.stdin.write(ndjson(clean(1)))
        run.stdin.flush()
        ready, _, _ = select.select([run.stdout], [], [], 15)
        self.assertTrue(ready, "no record within 15 s")
        self.assertIn("ecn.connectivity.works", json.loads(run.stdout.readline())["conditions"])
        run.stdin.close()
        self.assertEqual(run.wait(100), 0)

    def test_busy_loops_beside_it(self):
        loop = "import time\nend = time.monotonic() + 40\nwhile time.monotonic() < end: pass"
        loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(8)]
        try:
            _, records, _ = self.measure(clean(600), "-w", "600", "h2", "--connect", "http", "--timeout", "2")
        finally:
            for process in loops:
                process.kill()
                process.wait()
        self.assertEqual(len(records), 600)
        for record in records:
            good = [one for one in record["conditions"]
                    if one == "h2.connectivity.works" or one.startswith("pathspider.local_error:")]
            self.assertTrue(good, record)


class TestECNSwitchedBySomebody(CaseTest):
    """Another program's switch, on a path that drops SYNs that ask for ECN, is never the path's fault."""

    GOOD = {"mss": "mss.connectivity.online", "dscp": "dscp.46.connectivity.works", "h2": "h2.connectivity.works",
            "tfo": "tfo.connectivity.works"}

    def test_in_mid_run(self):
        self.drop("tcp flags & (syn | ack | ecn | cwr) == (syn | ecn | cwr) drop")
        for plugin, good in self.GOOD.items():
            with self.subTest(plugin):
                self.lab.run(["sysctl", "-qw", "net.ipv4.tcp_ecn=2"])
                run = self.start(clean(40), "--rate", "60", plugin, "--timeout", "1")
                self.wait_for_packets(self.sent() + 60)
                self.lab.run(["sysctl", "-qw", "net.ipv4.tcp_ecn=1"])
                records, said = self.finish(run)
                ours = [one for one in records if one["conditions"] == ["pathspider.local_error:ecn_switched"]]
                self.assertGreater(len(ours), 0)
                self.assertLess(len(ours), 40)
                self.assert_all([one for one in records if one not in ours], good, 40 - len(ours))
                self.assertIn("ecn_switched", said)

    def test_a_machine_that_asks_for_ecn_anyway(self):
        self.lab.run(["sysctl", "-qw", "net.ipv4.tcp_ecn=1"])
        for plugin, good in self.GOOD.items():
            with self.subTest(plugin):
                _, records, _ = self.measure(clean(10), plugin)
                self.assert_all(records, good, 10)


if __name__ == "__main__":
    unittest.main()
