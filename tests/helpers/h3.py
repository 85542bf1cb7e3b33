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
