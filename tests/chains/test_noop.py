"""NoOpChain notes nothing."""

import unittest

from pathspider.chains.noop import NoOpChain
from pathspider.libtrace import FlowTable
from tests.libtrace.frames import udp4


class NoOp(unittest.TestCase):
    def test_noop_adds_nothing(self):
        table = FlowTable([NoOpChain()])
        table.feed(udp4(), 1.0)
        self.assertEqual([set(f) for f in table.flush()], [{"pkt_first", "pkt_last"}])


if __name__ == "__main__":
    unittest.main()
