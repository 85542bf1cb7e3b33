"""``pspdr help``: what ``--help`` prints, for those who ask before they type the command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pathspider.cmd.main import build_parser, named_command


def register(subparsers: Any, _argv: Sequence[str]) -> None:
    """Add the ``help`` command."""
    parser = subparsers.add_parser("help", help="Tell how a command is used",
                                   description="Tell how a command is used: as the command with --help does.",
                                   epilog="Examples:\n  pspdr help measure\n  pspdr help measure ecn",
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic", nargs="*", metavar="COMMAND",
                        help="The command, and a plugin or command of its own. (Default: pspdr as a whole)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the help; a word that names nothing is the same usage error as without ``help``."""
    words = args.topic
    build_parser(named_command(words), words).parse_args([*words, "--help"])
    return 0
