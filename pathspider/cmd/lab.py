"""``pspdr lab``: paths whose truth is known, to learn, to teach, and to check plugins with."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pathspider.cmd.nested import nested_commands

EPILOG = """
examples:
  pspdr lab demo
  pspdr lab list ecn
  pspdr lab run -- sh -c 'pspdr lab targets --plugin ecn | pspdr measure -i lab0 ecn'
  pspdr lab run -- sh -c 'pspdr lab targets --clean 1000 | pspdr measure -i lab0 ecn --connect tcp'
  pspdr lab check ecn
  pspdr lab list --hops 8 ecn

The commands that make a lab need root. A lab reaches nothing outside, and nothing of it stays behind.
"""


def register(subparsers: Any, argv: Sequence[str] = ()) -> None:
    """Add ``lab`` and its own sub-commands."""
    parser = subparsers.add_parser(
        "lab", help="Networks in a box, with paths whose truth is known", epilog=EPILOG,
        description="A network on this machine in which each address is a path that does one known thing to packets.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = nested_commands(parser)

    def command(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(func=lambda args: _guarded(function, args), parser=sub)
        return sub

    sub = command("list", show_list, "Show the paths of the lab and what a measurement of each must find")
    sub.add_argument("plugin", nargs="*", metavar="PLUGIN", help="Show the paths of these plugins only. (Default: all)")
    sub.add_argument("--json", action="store_true", help="Write one JSON object a path.")
    _add_scenarios(sub)

    sub = command("targets", show_targets, "Write jobs for pspdr measure to standard output, one JSON object a line")
    sub.add_argument("--plugin", metavar="PLUGIN",
                     help="The paths that one measurement with this plugin is for; with --clean: whose port to use.")
    sub.add_argument("--connect", metavar="MODE",
                     help="Only paths that are measured in this connection mode. (Default: that of --plugin; else all)")
    sub.add_argument("--clean", type=_count, metavar="N", help="N targets that nothing happens to, for load.")
    sub.add_argument("--ip-version", choices=("4", "6", "both"), default="both",
                     help="Only addresses of this IP version. (Default: both)")
    _add_scenarios(sub)

    sub = command("run", run, "Run a command in the client of a fresh lab, on interface lab0, and end with its status")
    _add_servers(sub)
    _add_router(sub)
    sub.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="The command and its arguments.")

    sub = command("shell", shell, "Open a shell in the client of a fresh lab")
    _add_servers(sub)
    _add_router(sub)

    sub = command("check", check, "Measure every path with its plugin and compare what was found with the truth")
    sub.add_argument("plugin", nargs="*", metavar="PLUGIN",
                     help="Measure the paths of these plugins only. (Default: all)")
    sub.add_argument("--json", action="store_true", help="Write the whole result as one JSON object.")
    sub.add_argument("--lockstep", action="store_true",
                     help="Have ecn and dscp switch the whole machine, as with measure --lockstep; paths "
                          "that want further options of ecn are left out.")
    sub.add_argument("--confirm", type=_rounds, metavar="N", default=0,
                     help="Confirm in N rounds, 2 or more, and expect what is stable, too. (Default: 0, no rounds)")
    sub.add_argument("--confirm-gap", type=float, metavar="SECONDS", default=2.0,
                     help="Seconds between a target's last connection and its next round. (Default: 2)")
    _add_servers(sub)

    sub = command("campaign", campaign, "See a broker and three vantage points behind NAT at work, whose paths differ")
    sub.add_argument("--targets", type=_count, metavar="N", default=100, help="How many targets. (Default: 100)")

    command("demo", demo, "See the lab and a measurement at work, in less than a minute")


def _add_scenarios(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenarios", action="append", default=[], metavar="FILE.py",
                        help="A Python file with SCENARIOS of your own, beside the built-in ones. It runs as code, "
                             "where root runs this as root, and then others must not be able to write it. May be "
                             "given several times.")


    parser.add_argument("--hops", type=int, choices=(1, 8), default=1, metavar="N",
                        help="Routers on each path, 1 or 8; with 8, scenarios say at which it happens. (Default: 1)")


def _add_servers(parser: argparse.ArgumentParser) -> None:
    _add_scenarios(parser)
    parser.add_argument("--servers", choices=("builtin", "nginx", "apache"), default="builtin",
                        help="What answers at the end of the paths. (Default: builtin)")


def _add_router(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--behind", metavar="SCENARIO", default="",
                        help="Have the path of this scenario lead to all clean targets, too (lab targets --clean).")
    parser.add_argument("--loss", type=_percent, metavar="PERCENT", default=0.0,
                        help="Lose so many of all packets at random, in both directions. (Default: 0)")


def _percent(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError("it is from 0 to 100")
    return number


def _rounds(text: str) -> int:
    number = int(text)
    if number < 0 or number == 1:
        raise argparse.ArgumentTypeError("no rounds (0), or two and more: one order alone confirms nothing")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("one target or more")
    return number


def _guarded(function: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run one sub-command; what is wrong with the lab becomes one clear message."""
    from pathspider.lab.errors import LabError  # noqa: PLC0415

    try:
        if getattr(args, "hops", 1) > 1:
            from pathspider.lab.scenarios import HOPS_FILE  # noqa: PLC0415

            args.scenarios = [HOPS_FILE, *args.scenarios]
        for path in getattr(args, "scenarios", ()):
            from pathspider.lab.scenarios import add_scenarios  # noqa: PLC0415

            add_scenarios(path)
        return function(args)
    except LabError as error:
        print(f"pspdr lab: {error}", file=sys.stderr)
        return 125 if function in (run, shell) else 2


def show_list(args: argparse.Namespace) -> int:
    """``lab list``"""
    from pathspider.lab import listing  # noqa: PLC0415

    return listing.show_list(args.plugin, as_json=args.json)


def show_targets(args: argparse.Namespace) -> int:
    """``lab targets``"""
    from pathspider.lab import listing  # noqa: PLC0415

    version = None if args.ip_version == "both" else int(args.ip_version)
    return listing.show_targets(args.plugin, args.connect, args.clean, version)


def run(args: argparse.Namespace) -> int:
    """``lab run``"""
    from pathspider.lab.errors import LabError  # noqa: PLC0415
    from pathspider.lab.relay import run_in_foreground  # noqa: PLC0415
    from pathspider.lab.session import Lab  # noqa: PLC0415

    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        raise LabError("no command given: pspdr lab run -- COMMAND ...")
    with Lab(args.servers, args.scenarios, behind=args.behind, loss=args.loss) as lab:
        return run_in_foreground(lab, argv)


def shell(args: argparse.Namespace) -> int:
    """``lab shell``"""
    from pathspider.lab.relay import run_in_foreground  # noqa: PLC0415
    from pathspider.lab.session import Lab  # noqa: PLC0415

    with Lab(args.servers, args.scenarios, behind=args.behind, loss=args.loss) as lab:
        print("You are in the lab: interface lab0, paths as in 'pspdr lab list', targets from 'pspdr lab targets'.\n"
              "'exit' leaves the lab, and it is gone.", file=sys.stderr)
        return run_in_foreground(lab, [os.environ.get("SHELL", "/bin/sh")])


def check(args: argparse.Namespace) -> int:
    """``lab check``"""
    from pathspider.lab.check import check_and_report  # noqa: PLC0415

    return check_and_report(args.plugin, args.servers, args.scenarios, as_json=args.json,
                            options=["--lockstep"] if args.lockstep else [], confirm=args.confirm,
                            confirm_gap=args.confirm_gap)


def campaign(args: argparse.Namespace) -> int:
    """``lab campaign``"""
    from pathspider.campaign.errors import CampaignError  # noqa: PLC0415
    from pathspider.lab.campaign import show_campaign  # noqa: PLC0415
    from pathspider.lab.errors import LabError  # noqa: PLC0415

    try:
        return show_campaign(args.targets)
    except CampaignError as error:
        raise LabError(str(error)) from None


def demo(args: argparse.Namespace) -> int:
    """``lab demo``"""
    from pathspider.lab.demo import show_demo  # noqa: PLC0415

    return show_demo()
