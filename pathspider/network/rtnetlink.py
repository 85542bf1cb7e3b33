"""Routes, rules and nexthops of this network namespace as the kernel's own messages, and the removal of ours.

rtnetlink(7). A route has attributes that no library of ours knows (encapsulations, options of newer kernels): to copy
it, its message is taken as it is, and only what must differ is changed. What is ours carries the protocol number
``PROTOCOL`` and a table, or a nexthop's number, of a slot's range; nothing else is ever removed.

As a script (``rtnetlink.py SLOT``, standard library only) it removes what a slot has; the guard runs that.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

PROTOCOL = 94
"""In the ``proto`` column of ip(8), free in /etc/iproute2/rt_protos: who put a route or a rule there."""

TABLES = 0x70000000
SLOT_SIZE = 0x1000
SLOTS = 0x1000
"""Tables, and nexthops, of slot n are the ``SLOT_SIZE`` numbers from ``TABLES + n * SLOT_SIZE`` on."""

# linux/netlink.h, linux/rtnetlink.h, linux/fib_rules.h, linux/nexthop.h
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED = 0x8000
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
SOL_NETLINK, NETLINK_EXT_ACK = 270, 11
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP = 104, 105, 106
RTA_DST, RTA_SRC, RTA_IIF, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = range(1, 10)
RTA_CACHEINFO, RTA_TABLE, RTA_MARK, RTA_MFC_STATS, RTA_VIA, RTA_PREF = 12, 15, 16, 17, 18, 20
RTA_EXPIRES, RTA_UID, RTA_TTL_PROPAGATE, RTA_IP_PROTO, RTA_SPORT, RTA_DPORT, RTA_NH_ID = 23, 25, 26, 27, 28, 29, 30
RTAX_FEATURES, RTAX_FEATURE_ECN = 12, 1
RTM_F_CLONED = 0x200
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 4, 6, 10
FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_PROTOCOL = 15, 16, 17, 19, 21
NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY = range(1, 7)

ROUTE_HEADER = struct.Struct("=BBBBBBBBI")
"""``struct rtmsg``: family, lengths of destination and source, tos, table, protocol, scope, type, flags."""
RULE_HEADER = struct.Struct("=BBBBBBBBI")
"""``struct fib_rule_hdr``: family, lengths of destination and source, tos, table, two reserved, action, flags."""
NEXTHOP_HEADER = struct.Struct("=BBBBI")
"""``struct nhmsg``: family, scope, protocol, reserved, flags."""

SO_RCVBUFFORCE = 33  # asm-generic/socket.h
RECEIVE_BUFFER = 1 << 24
FAMILIES = (socket.AF_INET, socket.AF_INET6)

Attributes = dict[int, bytes]


class InterruptedDumpError(OSError):
    """What was listed changed meanwhile: ask again."""


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, padded. netlink(7)"""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes, start: int = 0) -> Attributes:
    """The attributes of a netlink message from an offset on: value by kind."""
    found = {}
    while start + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[start + 4:start + length]
        start += (length + 3) & ~3
    return found


def packed(attrs: Attributes) -> bytes:
    """Attributes as a message has them."""
    return b"".join(attribute(kind, value) for kind, value in attrs.items())


def number(value: bytes | None, absent: int = 0) -> int:
    """An attribute of four octets."""
    return absent if value is None else int.from_bytes(value, sys.byteorder)


def u32(value: int) -> bytes:
    """A number as an attribute's four octets."""
    return struct.pack("=I", value)


class Netlink:
    """A netlink socket for requests; one thread at a time. Errors are ``OSError``, with the kernel's own words."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        enlarge(self.sock)
        with suppress(OSError):
            self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def message(self, kind: int, flags: int, body: bytes) -> bytes:
        """A request, numbered."""
        self._sequence += 1
        return struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, self._sequence, 0) + body

    def dump(self, kind: int, header: bytes) -> list[bytes]:
        """The bodies of all messages that answer a request to list; :class:`InterruptedDumpError` asks to list again.
        """
        self.sock.send(self.message(kind, NLM_F_DUMP, header))
        found: list[bytes] = []
        interrupted = False
        while True:
            for reply, flags, body in messages(self.sock.recv(1 << 20), self._sequence):
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if reply == NLMSG_ERROR:
                    raise _error(body)
                if reply == NLMSG_DONE:
                    if interrupted:
                        raise InterruptedDumpError(errno.EINTR, "the list changed while it was read")
                    return found
                found.append(body)

    def get(self, kind: int, body: bytes) -> bytes:
        """The body of the one message that answers."""
        self.sock.send(self.message(kind, 0, body))
        while True:
            if (answer := self.answer(self.sock.recv(1 << 16))) is not None:
                return answer

    def answer(self, data: bytes) -> bytes | None:
        """The body of the message that answers the last request, in what was received; None if it is not in it."""
        for reply, _, body in messages(data, self._sequence):
            if reply == NLMSG_ERROR:
                raise _error(body)
            return body
        return None

    def change(self, requests: Iterable[tuple[int, int, bytes]]) -> list[OSError | None]:
        """Make changes (kind, flags, body), many at a time: for each its error, or ``None``."""
        results: list[OSError | None] = []
        batch: list[bytes] = []
        size = 0
        for kind, flags, body in requests:
            batch.append(self.message(kind, flags | NLM_F_ACK, body))
            size += len(batch[-1])
            if size > 32768:
                results += self._send(batch)
                batch, size = [], 0
        return results + self._send(batch)

    def _send(self, batch: list[bytes]) -> list[OSError | None]:
        if not batch:
            return []
        first = self._sequence - len(batch) + 1
        self.sock.send(b"".join(batch))
        results: list[OSError | None] = []
        while len(results) < len(batch):
            for reply, _, body in messages(self.sock.recv(1 << 20), first + len(results), following=True):
                if reply == NLMSG_ERROR:
                    results.append(_error(body) if number(body[:4]) else None)
        return results


def enlarge(sock: socket.socket) -> None:
    """Give a socket room for many messages, past the limit of net.core.rmem_max where we may."""
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        with suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
            return


def messages(data: bytes, sequence: int | None = None, following: bool = False) -> Iterator[tuple[int, int, bytes]]:
    """The messages of what a socket has received: kind, flags, body; only answers to a request, if it is given."""
    start = 0
    while start + 16 <= len(data):
        length, kind, flags, answers, _ = struct.unpack_from("=IHHII", data, start)
        if sequence is None or answers == sequence or (following and answers > sequence):
            yield kind, flags, data[start + 16:start + length]
        start += (length + 3) & ~3


def _error(body: bytes) -> OSError:
    code = -struct.unpack_from("=i", body)[0]
    text = os.strerror(code)
    length = struct.unpack_from("=I", body, 4)[0] if len(body) >= 8 else 0
    for start in (4 + length, 20):  # the request follows whole, or only its header
        if said := attributes(body, (start + 3) & ~3).get(1):
            text += f" ({said.rstrip(bytes(1)).decode(errors='replace')})"
            break
    return OSError(code, text)


def listed(netlink: Netlink, kind: int, header: bytes) -> list[bytes]:
    """:meth:`Netlink.dump`, again while what is listed changes; the last try's ``OSError``."""
    for _ in range(20):
        with suppress(InterruptedDumpError):
            return netlink.dump(kind, header)
    return netlink.dump(kind, header)


def rules(netlink: Netlink, family: int) -> list[bytes]:
    """All rules of an IP version, in the order in which the kernel asks them."""
    try:
        found = listed(netlink, RTM_GETRULE, RULE_HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # no IPv6, or a kernel without rules
            return []
        raise
    return [body for body in found if body[0] == family]


def routes(netlink: Netlink, family: int) -> list[bytes]:
    """All routes of an IP version, of all tables."""
    try:
        found = listed(netlink, RTM_GETROUTE, ROUTE_HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
            return []
        raise
    return [body for body in found if body[0] == family]


def nexthops(netlink: Netlink) -> list[bytes]:
    """All nexthop objects; none where the kernel does not know them (before Linux 5.3)."""
    try:
        return listed(netlink, RTM_GETNEXTHOP, NEXTHOP_HEADER.pack(0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return []
        raise


def table_of(body: bytes) -> int:
    """The table of a route's or of a rule's message."""
    return number(attributes(body, 12).get(RTA_TABLE), body[4])  # FRA_TABLE is the same number


def slot_numbers(slot: int) -> range:
    """The tables and nexthops of a slot."""
    return range(TABLES + slot * SLOT_SIZE, TABLES + (slot + 1) * SLOT_SIZE)


def is_our_rule(body: bytes, marks: range) -> bool:
    """Whether a rule is ours: our protocol, and one of these marks."""
    attrs = attributes(body, 12)
    return attrs.get(FRA_PROTOCOL) == bytes([PROTOCOL]) and number(attrs.get(FRA_FWMARK)) in marks


MARKS = 0x50530000
MARKS_OF_A_SLOT = 16


def slot_marks(slot: int) -> range:
    """The marks of a slot."""
    return range(MARKS + slot * MARKS_OF_A_SLOT, MARKS + (slot + 1) * MARKS_OF_A_SLOT)


def remove(slot: int) -> None:
    """Remove the rules, then the routes and nexthops of a slot. ``OSError`` if something is left."""
    with Netlink() as netlink:
        for _ in range(10):  # something may have been added as we looked, by a thread that dies just now
            wanted = list(_removals(netlink, slot))
            if not wanted:
                return
            errors = [error for error in netlink.change(wanted)
                      if error and error.errno not in (errno.ESRCH, errno.ENOENT)]
        if errors:
            raise errors[0]
        raise OSError(errno.EBUSY, f"rules and routes of slot {slot} come again")


def _removals(netlink: Netlink, slot: int) -> Iterator[tuple[int, int, bytes]]:
    marks, tables = slot_marks(slot), slot_numbers(slot)
    for family in FAMILIES:
        yield from ((RTM_DELRULE, 0, body) for body in rules(netlink, family) if is_our_rule(body, marks))
    for family in FAMILIES:
        for body in routes(netlink, family):
            if body[5] == PROTOCOL and table_of(body) in tables:
                yield RTM_DELROUTE, 0, removable(body)
    found = [(NHA_GROUP not in attributes(body, 8), body) for body in nexthops(netlink)]
    for _, body in sorted(found, key=lambda item: item[0]):  # groups first
        identity = attributes(body, 8).get(NHA_ID, b"")
        if body[2] == PROTOCOL and number(identity) in tables:
            yield RTM_DELNEXTHOP, 0, NEXTHOP_HEADER.pack(0, 0, 0, 0, 0) + attribute(NHA_ID, identity)


def removable(body: bytes) -> bytes:
    """A route's message as the kernel takes it for deletion: without what only its lists say."""
    attrs = attributes(body, 12)
    for kind in (RTA_CACHEINFO, RTA_MFC_STATS, RTA_EXPIRES, RTA_TTL_PROPAGATE, RTA_PREF, RTA_METRICS):
        attrs.pop(kind, None)
    if RTA_NH_ID in attrs:
        for kind in (RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA):
            attrs.pop(kind, None)
    fields = list(ROUTE_HEADER.unpack_from(body))
    fields[8] = 0  # flags
    return ROUTE_HEADER.pack(*fields) + packed(attrs)


def removal(slot: int) -> list[str]:
    """The command that does :func:`remove`."""
    return [sys.executable or "/usr/bin/python3", "-I", "-S", __file__, str(slot)]


def main(arguments: list[str]) -> int:
    """``rtnetlink.py SLOT``"""
    try:
        remove(int(arguments[1]))
    except OSError as error:
        print(f"rules and routes of slot {arguments[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
