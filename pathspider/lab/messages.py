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
from contextlib import suppress
from typing import Any

from pathspider.lab.errors import LabError

SO_SNDBUFFORCE = 32  # asm-generic/socket.h
LARGEST = 1 << 20  # bytes of one message; a whole environment fits

Message = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends with room for the largest message."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        # Twice, for the kernel's own keeping; whoever may make a lab may pass by the limit of net.core.wmem_max.
        with suppress(PermissionError):
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * LARGEST)
    return ends


def send(end: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message, with descriptors; :exc:`~pathspider.lab.errors.LabError` if it is longer than one may be."""
    data = json.dumps(message).encode("utf-8", "surrogateescape")
    if len(data) > LARGEST:
        raise LabError(f"{len(data)} bytes of arguments and environment are too many for a command in the lab, which "
                       f"takes {LARGEST}")
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
