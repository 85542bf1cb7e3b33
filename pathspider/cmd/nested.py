"""Commands that have commands of their own: ``pspdr lab``, ``fleet``, ``campaign`` and ``vantage``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from pathspider.cmd.main import UsageError

Function = Callable[[argparse.Namespace], int]
"""What a command does; it returns the exit status."""


def nested_commands(parser: argparse.ArgumentParser) -> Any:
    """What takes the commands of a command; without one of them, its help is told and the exit status is 2."""

    def tell_help(_: argparse.Namespace) -> int:
        parser.print_help(sys.stderr)
        return 2

    parser.set_defaults(func=tell_help)
    return parser.add_subparsers(title="Commands", metavar="COMMAND")


def of_campaigns(function: Function) -> Function:
    """A command of which a :exc:`~pathspider.campaign.errors.CampaignError` becomes one clear message."""

    def guarded(args: argparse.Namespace) -> int:
        from pathspider.campaign.errors import CampaignError  # noqa: PLC0415

        try:
            return function(args)
        except CampaignError as error:
            raise UsageError(str(error)) from None

    return guarded
