"""The 2.0 documentation's snippets as plugins of third parties: they run unchanged, and say what is so.

Each stands in a source tree of its own (section 1.7.2) and is run with ``PYTHONPATH=.`` in the tree's root. What the
documentation prints is printed here letter by letter, but for the plugins' names; around it stands only what it says a
plugin needs: imports, metadata and ``combine_flows``.
"""

import os
import shutil
import subprocess

from pathspider.lab.scenarios import all_cases
from tests.run.cases import COMMAND, CaseTest, clean, observed, twice

COMBINE = '''
    def combine_flows(self, flows):
        states = [not flow["spdr_state"] for flow in flows]
        words = {(True, True): "works", (True, False): "broken", (False, True): "transient"}
        return [f"{self.name}.connectivity.{words.get(tuple(states), 'offline')}"]
'''

ECN = '''
import logging
import subprocess

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.sync import SynchronizedSpider

class ECN(SynchronizedSpider, PluggableSpider):
    name = "ecnsnippet"
    description = "Explicit Congestion Notification"
    version = "1.0.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["http", "https", "tcp", "dnstcp"]

    def config_no_ecn(self): # pylint: disable=no-self-use
        """
        Disables ECN negotiation via sysctl.
        """
        logger = logging.getLogger('ecn')
        subprocess.check_call(
            ['/sbin/sysctl', '-w', 'net.ipv4.tcp_ecn=2'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        logger.debug("Configurator disabled ECN")

    def config_ecn(self): # pylint: disable=no-self-use
        """
        Enables ECN negotiation via sysctl.
        """
        logger = logging.getLogger('ecn')
        subprocess.check_call(
            ['/sbin/sysctl', '-w', 'net.ipv4.tcp_ecn=1'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        logger.debug("Configurator enabled ECN")

    configurations = [config_no_ecn, config_ecn]
''' + COMBINE

NFT = shutil.which("nft") or "/usr/sbin/nft"
IPTABLES = shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin")
if IPTABLES:
    SET = "'iptables', '-t', 'mangle', '-A', 'OUTPUT', '-p', 'tcp', '-m', 'tcp', '-j', 'DSCP', '--set-dscp', " \
          "str(self.args.codepoint)"
    CLEAR = "'iptables', '-t', 'mangle', '-F'"
else:
    SET = f"'{NFT}', 'add table ip documented; add chain ip documented output " \
          "{ type route hook output priority -150; }; add rule ip documented output meta l4proto tcp ip dscp set ' " \
          "+ str(self.args.codepoint)"
    CLEAR = f"'{NFT}', 'add table ip documented; delete table ip documented'"
"""How a configuration function marks packets: "these may make calls to sysctl or iptables"; where there is no iptables,
to what stands behind it today."""

DSCP = f'''
import subprocess

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.dscp import DSCPChain
from pathspider.chains.tcp import TCPChain
from pathspider.sync import SynchronizedSpider

class DSCP(SynchronizedSpider, PluggableSpider):

    name = "dscpsnippet"
    description = "Differentiated Services Codepoints"
    version = "1.0.0"
    chains = [BasicChain, DSCPChain, TCPChain]
    connect_supported = ["http", "https", "tcp", "dnsudp", "dnstcp"]

    def config_zero(self):
        subprocess.check_call([{CLEAR}])

    def config_one(self):
        subprocess.check_call([{SET}])

    configurations = [config_zero, config_one]

    @staticmethod
    def extra_args(parser):
        parser.add_argument(
            "--codepoint",
            type=int,
            choices=range(0, 64),
            default='48',
            metavar="[0-63]",
            help="DSCP codepoint to send (Default: 48)")
''' + COMBINE

H2 = '''
import pycurl

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.http import connect_http
from pathspider.helpers.http import connect_https

class H2(DesynchronizedSpider, PluggableSpider):
    name = "h2snippet"
    description = "HTTP/2"
    version = "1.0.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["http", "https"]

    def conn_no_h2(self, job, config): # pylint: disable=unused-argument
        if self.args.connect == "http":
            return connect_http(self.source, job, self.args.timeout)
        if self.args.connect == "https":
            return connect_https(self.source, job, self.args.timeout)
        else:
            raise RuntimeError("Unknown connection mode specified")

    def conn_h2(self, job, config): # pylint: disable=unused-argument
        curlopts = {pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2_0}
        curlinfos = {pycurl.INFO_HTTP_VERSION}
        if self.args.connect == "http":
            return connect_http(self.source, job, self.args.timeout, curlopts,
                                curlinfos)
        if self.args.connect == "https":
            return connect_https(self.source, job, self.args.timeout, curlopts,
                                 curlinfos)
        else:
            raise RuntimeError("Unknown connection mode specified")

    connections = [conn_no_h2, conn_h2]

    def combine_flows(self, flows):
        version = flows[1]["http_info"][pycurl.INFO_HTTP_VERSION]
        return [f"h2snippet.states:{flows[0]['spdr_state']}{flows[1]['spdr_state']}",
                "h2snippet.upgrade." + ("success" if version == pycurl.CURL_HTTP_VERSION_2_0 else "failed")]
'''

FORGE = '''
from scapy.all import IP
from scapy.all import TCP
from scapy.all import RandShort

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.forge import ForgeSpider

class ForgeSpiderPlugin(ForgeSpider, PluggableSpider):
    name = "forgesnippet"
    description = "A SYN, then a RST"
    version = "1.0.0"
    chains = [BasicChain, TCPChain]
    packets = 2

    def forge(self, job, seq):
        sport = 0
        while sport < 1024:
            sport = int(RandShort())
        l4 = TCP(sport=sport, dport=job['dp'])
        ip = IP(src=self.source[0], dst=job['dip'])
        if seq == 0:
            l4.flags = "S"
        if seq == 1:
            l4.flags = "R"
        return ip/l4

    def combine_flows(self, flows):
        return ["forgesnippet.syn." + ("answered" if flows[0]["tcp_synflags_rev"] == 18 else "not_answered"),
                "forgesnippet.rst." + ("answered" if flows[1]["pkt_rev"] else "not_answered")]
'''

OBSERVED = '''
    def combine_flows(self, flows):
        return [f"overriding.observed:{sum(flow['observed'] for flow in flows)}",
                *(f"overriding.saw:{flow['seen']}" for flow in flows if "seen" in flow)]
'''
WORKER = '''
    def worker(self, worker_number):
        import time
        from pathspider.records import Result
        while True:
            job = self.jobqueue.get()
            if job == SHUTDOWN_SENTINEL:
                %s
                break
            self.pre_connect(job)
            began, connections = time.time(), []
            for config, connection in enumerate(self.connections):
                rec = connection(self, job, config)
                rec["config"] = config
                %s
                connections.append(rec)
            for config, rec in enumerate(connections):
                self.post_connect(job, rec, config)
                if "client" in rec:
                    rec.pop("client").close()
                rec["seen"] = worker_number >= 0
            self.mergequeue.put(Result(job, connections, began, time.time()))
'''
WITH_PORT = 'rec.setdefault("dp", job["dp"])'


class TestDocumented(CaseTest):
    def run_plugin(self, name, source, jobs, *words, before=("-w", "10")):
        status, records, errors = self.measure(jobs, *before, "--output-flows", name, *words,
                                               tree=self.tree(name, source))
        self.assertEqual(status, 0, errors)
        self.assertEqual(len(records), len(jobs), errors)
        return records

    def setting(self):
        return self.lab.run(["sysctl", "-n", "net.ipv4.tcp_ecn"], capture_output=True).stdout.strip()

    def test_ecn(self):
        dropping = next(case for case in all_cases("ecn", "tcp", 4)
                        if "ecn.connectivity.broken" in case.scenario.expect)
        jobs = [*clean(20), {"dip": dropping.address, "dp": 80, "number": 20}, *clean(21)[20:]]
        jobs[-1]["number"] = 21
        records = self.run_plugin("ecnsnippet", ECN, jobs, "--connect", "tcp", "--timeout", "1")
        for record in records:
            broken = record["number"] == 20
            if not broken:  # at the other one the kernel falls back, for the snippet does not keep it from it
                self.assertEqual(record["conditions"], ["ecnsnippet.connectivity.works"], record)
            flows = observed(record)
            self.assertEqual([flow["tcp_synflags_fwd"] for flow in flows], [0x02, 0xC2], record)
        self.assertEqual(self.setting(), b"2", "the first configuration was not taken up at the end")

    def test_dscp(self):
        for words, codepoint in (((), 48), (("--codepoint", "10"), 10)):
            shutil.rmtree(self.folder / "pathspider-dscpsnippet", ignore_errors=True)
            records = self.run_plugin("dscpsnippet", DSCP, clean(20), "--connect", "http", *words)
            for record in records:
                self.assertEqual(record["conditions"], ["dscpsnippet.connectivity.works"], record)
                self.assertEqual([flow["dscp_mark_syn_fwd"] for flow in observed(record)], [0, codepoint], record)
        rules = self.lab.run(["nft", "list", "ruleset"], capture_output=True).stdout
        self.assertNotIn(b"dscp", rules.lower(), "the first configuration was not taken up at the end")

    def test_h2(self):
        without = next(case for case in all_cases("h2", "http", 4) if case.scenario.server == "http1")
        for mode, port in (("http", 80), ("https", 443)):
            shutil.rmtree(self.folder / "pathspider-h2snippet", ignore_errors=True)
            jobs = [*clean(10, port=port), {"dip": without.address, "dp": port, "number": 10}]
            records = self.run_plugin("h2snippet", H2, jobs, "--connect", mode)
            for record in records:
                word = "failed" if record["number"] == 10 else "success"
                self.assertEqual(record["conditions"], ["h2snippet.states:00", f"h2snippet.upgrade.{word}"], record)

    def test_forge(self):
        records = self.run_plugin("forgesnippet", FORGE, clean(20))
        for record in records:
            self.assertEqual(record["conditions"], ["forgesnippet.syn.answered", "forgesnippet.rst.not_answered"],
                             record)
            self.assertEqual([flow["tcp_rst_fwd"] for flow in observed(record)][1:], [True])

    def test_help_and_list(self):
        tree = self.tree("dscpsnippet", DSCP)
        done = subprocess.run([*COMMAND, "dscpsnippet", "--help"], cwd=tree, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": "."}, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("--codepoint", "[0-63]", "--connect"):
            self.assertIn(word, done.stdout)


class TestOverrides(CaseTest):
    """What the documentation lists as a spider's methods may be written anew."""

    def run_override(self, override, *conditions, count=60):
        tree = self.tree("overriding", twice("overriding", OBSERVED + override))
        status, records, errors = self.measure(clean(count), "-w", "8", "overriding", tree=tree, timeout=30)
        self.assertEqual(status, 0, errors)
        self.assertEqual(len(records), count, errors)
        for record in records:
            self.assertEqual(record["conditions"], ["overriding.observed:2", *conditions], record)
        return errors

    def test_nothing(self):
        self.run_override("")

    def test_worker_that_puts_the_sentinel_back(self):
        self.run_override(WORKER % ("self.jobqueue.put(job)", WITH_PORT), *["overriding.saw:True"] * 2)

    def test_worker_that_keeps_the_sentinel(self):
        self.run_override(WORKER % ("pass", WITH_PORT), *["overriding.saw:True"] * 2)

    def test_worker_whose_results_are_what_helpers_return(self):
        """The target's port is the job's: a connection may tell no more than its own (``{"sp": n}``)."""
        self.run_override(WORKER % ("self.jobqueue.put(job)", "pass"), *["overriding.saw:True"] * 2)

    def test_worker_that_calls_ours(self):
        self.run_override("""
    def worker(self, worker_number):
        super().worker(worker_number)
""")

    def test_merger_that_calls_ours(self):
        self.run_override("""
    def merger(self):
        super().merger()
""")

    def test_configurator(self):
        errors = self.run_override("""
    def configurator(self):
        import sys
        print("the configurator ran", file=sys.stderr)
""")
        self.assertIn("the configurator ran", errors)

    def test_merge(self):
        self.run_override("""
    def merge(self, flow, res):
        merged = super().merge(flow, res)
        merged["seen"] = flow["sp"] == res["sp"]
        return merged
""", *["overriding.saw:True"] * 2)

    def test_pre_connect_and_post_connect(self):
        """The first once for a job; the second for each connection, with the result and its number."""
        self.run_override("""
    def pre_connect(self, job):
        job["prepared"] = job.get("prepared", 0) + 1

    def post_connect(self, job, rec, config):
        rec["seen"] = f"{job['prepared']}-{config}"
""", "overriding.saw:1-0", "overriding.saw:1-1")

    def test_pre_connect_that_returns_true(self):
        self.run_override("""
    def pre_connect(self, job):
        return True
""")

    def test_create_observer(self):
        self.run_override("""
    def create_observer(self):
        from pathspider.observer import Observer
        return Observer(self.libtrace_uri, chains=self.chains)
""")
