"""UDPChain: checksums of zero, each direction apart."""

import unittest

from pathspider.chains.udp import UDPChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import udp4


class UDPs(ChainTest):
    def test_the_last_packet_in_each_direction(self):
        self.assertEqual(
            self.flow(UDPChain, udp4(), udp4(chksum=0), udp4(rev=True, chksum=0), udp4(rev=True)),
            {"udp_zero_checksum_fwd": True, "udp_zero_checksum_rev": False},
        )
        self.assertEqual(self.flow(UDPChain, udp4()), {"udp_zero_checksum_fwd": False, "udp_zero_checksum_rev": None})


if __name__ == "__main__":
    unittest.main()
