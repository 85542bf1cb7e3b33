"""Options that say something with another one alone, and what is said where that one was left out."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pathspider.cmd.main import UsageError

log = logging.getLogger("pathspider")


class Needs(NamedTuple):
    """An option that needs another one."""

    option: str
    other: str
    """What it needs, as messages have it."""
    is_there: Callable[[argparse.Namespace], bool]
    """Whether that was given."""
    refused: bool = True
    """Without the other one nothing is done. False: it is said that the option has no effect."""

    @property
    def name(self) -> str:
        """Of its value."""
        return self.option.lstrip("-").replace("-", "_")


def _here(args: argparse.Namespace) -> bool:
    return not (args.fanout or args.split)


def _there(args: argparse.Namespace) -> bool:
    return not args.local


COMMANDS: dict[str, Sequence[Needs]] = {
    "campaign run": [
        Needs("--csv-input", "--targets", lambda args: args.targets is not None),
        Needs("--max-targets", "--targets", lambda args: args.targets is not None),
        *(Needs(option, "--local", _here) for option in (
            "--interface", "--source-ip", "--vantage", "--blocklist", "--allow-lab-addresses", "--vantage-lookup",
            "--user")),
        *(Needs(option, "--fanout or --split", _there) for option in ("--fleet", "--start", "--other-versions"))],
    "export": [
        Needs("--keep-as", "--anonymise (without it numbers of autonomous systems stay anyway)",
              lambda args: args.anonymise is not None),
        *(Needs(option, "--format pto", lambda args: args.format == "pto") for option in (
            "--pto-source", "--pto-analyzer"))],
    "filter": [Needs("--seed", "--sample, --per-prefix or --per-as",
                     lambda args: bool(args.sample or args.per_prefix or args.per_as), refused=False)],
    "fleet init": [
        Needs("--broker-ca", "--broker (the fleet's own broker has a certificate of the fleet's)",
              lambda args: bool(args.broker)),
        *(Needs(option, "a broker of the fleet's own, without --broker", lambda args: not args.broker)
          for option in ("--port", "--local-port"))],
    "lab check": [Needs("--confirm-gap", "--confirm N, with N over 0", lambda args: args.confirm > 0, refused=False)],
    "measure": [
        Needs("--locate-rate", "--locate", lambda args: args.locate > 0),
        Needs("--pcap-size", "--pcap", lambda args: args.pcap is not None),
        Needs("--confirm-gap", "--confirm N, with N over 0", lambda args: args.confirm > 0, refused=False)],
    "report": [Needs("--targets", "--format csv (the other formats list targets that changed anyway)",
                     lambda args: args.format == "csv")],
    "resolve": [Needs("--root-hints", "--iterative", lambda args: args.iterative)],
    "show": [Needs("--interval", "--follow", lambda args: args.follow, refused=False)],
}
"""By the command. What has its default value was not given."""


def check_together(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Look at what was given; :exc:`UsageError` for an option without the one that it needs.

    :param parser: the command's, which has parsed the arguments and knows their defaults
    """
    for one in COMMANDS.get(parser.prog.partition(" ")[2], ()):
        if getattr(args, one.name) != parser.get_default(one.name) and not one.is_there(args):
            if one.refused:
                raise UsageError(f"{one.option} is for {one.other}: leave it out, or add that")
            log.warning("%s is for %s: here it has no effect", one.option, one.other)
