"""TCP Fast Open by socket option, and the kernel's cache of cookies. :rfc:`7413`

With :data:`FAST_OPEN` among the ``sockopts`` of a connection helper, the SYN asks for a cookie; once the kernel has one
for the target, it carries the cookie and the first data instead. The cache holds one cookie for each pair of addresses,
whatever the ports: a measurement forgets it first (:meth:`CookieCache.forget`), and no other connection to the same
address may come between.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

from pathspider.helpers.sockets import is_ipv6

TCP_FASTOPEN_CONNECT = 30  # linux/tcp.h; in the socket module since Python 3.12

FAST_OPEN: list[tuple[int, int, int | bytes]] = [(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)]
"""Options for a connection helper: connect with TCP Fast Open."""

# linux/netlink.h, linux/genetlink.h, linux/tcp_metrics.h
NETLINK_GENERIC = 16
NLMSG_ERROR = 2
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2
CMD_GET, CMD_DEL = 1, 2
ATTR_ADDR_IPV4, ATTR_ADDR_IPV6, ATTR_FOPEN_COOKIE = 1, 2, 10

HEADERS = struct.Struct("=IHHIIBBH")
"""``struct nlmsghdr`` and ``struct genlmsghdr``."""


class CookieCache:
    """The kernel's Fast Open cookies (``ip tcp_metrics``), by generic netlink. Any thread may use it.

    Forgetting needs ``CAP_NET_ADMIN``: ``PermissionError`` otherwise.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
        self._number = 0
        try:
            self._sock.bind((0, 0))
            family = self._ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, b"tcp_metrics\0"))
            (self._family,) = struct.unpack("=H", family[CTRL_ATTR_FAMILY_ID])
        except BaseException:
            self._sock.close()
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def forget(self, address: str) -> None:
        """Forget all that is cached about a target, its cookie too."""
        self._about(address, CMD_DEL, NLM_F_ACK)

    def cookie(self, address: str) -> bytes | None:
        """The cookie that is cached for a target, or None."""
        return self._about(address, CMD_GET).get(ATTR_FOPEN_COOKIE)

    def _about(self, address: str, command: int, flags: int = 0) -> dict[int, bytes]:
        if is_ipv6(address):
            target = attribute(ATTR_ADDR_IPV6, socket.inet_pton(socket.AF_INET6, address))
        else:
            target = attribute(ATTR_ADDR_IPV4, socket.inet_pton(socket.AF_INET, address))
        try:
            return self._ask(self._family, command, target, flags)
        except ProcessLookupError:  # ESRCH: nothing is cached
            return {}

    def _ask(self, family: int, command: int, attributes: bytes, flags: int = 0) -> dict[int, bytes]:
        """One request and its answer's attributes; the ``OSError`` that the kernel answers."""
        with self._mutex:
            self._number += 1
            header = HEADERS.pack(HEADERS.size + len(attributes), family, NLM_F_REQUEST | flags, self._number, 0,
                                  command, 1, 0)
            self._sock.send(header + attributes)
            while True:
                answer = self._sock.recv(65536)
                _, kind, _, number = struct.unpack_from("=IHHI", answer)
                if number == self._number:
                    break
        if kind != NLMSG_ERROR:
            return dict(parse_attributes(answer[HEADERS.size:]))
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error:
            raise OSError(error, f"kernel's cache of TCP Fast Open cookies: {os.strerror(error)}")
        return {}


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, padded. netlink(7)"""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def parse_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a netlink message: kind and value."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]
