"""``pspdr test``: run the built-in test suite with nose2, from a checkout or as it was installed."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathspider.cmd.main import UsageError

log = logging.getLogger("pathspider")

PACKAGE = Path(__file__).resolve().parents[1]

EPILOG = """examples: sudo pspdr test
          pspdr test tests.test_merger tests.plugins.test_ecn

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``test`` command."""
    parser = subparsers.add_parser(
        "test", help="Run the built in test suite", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run the built in test suite. Parts of it capture, forge and make namespaces: they need root.")
    parser.add_argument("--list", action="store_true", help="Print the names of the test modules and exit.")
    parser.add_argument("names", nargs="*", metavar="TEST",
                        help="Run these test modules, classes or methods only. (Default: all)")
    parser.set_defaults(func=run)


def suite() -> Path:
    """The folder that holds the package ``tests``: the checkout, or, installed, ``pathspider/suite``.

    :exc:`UsageError` where there is none.
    """
    for folder in (PACKAGE / "suite", PACKAGE.parent):
        if (folder / "tests" / "test_base.py").is_file():
            return folder
    raise UsageError(f"the tests were not installed with {PACKAGE}: run this from a checkout")


def run(args: argparse.Namespace) -> int:
    """Run the tests; the exit status is 1 if one fails."""
    top = suite()
    if args.list:
        for path in sorted((top / "tests").rglob("test_*.py")):
            print(".".join(path.relative_to(top).with_suffix("").parts))
        return 0
    for name in args.names:
        parts = name.split(".")
        places = [top.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
        if not (places[-1].is_dir() or any(place.with_suffix(".py").is_file() for place in places)):
            raise UsageError(f"there are no tests called {name}; pspdr test --list prints the modules that there are")
    try:
        import nose2  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415
    except ImportError:
        raise UsageError("the test suite needs nose2: apt install python3-nose2, or pip install nose2") from None
    logging.getLogger().handlers.clear()  # the tests look at logs themselves
    sys.path.insert(0, str(top))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(top), *filter(None, [os.environ.get("PYTHONPATH")])])  # programs'
    argv = ["pspdr test", "-s", str(top / "tests"), "-t", str(top), *args.names]
    return 0 if nose2.main(argv=argv, module=None, exit=False).result.wasSuccessful() else 1
