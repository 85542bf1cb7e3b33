"""Connection mode ``tcp``: a TCP handshake and nothing more. :rfc:`9293`"""

from __future__ import annotations

import socket

from pathspider.helpers import poller
from pathspider.helpers.poller import Exchange, clock
from pathspider.helpers.sockets import SockOpts, Source, opening, over
from pathspider.records import Connection, Job


@over(socket.IPPROTO_TCP)
def connect_tcp(source: Source, job: Job, timeout: float, sockopts: SockOpts | None = None) -> Connection:
    """Make a TCP handshake with port ``job["dp"]`` of ``job["dip"]``, waiting at most ``timeout`` seconds.

    Returns ``spdr_state``, ``sp`` (the local port; 0 where no packet can have left), ``proto`` (6) and

    * on success ``client``: the connected socket, which the caller closes (in ``post_connect``);
    * on a failure of the path ``error``: what the kernel called it, for people;
    * on a failure of our own machine (``CONN_SKIPPED``) ``local_error``: see :mod:`pathspider.helpers.sockets`.
    """
    return poller.run(_exchange(source, job, timeout, sockopts))


def _exchange(source: Source, job: Job, timeout: float, sockopts: SockOpts | None) -> Exchange[Connection]:
    return (yield from opening(source, job, clock() + timeout, sockopts))
