"""A QUIC server that tells of ECN marks."""

from tests.helpers.h3 import InMemory, with_aioquic

ECT1, CE = 1, 3


@with_aioquic
class TestCounting(InMemory):
    def test_each_space_has_counts_of_its_own(self):
        """Marks of the handshake do not count for what comes behind it, but for the ends of the handshake itself."""
        client, server = self.connected(mark=CE)
        self.assertEqual((client.counts or (0, 0, 0))[:2], (0, 0))  # None: there was nothing to acknowledge yet
        client.send_ping(1)
        self.talk(client, server, ECT1)
        ect0, ect1, ends = client.counts
        self.assertEqual((ect0, ect1), (0, 1))
        self.assertIn(ends, (1, 2))  # of at least four datagrams: two make the handshake, and two end it

    def test_of_marks_that_never_came_nothing_is_said(self):
        client, server = self.connected(lambda counts: self.fail(f"told of {counts}"))
        client.send_ping(1)
        self.talk(client, server)
        self.assertIsNone(client.counts)
