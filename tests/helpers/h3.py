"""An HTTP/3 server in the server's namespace of a :class:`~tests.helpers.netlab.NetLab`: the lab's own."""

import asyncio
import contextlib
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.helpers import http
from pathspider.helpers.optional import MissingError, has_aioquic
from pathspider.lab.certificate import make_certificate
from pathspider.lab.servers import h3
from pathspider.lab.servers.sockets import bind_udp
from tests.helpers.netlab import V4, V6, enter, namespace


def has_http3():
    try:
        http.require_http3()
    except MissingError:
        return False
    return True


with_aioquic = unittest.skipUnless(has_aioquic(), "needs aioquic, which Debian 12 does not have")
with_http3 = unittest.skipUnless(has_aioquic() and has_http3(),
                                 "needs aioquic, and a libcurl with HTTP/3: Debian 12 has neither")


@contextlib.contextmanager
def serving(lab, port, kind=""):
    """Serve at a port of both addresses, in a thread of its own."""
    home = namespace()
    enter(lab.server)
    sockets = bind_udp(port)
    enter(home)
    with contextlib.closing(asyncio.new_event_loop()) as loop, tempfile.TemporaryDirectory() as folder:
        over = asyncio.Event()
        begun = threading.Event()

        async def serve():
            h3.serve(sockets, make_certificate(Path(folder)), dict.fromkeys((V4, V6), kind))
            begun.set()
            await over.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        begun.wait()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            for sock in sockets:
                loop.remove_reader(sock)
                sock.close()


CLIENT, SERVER = ("192.0.2.1", 5000), ("192.0.2.2", 443)


class InMemory(unittest.TestCase):
    """Tests of a client and the lab's server, without a network."""

    def connected(self, told=lambda counts: counts, alpn="h3", mark=0):
        """A client, and a server that says so of its counts, behind a handshake with a mark on its datagrams."""
        from aioquic.quic.configuration import QuicConfiguration  # noqa: PLC0415 - optional

        from pathspider.helpers.quic_connection import Client  # noqa: PLC0415
        from pathspider.lab.servers.h3_connection import Counting  # noqa: PLC0415

        configuration = QuicConfiguration(is_client=False, alpn_protocols=[alpn])
        with tempfile.TemporaryDirectory() as folder:
            configuration.load_cert_chain(*make_certificate(Path(folder)))
        self.now = 0.0
        client = Client("a.example")
        client.connect(SERVER, self.now)
        server = Counting(told, configuration=configuration,
                          original_destination_connection_id=client.original_destination_connection_id)
        self.talk(client, server, mark)
        return client, server

    def talk(self, client, server, mark=0):
        """All that both have to say, until both are silent; the client's datagrams with a mark."""
        for _ in range(20):
            self.now += 0.01
            for one in (client, server):
                if one.get_timer() is not None and one.get_timer() <= self.now:
                    one.handle_timer(self.now)
            server.mark = mark
            for data, _ in client.datagrams_to_send(self.now):
                server.receive_datagram(data, CLIENT, self.now)
            for data, _ in server.datagrams_to_send(self.now):
                client.receive_datagram(data, SERVER, self.now)
