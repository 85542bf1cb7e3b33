"""A plugin of a third party that wants to know what HTTP servers said: headers and body, in records and in flows."""

import json

from pathspider.lab.scenarios import all_cases
from tests.run.cases import CaseTest, clean

PLUGIN = '''
import json

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.http import connect_http

class Said(DesynchronizedSpider, PluggableSpider):
    name = "said"
    description = "What the lab's echo saw"
    version = "1.0.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["http"]

    def conn_plain(self, job, config):
        return connect_http(self.source, job, self.args.timeout, response=True)

    def conn_again(self, job, config):
        rec = connect_http(self.source, job, self.args.timeout, curlopts=None, curlinfos=None, response=True)
        rec["seen"] = json.loads(rec.pop("http_body")) if rec["spdr_state"] == 0 else None
        return rec

    connections = [conn_plain, conn_again]

    def combine_flows(self, flows):
        plain, again = flows
        if "http_headers" not in plain:
            return ["said.nothing"]
        seen = json.loads(plain["http_body"])
        return ["said.type:" + dict(plain["http_headers"])["content-type"],
                f"said.port:{seen['source'][1] == plain['sp']}",
                f"said.flags:{again['seen']['syn']['flags']}"]
'''


class TestResponse(CaseTest):
    def test_in_conditions_and_in_flows(self):
        nobody = {"dip": "10.64.0.1", "dp": 9, "number": 99}
        jobs = [*clean(20, port=7, domain="x.test"), *clean(20, 6, port=7), nobody]
        status, records, errors = self.measure(jobs, "-w", "8", "--output-flows", "said",
                                               tree=self.tree("said", PLUGIN))
        self.assertEqual((status, len(records)), (0, 41), errors)
        *answered, silent = records
        for record in answered:
            self.assertEqual(record["conditions"], ["said.type:application/json", "said.port:True", "said.flags:2"])
            plain, again = record["flow_results"]
            self.assertEqual(json.loads(plain["http_body"])["request"], "GET / HTTP/1.1")
            self.assertIn(["connection", "close"], again["http_headers"])
            self.assertNotIn("http_body", again)
            self.assertEqual(again["seen"]["destination"], [record["dip"], 7])
        self.assertEqual(silent["conditions"], ["said.nothing"])

    def test_plugins_that_do_not_ask_have_nothing_of_it(self):
        jobs = [case.job for case in all_cases("h2", "http", 4) if case.scenario.clean]
        status, records, errors = self.measure(jobs, "--output-flows", "h2", "--connect", "http")
        self.assertEqual((status, len(records)), (0, len(jobs)), errors)
        for record in records:
            for flow in record["flow_results"]:
                self.assertFalse({"http_headers", "http_body"} & flow.keys(), flow)
