"""SYNs that are sent again, with Fast Open and without."""

import unittest

from scapy.all import TCP

from pathspider.chains.plainsyn import PlainSYNChain
from pathspider.libtrace import tcp
from pathspider.libtrace.compiled import twin


class TestPlainSYNChain(unittest.TestCase):
    def resent(self, kind, *segments):
        chain = kind()
        record = dict(chain.initial)
        for flags, options, rev in segments:
            segment = bytes(TCP(flags=flags, options=options, ack={"SA": 1, "SAE": 5}.get(flags, 0)))
            self.assertTrue(chain.tcp(record, tcp(segment), rev))
        return record["tfo_resent"], record["tfo_fell_back"]

    def test_chain(self):
        ask, plain, answer = ("S", [(34, b"")], False), ("S", [], False), ("SA", [], True)
        bogus = ("SAE", [], True)
        old = ("S", [(254, b"\xf9\x89")], False)
        for segments, expected in (
            ((ask, answer), (False, False)), ((ask, ask, answer), (True, False)), ((ask, plain, answer), (True, True)),
            ((old, plain), (True, True)), ((plain, plain, answer), (True, False)),
            ((ask, plain, plain, plain, answer), (True, True)), ((ask, answer, plain), (False, False)),
            ((ask, bogus, plain, answer), (True, True)),
        ):
            with self.subTest(segments=segments):
                for kind in (PlainSYNChain, twin(PlainSYNChain)):
                    self.assertEqual(self.resent(kind, *segments), expected)


if __name__ == "__main__":
    unittest.main()
