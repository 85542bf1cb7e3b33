"""``pspdr vantage``: this machine as a vantage point of a fleet."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import Any

from pathspider.cmd.interface import source_ip
from pathspider.cmd.nested import nested_commands, of_campaigns

log = logging.getLogger("pathspider")

ALLOW_LIST = "/etc/pathspider/vantage.allow"
SPOOL = "/var/lib/pathspider/vantage"

EPILOG = """examples:
  pspdr vantage run ams.bundle -i eth0
  pspdr vantage unit ams.bundle -i eth0 >/etc/systemd/system/pathspider-vantage.service

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str] = ()) -> None:
    """Add ``vantage`` and its own sub-commands."""
    parser = subparsers.add_parser(
        "vantage", help="Be a vantage point of a fleet", epilog=EPILOG,
        description="Measure what a fleet's campaigns ask for, as far as this machine's allow-list lets them.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = nested_commands(parser)
    for name, function, text in (
            ("run", run, "Measure until interrupted: once, finish the chunk; twice, put it back"),
            ("unit", unit, "Write a unit for systemd that does that; nothing is installed")):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(func=of_campaigns(function))
        sub.add_argument("bundle", metavar="BUNDLEFILE", help="What pspdr fleet add has made for this vantage point.")
        sub.add_argument("-i", "--interface", required=True, help="The interface that leads to the targets.")
        sub.add_argument("--allow-list", metavar="FILE", default=ALLOW_LIST,
                         help=f"What may be measured here; root owns it. (Default: {ALLOW_LIST})")
        sub.add_argument("--spool", metavar="DIR", default=SPOOL,
                         help=f"Where results wait until they are sent. (Default: {SPOOL})")
        sub.add_argument("--source-ip", action="append", type=source_ip, default=[], metavar="ADDRESS",
                         help="As of pspdr measure.")
        sub.add_argument("--allow-lab-addresses", action="store_true", help="As of pspdr measure.")
        sub.add_argument("--user", metavar="NAME", help="As of pspdr measure.")


def run(args: argparse.Namespace) -> int:
    """Measure until interrupted; the exit status."""
    from pathspider.campaign.allowlist import AllowList  # noqa: PLC0415
    from pathspider.campaign.bundle import Bundle  # noqa: PLC0415
    from pathspider.campaign.spool import Spool  # noqa: PLC0415
    from pathspider.campaign.vantage import BrokerExchange  # noqa: PLC0415
    from pathspider.cmd.campaigning import own_words, work_until_signals  # noqa: PLC0415

    bundle = Bundle.read(args.bundle)
    exchange = BrokerExchange(bundle, AllowList.read(args.allow_list), Spool(args.spool))
    log.info("vantage point %s, broker %s", bundle.name, bundle.broker)
    return work_until_signals(exchange, [*own_words(args), f"--vantage={bundle.name}"], bundle.name)


def unit(args: argparse.Namespace) -> int:
    """Write the unit; the exit status."""
    from pathspider.campaign.units import vantage_unit  # noqa: PLC0415

    print(vantage_unit(args.bundle, args.interface, args.allow_list, args.spool), end="")
    return 0
