"""Plugins as they were written for 2.x: what the released tool promised beyond its documentation holds."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import unittest

from pathspider.conditions import NOT_OBSERVED
from pathspider.installed import available_plugins
from pathspider.records import CONN_OK
from tests.run.cases import COMMAND, CaseTest, clean, ndjson, twice, unseen

PLUGIN = twice("old")
PROGRAM = '''
import json, sys, threading
from argparse import Namespace
from pathspider.base import SHUTDOWN_SENTINEL
from pathspider.plugins.ecn import ECN

spider = ECN(5, "int:lab0", Namespace(connect="tcp", timeout=3))
spider.start()
for line in sys.stdin:
    spider.add_job(json.loads(line))
threading.Thread(target=spider.shutdown).start()
while (record := spider.outqueue.get()) != SHUTDOWN_SENTINEL:
    print(json.dumps(record))
'''
COMBINE = '''
    def combine_flows(self, flows):
        return [f"old.observed:{sum(flow['observed'] for flow in flows)}"]
'''
WORKER = '''
    def worker(self, worker_number):
        import time
        from pathspider.base import SHUTDOWN_SENTINEL
        from pathspider.records import Result
        while (job := self.jobqueue.get()) != SHUTDOWN_SENTINEL:
            began = time.time()
            made = [conn(self, job, config) for config, conn in enumerate(self.connections)]
            self.mergequeue.put(Result(job, made, began, time.time()))
'''


OTHER_TRANSPORT = '''
    def conn_one(self, job, config):
        made = connect_tcp(self.source, job, self.args.timeout)
        made["client"].close()
        job["port"] = made["sp"]
        return {"sp": made["sp"]}

    def conn_two(self, job, config):
        import socket
        here, there = (self.source[0], job["port"]), (job["dip"], job["dp"])
        if PROTOCOL == 17:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(here)
                sock.sendto(b"x", there)
        else:  # an INIT chunk, :rfc:`9260`, whether or not this kernel has SCTP
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as sock:
                sock.bind((here[0], 0))
                ports = here[1].to_bytes(2, "big") + there[1].to_bytes(2, "big")
                sock.sendto(ports + bytes(8) + b"\\1\\0\\0\\x14" + bytes(16), (there[0], 0))
        return {"sp": here[1]}

    def combine_flows(self, flows):
        return [f"old.{'.'.join(str(flow['observed'] and flow['proto']) for flow in flows)}"]
'''


class PluginCase(CaseTest):
    def run_plugin(self, source, *words, count=60, version=4, before=("-w", "8")):
        """The records of clean targets; there is one for each, also where more fail in a row than end a run."""
        shutil.rmtree(self.folder / "pathspider-old", ignore_errors=True)
        status, records, errors = self.measure(clean(count, version), *before, "old", *words,
                                               tree=self.tree("old", source), timeout=30)
        self.assertEqual((status, len(records)), (0, count), errors)
        return records

    def assert_conditions(self, records, *conditions):
        for record in records:
            self.assertEqual(record["conditions"], [*conditions], record)

    def help_of(self, *words, status=0):
        """The help of ``measure``, in the tree of the last plugin."""
        done = subprocess.run([*COMMAND, *words, "--help"], cwd=self.folder / "pathspider-old", capture_output=True,
                              text=True, env={**os.environ, "PYTHONPATH": "."}, check=False, timeout=30)
        self.assertEqual(done.returncode, status, done.stderr)
        return done



class TestPlugins(PluginCase):
    def test_connections_may_be_bound_methods(self):
        self.assert_conditions(self.run_plugin(PLUGIN + '''
    def __init__(self, worker_count, libtrace_uri, args, server_mode=False):
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self.connections = [self.conn_one, self.conn_two]
''' + COMBINE), "old.observed:2")

    def test_configurations_may_be_bound_methods(self):
        self.assert_conditions(self.run_plugin(PLUGIN.replace("DesynchronizedSpider", "SynchronizedSpider")
                                               .replace("desync", "sync") + '''
    def __init__(self, worker_count, libtrace_uri, args, server_mode=False):
        self.configurations = [self.conf_one, self.conf_two]
        super().__init__(worker_count, libtrace_uri, args, server_mode)
    def conf_one(self):
        self.now = 0
    def conf_two(self):
        self.now = 1
    def connect(self, job, config):
        rec = connect_tcp(self.source, job, self.args.timeout)
        return {**rec, "right": self.now == config}
    def combine_flows(self, flows):
        return [f"old.right:{sum(flow['right'] for flow in flows)}"]
'''), "old.right:2")

    def test_a_connection_may_tell_its_port_alone(self):
        source = PLUGIN.replace("return connect_tcp(self.source, job, self.args.timeout)",
                                """rec = connect_tcp(self.source, job, self.args.timeout)
        rec["client"].close()
        return {"sp": rec["sp"]}""")
        self.assert_conditions(self.run_plugin(source + COMBINE), "old.observed:2")
        self.assert_conditions(self.run_plugin(source + COMBINE + WORKER), "old.observed:2")

    def test_another_transport_in_b_from_the_same_port(self):
        for protocol in (17, 132):
            body = OTHER_TRANSPORT.replace("PROTOCOL", str(protocol))
            self.assert_conditions(self.run_plugin(twice("old", body), "--connect", "tcp"), f"old.6.{protocol}")

    def test_without_combine_flows_records_have_no_conditions(self):
        self.assert_conditions(self.run_plugin(PLUGIN))

    def test_the_base_classes_in_either_order(self):
        for order in ("DesynchronizedSpider, PluggableSpider", "PluggableSpider, DesynchronizedSpider"):
            source = PLUGIN.replace("DesynchronizedSpider, PluggableSpider):", f"{order}):") + COMBINE
            self.assert_conditions(self.run_plugin(source, "--connect", "tcp"), "old.observed:2")

    def test_a_plugin_may_add_its_sub_command_by_itself(self):
        for order in ("DesynchronizedSpider, PluggableSpider", "PluggableSpider, DesynchronizedSpider"):
            source = PLUGIN.replace("DesynchronizedSpider, PluggableSpider):", f"{order}):") + COMBINE + '''
    @classmethod
    def register_args(cls, subparsers):
        parser = subparsers.add_parser("old", help="As 2.x had it")
        parser.add_argument("--timeout", default=5, type=int)
        parser.set_defaults(spider=cls)
'''
            self.assert_conditions(self.run_plugin(source, "--timeout", "3"), "old.observed:2")

    def test_a_plugin_s_own_timeout_wins(self):
        self.assert_conditions(self.run_plugin(PLUGIN + '''
    @staticmethod
    def extra_args(parser):
        parser.add_argument("--timeout", default=7, type=int, help="Of our own")

    def combine_flows(self, flows):
        return [f"old.timeout:{self.args.timeout!r}"]
'''), "old.timeout:7")

    def test_a_timeout_that_is_whole_is_an_int(self):
        source = PLUGIN + '''
    def combine_flows(self, flows):
        return [f"old.timeout:{self.args.timeout!r}"]
'''
        for words, value in (((), "5"), (("--timeout", "3"), "3"), (("--timeout", "2.5"), "2.5")):
            self.assert_conditions(self.run_plugin(source, *words, count=5), f"old.timeout:{value}")

    def test_a_base_class_without_a_name_is_no_plugin(self):
        source = PLUGIN.replace("class Old(DesynchronizedSpider, PluggableSpider):", '''class Shared(ORDER):
    chains = [BasicChain, TCPChain]

class Old(Shared):''') + COMBINE
        for order in ("DesynchronizedSpider, PluggableSpider", "PluggableSpider, DesynchronizedSpider"):
            self.assert_conditions(self.run_plugin(source.replace("ORDER", order)), "old.observed:2")
            helped = self.help_of()
            self.assertNotIn("    spider", helped.stdout)
            self.assertIn("Of a third party", helped.stdout)
            self.assertEqual(helped.stderr, "")

    def test_combine_connectivity(self):
        self.assert_conditions(self.run_plugin(PLUGIN + '''
    def combine_flows(self, flows):
        up = [flow["spdr_state"] == CONN_OK for flow in flows]
        return [self.combine_connectivity(*up), self.combine_connectivity(up[0], not up[1], "other"),
                self.combine_connectivity(up[0], prefix="alone")]
'''), "old.connectivity.works", "other.connectivity.broken", "alone.connectivity.online")

    def test_a_spider_without_workers_is_asked_to_combine(self):
        source = PLUGIN + COMBINE + '''
if __name__ == "__main__":
    print(Old(0, "", None).combine_flows([{"observed": True}]))
'''
        done = subprocess.run([sys.executable, "pathspider/plugins/old.py"], cwd=self.tree("old", source), text=True,
                              capture_output=True, env={**os.environ, "PYTHONPATH": "."}, check=False, timeout=30)
        self.assertEqual((done.stdout, done.stderr), ("['old.observed:1']\n", ""))

    def test_hooks_of_chains_name_their_parameters_as_documented(self):
        """A chain that extends ours may pass them on by name."""
        source = PLUGIN.replace("class Old(", '''from pathspider.chains.icmp import ICMPChain
from pathspider.chains.noop import NoOpChain

class Passing(NoOpChain):
    def new_flow(self, rec, ip):
        rec["passed"] = 0
        return super().new_flow(rec=rec, ip=ip)

    def ip6(self, rec, ip6, rev):
        rec["passed"] += 1
        return super().ip6(rec=rec, ip6=ip6, rev=rev)

    def tcp(self, rec, tcp, rev):
        return super().tcp(rec=rec, tcp=tcp, rev=rev)

class Old(''').replace("TCPChain]", "TCPChain, Passing]") + '''
    def combine_flows(self, flows):
        for chain in (NoOpChain(), ICMPChain()):
            chain.icmp4(rec={}, ip=None, q=None, rev=False)
            chain.icmp6(rec={}, ip6=None, q=None, rev=False)
        return [f"old.passed:{all(flow['passed'] for flow in flows)}"]
'''
        self.assert_conditions(self.run_plugin(source, version=6), "old.passed:True")

    def test_combine_flows_gets_flows_that_were_not_observed(self):
        tree = self.tree("old", PLUGIN + '''
    def combine_flows(self, flows):
        return [f"old.{flow['observed']}.{flow['tcp_synflags_fwd']}.{flow['tcp_connected']}" for flow in flows]
''')
        unseen(self.lab, "10.70.0.1", self)
        jobs = [*clean(5), {"dip": "10.70.0.1", "number": 5, "tcp_connected": True}]
        status, records, errors = self.measure(jobs, "old", tree=tree)
        self.assertEqual((status, len(records)), (0, 6), errors)
        self.assert_conditions(records[:5], "old.True.2.True", "old.True.2.True")
        self.assert_conditions(records[5:], "old.False.None.False", "old.False.None.False",
                               "pathspider.missed_flows:2")

    def test_a_program_s_spider_finds_its_source_addresses_itself(self):
        jobs = [*clean(3), *clean(3, 6)]
        done = self.lab.run([sys.executable, "-c", PROGRAM], data=ndjson(jobs), capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(records), len(jobs), done.stderr)
        for record in records:
            self.assertIn("ecn.connectivity.works", record["conditions"], record)
            self.assertIsNotNone(record["path"][0], record)

    def test_a_chain_s_notes_of_its_own_do_not_reach_records(self):
        source = PLUGIN.replace("class Old(", '''from pathspider.chains.base import Chain

class Noting(Chain):
    def new_flow(self, rec, ip):
        rec["_noted"] = rec["noted"] = True
        return True

class Old(''').replace("TCPChain]", "TCPChain, Noting]") + COMBINE
        for record in self.run_plugin(source, before=("--output-flows",)):
            for flow in record["flow_results"]:
                self.assertEqual((flow["noted"], [key for key in flow if key.startswith("_")]), (True, []))

    def test_a_plugin_that_cannot_be_set_up_is_named_and_left_out(self):
        for broken in ("raise RuntimeError('not today')", "parser.add_argument('nonsense', '--x')",
                       "import nothing_such", "raise SystemExit('not today')"):
            shutil.rmtree(self.folder / "pathspider-old", ignore_errors=True)
            self.tree("old", PLUGIN + f'''
    @staticmethod
    def extra_args(parser):
        {broken}
''')
            helped = self.help_of()
            self.assertIn("pathspider.plugins.old.Old cannot be set up", helped.stderr)
            self.assertEqual(helped.stderr.count("\n"), 1, helped.stderr)
            self.assertNotIn("Of a third party", helped.stdout)
            self.assertIn("Explicit Congestion Notification", helped.stdout)
            self.assertEqual(self.help_of("ecn").stderr, "")
            itself = self.help_of("old", status=2)
            self.assertIn("cannot be set up", itself.stderr)
            self.assertNotIn("Traceback", itself.stderr)

    def test_a_description_may_hold_any_character(self):
        self.tree("old", PLUGIN.replace("Of a third party", "100 % of %(prog)s"))
        self.assertIn("100 % of %(prog)s", self.help_of().stdout)


CALLS = """
import os, subprocess

def said(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    return f"{done.returncode} {done.stdout or done.stderr}".strip()
"""
RIGHTS = CALLS + """
def rights():
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as file:
            fields = dict(line.split(":") for line in file)
        found.add("|".join(" ".join(fields[key].split()) for key in ("Uid", "Gid", "CapPrm", "CapBnd", "NoNewPrivs")))
    return "|".join(found)
"""


class TestPrivileges(PluginCase):
    """What plugins of 2.x may do still, and what no plugin may any more."""

    def setUp(self):
        super().setUp()
        self.file = self.folder / "of-root"
        self.file.write_text("root's")
        self.file.chmod(0o644)

    def conditions(self, source, *words, before=("-w", "4")):
        records = self.run_plugin(source, *words, count=4, before=before)
        found = {tuple(record["conditions"]) for record in records}
        self.assertEqual(len(found), 1, found)
        return found.pop()

    def test_settings_that_a_plugin_switches_by_itself(self):
        """Also one whose model does not need that; it names no capabilities, as none did."""
        source = CALLS + PLUGIN + '''
    def pre_connect(self, job):
        job["said"] = [said("sysctl", "-w", "net.ipv4.tcp_syn_retries=3"), said("nft", "add table inet old")]
        return job

    def post_connect(self, job, rec, config):
        rec["said"] = job["said"]

    def combine_flows(self, flows):
        return flows[0]["said"]
'''
        self.assertEqual(self.conditions(source), ("0 net.ipv4.tcp_syn_retries = 3", "0"))
        self.assertEqual(self.lab.run(["sysctl", "-n", "net.ipv4.tcp_syn_retries"], capture_output=True).stdout, b"3\n")
        self.assertIn(b"table inet old", self.lab.run(["nft", "list", "tables"], capture_output=True).stdout)
        silent = source.replace('version = "1.0.0"', 'version = "1.0.0"\n    capabilities = ("CAP_NET_RAW",)')
        sysctl, nft = self.conditions(silent)
        self.assertNotEqual((sysctl[0], nft[0]), ("0", "0"))
        self.assertIn("ermi", sysctl + nft)

    def test_configurations_of_the_synchronized_model(self):
        self.assertEqual(self.conditions('''
import subprocess
from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.ecn import ECNChain
from pathspider.chains.tcp import TCPChain
from pathspider.sync import SynchronizedSpider

class Old(SynchronizedSpider, PluggableSpider):
    name = "old"
    description = "Of a third party"
    version = "1.0.0"
    chains = [BasicChain, TCPChain, ECNChain]
    connect_supported = ["tcp"]

    def config_zero(self):
        subprocess.check_call(["/sbin/sysctl", "-w", "net.ipv4.tcp_ecn=2"], stdout=subprocess.DEVNULL)

    def config_one(self):
        subprocess.check_call(["/sbin/sysctl", "-w", "net.ipv4.tcp_ecn=1"], stdout=subprocess.DEVNULL)

    configurations = [config_zero, config_one]

    def combine_flows(self, flows):
        return [f"old.ecn:{flow['tcp_synflags_fwd'] >> 6 & 3}" for flow in flows]
'''), ("old.ecn:0", "old.ecn:3"))

    def test_all_threads_are_another_user_s_for_good(self):
        source = RIGHTS + PLUGIN + f'''
    def combine_flows(self, flows):
        try:
            open({str(self.file)!r}, "a")
        except PermissionError:
            return ["refused", rights()]
        return ["written", rights()]
'''
        refused, found = self.conditions(source)
        self.assertEqual(refused, "refused")
        users, groups, permitted, bounding, no_new = found.split("|")
        self.assertEqual((users, groups, no_new), (" ".join(["65534"] * 4), " ".join(["65534"] * 4), "1"))
        self.assertEqual(permitted, bounding)
        self.assertEqual(int(permitted, 16) & ~(1 << 2), 1 << 12 | 1 << 13)  # and reading, where the checkout needs it
        found = self.conditions(source, before=("-w", "4", "--user", "daemon"))[1]
        self.assertEqual(found.split("|")[0], "1 1 1 1")

    def test_a_plugin_may_stay_root(self):
        source = RIGHTS + PLUGIN.replace("chains =", "keeps_root = True\n    chains =") + f'''
    def combine_flows(self, flows):
        with open({str(self.file)!r}, "a") as file:
            file.write("!")
        return [rights()]
'''
        users, groups, permitted, bounding, no_new = self.conditions(source)[0].split("|")
        self.assertEqual((users, groups, no_new), ("0 0 0 0", "0 0 0 0", "1"))
        self.assertEqual({permitted, bounding}, {f"{1 << 2 | 1 << 12 | 1 << 13:016x}"})
        self.assertEqual(self.file.read_text(), "root's!!!!")

    def test_no_such_user(self):
        done = subprocess.run([*COMMAND, "--user", "no-one-here", "mss"], input=b"", capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)


class TestOurs(unittest.TestCase):
    def test_no_conclusion_from_a_flow_that_was_not_observed(self):
        for plugin in available_plugins():
            if not plugin.chains or not plugin.__module__.startswith("pathspider.plugins."):
                continue
            parser = argparse.ArgumentParser()
            plugin.extra_args(parser)
            args = argparse.Namespace(connect=plugin.connect_supported[0], codepoint=46, timeout=5)
            spider = plugin(0, "", parser.parse_args([], args))
            unseen = {name: field.initial for chain in plugin.chains for name, field in chain.fields.items()}
            plan = spider.plan()
            for missed in plan:
                flows = [{**unseen, "spdr_state": CONN_OK, "observed": place != missed} for place in range(len(plan))]
                self.assertEqual(spider.combine_flows(flows), [NOT_OBSERVED], plugin.name)
