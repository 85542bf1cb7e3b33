"""Where a command's packets leave from: whole runs over networks whose routes say so."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from io import BytesIO
from pathlib import Path

from pathspider.cmd.interface import ReadAhead, for_targets, lab_networks, source_ip
from pathspider.lab import Lab
from pathspider.targets.reading import JobReader
from pathspider.targets.selection import Selection
from tests.cmd.test_main import COMMAND, pspdr
from tests.helpers import netlab

SECOND = ("192.0.2.50", "2001:db8:50::50")
"""Our second addresses: the first ones are those of ``NetLab``, and reach nobody beyond the link."""
FAR = ("198.51.100.{}", "2001:db8:100::{}")
ELSEWHERE = ("203.0.113.9", "2001:db8:113::9")
"""Behind another interface."""

PROGRAM = """
import sys, threading
from argparse import Namespace
from pathspider.plugins.ecn import ECN
from pathspider.records import SHUTDOWN_SENTINEL
spider = ECN(5, sys.argv[1], Namespace(connect="tcp", timeout=3))
print(*spider.source)
spider.start()
for target in sys.argv[2:]:
    spider.add_job({"dip": target, "dp": 80})
threading.Thread(target=spider.shutdown).start()
for record in iter(spider.outqueue.get, SHUTDOWN_SENTINEL):
    print(record["path"][0], record["dip"], record["conditions"][0])
"""


def jobs(count=2, **more):
    return [{"dip": far.format(number + 1), **more} for number in range(count) for far in FAR]


def ndjson(lines):
    return "".join(json.dumps(job) + "\n" for job in lines)


class InterfaceCase(unittest.TestCase):
    """``NetLab`` and networks behind its server, which know our second addresses alone."""

    def setUp(self):
        self.lab = self.enterContext(netlab.NetLab())
        self.there("""
            ip route add local 198.51.100.0/24 dev lo; ip -6 route add local 2001:db8:100::/64 dev lo
            ip route add 192.0.2.50 via 10.9.0.1; ip -6 route add 2001:db8:50::50 via fd00:9::1
            nft -f - <<'END'
            table inet far {
                chain strangers {
                    type filter hook prerouting priority raw;
                    ip daddr 198.51.100.0/24 ip saddr != 192.0.2.50 drop
                    ip6 daddr 2001:db8:100::/64 ip6 saddr != 2001:db8:50::50 drop
                }
                chain datagrams {
                    type nat hook prerouting priority dstnat;
                    ip daddr 198.51.100.0/24 meta l4proto udp dnat ip to 10.9.0.2
                    ip6 daddr 2001:db8:100::/64 meta l4proto udp dnat ip6 to fd00:9::2
                }
            }
END
        """)

    def there(self, command):
        """Run a shell command in the server's namespace."""
        home = netlab.namespace()
        try:
            netlab.enter(self.lab.server)
            netlab.sh(command)
        finally:
            netlab.enter(home)
            os.close(home)

    def second(self, where="va", source=" src"):
        """Our second addresses, and routes that have them as source."""
        four, six = (f"{source} {own}" if source else "" for own in SECOND)
        netlab.sh(f"ip addr add {SECOND[0]}/32 dev {where}; ip -6 addr add {SECOND[1]}/128 dev {where} nodad;"
                  f"ip route add default via 10.9.0.2{four}; ip -6 route add default via fd00:9::2{six}")

    def elsewhere(self):
        """Another interface, with the route to other targets."""
        netlab.sh("ip link add wa type veth peer name wb; ip link set wa up; ip link set wb up;"
                  "ip addr add 10.8.0.1/24 dev wa; ip -6 addr add fd00:8::1/64 dev wa nodad;"
                  "ip route add 203.0.113.0/24 via 10.8.0.2; ip -6 route add 2001:db8:113::/64 via fd00:8::2;"
                  "ip neigh replace 10.8.0.2 lladdr 02:00:00:00:00:08 dev wa nud permanent;"
                  "ip neigh replace fd00:8::2 lladdr 02:00:00:00:00:08 dev wa nud permanent")

    def measure(self, lines, *words, status=0):
        """The records of a run, by target, and what was said."""
        outcome = pspdr("measure", *words, input=ndjson(lines))
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        self.assertNotIn("Traceback", outcome.stderr)
        records = [json.loads(line) for line in outcome.stdout.splitlines()]
        self.assertEqual(len(records), len(lines))
        return {record["dip"]: record for record in records}, outcome.stderr

    def assert_from_second(self, records, condition):
        for target, record in records.items():
            if not record["conditions"][0].startswith("pathspider.skipped:ipv6"):
                self.assertIn(condition, record["conditions"], record)
            self.assertEqual(record["path"], [SECOND[":" in target], "*", target])


class TestMeasure(InterfaceCase):
    def test_every_kind_of_connection_has_the_address_of_the_route(self):
        self.second()
        for words, port, condition in (
            (["ecn", "--connect", "tcp"], 80, "ecn.connectivity.works"),
            (["--lockstep", "ecn", "--connect", "http"], 80, "ecn.connectivity.works"),
            (["ecn", "--connect", "https"], netlab.TLS, "ecn.connectivity.works"),
            (["dscp", "--connect", "dnsudp"], 53, "dscp.46.connectivity.works"),
            (["h2", "--connect", "http"], 80, "h2.connectivity.works"),
            (["tfo", "--connect", "dnstcp"], 53, "tfo.connectivity.works"),
            (["udpzero", "--connect", "dnsudp"], 53, "udpzero.connectivity.works"),
            (["udpopts", "--connect", "dnsudp"], 53, "udpopts.connectivity.works"),
            (["evilbit", "--connect", "tcp"], 80, "evilbit.connectivity.works"),
        ):
            with self.subTest(words=words):
                records, _ = self.measure(jobs(1, dp=port, domain="both.example"), "-i", "va", *words)
                self.assert_from_second(records, condition)

    def test_a_named_address(self):
        self.second(source="")
        named = ("--source-ip", SECOND[0], "--source-ip", SECOND[1])
        for words, condition in ((["mss", "--connect", "tcp"], "mss.connectivity.online"),
                                 (["evilbit", "--connect", "tcp"], "evilbit.connectivity.works")):
            with self.subTest(words=words):
                self.assert_from_second(self.measure(jobs(1, dp=80), "-i", "va", *named, *words)[0], condition)
        records, _ = self.measure(jobs(1, dp=80), "-i", "va", "--source-ip", SECOND[1], "mss", "--connect", "tcp",
                                  "--timeout", "1")
        self.assertEqual({(record["path"][0], record["conditions"][0]) for record in records.values()},
                         {("10.9.0.1", "mss.connectivity.offline"), (SECOND[1], "mss.connectivity.online")})

    def test_an_address_of_another_interface(self):
        self.second("lo", source="")
        records, said = self.measure(jobs(dp=80), "--source-ip", SECOND[0], "--source-ip", SECOND[1], "ecn",
                                     "--connect", "tcp")
        self.assert_from_second(records, "ecn.connectivity.works")
        self.assertIn("measuring through va,", said)

    def test_what_cannot_be_named(self):
        for words, reason in (
            (["--source-ip", "10.9.0.3"], "10.9.0.3 is no address of this machine; those are 127.0.0.1, 10.9.0.1"),
            (["--source-ip", "2001:db8::1"], "2001:db8::1 is no address of this machine; those are"),
            (["--source-ip", "10.9.0.1", "--source-ip", "127.0.0.1"], "at most one address of each IP version"),
            (["--source-ip", "va"], "va: a numeric address is needed"),
            (["--source-ip", "fe80::1%va"], "fe80::1%va: an address that packets to other networks can come from"),
        ):
            outcome = pspdr("measure", "-i", "va", *words, "ecn", input="")
            self.assertEqual(outcome.returncode, 2)
            self.assertIn(reason, outcome.stderr)

    def test_an_address_that_only_loopback_has(self):
        netlab.sh("ip addr del 10.9.0.1/24 dev va; ip -6 addr del fd00:9::1/64 dev va")
        netlab.sh(f"ip addr add {SECOND[0]}/32 dev lo; ip -6 addr add {SECOND[1]}/128 dev lo nodad;"
                  f"ip route add default via 10.9.0.2 dev va onlink src {SECOND[0]};"
                  f"ip -6 route add fd00:9::2 dev va; ip -6 route add default via fd00:9::2 src {SECOND[1]}")
        self.there(f"ip route replace {SECOND[0]} dev vb; ip -6 route replace {SECOND[1]} dev vb;"
                   f"ip neigh replace {SECOND[0]} lladdr 02:00:00:00:00:01 dev vb nud permanent;"
                   f"ip neigh replace {SECOND[1]} lladdr 02:00:00:00:00:01 dev vb nud permanent")
        for plugin in ("ecn", "evilbit"):
            records, _ = self.measure(jobs(dp=80), "-i", "va", plugin, "--connect", "tcp")
            self.assert_from_second(records, f"{plugin}.connectivity.works")

    def test_an_alternative_name(self):
        self.second()
        for name in ("uplink", "an-uplink-with-quite-a-long-name"):
            netlab.sh(f"ip link property add dev va altname {name}")
            records, _ = self.measure(jobs(dp=80), "-i", name, "ecn", "--connect", "tcp")
            self.assert_from_second(records, "ecn.connectivity.works")

    def test_no_interface_named(self):
        self.second()
        records, said = self.measure([{"dip": "nobody"}, *jobs(dp=80)], "mss", "--connect", "tcp", status=1)
        self.assertIn("measuring through va, where the route to 198.51.100.1 leads; -i names another", said)
        self.assertEqual(records.pop("nobody")["conditions"], ["pathspider.invalid_job:dip_not_an_address"])
        self.assert_from_second(records, "mss.connectivity.online")

    def test_targets_behind_another_interface(self):
        self.second()
        self.elsewhere()
        for words in (["ecn", "--connect", "tcp"], ["evilbit", "--connect", "tcp"]):
            lines = [*jobs(dp=80), *({"dip": dip, "dp": 80} for dip in ELSEWHERE)]
            records, said = self.measure(lines, *words, status=1)
            for dip in ELSEWHERE:
                record = records.pop(dip)
                self.assertEqual(record["conditions"], ["pathspider.local_error:other_interface"])
                self.assertEqual(record["error"], f"the route to {dip} leads through wa, not va")
            self.assert_from_second(records, f"{words[0]}.connectivity.works")
            self.assertEqual(said.count("no verdict on"), 1)
            self.assertIn("2 other_interface", said)
        left = Path("/proc/thread-self/net/dev").read_text(encoding="ascii").partition("wa:")[2].split()[9]
        self.assertLess(int(left), 10)  # packets: what IPv6 says of itself when an interface comes up

    def test_without_a_target_no_interface_is_needed(self):
        netlab.sh("ip link set va down")
        for lines, plugin, status in (("", "ecn", 0), ('{"dip": "nobody"}\n', "ecn", 1)):
            outcome = pspdr("measure", plugin, input=lines)
            self.assertEqual(outcome.returncode, status, outcome.stderr)
            self.assertNotIn("measuring through", outcome.stderr)

    def test_the_resolver_needs_no_interface(self):
        netlab.sh("ip link set lo down")
        self.second()
        for words, status in (((), 0), (("--source-ip", SECOND[0]), 0)):
            outcome = pspdr("measure", *words, "dnsresolv", "--resolver", FAR[0].format(1), "--timeout", "2",
                            "--output-unresolved", input='{"domain": "both.example"}\n')
            self.assertEqual(outcome.returncode, status, outcome.stderr)
            self.assertNotIn("timeout", outcome.stdout)
            self.assertNotIn("unreachable", outcome.stdout)
            self.assertNotIn("measuring through", outcome.stderr)

    def test_no_route_to_the_first_target(self):
        outcome = pspdr("measure", "ecn", input=ndjson(jobs()))
        self.assertEqual((outcome.returncode, outcome.stdout), (2, ""))
        self.assertIn("there is no route to 198.51.100.1, nor a default route; -i names", outcome.stderr)

    def waiting(self):
        run = subprocess.Popen([*COMMAND, "measure", "mss", "--connect", "tcp"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        return run

    def test_it_waits_for_the_first_target_and_loses_none(self):
        self.second()
        run = self.waiting()
        run.stdin.write('{"dip": "nobody"}\n')
        run.stdin.flush()
        for job in jobs(dp=80):
            run.stdin.write(json.dumps(job) + "\n")
            run.stdin.flush()
            if job["dip"] == "198.51.100.1":
                self.assertIn("measuring through va", run.stderr.readline())
                self.assertIn("nobody", run.stdout.readline())
            self.assertIn(job["dip"], run.stdout.readline())
        run.communicate(timeout=100)
        self.assertEqual(run.returncode, 1)

    def test_a_signal_ends_the_waiting(self):
        run = self.waiting()
        run.stdin.write("this is no job\n")
        run.stdin.flush()
        self.assertIn("not a target", run.stderr.readline())
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(timeout=30), 130)

    def test_lab_addresses_outside_the_lab(self):
        self.second()
        self.there("ip route add local 10.64.0.0/10 dev lo; ip -6 route add local fd00:21::/32 dev lo")
        lines = [{"dip": dip, "dp": 80} for dip in ("10.64.0.1", "fd00:21::1", "10.20.1.1", "fd00:20::1:1")]
        records, said = self.measure(lines, "mss", "--connect", "tcp", status=1)
        self.assertEqual({tuple(record["conditions"]) for record in records.values()},
                         {("pathspider.local_error:lab_address",)})
        self.assertIn("pspdr lab run", said)
        self.assertIn("--allow-lab-addresses", said)
        self.assertIn("4 lab_address", said)
        self.assertTrue(self.lab.peers.empty())
        records, _ = self.measure(lines[:2], "--allow-lab-addresses", "mss", "--connect", "tcp")
        self.assert_from_second(records, "mss.connectivity.online")

    def test_a_program(self):
        """A spider that a program makes finds its source addresses itself."""
        self.second()
        netlab.sh("ip route replace default via 10.9.0.2; ip route add 198.51.100.0/24 via 10.9.0.2 src 192.0.2.50")
        for uri in ("int:va", "int:uplink"):
            if uri == "int:uplink":
                netlab.sh("ip link property add dev va altname uplink")
            run = subprocess.run([sys.executable, "-c", PROGRAM, uri, *(far.format(1) for far in FAR)],
                                 capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)
            usual, *records = run.stdout.splitlines()
            self.assertEqual(usual, "10.9.0.1 2001:db8:50::50")
            self.assertEqual(sorted(records), [f"{own} {far.format(1)} ecn.connectivity.works"
                                               for own, far in zip(SECOND, FAR, strict=True)])


class TestObserve(InterfaceCase):
    def observe(self, line):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.Popen([*COMMAND, "observe", "--output", f"{folder}/flows"],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                self.assertIn(line, run.stderr.readline())
            finally:
                run.send_signal(signal.SIGINT)
                run.communicate(timeout=100)

    def test_the_default_route(self):
        self.second()
        self.elsewhere()
        self.observe("observing va, where the default route leads; -i names another")

    def test_the_only_interface_that_is_up(self):
        self.observe("observing va, the only interface that is up")
        netlab.sh("ip link set va down")
        self.observe("observing lo, the only interface that is up")

    def test_several(self):
        self.elsewhere()
        outcome = pspdr("observe")
        self.assertEqual(outcome.returncode, 2)
        self.assertRegex(outcome.stderr, "no default route: -i names .* up: .*va, ")

    def test_an_alternative_name(self):
        netlab.sh("ip link property add dev va altname an-uplink-with-quite-a-long-name")
        outcome = subprocess.run(["timeout", "-s", "INT", "1", *COMMAND, "observe", "-i",
                                  "an-uplink-with-quite-a-long-name"], capture_output=True, text=True, check=False)
        self.assertNotIn("no such interface", outcome.stderr)
        self.assertIn("packets", outcome.stderr)


class TestFunctions(unittest.TestCase):
    def test_source_ip(self):
        self.assertEqual((source_ip("192.0.2.1"), source_ip("2001:DB8:0::1")), ("192.0.2.1", "2001:db8::1"))
        for text in ("", "192.0.2", "eth0", "0.0.0.0", "224.0.0.1", "fe80::1", "::", "ff02::1"):
            with self.assertRaises(argparse.ArgumentTypeError):
                source_ip(text)

    def jobs(self, *jobs):
        return ReadAhead(JobReader(BytesIO(b"".join(json.dumps(job).encode() + b"\n" for job in jobs)), "targets"))

    def test_for_targets_reads_no_further_than_the_first(self):
        jobs = self.jobs({"domain": "example.org"}, {"dip": "x"}, {"dip": "127.0.0.1"}, {"dip": "127.0.0.2"})
        with self.assertLogs("pathspider", "INFO"):
            self.assertEqual(for_targets(jobs.ahead()), "lo")
        self.assertEqual([*jobs.ahead()], [{"dip": "127.0.0.2"}])

    def test_for_targets_takes_none_of_the_other_ip_version(self):
        jobs = self.jobs({"dip": "127.0.0.1"}, {"dip": "::1"}, {"dip": "127.0.0.1"})
        with self.assertLogs("pathspider", "INFO") as logs:
            for_targets(jobs.ahead(), version=6)
        self.assertIn("the route to ::1 leads", logs.output[0])
        self.assertEqual(len([*jobs.ahead()]), 1)

    def test_for_targets_keeps_a_bounded_number(self):
        jobs = self.jobs(*[{"domain": "example.org"}] * 5000)
        for_targets(jobs.ahead())
        self.assertEqual(len([*jobs.ahead()]), 4000)

    def test_what_was_looked_at_has_its_turn_and_its_number(self):
        jobs = self.jobs({"address": "192.0.2.1"}, {"dip": "::1"}, {"dip": "::2"}, {"dip": "example.org"})
        with self.assertLogs("pathspider", "INFO"):
            for_targets(jobs.ahead())
        with self.assertLogs("pathspider.targets", "WARNING") as logs:
            self.assertEqual(len([*Selection(jobs)]), 4)
        self.assertEqual([line.partition(": ")[0].rpartition(":")[2] for line in logs.output],
                         ["targets, job 1", "targets, job 4"])

    def test_the_lab(self):
        self.assertIn("10.64.0.1", lab_networks())
        with Lab() as lab:
            program = "from pathspider.cmd.interface import lab_networks; print(lab_networks())"
            done = lab.run([sys.executable, "-c", program], capture_output=True)
        self.assertEqual(done.stdout, b"None\n")


if __name__ == "__main__":
    unittest.main()
