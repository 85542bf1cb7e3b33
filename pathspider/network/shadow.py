"""Copies of rules and routes for marked sockets, which ask for ECN or do not: the way where BPF is not permitted.

Every rule that an unmarked socket of this machine meets is repeated, in the same order, for a mark of ours, and every
table that it names is copied, each route with the feature ``ecn`` (ip-route(8)) set, or cleared. So a marked socket
takes the way of an unmarked one, and nothing of other programs changes. A thread follows what changes in the originals.

What there is to know of the kernel (net/core/fib_rules.c, net/ipv4/fib_semantics.c, net/ipv6/route.c):

* Our rules have priority 0, behind the kernel's rule for the table ``local`` (which therefore is not copied: a target
  that is an address of this machine is never asked for ECN) and before all others; one that is added stands behind the
  others of its priority.
* A foreign rule that looks at marks is taken for mark 0. ``not`` and ``goto`` can be said in a copy only sometimes.
* A nexthop object must not be shared: the kernel keeps the route that it found at the object, metrics and all, and then
  *unmarked* sockets ask for ECN. Routes that use one get one of ours.
* IPv4 routes vanish without a message when their interface goes down. So each event leads to a comparison of all that
  is there with all that should be, not to one change.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from pathspider.network import rtnetlink
from pathspider.network.rtnetlink import Attributes, Netlink, attribute, attributes, number, packed, u32

logger = logging.getLogger(__name__)

MOST_ROUTES = 50000
"""Copies of more routes take too long to make, to follow and to put back."""
SECONDS_A_ROUTE = 29e-6
TABLE_LOCAL = 255
NETLINK_ADD_MEMBERSHIP = 1
GROUPS = (1, 5, 7, 8, 9, 11, 19, 32)
"""linux/rtnetlink.h: links; IPv4 addresses, routes, rules; IPv6 addresses, routes, rules; nexthops."""
SETTLE = 0.001
"""So long (seconds) after an event, further ones are waited for: they come in groups."""
SLOW = 0.02
"""A comparison that takes longer is not made only to see whether something was lost; the rules must do."""
REST = 5
"""Time between two comparisons, in times that the last one took: a busy routing daemon must not cost us the machine."""

RTNH_F_DEAD, RTNH_F_ONLINK = 1, 4
RTPROT_RA = 9
RTN_UNICAST, RTN_LOCAL = 1, 2
ONE_HOP = struct.Struct("=HBBi")
"""``struct rtnexthop``: length, flags, weight - 1, interface."""
GROUP_MEMBER = struct.Struct("=IBBH")
"""``struct nexthop_grp``: number, weight - 1, two reserved."""
FIB_RULE_INVERT = 2
ACTION_TABLE, ACTION_GOTO, ACTION_NOP = 1, 2, 3
FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_FLOW, FRA_PAD = 13, 14, 11, 18
NO_SELECTORS = {
    rtnetlink.FRA_PRIORITY, rtnetlink.FRA_FWMARK, rtnetlink.FRA_FWMASK, rtnetlink.FRA_TABLE, rtnetlink.FRA_PROTOCOL,
    rtnetlink.FRA_GOTO, FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_FLOW, FRA_PAD,
}
LISTED_ONLY = {rtnetlink.RTA_CACHEINFO, rtnetlink.RTA_MFC_STATS, rtnetlink.RTA_EXPIRES, rtnetlink.RTA_IIF,
               rtnetlink.RTA_UID}
HOPS = {rtnetlink.RTA_OIF, rtnetlink.RTA_GATEWAY, rtnetlink.RTA_MULTIPATH, rtnetlink.RTA_VIA, 21, 22}
"""What a nexthop object says instead; 21, 22: encapsulation."""
NHA_ENCAP_TYPE, NHA_ENCAP, NHA_FDB, NHA_RES_GROUP, NHA_RES_GROUP_UNBALANCED_TIME = 7, 8, 11, 12, 4
NEXTHOP_KINDS = {rtnetlink.NHA_GROUP, rtnetlink.NHA_GROUP_TYPE, rtnetlink.NHA_BLACKHOLE, rtnetlink.NHA_OIF,
                 rtnetlink.NHA_GATEWAY, NHA_ENCAP_TYPE, NHA_ENCAP, NHA_RES_GROUP}
RTAX_MTU = 2

VANISHED = {errno.ENODEV, errno.ENETDOWN, errno.ESRCH, errno.ENOENT, errno.ENETUNREACH, errno.EHOSTUNREACH}
"""Errors for what has gone since it was listed."""


class ShadowError(Exception):
    """Rules or routes cannot be copied, or lead elsewhere; the text says which."""


# -- rules ---------------------------------------------------------------------------------------------------------


def check_marks(rules: Iterable[bytes], marks: Sequence[int]) -> str:
    """Whether the machine's rules treat our marks as they treat no mark: "", or which rule does not."""
    for body in rules:
        attrs = attributes(body, 12)
        if rtnetlink.FRA_FWMARK not in attrs or attrs.get(rtnetlink.FRA_PROTOCOL) == bytes([rtnetlink.PROTOCOL]):
            continue
        wanted, mask = number(attrs[rtnetlink.FRA_FWMARK]), number(attrs.get(rtnetlink.FRA_FWMASK), 0xFFFFFFFF)
        if any(((mark ^ wanted) & mask == 0) != (wanted & mask == 0) for mark in marks):
            return f"your rule {number(attrs.get(rtnetlink.FRA_PRIORITY))} uses bits of our mark"
    return ""


def rule_for_no_mark(body: bytes) -> tuple[list[int], Attributes] | None:
    """A foreign rule as it is for a socket without a mark, which looks at no marks; ``None`` if it never applies.

    The result is the header's fields and the attributes; :class:`ShadowError` if it cannot be said.
    """
    fields, attrs = list(rtnetlink.RULE_HEADER.unpack_from(body)), attributes(body, 12)
    priority = number(attrs.get(rtnetlink.FRA_PRIORITY))
    incoming = attrs.get(rtnetlink.FRA_IIFNAME)
    inverted = bool(fields[8] & FIB_RULE_INVERT)
    if incoming is not None and incoming != b"lo\0" and not inverted:
        return None  # for packets that are forwarded
    mark = number(attrs.pop(rtnetlink.FRA_FWMARK, None))
    mask = number(attrs.pop(rtnetlink.FRA_FWMASK, None), 0xFFFFFFFF)
    matches = mark & mask == 0
    if inverted:
        selectors = {kind for kind in attrs if kind not in NO_SELECTORS}
        if matches and (selectors or fields[1] or fields[2] or fields[3]):
            raise ShadowError(f"rule {priority} (not) cannot be copied")
        for kind in selectors:
            del attrs[kind]
        fields[1:4] = 0, 0, 0
        matches = not matches
    action = fields[7]
    if not matches or action == ACTION_NOP:
        return None
    if action == ACTION_GOTO:
        raise ShadowError(f"rule {priority} (goto) cannot be copied")
    fields[8] = 0
    return fields, attrs


def rule_message(fields: list[int], attrs: Attributes, table: int, mark: int) -> bytes:
    """A rule of ours, in one form: as it is sent (but for its priority), and as it is compared."""
    attrs = {**attrs, rtnetlink.FRA_TABLE: u32(table), rtnetlink.FRA_FWMARK: u32(mark),
             rtnetlink.FRA_FWMASK: u32(0xFFFFFFFF), rtnetlink.FRA_PROTOCOL: bytes([rtnetlink.PROTOCOL])}
    attrs.pop(rtnetlink.FRA_PRIORITY, None)
    attrs.pop(FRA_PAD, None)
    fields = [*fields[:4], 0, 0, 0, fields[7], 0]
    return rtnetlink.RULE_HEADER.pack(*fields) + packed(dict(sorted(attrs.items())))


def _own_rule(body: bytes) -> bytes:
    fields, attrs = list(rtnetlink.RULE_HEADER.unpack_from(body)), attributes(body, 12)
    return rule_message(fields, attrs, rtnetlink.table_of(body), number(attrs.get(rtnetlink.FRA_FWMARK)))


PRIORITY_0 = attribute(rtnetlink.FRA_PRIORITY, u32(0))


# -- routes --------------------------------------------------------------------------------------------------------


class Route(NamedTuple):
    """A route, without what only lists say."""

    fields: list[int]
    attrs: Attributes

    @property
    def order(self) -> int:
        """Connected routes come before those with gateways, which are looked up in them."""
        return int(bool(HOPS & set(self.attrs) - {rtnetlink.RTA_OIF}) or rtnetlink.RTA_NH_ID in self.attrs)

    def message(self) -> bytes:
        """The one form in which it is sent and compared."""
        return rtnetlink.ROUTE_HEADER.pack(*self.fields) + packed(dict(sorted(self.attrs.items())))


def route(body: bytes) -> Route | None:
    """A listed route; ``None`` if it is dead, or no route but the memory of one."""
    fields, attrs = list(rtnetlink.ROUTE_HEADER.unpack_from(body)), attributes(body, 12)
    flags = fields[8]
    if flags & rtnetlink.RTM_F_CLONED:
        return None
    attrs = {kind: value for kind, value in attrs.items() if kind not in LISTED_ONLY}
    attrs[rtnetlink.RTA_TABLE] = u32(rtnetlink.table_of(body))
    fields[4] = fields[8] = 0
    four = fields[0] == socket.AF_INET
    if rtnetlink.RTA_NH_ID in attrs:
        attrs = {kind: value for kind, value in attrs.items() if kind not in HOPS}
    elif rtnetlink.RTA_MULTIPATH in attrs:
        hops = list(_hops(attrs[rtnetlink.RTA_MULTIPATH], four))
        if not hops:
            return None
        if len(hops) > 1:
            attrs[rtnetlink.RTA_MULTIPATH] = b"".join(hops)
        else:  # as the kernel lists a route with one
            _, flags, _, device = ONE_HOP.unpack_from(hops[0])
            del attrs[rtnetlink.RTA_MULTIPATH]
            attrs |= {rtnetlink.RTA_OIF: struct.pack("=i", device), **attributes(hops[0], ONE_HOP.size)}
            fields[8] = flags
    elif flags & RTNH_F_DEAD:
        return None
    elif four and rtnetlink.RTA_GATEWAY in attrs:
        fields[8] = RTNH_F_ONLINK
    return Route(fields, attrs)


def _hops(data: bytes, four: bool) -> Iterator[bytes]:
    """The living hops of a route with several, each with the flags that it needs."""
    start = 0
    while start + ONE_HOP.size <= len(data):
        length, flags, weight, device = ONE_HOP.unpack_from(data, start)
        if length < ONE_HOP.size:
            break
        rest = data[start + ONE_HOP.size:start + length]
        if not flags & RTNH_F_DEAD:
            onlink = RTNH_F_ONLINK if four and rtnetlink.RTA_GATEWAY in attributes(rest) else 0
            yield ONE_HOP.pack(length, onlink, weight, device) + rest
        start += (length + 3) & ~3


def asks(one: Route) -> bool:
    """Whether a route has the feature ``ecn``."""
    return bool(_features(one.attrs) & rtnetlink.RTAX_FEATURE_ECN)


def _features(attrs: Attributes) -> int:
    return number(attributes(attrs.get(rtnetlink.RTA_METRICS, b"")).get(rtnetlink.RTAX_FEATURES))


def copy_of(one: Route, table: int, ecn: bool, nexthops: Mapping[int, int]) -> Route | None:
    """A route for one of our tables; ``None`` if the nexthop object that it uses was not there."""
    fields, attrs = list(one.fields), dict(one.attrs)
    fields[5] = rtnetlink.PROTOCOL
    attrs[rtnetlink.RTA_TABLE] = u32(table)
    if fields[7] == RTN_UNICAST:
        features = _features(attrs) & ~rtnetlink.RTAX_FEATURE_ECN | (rtnetlink.RTAX_FEATURE_ECN if ecn else 0)
        metrics = attributes(attrs.pop(rtnetlink.RTA_METRICS, b""))
        metrics.pop(rtnetlink.RTAX_FEATURES, None)
        if features:
            metrics[rtnetlink.RTAX_FEATURES] = u32(features)
        if metrics:
            attrs[rtnetlink.RTA_METRICS] = packed(dict(sorted(metrics.items())))
    if rtnetlink.RTA_NH_ID in attrs:
        own = nexthops.get(number(attrs[rtnetlink.RTA_NH_ID]))
        if own is None:
            return None
        attrs[rtnetlink.RTA_NH_ID] = u32(own)
    return Route(fields, attrs)


def tell_routers_apart(routes: list[Route]) -> list[Route]:
    """IPv6 routes by several routers' advertisements, of one metric, of which the kernel uses one: each with its own
    metric, by the routers' preference (:rfc:`4191`). Copies with one metric would become one route with several hops.
    """
    seen: dict[tuple[bytes | None, ...], list[Route]] = {}
    for one in routes:
        if one.fields[0] == socket.AF_INET6 and one.fields[5] == RTPROT_RA and rtnetlink.RTA_GATEWAY in one.attrs:
            key = (bytes([one.fields[1]]), *(one.attrs.get(kind) for kind in (
                rtnetlink.RTA_DST, rtnetlink.RTA_TABLE, rtnetlink.RTA_PRIORITY)))
            seen.setdefault(key, []).append(one)
    for group in seen.values():
        rank = {b"\1": 0, b"\0": 1, b"\3": 2}  # high, medium, low
        group.sort(key=lambda one: rank.get(one.attrs.get(rtnetlink.RTA_PREF, b"\0"), 1))
        for place, one in enumerate(group):
            one.attrs[rtnetlink.RTA_PRIORITY] = u32(number(one.attrs.get(rtnetlink.RTA_PRIORITY)) + place)
    return routes


# -- nexthop objects -----------------------------------------------------------------------------------------------


def nexthop_message(body: bytes, identity: int, nexthops: Mapping[int, int] | None) -> bytes | None:
    """A nexthop object with a number of ours, in one form; ``None`` if there is no such one, or it cannot be.

    ``nexthops``: our numbers by those of the originals, for a group's members; None: they are ours already.
    """
    family, _, _, _, _ = rtnetlink.NEXTHOP_HEADER.unpack_from(body)
    listed = attributes(body, 8)
    attrs = {kind: value for kind, value in listed.items() if kind in NEXTHOP_KINDS}
    if NHA_FDB in listed:
        return None
    if rtnetlink.NHA_GROUP in attrs:
        members = [list(member) for member in GROUP_MEMBER.iter_unpack(attrs[rtnetlink.NHA_GROUP])]
        if nexthops is not None:
            members = [[nexthops[member[0]], *member[1:]] for member in members if member[0] in nexthops]
        attrs[rtnetlink.NHA_GROUP] = b"".join(GROUP_MEMBER.pack(*member) for member in members)
        if NHA_RES_GROUP in attrs:
            resilient = attributes(attrs[NHA_RES_GROUP])
            resilient.pop(NHA_RES_GROUP_UNBALANCED_TIME, None)
            attrs[NHA_RES_GROUP] = packed(resilient)
    four = family == socket.AF_INET and rtnetlink.NHA_GATEWAY in attrs
    header = rtnetlink.NEXTHOP_HEADER.pack(family, 0, rtnetlink.PROTOCOL, 0, RTNH_F_ONLINK if four else 0)
    nested = {kind | (rtnetlink.NLA_F_NESTED if kind in (NHA_ENCAP, NHA_RES_GROUP) else 0): attrs[kind]
              for kind in sorted(attrs)}
    return header + packed({rtnetlink.NHA_ID: u32(identity), **nested})


def onlink(request: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """The same request, not to look for the way to an IPv6 gateway: another way may lead there meanwhile."""
    kind, flags, body = request
    header = rtnetlink.NEXTHOP_HEADER if kind == rtnetlink.RTM_NEWNEXTHOP else rtnetlink.ROUTE_HEADER
    if kind not in (rtnetlink.RTM_NEWNEXTHOP, rtnetlink.RTM_NEWROUTE) or body[0] != socket.AF_INET6:
        return request
    gateway = rtnetlink.NHA_GATEWAY if kind == rtnetlink.RTM_NEWNEXTHOP else rtnetlink.RTA_GATEWAY
    if gateway not in attributes(body, header.size):
        return request
    *fields, _ = header.unpack_from(body)
    return kind, flags, header.pack(*fields, RTNH_F_ONLINK) + body[header.size:]


# -- all of it -----------------------------------------------------------------------------------------------------


class Content(NamedTuple):
    """What is there, or should be: rules by IP version, routes and nexthops in the order in which they are added."""

    rules: dict[int, list[bytes]]
    routes: dict[bytes, None]
    nexthops: dict[int, bytes]


class Originals(NamedTuple):
    """What the machine has, by IP version: rules as for no mark, routes of the tables that they name; and nexthops."""

    rules: dict[int, list[tuple[list[int], Attributes]]]
    routes: dict[int, list[Route]]
    nexthops: dict[int, bytes]


class Shadow:
    """Copies for some marks, followed by a thread until :meth:`stop`. The copies stay: ``rtnetlink.remove(slot)``.

    :param marks: whether sockets with a mark ask for ECN, by mark. A mark that does not needs copies only where a route
        of the machine asks.
    """

    def __init__(self, slot: int, marks: Mapping[int, bool]) -> None:
        self._slot, self._marks = slot, dict(marks)
        self._mutex = threading.Lock()
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._nexthop_numbers: dict[tuple[int, int], int] = {}
        self._wanted: Content | None = None
        self._problem = ""
        self._seconds = 0.0
        self._netlink = Netlink()
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, rtnetlink.NETLINK_ROUTE)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._follow, name="routes", daemon=True)
        try:
            self._netlink.sock.bind((0, 0))
            self._port = self._netlink.sock.getsockname()[0]
            rtnetlink.enlarge(self._events)
            self._events.bind((0, 0))
            for group in GROUPS:  # before anything is listed
                with suppress(OSError):  # an older kernel has no nexthops
                    self._events.setsockopt(rtnetlink.SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
            self.sync()
            self._thread.start()
        except OSError as error:
            self.stop()
            denied = error.errno in (errno.EPERM, errno.EACCES)
            raise ShadowError(f"routes cannot be copied: {error.strerror}"
                              f"{' (it needs CAP_NET_ADMIN)' if denied else ''}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Follow no more; may be called again."""
        if self._thread.is_alive():
            self._wake.close()
            self._thread.join()
        for sock in (self._wake, self._woken, self._events):
            sock.close()
        self._netlink.close()

    # -- following -----------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        poller = select.poll()
        poller.register(self._events, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        stop = self._woken.fileno()
        while True:
            if stop in dict(poller.poll()):
                return
            changed = self._drain()
            if not changed:
                continue
            until = monotonic() + 10 * SETTLE
            while monotonic() < until and (ready := dict(poller.poll(SETTLE * 1000))):
                if stop in ready:
                    return
                self._drain()
            began = monotonic()
            try:
                self.sync()
                self._problem = ""
            except (OSError, ShadowError) as error:
                self._problem = f"routes changed and could not be copied: {error}"
                logger.warning(self._problem)
            rest = REST * (monotonic() - began)
            if rest > 0.05 and stop in dict(self._wait(rest)):
                return

    def _wait(self, seconds: float) -> list[tuple[int, int]]:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        return poller.poll(seconds * 1000)

    def _drain(self) -> bool:
        """Take all events that are there; whether one is about anything but what we have done ourselves."""
        changed = False
        while True:
            try:
                data = self._events.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed = True  # some were lost
                continue
            changed = changed or any(self._matters(data, start) for start in _starts(data))

    def _matters(self, data: bytes, start: int) -> bool:
        _, kind, _, _, port = struct.unpack_from("=IHHII", data, start)
        if port == self._port:
            return False
        body = data[start + 16:start + struct.unpack_from("=I", data, start)[0]]
        if kind in (rtnetlink.RTM_NEWRULE, rtnetlink.RTM_DELRULE):
            attrs = attributes(body, 12)
            return (attrs.get(rtnetlink.FRA_PROTOCOL) != bytes([rtnetlink.PROTOCOL])
                    or number(attrs.get(rtnetlink.FRA_FWMARK)) in self._marks)
        if kind in (rtnetlink.RTM_NEWROUTE, rtnetlink.RTM_DELROUTE):
            flags = rtnetlink.ROUTE_HEADER.unpack_from(body)[8]
            return not flags & rtnetlink.RTM_F_CLONED and (
                body[5] != rtnetlink.PROTOCOL or rtnetlink.table_of(body) in rtnetlink.slot_numbers(self._slot))
        if kind in (rtnetlink.RTM_NEWNEXTHOP, rtnetlink.RTM_DELNEXTHOP):
            return (body[2] != rtnetlink.PROTOCOL or number(attributes(body, 8).get(rtnetlink.NHA_ID))
                    in rtnetlink.slot_numbers(self._slot))
        return True

    def lost(self) -> str:
        """"", or what somebody else has removed of ours, which is there again, or why routes are not followed."""
        if not self._mutex.acquire(blocking=False):
            return ""  # the thread is comparing just now
        try:
            before = self._wanted
            if self._seconds > SLOW and before is not None and before.rules == self._own_rules():
                return self._problem
        finally:
            self._mutex.release()
        try:
            wanted, missing = self.sync()
        except (OSError, ShadowError) as error:
            return f"routes cannot be copied any more: {error}"
        if missing and wanted == before:
            return f"something removed our rules or routes ({missing} of them; networkd?); put back"
        return self._problem

    # -- comparing -----------------------------------------------------------------------------------------------------

    def sync(self) -> tuple[Content, int]:
        """Make the copies what they should be: (what they should be, how much of that was not there)."""
        began = monotonic()
        with self._mutex:
            for _ in range(3):
                wanted, there = self._contents()
                missing, errors = self._change(wanted, there)
                if not errors:
                    break
            self._wanted = wanted
            self._seconds = monotonic() - began
        if errors:
            raise ShadowError(f"a rule or route cannot be copied: {errors[0]}")
        return wanted, missing

    def _contents(self) -> tuple[Content, Content]:
        """What should be, and what is there of ours."""
        rules = {family: rtnetlink.rules(self._netlink, family) for family in rtnetlink.FAMILIES}
        own = rtnetlink.slot_numbers(self._slot)
        wanted, there = Content({}, {}, {}), Content({}, {}, {})
        sources: dict[int, list[tuple[list[int], Attributes]]] = {}
        for family, bodies in rules.items():
            there.rules[family] = self._ours(bodies)
            foreign = (body for body in bodies
                       if attributes(body, 12).get(rtnetlink.FRA_PROTOCOL) != bytes([rtnetlink.PROTOCOL]))
            sources[family] = [rule for body in foreign if (rule := rule_for_no_mark(body)) is not None]
        originals: dict[int, list[Route]] = {}
        for family in rtnetlink.FAMILIES:
            used = {table for rule in sources[family] if (table := _table(rule)) not in (0, TABLE_LOCAL)}
            originals[family] = []
            bodies = rtnetlink.routes(self._netlink, family)
            count = sum(body[5] != rtnetlink.PROTOCOL for body in bodies)
            if count > MOST_ROUTES:
                raise ShadowError(f"{count} routes: copying takes about {count * SECONDS_A_ROUTE:.0f} seconds; "
                                  "run with CAP_BPF")
            for body in bodies:
                table = rtnetlink.table_of(body)
                ours = table in own and body[5] == rtnetlink.PROTOCOL
                if not ours and table not in used:
                    continue
                if (one := route(body)) is None:
                    continue
                if ours:
                    there.routes[one.message()] = None
                else:
                    originals[family].append(one)
            tell_routers_apart(originals[family])
        nexthops = self._objects()
        for identity, body in nexthops.items():
            if identity in own and body[2] == rtnetlink.PROTOCOL:
                there.nexthops[identity] = nexthop_message(body, identity, None) or b""
        some_ask = any(asks(one) for routes in originals.values() for one in routes)
        for mark, ecn in self._marks.items():
            if ecn or some_ask:
                self._copy(mark, ecn, Originals(sources, originals, nexthops), wanted)
        return wanted, there

    def _ours(self, rules: Iterable[bytes]) -> list[bytes]:
        marks = rtnetlink.slot_marks(self._slot)
        return [_own_rule(body) for body in rules if rtnetlink.is_our_rule(body, marks)]

    def _own_rules(self) -> dict[int, list[bytes]]:
        return {family: self._ours(rtnetlink.rules(self._netlink, family)) for family in rtnetlink.FAMILIES}

    def _objects(self) -> dict[int, bytes]:
        return {number(attributes(body, 8).get(rtnetlink.NHA_ID)): body
                for body in rtnetlink.nexthops(self._netlink)}

    def _copy(self, mark: int, ecn: bool, originals: Originals, wanted: Content) -> None:
        numbers = self._copy_nexthops(mark, originals, wanted)
        for family, rules in originals.rules.items():
            wanted.rules.setdefault(family, [])
            for rule in rules:
                table = _table(rule)
                own = table if table in (0, TABLE_LOCAL) else self._table_number(mark, family, table)
                wanted.rules[family].append(rule_message(*rule, own, mark))
        routes = (one for routes in originals.routes.values() for one in routes)
        for one in sorted(routes, key=lambda one: one.order):
            table = number(one.attrs[rtnetlink.RTA_TABLE])
            if copy := copy_of(one, self._table_number(mark, one.fields[0], table), ecn, numbers):
                wanted.routes[copy.message()] = None

    def _copy_nexthops(self, mark: int, originals: Originals, wanted: Content) -> dict[int, int]:
        """Copies of the nexthop objects that routes use: our numbers by theirs."""
        numbers: dict[int, int] = {}
        for one in (one for routes in originals.routes.values() for one in routes):
            identity = number(one.attrs.get(rtnetlink.RTA_NH_ID))
            group = attributes(originals.nexthops.get(identity, b""), 8).get(rtnetlink.NHA_GROUP, b"")
            for needed in [*(member[0] for member in GROUP_MEMBER.iter_unpack(group)), identity]:  # members first
                if needed in numbers or needed not in originals.nexthops:
                    continue
                own = self._nexthop_number(mark, needed)
                if message := nexthop_message(originals.nexthops[needed], own, numbers):
                    wanted.nexthops[own] = message
                    numbers[needed] = own
        return numbers

    def _table_number(self, mark: int, family: int, table: int) -> int:
        return self._next(self._numbers, (mark, family, table))

    def _nexthop_number(self, mark: int, identity: int) -> int:
        return self._next(self._nexthop_numbers, (mark, identity))

    def _next(self, known: dict, key: tuple[int, ...]) -> int:  # type: ignore[type-arg]
        if key not in known:
            if len(known) == rtnetlink.SLOT_SIZE:
                raise ShadowError(f"more than {rtnetlink.SLOT_SIZE} tables or nexthops to copy")
            known[key] = rtnetlink.slot_numbers(self._slot)[len(known)]
        found: int = known[key]
        return found

    def _change(self, wanted: Content, there: Content) -> tuple[int, list[OSError]]:
        """Add what is missing, then remove what is too much: (how much was missing, errors that matter)."""
        new_nexthops = [(rtnetlink.RTM_NEWNEXTHOP, rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_REPLACE, message)
                        for identity, message in wanted.nexthops.items() if there.nexthops.get(identity) != message]
        new_routes = [(rtnetlink.RTM_NEWROUTE, rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_APPEND, message)
                      for message in wanted.routes if message not in there.routes]
        changed_rules = [family for family in rtnetlink.FAMILIES
                         if wanted.rules.get(family, []) != there.rules.get(family, [])]
        old_rules = [(rtnetlink.RTM_DELRULE, 0, message + PRIORITY_0)
                     for family in changed_rules for message in there.rules.get(family, [])]
        new_rules = [(rtnetlink.RTM_NEWRULE, rtnetlink.NLM_F_CREATE, message + PRIORITY_0)
                     for family in changed_rules for message in wanted.rules.get(family, [])]
        old_routes = [(rtnetlink.RTM_DELROUTE, 0, rtnetlink.removable(message))
                      for message in there.routes if message not in wanted.routes]
        old_nexthops = [(rtnetlink.RTM_DELNEXTHOP, 0, rtnetlink.NEXTHOP_HEADER.pack(0, 0, 0, 0, 0)
                         + attribute(rtnetlink.NHA_ID, u32(identity)))
                        for identity in there.nexthops if identity not in wanted.nexthops]
        change = self._netlink.change
        failed = [onlink(request) for request, _ in _failed(new_nexthops, change(new_nexthops))]
        errors = _failed(failed, change(failed))
        again = _failed(new_routes, change(new_routes))
        errors += _failed(new_rules, change(new_rules))
        change(old_rules)
        change(old_routes)
        if again:  # what differs in a metric alone from the old one; what needs a route that came later
            requests = [onlink(request) for request, _ in again]
            errors += _failed(requests, change(requests))
        change(old_nexthops)
        missing = len(new_nexthops) + len(new_routes) + sum(
            len(set(wanted.rules.get(family, [])) - set(there.rules.get(family, []))) for family in changed_rules)
        return missing, [error for _, error in errors if error.errno not in VANISHED | {errno.EEXIST}]

    # -- looking -------------------------------------------------------------------------------------------------------

    @staticmethod
    def routes_ask(netlink: Netlink) -> bool:
        """Whether a route of the machine asks for ECN."""
        listed = attribute(rtnetlink.RTAX_FEATURES, bytes(4))[:4]
        return any(
            body[5] != rtnetlink.PROTOCOL and (one := route(body)) is not None and asks(one)
            for family in rtnetlink.FAMILIES for body in rtnetlink.routes(netlink, family) if listed in body
        )

    def samples(self) -> Iterator[str]:
        """Addresses on each route that is copied, default routes and link-local ones left out, then beside them all."""
        wanted = self._wanted
        for message in {} if wanted is None else wanted.routes:
            fields, attrs = rtnetlink.ROUTE_HEADER.unpack_from(message), attributes(message, 12)
            target = attrs.get(rtnetlink.RTA_DST)
            if target is None or fields[7] != RTN_UNICAST or target[:2] == b"\xfe\x80":
                continue
            for host in (1, 2) if fields[1] < 8 * len(target) - 1 else (0,):  # one of them may be our own
                address = int.from_bytes(target, "big") + host
                yield socket.inet_ntop(fields[0], address.to_bytes(len(target), "big"))
        yield from ("192.0.2.1", "2001:db8::1")

    def verify(self, targets: Iterable[tuple[str, int]], source: tuple[str | None, str | None], *,
               local: bool = True) -> None:
        """Compare the ways to targets with our marks and without; :class:`ShadowError` names a difference.

        :param local: also those to our own addresses, on which copies cannot ask
        """
        with Netlink() as netlink:
            for address, port in targets:
                if not local and way(netlink, address, port, source[":" in address], 0).place[0] == RTN_LOCAL:
                    continue
                plain = way(netlink, address, port, source[":" in address], 0)
                for mark, ecn in self._marks.items():
                    marked = way(netlink, address, port, source[":" in address], mark)
                    if marked.place != plain.place:
                        # once more: the routes may have changed just now
                        self.sync()
                        plain = way(netlink, address, port, source[":" in address], 0)
                        marked = way(netlink, address, port, source[":" in address], mark)
                    if marked.place != plain.place:
                        raise ShadowError(f"the marked path to {address} differs: {marked}, not {plain}")
                    if marked.usable and marked.ecn != ecn:
                        raise ShadowError(f"the marked path to {address} ({marked}) "
                                          f"{'does not ask' if ecn else 'asks'} for ECN")


def _failed(requests: list[tuple[int, int, bytes]], results: list[OSError | None]
            ) -> list[tuple[tuple[int, int, bytes], OSError]]:
    return [(request, error) for request, error in zip(requests, results, strict=True) if error is not None]


def _starts(data: bytes) -> Iterator[int]:
    """Where the messages of what a socket has received begin."""
    start = 0
    while start + 16 <= len(data):
        yield start
        start += (struct.unpack_from("=I", data, start)[0] + 3) & ~3


def _table(rule: tuple[list[int], Attributes]) -> int:
    """The table that a rule asks; 0 if none, or that of an interface's VRF."""
    fields, attrs = rule
    return number(attrs.get(rtnetlink.FRA_TABLE), fields[4]) if fields[7] == ACTION_TABLE else 0


class Way(NamedTuple):
    """Where the kernel sends packets to a target."""

    place: tuple[object, ...]
    """What must not differ: kind, interface, gateway, source, metrics; or why there is no way."""
    usable: bool
    ecn: bool
    text: str

    def __str__(self) -> str:
        return self.text


def way(netlink: Netlink, address: str, port: int, source: str | None, mark: int) -> Way:
    """What the kernel says to ``ip route get`` for a TCP connection to a target."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = socket.inet_pton(family, address)
    attrs = {
        rtnetlink.RTA_DST: target, rtnetlink.RTA_MARK: u32(mark), rtnetlink.RTA_IP_PROTO: bytes([socket.IPPROTO_TCP]),
        rtnetlink.RTA_SPORT: struct.pack("!H", 40000), rtnetlink.RTA_DPORT: struct.pack("!H", port),
    }
    if source is not None:
        attrs[rtnetlink.RTA_SRC] = socket.inet_pton(family, source)
    bits = 8 * len(target)
    header = rtnetlink.ROUTE_HEADER.pack(family, bits, 0 if source is None else bits, 0, 0, 0, 0, 0, 0)
    try:
        body = netlink.get(rtnetlink.RTM_GETROUTE, header + packed(attrs))
    except OSError as error:
        return Way((error.errno,), False, False, os.strerror(error.errno or 0))
    kind, found = body[7], attributes(body, 12)
    metrics = attributes(found.get(rtnetlink.RTA_METRICS, b""))
    ecn = bool(number(metrics.pop(rtnetlink.RTAX_FEATURES, None)) & rtnetlink.RTAX_FEATURE_ECN)
    metrics.pop(RTAX_MTU, None)  # what was learnt of a path is learnt for each table
    place = (kind, *(found.get(attr) for attr in (
        rtnetlink.RTA_OIF, rtnetlink.RTA_GATEWAY, rtnetlink.RTA_VIA, rtnetlink.RTA_PREFSRC, 21, 22)),
        tuple(sorted(metrics.items())))
    device = number(found.get(rtnetlink.RTA_OIF))
    text = "no device"
    with suppress(OSError):
        text = f"dev {socket.if_indextoname(device)}"
    gateway = found.get(rtnetlink.RTA_GATEWAY)
    if gateway is not None:
        text = f"via {socket.inet_ntop(family, gateway)} {text}"
    if kind == RTN_LOCAL:
        text = f"local {text}"
    return Way(place, kind in (RTN_UNICAST, RTN_LOCAL), ecn, text)
