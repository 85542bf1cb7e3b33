"""The web servers that answer otherwise, asked by libcurl in a lab."""

import json
import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import served_by
from pathspider.lab.servers.odd import KINDS

CLIENT = r"""
import json, socket, sys
import pycurl
from pathspider.helpers.http import connect_http, connect_https

def ask(address, secure, version, traffic_class):
    sockopts = [(socket.SOL_IP, socket.IP_TOS, traffic_class)]
    if ":" in address:
        sockopts = [(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)]
    result = (connect_https if secure else connect_http)(
        ("10.0.0.2", "fd00:10::2"), {"dip": address}, 30, sockopts=sockopts,
        curlopts={pycurl.HTTP_VERSION: {1: pycurl.CURL_HTTP_VERSION_1_1, 2: pycurl.CURL_HTTP_VERSION_2_0}[version]})
    return [result.get("http_status"), result.get("http2_error")]

print(json.dumps([ask(*question) for question in json.load(sys.stdin)]))
"""
OK, NOTHING, FORBIDDEN, REQUIRED = [200, None], [None, None], [403, None], [None, "HTTP_1_1_REQUIRED"]
EXPEDITED = 46 << 2
ANSWERS = {
    # HTTP/1.1, with a DSCP, HTTP/2 by Upgrade
    "interim-only": (NOTHING, NOTHING, NOTHING),
    "interim-first": (OK, OK, OK),
    "forbids": (OK, FORBIDDEN, FORBIDDEN),
    "http11-reset": (OK, OK, REQUIRED),
    "http11-goaway": (OK, OK, REQUIRED),
}


class TestServers(unittest.TestCase):
    def test_each_answers_in_its_way(self):
        self.assertEqual(ANSWERS.keys(), KINDS.keys())
        questions, expected = [], []
        for kind, (plain, marked, upgrade) in ANSWERS.items():
            addresses = [*served_by(kind)]
            for six in (False, True):
                address = next(one for one in addresses if (":" in one) == six)
                asked = [((1, 0), plain), ((1, EXPEDITED), marked), ((2, 0), upgrade)]
                for secure in (False, True):
                    if secure and not kind.startswith("http11-"):
                        asked.pop()  # only these take up HTTP/2 over TLS
                    questions += [(address, secure, *how) for how, _ in asked]
                    expected += [answer for _, answer in asked]
        with Lab() as lab:
            done = lab.run([sys.executable, "-P", "-c", CLIENT], data=json.dumps(questions).encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        for question, answer, right in zip(questions, json.loads(done.stdout), expected, strict=True):
            self.assertEqual(answer, right, question)


if __name__ == "__main__":
    unittest.main()
