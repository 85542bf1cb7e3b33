"""What is left of a record that must not tell its target."""

import json
import unittest

from pathspider.export.anonymise import Anonymiser
from tests.export.optional import with_cryptography
from tests.report.records import WORKS, record

KEY = bytes(range(32))
TARGET, NAME, OURS = "198.51.100.77", "secret.example.org", "203.0.113.1"
RECORD = record(
    TARGET, WORKS, "ecn.response.differs:200:403", f"x.hop.between:{TARGET}", "x.mark:2001:db8::77", domain=NAME,
    domain_ascii=NAME, dip_asn=64999, info={"ASN": 64999, "owner": "Secret Ltd"}, rank=12, url=f"https://{NAME}/",
    evidence="198.51/198.51.100.77_80.pcapng", error=f"no route to {TARGET}",
    run="019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1",
    order=[1, 0], missed_flows=0, flow_results=[{"dip": TARGET, "http_body": "secret", "observed": True}],
    rounds=[{"order": [0, 1], "states": [0, 1], "conditions": [WORKS, f"x.hop.between:{TARGET}"],
             "time": {"from": "2026-11-22 10:00:00.000000", "to": "2026-11-22 10:00:01.000000", "at": TARGET},
             "flow_results": [{"dip": TARGET}], "note": NAME}],
    hops={"A": [{"ttl": 1, "addr": "198.51.100.1", "rtt": 0.5, "quoted": {"dst": TARGET}, "octets": 28, "name": NAME}],
          "B": [], "C": NAME},
    reached={"A": {"ttl": 2, "came": "refused", "addr": TARGET, "name": NAME}, "B": NAME, "C": {"addr": NAME}},
    path=[OURS, "AS64998", "198.51.100.1", "*", "AS64999", TARGET])


@with_cryptography
class TestRecords(unittest.TestCase):
    def setUp(self):
        self.anonymiser = Anonymiser(KEY)

    def test_nothing_tells_the_target(self):
        text = json.dumps(self.anonymiser.record(RECORD))
        for secret in (TARGET, "198.51", NAME, "secret", "Secret", OURS, "AS6", "64999", "2001:db8", "rank", "12,"):
            self.assertNotIn(secret, text)
        self.assertEqual(set(self.anonymiser.left_out), {"dip_asn", "info", "rank", "url", "evidence", "error",
                                                          "flow_results"})

    def test_what_stays(self):
        kept = self.anonymiser.record(RECORD)
        self.assertEqual({key: kept[key] for key in ("dp", "time", "run", "order", "missed_flows")},
                         {key: RECORD[key] for key in ("dp", "time", "run", "order", "missed_flows")})
        self.assertEqual(kept["conditions"][:2], [WORKS, "ecn.response.differs:200:403"])
        self.assertEqual(kept["rounds"][0]["states"], [0, 1])
        self.assertEqual(set(kept["rounds"][0]["time"]), {"from", "to"})

    def test_the_same_address_is_the_same_everywhere(self):
        kept = self.anonymiser.record(RECORD)
        dip = kept["dip"]
        self.assertEqual(kept["path"][-1], dip)
        self.assertEqual(kept["conditions"][2], f"x.hop.between:{dip}")
        self.assertEqual(kept["rounds"][0]["conditions"][1], f"x.hop.between:{dip}")
        self.assertEqual(kept["hops"]["A"][0]["quoted"], {"dst": dip})
        self.assertEqual(kept["hops"]["A"][0]["addr"], kept["path"][1])
        self.assertEqual(kept["reached"], {"A": {"ttl": 2, "came": "refused", "addr": dip}})
        self.assertEqual(kept["path"][1].rsplit(".", 1)[0], dip.rsplit(".", 1)[0])  # one /24 stays one

    def test_systems_stay_if_wanted(self):
        kept = Anonymiser(KEY, keep_as=True).record(RECORD)
        self.assertEqual((kept["dip_asn"], kept["info"]), (64999, {"ASN": 64999}))
        self.assertEqual([kept["path"][place] for place in (1, 3, 4)], ["AS64998", "*", "AS64999"])

    def test_what_is_no_record_of_ours_does_not_stop_it(self):
        for odd in ({"conditions": [], "path": "x", "rounds": 7, "hops": [], "reached": TARGET, "time": TARGET,
                     "domain": 4, "dip": [TARGET]},
                    {"conditions": [], "rounds": [3, {"conditions": 4, "time": []}], "dp": TARGET, "run": TARGET}):
            self.assertNotIn(TARGET, json.dumps(self.anonymiser.record(odd)))


@with_cryptography
class TestTexts(unittest.TestCase):
    def setUp(self):
        self.anonymiser = Anonymiser(KEY)

    def test_names(self):
        name = self.anonymiser.name
        self.assertEqual(name("WWW.Example.com."), name("www.example.com"))
        self.assertNotEqual(name("www.example.com"), name("example.com"))
        self.assertRegex(name("straße.de"), r"^n[0-9a-f]{20}\.invalid$")
        self.assertEqual(name("192.0.2.1"), self.anonymiser.text("192.0.2.1"))

    def test_texts_with_addresses(self):
        four, six = (self.anonymiser.text(one) for one in ("192.0.2.1", "2001:db8::1"))
        for text, told in {f"connect to {'192.0.2.1'}:80": f"connect to {four}:80", "[2001:db8::1]": f"[{six}]",
                           "192.0.2.1_80.pcapng": f"{four}_80.pcapng", "300.1.2.3": "[address]",
                           "at 10:00:00": "at 10:00:00"}.items():
            self.assertEqual(self.anonymiser.text(text), told)

    def test_every_form_of_an_address_goes(self):
        for text in ("2001:db8::77", "2001:DB8:0:0:0:0:0:77", "::ffff:198.51.100.77", "fe80::77%eth0", "x2001:db8::77",
                     "a.b:2001:db8::77", "198.51.100.77/32", "<198.51.100.77>", "v198.51.100.77"):
            for told in (self.anonymiser.text(text), self.anonymiser.condition(text)):
                self.assertNotRegex(told, r"198\.51|2001:(?i:db8)|fe80", text)
