"""How a :class:`~pathspider.lab.session.Lab` and its init talk: JSON messages with descriptors beside them.

One message is one packet of a ``SOCK_SEQPACKET`` socket pair. The end of the stream, on either side, means that the
other side is gone.

========== ============================================================ ==========================================
to init    ``start``: id, argv, room, own_group, env, cwd; 3 descriptors ``signal``: id, signal
from init  ``ready`` · ``failed``: text                                  ``started``: id · ``ended``: id, status
========== ============================================================ ==========================================
"""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST = 1 << 20  # bytes of one message; a whole environment fits

Message = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends with room for the largest message."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return ends


def send(end: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message, with descriptors."""
    data = json.dumps(message).encode("utf-8", "surrogateescape")
    if descriptors:
        socket.send_fds(end, [data], list(descriptors))
    else:
        end.send(data)


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors; None when the other side is gone."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, LARGEST, 8)
    except ConnectionResetError:
        return None
    if not data:
        return None
    message: Message = json.loads(data)
    return message, descriptors
