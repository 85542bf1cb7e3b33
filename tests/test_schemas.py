"""The JSON Schemas that are shipped: they hold for what the program really puts out, and name every flow field."""

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker
from scapy.all import IP, TCP

import pathspider.schemas
from pathspider.base import Spider
from pathspider.chains.base import Chain
from pathspider.discovery import classes
from pathspider.helpers.optional import has_aioquic
from pathspider.lab import Lab
from pathspider.libtrace._core import around_fields
from pathspider.records import RECORD_KEYS, Connection, Job
from tests.libtrace.frames import pcap, tcp4, udp4
from tests.libtrace.tunnels import tunnels

SCHEMAS = Path(pathspider.schemas.__path__[0])
PSPDR = [sys.executable, "-P", "-m", "pathspider"]
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
PLUGINS = {"ecn": "http", "dscp": "dnsudp", "tfo": "dnstcp", "h2": "https", "evilbit": "tcp", "mss": "tcp",
           "udpzero": "dnsudp", "udpopts": "dnsudp", "tcpopt": "tcp", "mptcp": "tcp", "accecn": "tcp",
           "ipv6eh": "tcp", "dscpclass": "tcp", "l4s": "http", "tls": "https", "pmtud": "http"}
if has_aioquic():
    PLUGINS["quic"] = "https"
FEWER = {"dscpclass": ["--variants", "4"], "ipv6eh": ["--variants", "4"]}
"""Of the many packets of a plugin."""


def read(name):
    """A schema; a reference to a file beside it is replaced by what that holds."""
    text = (SCHEMAS / name).read_text(encoding="utf-8")
    flow = (SCHEMAS / "flow.schema.json").read_text(encoding="utf-8")
    return json.loads(text.replace('{"$ref": "flow.schema.json"}', flow))


def errors(schema, value):
    found = Draft202012Validator(read(schema), format_checker=FormatChecker()).iter_errors(value)
    return [f"{list(error.absolute_path)}: {error.message}" for error in found]


def chain_fields():
    """The schema's property for each field of each chain, those that plugins bring with them too."""
    chains = set(classes("pathspider.chains", Chain))
    for plugin in classes("pathspider.plugins", Spider):
        chains |= set(plugin.chains)
    return {name: {"description": field.doc,
                   "type": [TYPES[field.type], "null"] if field.initial is None else TYPES[field.type]}
            for chain in sorted(chains, key=lambda chain: chain.__name__) for name, field in chain.fields.items()}


class TestSchemas(unittest.TestCase):
    def test_each_is_a_schema(self):
        names = {path.name for path in SCHEMAS.glob("*.json")}
        self.assertEqual(names, {"job.schema.json", "record.schema.json", "flow.schema.json", "metadata.schema.json"})
        for name in names:
            Draft202012Validator.check_schema(read(name))

    def test_the_flow_schema_has_the_fields_of_the_chains(self):
        properties = read("flow.schema.json")["properties"]
        for name, expected in chain_fields().items():
            found = {key: properties[name].get(key) for key in expected}
            self.assertEqual(found, expected, f"{name} in flow.schema.json")

    def test_the_schemas_have_the_keys_of_the_types(self):
        self.assertEqual(set(read("job.schema.json")["properties"]), set(Job.__annotations__))
        self.assertEqual(set(read("record.schema.json")["properties"]), RECORD_KEYS)
        told = Connection.__annotations__.keys() - {"client"}  # which is closed, and not written
        seen = {*chain_fields(), *around_fields(True, True), "pkt_first", "pkt_last", "observed", "path", "conditions",
                "time"}
        self.assertEqual(set(read("flow.schema.json")["properties"]), told | seen)

    def test_jobs(self):
        for job in ({"dip": "192.0.2.1"}, {"dip": "2001:db8::1", "dp": None, "domain": None, "mine": [1]},
                    {"domain": "www.example.com", "rank": "7"}, {"dip": "192.0.2.1", "dp": 443, "dip_asn": "AS64496"}):
            self.assertEqual(errors("job.schema.json", job), [])
        for job in ({}, [], {"dip": "www.example.com"}, {"dip": 7}, {"dip": "192.0.2.1", "dp": 0},
                    {"dip": "192.0.2.1", "dp": "80"}, {"domain": 7}):
            self.assertNotEqual(errors("job.schema.json", job), [], job)


class TestObserved(unittest.TestCase):
    def test_every_chain(self):
        data = pcap([tcp4("S"), tcp4("SA", rev=True), tcp4("A"), tcp4("PA", payload=b"x"), udp4(), udp4(rev=True)])
        listed = subprocess.run([*PSPDR, "observe", "--list-chains"], check=True, capture_output=True, text=True).stdout
        chains = [line.split()[0] for line in listed.splitlines()]
        done = subprocess.run([*PSPDR, "observe", "-i", "-", "--conditions", *chains], input=data, check=True,
                              capture_output=True)
        flows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(flows), 2)
        for flow in flows:
            self.assertEqual(errors("flow.schema.json", flow), [])

    def test_tunnels_and_tags(self):
        data = pcap([frame for _, _, frame in tunnels(bytes(IP() / TCP()))])
        done = subprocess.run([*PSPDR, "observe", "-i", "-", "--decapsulate", "--outer"], input=data, check=True,
                              capture_output=True)
        flows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertGreater(len(flows), 20)
        for flow in flows:
            self.assertEqual(errors("flow.schema.json", flow), [])
        for wrong in ({"encapsulation": "gre"}, {"encapsulation": ["gre:x"]}, {"tunnel_ends": [["192.0.2.1"]]},
                      {"vlan": [4096]}, {"mpls": None}):
            self.assertNotEqual(errors("flow.schema.json", wrong), [], wrong)


class TestMeasured(unittest.TestCase):
    """Every plugin over the lab's paths, those that break included."""

    def test_every_plugin(self):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            runs = []
            for plugin, mode in PLUGINS.items():
                targets = subprocess.run([*PSPDR, "lab", "targets", "--plugin", plugin, "--connect", mode],
                                         check=True, capture_output=True).stdout
                self.assertEqual([errors("job.schema.json", json.loads(line)) for line in targets.splitlines()],
                                 [[]] * targets.count(b"\n"))
                jobs = Path(folder, plugin)
                jobs.write_bytes(targets + b'{"dip": "nonsense"}\n{"domain": "a.example"}\n')
                command = [*PSPDR, "measure", "-i", "lab0", "--output-flows", "--input", str(jobs),
                           "--confirm", "2", "--confirm-gap", "0.2",
                           "--metadata", f"{jobs}.meta.json", plugin,
                           "--connect", mode, "--timeout", "1", *FEWER.get(plugin, ())]
                runs.append((plugin, targets.count(b"\n") + 2,
                             lab.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)))
            for plugin, count, process in runs:
                with self.subTest(plugin=plugin):
                    self.check(count, *process.communicate(timeout=240))
                    self.check_metadata(json.loads(Path(folder, f"{plugin}.meta.json").read_text()), plugin, count)

    def check_metadata(self, metadata, plugin, count):
        self.assertEqual(errors("metadata.schema.json", metadata), [])
        (run,) = metadata["runs"]
        self.assertEqual((run["plugin"]["name"], run["connect"], run["records"], run["targets"]["complete"]),
                         (plugin, PLUGINS[plugin], count, True))
        for *path, key, value in (("run", "1"), ("end", "now"), ("ended", "why", "boredom"), ("targets", "sha256", "x"),
                                  ("targets", "jobs", -1), ("conditions", {"x": 0}), ("vantage", "ipv4", 7)):
            broken = copy.deepcopy(run)
            place = broken
            for step in path:
                place = place[step]
            place[key] = value
            self.assertNotEqual(errors("metadata.schema.json", {"runs": [broken]}), [], (path, key, value))
            del place[key]
            self.assertNotEqual(errors("metadata.schema.json", {"runs": [broken]}), [], key)

    def check(self, count, out, err):
        records = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(records), count, err)
        for record in records:
            self.assertEqual(errors("record.schema.json", record), [], record)
        with_flows = [record for record in records if any(flow["observed"] for flow in record.get("flow_results", []))]
        self.check_that_it_can_fail(with_flows[0])

    def check_that_it_can_fail(self, record):
        for *path, key, value in (
            ("conditions", ["works"]),
            ("conditions", None),
            ("time", None),
            ("time", "from", "2026-11-22T10:00:00Z"),
            ("run", "1"),
            ("path", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
            ("flow_results", 0, "spdr_state", 7),
            ("flow_results", 0, "pkt_fwd", "3"),
            ("missed_flows", -1),
        ):
            broken = copy.deepcopy(record)
            place = broken
            for step in path:
                place = place[step]
            place[key] = value
            self.assertNotEqual(errors("record.schema.json", broken), [], (path, key, value))
            if key != "pkt_fwd":  # a chain's, and the plugin chooses its chains
                del place[key]
                self.assertNotEqual(errors("record.schema.json", broken), [], key)
