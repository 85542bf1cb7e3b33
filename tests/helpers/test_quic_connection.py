"""What is kept of aioquic's connection: client and server in memory, without a network."""

import unittest

from tests.helpers.h3 import CLIENT, SERVER, InMemory, with_aioquic

ECT0 = 2


@with_aioquic
class TestClient(InMemory):
    def test_handshake(self):
        client, _ = self.connected()
        self.assertEqual((client.complete, client.confirmed, client.version, client.over, client.counts, client.ended),
                         (True, True, 1, False, None, ""))

    def test_counts_are_those_of_the_server(self):
        for told, counts in ((lambda counts: counts, (5, 0, 0)), (lambda counts: (1, 2, 3), (1, 2, 3)), (None, None)):
            client, server = self.connected(told)
            first = client.next_number
            for number in range(5):
                client.send_ping(number)
                self.talk(client, server, ECT0)
            self.assertEqual(client.counts, counts)
            self.assertEqual({*range(first, client.next_number)}, {one for one in client.acknowledged if one >= first})

    def test_what_was_never_sent_is_not_acknowledged(self):
        """A server may claim to have received whatever it likes."""
        from aioquic._buffer import Buffer  # noqa: PLC0415
        from aioquic.quic.connection import QuicReceiveContext  # noqa: PLC0415
        from aioquic.tls import Epoch  # noqa: PLC0415

        client, _ = self.connected()
        known = client.acknowledged
        context = QuicReceiveContext(epoch=Epoch.ONE_RTT, host_cid=b"", network_path=None, quic_logger_frames=None,
                                     time=self.now, version=1)
        huge = (1 << 62) - 1
        frame = Buffer(capacity=100)
        for number in (huge, 0, 0, huge, 7, 8, 9):  # all from 0 on
            frame.push_uint_var(number)
        frame.seek(0)
        client._handle_ack_frame(context, 0x03, frame)
        self.assertEqual(client.acknowledged, frozenset(range(client.next_number)) | known)
        self.assertEqual((client.counts, frame.tell()), ((7, 8, 9), 8 * 2 + 5))

    def test_an_acknowledgement_that_was_overtaken_changes_no_counts(self):
        client, server = self.connected()
        late = []
        for number in range(2):
            client.send_ping(number)
            server.mark = ECT0
            self.now += 0.01
            for data, _ in client.datagrams_to_send(self.now):
                server.receive_datagram(data, CLIENT, self.now)
            self.now += 0.01
            server.handle_timer(self.now)
            late += [data for data, _ in server.datagrams_to_send(self.now)]
        for data in reversed(late):
            client.receive_datagram(data, SERVER, self.now)
        self.assertEqual((len(late), client.counts), (2, (2, 0, 0)))

    def test_ends(self):
        client, _ = self.connected(alpn="doq")
        self.assertEqual((client.over, client.ended, client.complete), (True, "closed:0x178", False))
        client, server = self.connected()
        server.close(0x101)
        self.talk(client, server)
        self.assertEqual((client.over, client.ended), (True, "closed:0x101"))
        client, _ = self.connected()
        client.close(0x0A)  # as aioquic does where a server breaks the protocol
        self.assertEqual((client.over, client.ended), (True, "unusable"))
        client, _ = self.connected()
        client.close()
        self.assertEqual((client.over, client.ended), (True, ""))

    def test_nobody_is_warned_of_what_networks_do(self):
        with self.assertNoLogs():
            self.connected(alpn="doq")


if __name__ == "__main__":
    unittest.main()
