"""EvilChain: one packet with the bit is enough, by kind of packet and direction."""

import unittest

from pathspider.chains.evil import EvilChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6, udp4


class Evil(ChainTest):
    def evil(self, data):
        return data[:20] + bytes([data[20] | 0x80]) + data[21:]

    def test_every_field_apart(self):
        good = [tcp4("S"), tcp4("SA", rev=True), tcp4("PA", payload=b"x"), tcp4("PA", rev=True, payload=b"x")]
        names = ["evilbit_syn_fwd", "evilbit_syn_rev", "evilbit_data_fwd", "evilbit_data_rev"]
        for at, name in enumerate(names):
            frames = [self.evil(data) if number == at else data for number, data in enumerate(good)]
            self.assertEqual(self.flow(EvilChain, *frames), {other: other == name for other in names})

    def test_what_was_not_seen_is_none_and_one_evil_packet_is_enough(self):
        self.assertEqual(
            self.flow(EvilChain, self.evil(udp4()), udp4()),
            {"evilbit_syn_fwd": None, "evilbit_syn_rev": None, "evilbit_data_fwd": True, "evilbit_data_rev": None},
        )
        self.assertEqual(set(self.flow(EvilChain, tcp6("S")).values()), {None})


if __name__ == "__main__":
    unittest.main()
