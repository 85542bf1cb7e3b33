"""The plugin for accurate ECN against table 2 of RFC 9768. Its paths are in tests/lab/test_check.py."""

import argparse
import unittest

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from pathspider import libtrace
from pathspider.plugins.accecn import AccECN, look
from pathspider.traversal import Exchange

AE, CWR, ECE = 0x100, 0x80, 0x40
TABLE = {  # as the RFC has it: AE, CWR, ECE
    (0, 1, 0): "notect", (0, 1, 1): "ect1", (1, 0, 0): "ect0", (1, 1, 0): "ce",
    (1, 0, 1): "reserved", (0, 0, 1): "classic", (0, 0, 0): "none", (1, 1, 1): "reflected",
}


def answer(code):
    """A SYN-ACK with these three flags."""
    flags = 0x12 | sum(flag for flag, is_set in zip((AE, CWR, ECE), code, strict=True) if is_set)
    return libtrace.ip(bytes(IP() / TCP(flags=flags)))


def said(sent, code, baseline=(0, 0, 0)):
    """What a SYN-ACK says to a SYN with this ECN field."""
    return [*look(sent, Exchange(answer((0, 0, 0)), answer(code)), Exchange(answer((0, 0, 0)), answer(baseline)))]


class TestAnswers(unittest.TestCase):
    def test_all_eight(self):
        for sent in ("notect", "ect0", "ect1", "ce"):
            for code, meaning in TABLE.items():
                if meaning not in ("notect", "ect0", "ect1", "ce"):
                    expected = [f"negotiation.{meaning}"]
                elif meaning == sent:
                    expected = ["negotiation.accurate", "forward.arrived"]
                elif meaning == "notect":
                    expected = ["negotiation.accurate", "forward.bleached"]
                else:
                    expected = ["negotiation.accurate", f"forward.remarked:{sent}-{meaning}"]
                self.assertEqual(said(sent, code), expected)

    def test_what_the_baseline_got_too_is_no_answer(self):
        for code in TABLE:
            found = said("ect0", code, code)
            self.assertEqual(found, ["negotiation.unclear"] if any(code) else ["negotiation.none"])
        self.assertEqual(said("notect", (0, 1, 0), (0, 0, 1)), ["negotiation.accurate", "forward.arrived"])

    def test_without_a_baseline(self):
        self.assertEqual([*look("notect", Exchange(answer((0, 0, 0)), answer((0, 0, 1))), None)],
                         ["negotiation.classic"])


def flow(variant=None, code=(0, 0, 0), *, up=True):
    """A flow as chains and worker note it."""
    return {"spdr_state": 0 if up else 1, "headers_fwd": bytes(answer((0, 0, 0)).data).hex(), "forged":
            bytes(answer((0, 0, 0)).data).hex(), "headers_rev": bytes(answer(code).data).hex() if up else None,
            **({} if variant is None else {"variant": variant})}


class TestCopies(unittest.TestCase):
    """A server that copies the octet of a SYN's flags says CWR and ECE, which AccECN servers say of ECT(1)."""

    def said(self, *codes):
        """Negotiation and forward by the codes to the three rows; None: no answer."""
        flows = [flow(), *(flow(row.name, code or (0, 0, 0), up=code is not None)
                           for row, code in zip(AccECN.variants, codes, strict=True))]
        spider = AccECN(1, "int:lo", argparse.Namespace(connect="tcp", timeout=1, source=("192.0.2.1", None)))
        return [one.removeprefix("accecn.") for one in spider.combine_flows(flows) if "connectivity" not in one]

    def test_one_code_for_all_marks(self):
        copy = (0, 1, 1)
        self.assertEqual(self.said(copy, copy, copy),
                         ["negotiation.unclear", "ect0.negotiation.unclear", "ect1.negotiation.unclear"])
        self.assertEqual(self.said(copy, None, None), ["negotiation.unclear"])
        self.assertEqual(self.said(None, None, copy), ["ect1.negotiation.unclear"])

    def test_others_tell_what_arrived(self):
        self.assertEqual(self.said((0, 1, 0), (1, 0, 0), (0, 1, 1))[4:],
                         ["ect1.negotiation.accurate", "ect1.forward.arrived"])
        self.assertEqual(self.said((0, 1, 1), (1, 0, 0), (0, 1, 1))[:2],
                         ["negotiation.accurate", "forward.remarked:notect-ect1"])
        self.assertEqual(self.said((0, 1, 0), (0, 1, 0), (0, 1, 0))[2:4],
                         ["ect0.negotiation.accurate", "ect0.forward.bleached"])
        self.assertEqual(self.said(None, None, None), [])


class TestPackets(unittest.TestCase):
    def test_on_the_wire(self):
        for header, ecn in ((IP, lambda data: data[1] & 3), (IPv6, lambda data: data[1] >> 4 & 3)):
            for row, mark in zip(AccECN.variants, (0, 2, 1), strict=True):
                data = bytes(row.set(header() / TCP(flags="S")))
                tcp = data[20 if header is IP else 40:]
                self.assertEqual((tcp[12] & 0xF, tcp[13], ecn(data)), (1, 0xC2, mark), row)


if __name__ == "__main__":
    unittest.main()
