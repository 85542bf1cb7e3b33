"""TCP Fast Open by socket option, and the kernel's cache of cookies. :rfc:`7413`

With :data:`FAST_OPEN` among the ``sockopts`` of a connection helper, the SYN asks for a cookie; once the kernel has one
for the target, it carries the cookie and the first data instead. The cache holds one cookie for each pair of addresses,
whatever the ports: a measurement forgets it first (:meth:`CookieCache.forget`), and no other connection to the same
address may come between.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import threading
from ipaddress import ip_address

from pathspider.network.rtnetlink import Netlink, attribute, attributes

TCP_FASTOPEN_CONNECT = 30  # linux/tcp.h; in the socket module since Python 3.12

FAST_OPEN: list[tuple[int, int, int | bytes]] = [(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)]
"""Options for a connection helper: connect with TCP Fast Open."""

# linux/netlink.h, linux/genetlink.h, linux/tcp_metrics.h
NETLINK_GENERIC = 16
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2
CMD_GET, CMD_DEL = 1, 2
ATTR_ADDR_IPV4, ATTR_ADDR_IPV6, ATTR_FOPEN_COOKIE = 1, 2, 10

HEADER = struct.Struct("=BBH")
"""``struct genlmsghdr``: command, version, reserved."""


class CookieCache:
    """The kernel's Fast Open cookies (``ip tcp_metrics``), by generic netlink. Any thread may use it.

    Forgetting needs ``CAP_NET_ADMIN``: ``PermissionError`` otherwise.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._netlink = Netlink(NETLINK_GENERIC)
        try:
            asked = HEADER.pack(CTRL_CMD_GETFAMILY, 1, 0) + attribute(CTRL_ATTR_FAMILY_NAME, b"tcp_metrics\0")
            found = attributes(self._netlink.get(GENL_ID_CTRL, asked), HEADER.size)
            self._family = int.from_bytes(found[CTRL_ATTR_FAMILY_ID], sys.byteorder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._netlink.close()

    def forget(self, address: str) -> None:
        """Forget all that is cached about a target, its cookie too."""
        with self._mutex:
            error, = self._netlink.change([(self._family, 0, about(CMD_DEL, address))])
        if error is not None and error.errno != errno.ESRCH:  # nothing is cached
            raise named(error)

    def cookie(self, address: str) -> bytes | None:
        """The cookie that is cached for a target, or None."""
        try:
            with self._mutex:
                answer = self._netlink.get(self._family, about(CMD_GET, address))
        except ProcessLookupError:  # ESRCH
            return None
        except OSError as error:
            raise named(error) from None
        return attributes(answer, HEADER.size).get(ATTR_FOPEN_COOKIE)


def about(command: int, address: str) -> bytes:
    """A request about one target."""
    target = ip_address(address)
    return HEADER.pack(command, 1, 0) + attribute(ATTR_ADDR_IPV4 if target.version == 4 else ATTR_ADDR_IPV6,
                                                  target.packed)


def named(error: OSError) -> OSError:
    """The error, with what it is about."""
    return OSError(error.errno, f"kernel's cache of TCP Fast Open cookies: {error.strerror}")
