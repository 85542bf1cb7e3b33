"""The lab's echo: it tells what arrived, over both IP versions, also where the router changed it."""

import json
import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import all_cases
from pathspider.lab.servers.echo import SHOWN, complete
from tests import in_checkout

CLIENT = r"""
import json, socket, sys

def ask(address, data, kind=socket.SOCK_STREAM, traffic_class=0, hops=64, fast=False):
    six = ":" in address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
    sock.settimeout(100)
    sock.setsockopt(*((41, 67) if six else (0, 1)), traffic_class)  # IPV6_TCLASS, IP_TOS
    sock.setsockopt(*((41, 16) if six else (0, 2)), hops)           # IPV6_UNICAST_HOPS, IP_TTL
    sock.connect((address, 7))
    sock.sendall(data)
    answer = sock.recv(65535) if kind == socket.SOCK_DGRAM else sock.makefile("rb").read()
    source = sock.getsockname()[:2]
    sock.close()
    return [answer.decode(), source]

print(json.dumps([ask(address, data.encode("latin-1"), *rest) for address, data, *rest in json.load(sys.stdin)]))
"""
STREAM, DATAGRAM = 1, 2
BOTH = ("10.64.0.9", "fd00:21::9")


class TestEcho(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.start()
        cls.addClassCleanup(cls.lab.close)

    def ask(self, *questions, lab=None):
        done = (lab or self.lab).run([sys.executable, "-c", CLIENT], data=json.dumps(questions).encode(),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def test_datagram(self):
        for address in BOTH:
            for length in (0, 3, 1476, 60_000):
                ((answer, source),) = self.ask([address, "a" * length, DATAGRAM, 46 << 2 | 1, 44])
                self.assertEqual(json.loads(answer), {
                    "protocol": "udp", "source": source, "destination": [address, 7], "ttl": 43, "dscp": 46,
                    "ecn": "ect1", "length": length, "data": "61" * min(length, SHOWN)})

    def test_connection(self):
        for address in BOTH:
            ((answer, source),) = self.ask([address, "hello\n", STREAM, 46 << 2, 44])
            seen = json.loads(answer)
            syn = seen.pop("syn")
            self.assertEqual(seen, {
                "protocol": "tcp", "source": source, "destination": [address, 7], "ecn_negotiated": False,
                "ecn_seen": False, "syn_data": False, "length": 6, "data": b"hello\n".hex()})
            self.assertEqual((syn["ttl"], syn["dscp"], syn["ecn"], syn["flags"]), (43, 46, "not-ect", 2))
            self.assertEqual(syn["options"]["2"], "05b4" if "." in address else "05a0")
            self.assertEqual(bytes.fromhex(syn["packet"])[0] >> 4, 4 if "." in address else 6)

    def test_http(self):
        request = "GET /some HTTP/1.1\r\nHost: x\r\nX-Odd:  a:b \r\n\r\n"
        ((answer, _),) = self.ask(["10.64.0.9", request])
        head, _, body = answer.partition("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"))
        self.assertIn("Content-Type: application/json", head)
        seen = json.loads(body)
        self.assertEqual((seen["request"], seen["headers"]),
                         ("GET /some HTTP/1.1", [["Host", "x"], ["X-Odd", "a:b"]]))

    def test_what_the_path_did(self):
        asked = ["sysctl", "-qw", "net.ipv4.tcp_ecn=1"]
        with Lab() as lab:
            lab.run(asked)
            questions = [[case.address, "x\n"] for case in all_cases("ecn", "tcp", 4)
                         if case.scenario.name in ("ecn-clean-tcp", "ecn-syn-stripped-tcp")]
            clean, stripped = (json.loads(answer) for answer, _ in self.ask(*questions, lab=lab))
        self.assertEqual((clean["syn"]["flags"], clean["ecn_negotiated"], clean["ecn_seen"]), (0xC2, True, True))
        self.assertEqual((stripped["syn"]["flags"], stripped["ecn_negotiated"]), (0x02, False))

    @in_checkout
    def test_beside_other_servers(self):
        for servers in ("nginx", "apache"):
            with Lab(servers) as lab:
                ((answer, _),) = self.ask(["10.64.0.9", "x\n"], lab=lab)
                self.assertEqual(json.loads(answer)["length"], 2, servers)


class TestComplete(unittest.TestCase):
    def test_when(self):
        for data, due in ((b"", False), (b"GET / HTTP/1.1", False), (b"GET / HTTP/1.1\r\n", False), (b"x\n", True),
                          (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True), (b"GET /\r\n", True)):
            self.assertEqual(complete(data), due, data)


if __name__ == "__main__":
    unittest.main()
