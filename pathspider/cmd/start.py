"""The start of a measurement: its vantage point, the privileges that it gives up, and what its plugin begins with."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from pathspider.cmd.main import UsageError
from pathspider.cmd.plugins import make_spider, plugin_mistakes

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.cmd.signals import Signals
    from pathspider.helpers.sockets import Source
    from pathspider.run.options import Beginnings, RunOptions

log = logging.getLogger("pathspider")

DESCRIPTORS = 6
"""Files and sockets of a target that is located, at most; there are as many targets at once as probes a second, and a
fifth more."""


def needs_interface(plugin: type[Spider]) -> bool:
    """Whether a plugin observes, or connects to targets; dnsresolv does neither."""
    return bool(plugin.chains) or "dip" in plugin.target_keys


def spider_here(args: argparse.Namespace, options: RunOptions, *, server_mode: bool = False) -> Spider:
    """The plugin's spider, at the interface that the arguments name; :exc:`UsageError` if it cannot be measured there.

    That is before privileges are given up: with ``--resume`` it is asked what stands of a file that may be root's.
    """
    from pathspider.helpers.optional import MissingError  # noqa: PLC0415
    from pathspider.network.interfaces import (  # noqa: PLC0415
        CapabilityError,
        InterfaceError,
        check_capabilities,
        check_interface,
        interface_name,
    )

    here = needs_interface(args.plugin)
    with plugin_mistakes(args.plugin_name):
        try:
            if here:
                check_interface(args.interface)
                args.interface = interface_name(args.interface)
            check_capabilities(*dict.fromkeys((*args.plugin.capabilities, *for_locating(args))))
            args.plugin.require(args.plugin_args)
        except InterfaceError as error:
            raise UsageError(f"-i {args.interface}: {error}") from None
        except (CapabilityError, MissingError) as error:
            raise UsageError(str(error)) from None
    spider = make_spider(args, options, f"int:{args.interface}" if here else "", server_mode=server_mode)
    if here and not any(source_of(args, spider)):
        raise UsageError(f"interface {args.interface} has no address to measure from: give it one, or name another")
    return spider


def for_locating(args: argparse.Namespace) -> set[str]:
    """The capabilities that --locate needs: to forge packets, and to hold TCP ports for them."""
    return {"CAP_NET_RAW", "CAP_NET_ADMIN"} if args.locate and args.plugin.located else set()


def source_of(args: argparse.Namespace, spider: Spider) -> Source:
    """Where a spider's packets usually leave from."""
    with plugin_mistakes(args.plugin_name):
        return spider.source


def start_spider(args: argparse.Namespace, spider: Spider, signals: Signals,
                 check: Callable[[], None] = lambda: None) -> None:
    """Give up privileges, and start the spider without them; :exc:`UsageError` if that cannot be.

    :param check: is called in between
    """
    from pathspider.libtrace import CaptureError  # noqa: PLC0415 - native
    from pathspider.network.settings import SettingsError  # noqa: PLC0415
    from pathspider.run.limits import LimitError, allow_workers  # noqa: PLC0415

    give_up_privileges(args)
    check()
    if args.vantage_lookup and needs_interface(args.plugin):
        with signals.allowed():  # nothing is borrowed yet
            spider.options = replace(spider.options, beginnings=looked_up(source_of(args, spider)))
    with plugin_mistakes(args.plugin_name):
        try:
            of_locating = DESCRIPTORS * ceil(args.locate_rate) if for_locating(args) else 0
            allow_workers(args.workers, spider.descriptors() + ceil(of_locating / args.workers))
            spider.start()
        except BlockingIOError as error:  # from starting the guard of what is borrowed
            raise UsageError(f"no more processes can be started: {error.strerror} (ulimit -u, pids.max)") from None
        except (CaptureError, LimitError, SettingsError) as error:
            raise UsageError(str(error)) from None


def give_up_privileges(args: argparse.Namespace) -> None:
    """Open what can be opened now alone, and give up what this run does not need. Before any thread is started."""
    from pathspider.network.privileges import UserError, keep_only, of_plugin, run_user  # noqa: PLC0415

    try:
        user = run_user(args.user)
    except UserError as error:
        raise UsageError(str(error)) from None
    kept = of_plugin(args.plugin) | for_locating(args)
    if "CAP_BPF" in kept:
        from pathspider.network.bpf import hold_cgroup  # noqa: PLC0415 - for such plugins alone

        hold_cgroup()
    if "CAP_NET_ADMIN" in kept:
        from pathspider.network import journal  # noqa: PLC0415 - it needs settings' modules
        from pathspider.network.settings import Settings  # noqa: PLC0415 - heavy

        Settings.clean_leftovers()
        journal.open_early()
    keep_only(kept, None if args.plugin.keeps_root else user)


def looked_up(source: Source) -> Beginnings:
    """How the records' paths begin: our public address and its AS, for each IP version that has Internet here."""
    from pathspider.network.vantage import UnreachedError, VantageError, look_up  # noqa: PLC0415 - for this alone

    beginnings: list[list[str | None]] = []
    unreached: list[UnreachedError] = []
    try:
        for own in source:
            try:
                beginnings.append([None] if own is None else [*look_up(own)])
            except UnreachedError as error:
                beginnings.append([own])
                unreached.append(error)
        if unreached and not any(len(beginning) > 1 for beginning in beginnings):
            raise unreached[0]
    except VantageError as error:
        raise UsageError(f"--vantage-lookup: {error}; leave the option off to have paths begin with the interface's "
                         "own address") from None
    for reason in unreached:
        log.warning("--vantage-lookup: %s; paths of this IP version begin with the interface's own address", reason)
    four, six = beginnings
    return four, six
