"""TFOChain: what the SYN asked for, and what the answer gave."""

import unittest

from pathspider.chains.tfo import TFOChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4


class TFO(ChainTest):
    def test_every_kind(self):
        for kind, prefix in ((34, b""), (254, b"\xf9\x89"), (255, b"\xf9\x89")):
            syn = tcp4("S", seq=1000, payload=b"hello", options=[(kind, prefix + b"12345678")])
            answer = tcp4("SA", rev=True, seq=7, ack=1006, options=[(kind, prefix + b"1234")])
            self.assertEqual(
                self.flow(TFOChain, syn, answer),
                {
                    "tfo_synkind": kind,
                    "tfo_ackkind": kind,
                    "tfo_synclen": 8,
                    "tfo_ackclen": 4,
                    "tfo_seq": 1000,
                    "tfo_dlen": 5,
                    "tfo_ack": 1006,
                },
            )

    def test_a_request_a_foreign_experiment_and_nothing(self):
        self.assertEqual(
            self.flow(TFOChain, tcp4("S", seq=5, options=[(34, b"")])),
            {
                "tfo_synkind": 34,
                "tfo_ackkind": 0,
                "tfo_synclen": 0,
                "tfo_ackclen": 0,
                "tfo_seq": 5,
                "tfo_dlen": 0,
                "tfo_ack": 0,
            },
        )
        self.assertEqual(self.flow(TFOChain, tcp4("S", seq=5, options=[(254, b"\x12\x34abcd")]))["tfo_synkind"], 0)

    def test_of_several_experiments_the_one_with_fast_open_s_identifier(self):
        cookie = (b"\xf9\x89" + b"12345678")
        for kind in (254, 255):
            for options in ([(kind, b"\x12\x34"), (kind, cookie)], [(kind, cookie), (kind, b"\x12\x34")],
                            [(kind, b""), (509 - kind, b"\x12\x34"), (kind, cookie)]):
                record = self.flow(TFOChain, tcp4("S", options=options), tcp4("SA", rev=True, ack=1, options=options))
                self.assertEqual((record["tfo_synkind"], record["tfo_synclen"]), (kind, 8))
                self.assertEqual((record["tfo_ackkind"], record["tfo_ackclen"]), (kind, 8))
        record = self.flow(TFOChain, tcp4("S", options=[(254, cookie), (34, b"1234")]))
        self.assertEqual((record["tfo_synkind"], record["tfo_synclen"]), (34, 4))

    def test_a_bogus_syn_ack_is_none(self):
        syn, bogus = tcp4("S", seq=5, payload=b"abc", options=[(34, b"12345678")]), [(34, b"1234")]
        for ack in (5, 10):
            record = self.flow(TFOChain, syn, tcp4("SA", rev=True, ack=ack, options=bogus))
            self.assertEqual((record["tfo_ack"], record["tfo_ackkind"], record["tfo_ackclen"]), (0, 0, 0))
            record = self.flow(TFOChain, syn, tcp4("SA", rev=True, ack=ack, options=bogus), tcp4("SA", rev=True, ack=9))
            self.assertEqual((record["tfo_ack"], record["tfo_ackkind"]), (9, 0))

    def test_a_fallback_does_not_hide_what_was_asked(self):
        record = self.flow(
            TFOChain,
            tcp4("S", seq=5, payload=b"x", options=[(34, b"12345678")]),
            tcp4("S", seq=5),
            tcp4("SA", rev=True, ack=6),
        )
        self.assertEqual((record["tfo_synclen"], record["tfo_dlen"], record["tfo_ack"]), (8, 1, 6))


if __name__ == "__main__":
    unittest.main()
