"""Connection mode ``tcp``: a TCP handshake and nothing more. :rfc:`9293`"""

from __future__ import annotations

from time import monotonic

from pathspider.helpers.sockets import SockOpts, Source, open_connection
from pathspider.records import Connection, Job


def connect_tcp(source: Source, job: Job, timeout: float, sockopts: SockOpts | None = None) -> Connection:
    """Make a TCP handshake with port ``job["dp"]`` of ``job["dip"]``, waiting at most ``timeout`` seconds.

    Returns ``spdr_state``, ``sp`` (the local port; 0 where no packet can have left) and

    * on success ``client``: the connected socket, which the caller closes (in ``post_connect``);
    * on a failure of the path ``error``: what the kernel called it, for people;
    * on a failure of our own machine (``CONN_SKIPPED``) ``local_error``: see :mod:`pathspider.helpers.sockets`.
    """
    return open_connection(source, job, monotonic() + timeout, sockopts)
