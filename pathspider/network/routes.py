"""Where packets to a target leave from, as the kernel's routes say: the interface, and the address of ours.

rtnetlink(7), ``RTM_GETROUTE``: what ``ip route get`` shows. Asking takes some ten microseconds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from pathspider.conditions import NEW_SOURCE, OTHER_INTERFACE
from pathspider.helpers.sockets import Source
from pathspider.network import rtnetlink
from pathspider.network.interfaces import (
    IFA_F_TEMPORARY,
    Address,
    addresses,
    interface_name,
    source_addresses,
)
from pathspider.network.rtnetlink import Netlink, attribute, attributes, number

RTN_UNICAST, RTN_LOCAL = 1, 2  # linux/rtnetlink.h
LINK_LOCAL, LOOPBACK = b"\xfe\x80", bytes(15)
"""How IPv6 addresses begin that the kernel takes where there is no other, ``fe80::…`` and ``::1``. :rfc:`4291`"""
SOMEWHERE: tuple[str, str] = ("192.0.2.1", "2001:db8::1")
"""An address of each IP version that only default routes lead to. :rfc:`5737`, :rfc:`3849`"""

LONGEST_ANSWER = 4096
"""Octets of what the kernel says of one route, with much to spare."""

libc = ctypes.PyDLL(None, use_errno=True)
"""Called without letting other threads run meanwhile."""

BETWEEN_LOOKS = 1.0
"""Seconds between two looks at the machine's addresses, where one appears that was not there."""


class Route(NamedTuple):
    """Where the kernel sends packets to a target."""

    ifindex: int
    """The interface's number; of loopback for addresses of this machine."""
    source: str | None
    """The address of ours that the kernel chooses; None where it has none that reaches beyond a link."""
    local: bool
    """The target is this machine."""


class Routes:
    """Asks the kernel for routes. Any thread may use it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._netlink: Netlink | None = None
        self._answer = ctypes.create_string_buffer(LONGEST_ANSWER)

    def __enter__(self) -> Routes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # a spider need not be run

    def close(self) -> None:
        """Close the socket; the next question opens one again."""
        with self._mutex:
            netlink, self._netlink = self._netlink, None
            if netlink is not None:
                netlink.close()

    def to(self, target: str, source: str | None = None, ifindex: int = 0) -> Route:
        """The route to a numeric address; the kernel's ``OSError``, such as ``ENETUNREACH``, where there is none.

        :param source: of packets from this address of ours, for which there may be rules
        :param ifindex: as for a socket that is bound to this interface
        """
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        packed = socket.inet_pton(family, target)
        wanted = attribute(rtnetlink.RTA_DST, packed)
        if source is not None:
            wanted += attribute(rtnetlink.RTA_SRC, socket.inet_pton(family, source))
        if ifindex:
            wanted += attribute(rtnetlink.RTA_OIF, rtnetlink.u32(ifindex))
        bits = 8 * len(packed)
        header = rtnetlink.ROUTE_HEADER.pack(family, bits, 0 if source is None else bits, 0, 0, 0, 0, 0, 0)
        with self._mutex:
            if self._netlink is None:
                self._netlink = Netlink()
            body = self._ask(self._netlink, header + wanted)
        if body[7] not in (RTN_UNICAST, RTN_LOCAL):  # of IPv6: a route that says that there is none
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        found = attributes(body, 12)
        local, preferred = body[7] == RTN_LOCAL, found.get(rtnetlink.RTA_PREFSRC)  # the latter where we named none
        if preferred is not None and (local or not preferred.startswith((LINK_LOCAL, LOOPBACK))):
            source = socket.inet_ntop(family, preferred)
        return Route(number(found.get(rtnetlink.RTA_OIF)), source, local)

    def _ask(self, netlink: Netlink, body: bytes) -> bytes:
        """As :meth:`Netlink.get`, and the interpreter is kept meanwhile: with hundreds of threads, giving it up for
        these microseconds costs ten times as much as the question. The kernel has answered when ``send`` returns."""
        message = netlink.message(rtnetlink.RTM_GETROUTE, 0, body)
        sent = libc.send(netlink.sock.fileno(), message, len(message), 0)
        while sent == len(message):
            size = libc.recv(netlink.sock.fileno(), self._answer, LONGEST_ANSWER, socket.MSG_DONTWAIT)
            if size < 0:
                break
            if (answer := netlink.answer(self._answer.raw[:size])) is not None:
                return answer
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

    def is_ours(self, address: str) -> bool:
        """Whether a numeric address is one of this machine's, be it one of a whole prefix (a route of type local)."""
        try:
            return self.to(address).local
        except OSError:
            return False


class ElsewhereError(Exception):
    """Packets to this target would not be captured; the text says why, and so does the record's ``condition``."""

    def __init__(self, condition: str, because: str) -> None:
        super().__init__(because)
        self.condition = condition


class Sources:
    """The addresses of ours that packets through one interface leave from. Any thread may use it.

    The address is the kernel's choice for each target. Of IPv6 a stable address stands in for a temporary one
    (:rfc:`8981`), as in ``interfaces.source_addresses()``.

    :param interface: where packets are captured; ``interfaces.InterfaceError`` if there is none of that name
    """

    def __init__(self, interface: str) -> None:
        self.interface = interface_name(interface)
        own = source_addresses(self.interface)
        self.ifindex = socket.if_nametoindex(self.interface)
        self._routes = Routes()
        self._state = threading.Lock()
        self._looked = time.monotonic()
        found = addresses()
        self._stable = stable(found)
        self.known = frozenset(one.text for one in found)
        """The addresses of this machine, as they were: what is captured."""
        with self._routes:
            self.default: Source = (self._usual(0, own[0]), self._usual(1, own[1]))
            """Where packets leave from unless a target's route says otherwise."""

    def close(self) -> None:
        """Give the socket back, until it is needed again."""
        self._routes.close()

    def toward(self, target: str, named: Source = (None, None)) -> Source:
        """The addresses that packets to a target leave from: the one of its IP version is the kernel's choice for it.

        Where no route leads there at all, the usual ones: whoever connects is told so by the kernel.

        :param target: a numeric address
        :param named: addresses that the user wants instead, by IP version
        :raises ElsewhereError: packets to it leave through another interface, or from an address that is new
        """
        six = ":" in target
        source = named[six] or self.default[six]
        with suppress(OSError):
            if named[six] is None:
                source = self._captured(self._choice(target, source))
            else:
                self._check(self._routes.to(target, named[six]), target)
        return (named[0] or self.default[0], source) if six else (source, named[1] or self.default[1])

    def _choice(self, target: str, usual: str | None) -> str | None:
        """The kernel's choice for packets through our interface."""
        route = self._routes.to(target)
        if route.ifindex != self.ifindex:
            # Rules may lead what comes from an address of this interface through it, as on machines with two uplinks.
            for own in dict.fromkeys((self._through(target), usual)):
                if own is not None:
                    with suppress(OSError):
                        if self._routes.to(target, own).ifindex == self.ifindex:
                            return own
            self._check(route, target)
        return self._stable.get(route.source or "", route.source) or usual

    def _through(self, target: str) -> str | None:
        with suppress(OSError):
            return self._routes.to(target, ifindex=self.ifindex).source
        return None

    def _check(self, route: Route, target: str) -> None:
        if route.ifindex == self.ifindex:
            return
        other = "another interface"
        with suppress(OSError):
            other = socket.if_indextoname(route.ifindex)
        raise ElsewhereError(OTHER_INTERFACE,
                             f"the route to {target} leads through {other}, not {self.interface}")

    def _captured(self, source: str | None) -> str | None:
        """The address itself, if its packets are captured; for a new temporary one the stable one beside it."""
        if source is None or source in self.known:
            return source
        with self._state:
            if time.monotonic() - self._looked >= BETWEEN_LOOKS:
                self._stable, self._looked = stable(addresses()), time.monotonic()
            substitute = self._stable.get(source)
        if substitute in self.known:
            return substitute
        raise ElsewhereError(NEW_SOURCE, f"packets would leave from {source}, which this machine did not have when the "
                                         "run began")

    def _usual(self, version: int, own: str | None) -> str | None:
        """The address for targets that are not known yet: the default route's, if that is ours, or the interface's own,
        or, where that has none but routes lead through it, what the kernel takes then."""
        with suppress(OSError):
            route = self._routes.to(SOMEWHERE[version])
            if route.ifindex == self.ifindex and route.source is not None:
                return self._stable.get(route.source, route.source)
        for target in self._routed(rtnetlink.FAMILIES[version]) if own is None else ():
            with suppress(OSError):
                if (source := self._routes.to(target, ifindex=self.ifindex).source) is not None:
                    return source
        return own

    def _routed(self, family: int) -> Iterator[str]:
        """An address behind each route through our interface, link-local ones left out."""
        device = attribute(rtnetlink.RTA_OIF, rtnetlink.u32(self.ifindex))
        with Netlink() as netlink:
            found = rtnetlink.routes(netlink, family)
        for body in found:
            network = attributes(body, 12).get(rtnetlink.RTA_DST, b"")
            if body[7] == RTN_UNICAST and device in body and not network.startswith((LINK_LOCAL, b"\xff")):
                host = body[1] < 8 * len(network)  # not the network's own address
                target = (int.from_bytes(network, "big") + host).to_bytes(len(network), "big")
                yield socket.inet_ntop(family, target) if network else SOMEWHERE[family == socket.AF_INET6]

def stable(found: Iterable[Address]) -> Mapping[str, str]:
    """For each temporary IPv6 address the stable one of the same interface and network, where there is one."""
    own = [one for one in found if ":" in one.text]
    lasting = {(one.ifindex, one.network): one.text for one in own if one.usable and not one.flags & IFA_F_TEMPORARY}
    return {one.text: lasting[one.ifindex, one.network] for one in own
            if one.flags & IFA_F_TEMPORARY and (one.ifindex, one.network) in lasting}


def check_source(address: str) -> None:
    """Raise ``ValueError`` unless packets can leave from a numeric address: the text says which ones can be named."""
    with Routes() as routes:
        if routes.is_ours(address):
            return
    six = ":" in address
    ours = ", ".join(one.text for one in addresses() if one.usable and (":" in one.text) == six)
    raise ValueError(f"{address} is no address of this machine; those are {ours or 'none'}")


def interface_to(target: str, source: str | None = None) -> str | None:
    """The name of the interface that the route to a numeric address leads through; None where there is no route."""
    with Routes() as routes, suppress(OSError):
        return socket.if_indextoname(routes.to(target, source).ifindex)
    return None


def default_interface() -> str | None:
    """The interface of the default route, IPv4 before IPv6; None where there is none."""
    return next((name for target in SOMEWHERE if (name := interface_to(target)) is not None), None)
