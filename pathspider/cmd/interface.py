"""Which interface a command captures on where none is named, and what may leave through it."""

from __future__ import annotations

import argparse
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, islice
from typing import TYPE_CHECKING

from pathspider.cmd.main import UsageError

if TYPE_CHECKING:
    from pathspider.helpers.sockets import Source
    from pathspider.records import Job
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.selection import IPVersion, Jobs

log = logging.getLogger("pathspider")

MOST_AHEAD = 1000
"""Jobs that are read, and kept, in search of the first one with a target."""


def source_ip(text: str) -> str:
    """The value of ``--source-ip`` as a numeric address, for argparse."""
    try:
        address = ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a numeric address is needed") from None
    if getattr(address, "scope_id", None) or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise argparse.ArgumentTypeError(f"{text}: an address that packets to other networks can come from is needed")
    return str(address)


def pair(addresses: Sequence[str]) -> Source:
    """The values of ``--source-ip`` by IP version; :exc:`UsageError` for two of the same, or one that is not ours."""
    from pathspider.network.routes import check_source  # noqa: PLC0415 - netlink

    four, six = ([address for address in addresses if (":" in address) == version] for version in (False, True))
    for same in (four, six):
        if len(same) > 1:
            raise UsageError(f"--source-ip {' and '.join(same)}: at most one address of each IP version")
    try:
        for address in addresses:
            check_source(address)
    except ValueError as error:
        raise UsageError(f"--source-ip: {error}") from None
    return next(iter(four), None), next(iter(six), None)


class ReadAhead:
    """The jobs of a list, of which some may be looked at before their turn."""

    def __init__(self, source: Jobs) -> None:
        self.name = source.name
        self.jobs = 0
        """How many have had their turn."""
        self._following = iter(source)
        self._ahead: list[Job] = []

    def ahead(self) -> Iterator[Job]:
        """Look at the jobs that nobody has looked at."""
        for job in self._following:
            self._ahead.append(job)
            yield job

    def __iter__(self) -> Iterator[Job]:
        for job in chain(self._ahead, self._following):
            self.jobs += 1
            yield job


def for_targets(jobs: Iterator[Job], named: Source = (None, None), version: IPVersion | None = None) -> str:
    """The interface that leads to the first target; waits for that target.

    Without a target, as in an empty input, it is any that is up. :exc:`UsageError` if there is no route to anywhere.

    :param named: addresses of ours that packets leave from, by IP version
    :param version: only targets of this IP version count
    """
    from pathspider.network.interfaces import interfaces_up  # noqa: PLC0415 - netlink
    from pathspider.network.routes import default_interface, interface_to  # noqa: PLC0415
    from pathspider.targets.problems import target_problem  # noqa: PLC0415
    from pathspider.targets.selection import version_of  # noqa: PLC0415

    target = next((job["dip"] for job in islice(jobs, MOST_AHEAD)
                   if target_problem(job) is None and version in (None, version_of(job))), None)
    if target is None:
        return default_interface() or next(iter(interfaces_up()), "lo")
    interface, to = interface_to(target, named[":" in target]), target
    if interface is None:
        interface, to = default_interface(), "everywhere else"
    if interface is None:
        raise UsageError(f"there is no route to {target}, nor a default route; -i names the interface that leads to "
                         "the targets")
    log.info("measuring through %s, where the route to %s leads; -i names another", interface, to)
    return interface


def to_observe() -> str:
    """The interface of the default route, or the only one that is up; :exc:`UsageError` if there are several."""
    from pathspider.network.interfaces import interfaces_up  # noqa: PLC0415 - netlink
    from pathspider.network.routes import default_interface  # noqa: PLC0415

    interface = default_interface()
    if interface is not None:
        log.info("observing %s, where the default route leads; -i names another", interface)
        return interface
    up = interfaces_up()
    candidates = [name for name in up if name != "lo"] or up
    if len(candidates) != 1:
        raise UsageError("there is no default route: -i names the interface to capture on; those that are up: "
                         + (", ".join(up) or "none"))
    log.info("observing %s, the only interface that is up; -i names another", candidates[0])
    return candidates[0]


def lab_networks() -> Blocklist | None:
    """The networks of ``pspdr lab``, where this is not the lab; None in the lab."""
    from pathspider.lab.addresses import (  # noqa: PLC0415 - not needed for --help
        CASES_4,
        CASES_6,
        CLEAN_4,
        CLEAN_6,
        CLIENT_INTERFACE,
        CLIENT_LINK,
    )
    from pathspider.network.interfaces import addresses  # noqa: PLC0415
    from pathspider.targets.blocklist import Blocklist  # noqa: PLC0415

    with suppress(OSError):
        lab0 = socket.if_nametoindex(CLIENT_INTERFACE)
        if any(one.ifindex == lab0 and one.text in CLIENT_LINK.far for one in addresses()):
            return None
    return Blocklist([CASES_4, CASES_6, CLEAN_4, CLEAN_6])
