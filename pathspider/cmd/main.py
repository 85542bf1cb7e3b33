"""``pspdr``: choose the command, set logging up, and turn what the command says into the exit status.

Nothing heavy is imported before it is needed: a command's module is loaded when the command line names it.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pathspider.text import did_you_mean, printable
from pathspider.version import __version__

COMMANDS = {
    "bundle": "Put results into one archive, to be published",
    "campaign": "One measurement from many vantage points, or in chunks",
    "export": "Write records as a table, or as observations",
    "filter": "Pre-process a target list",
    "fleet": "Vantage points for campaigns, and the broker between",
    "help": "Tell how a command is used",
    "lab": "Networks in a box, with paths whose truth is known",
    "measure": "Perform a PATHspider measurement",
    "new-plugin": "Write the package of a new plugin",
    "observe": "Passively observe network traffic",
    "report": "Tell what result files hold",
    "resolve": "Resolve names of target lists into jobs",
    "show": "Look at records on the terminal",
    "test": "Run the built in test suite",
    "trace": "Show which hops of a path see a feature, and where it is changed or dropped",
    "vantage": "Be a vantage point of a fleet",
}
"""Each command is the module of that name beside this one, with ``_`` for ``-``. Its ``register(subparsers, argv)``
adds the sub-command and sets ``func``, which takes the parsed arguments and returns the exit status."""


log = logging.getLogger("pathspider")


class UsageError(Exception):
    """What the user asked for cannot be done as asked; the text says what to do instead."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors can say what to do."""

    advice: Callable[[str], str] = staticmethod(lambda message: "")
    """What to add to an error's text, or nothing."""
    words: Callable[[Sequence[str]], list[str]] = staticmethod(lambda words: [*words])
    """What argparse is to read in place of the words of the command line."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, once the words are as it can read them."""
        return super().parse_known_args(self.words(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message)
        meant = did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2])) if choice else ""
        super().error(message + self.advice(message) + meant)


def options_along(parser: argparse.ArgumentParser, argv: Sequence[str]) -> set[str]:
    """The options of a parser and of the commands below it that the command line names."""
    found = {*parser._option_string_actions}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for number, word in enumerate(argv, 1):
                if word in action.choices:
                    return found | options_along(action.choices[word], argv[number:])
    return found


def meant_option(unknown: Sequence[str], known: Collection[str]) -> str:
    """For the end of an error: what the first unknown option that resembles a known one may have been meant to be."""
    names = (word.partition("=")[0] for word in unknown if word.startswith("--"))
    return next(filter(None, (did_you_mean(name, known) for name in names if name not in known)), "")


def build_parser(command: str | None, argv: Sequence[str]) -> Parser:
    """The parser of ``pspdr``, with the arguments of ``command`` alone filled in."""
    parser = Parser(prog="pspdr", description="PATHspider will spider the paths.",
                    epilog="Spider safely!")
    add_loudness(parser, default=False)
    parser.add_argument("--version", action="store_true", help="Print the version and exit")
    subparsers = parser.add_subparsers(title="Commands", metavar="COMMAND", dest="command")
    for name, summary in COMMANDS.items():
        if name == command:
            import_module(f"pathspider.cmd.{name.replace('-', '_')}").register(subparsers, argv)
            subparsers.choices[name].set_defaults(parser=subparsers.choices[name])
            add_loudness_below(subparsers.choices[name])
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def add_loudness(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """The options of how much is told.

    :param default: their value; unless given, a command that has them too leaves those before its name as they are
    """
    parser.add_argument("-v", "--verbose", action="store_true", default=default, help="Enable verbose logging.")
    parser.add_argument("-q", "--quiet", action="store_true", default=default,
                        help="Tell of warnings and errors alone, and of no progress.")


def add_loudness_below(parser: argparse.ArgumentParser) -> None:
    """The same for a command, and the commands below it: not where it has such options, nor for plugins, whose options
    are their own."""
    if "-v" not in parser._option_string_actions:
        add_loudness(parser)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    add_loudness_below(below)


def named_command(argv: Sequence[str]) -> str | None:
    """The command that a command line names: its first word that is not an option of ``pspdr``."""
    word = next((word for word in argv if not word.startswith("-")), None)
    return word if word in COMMANDS else None


def escape_controls(record: logging.LogRecord) -> bool:
    """Have strangers' text in a message (of targets, servers, input) do nothing to the terminal. For a log handler."""
    text = record.getMessage()
    harmless = "\n".join(map(printable, text.split("\n")))
    if harmless != text:
        record.msg, record.args = harmless, None
    if record.exc_info and not record.exc_text:
        trace = logging.Formatter().formatException(record.exc_info)
        record.exc_text = "\n".join(map(printable, trace.split("\n")))
    return True


def open_standard_streams() -> None:
    """Where one of the standard descriptors is closed (``2>&-``), have it lead nowhere: a file of ours would get its
    number, and be written to by whoever has something to say."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as we run


def leave_no_bytecode() -> None:
    """Files of root's beside a plugin that the user is writing could not be removed by the user: write none from now
    on, and remove those that were written for what is loaded by now."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name, module in [*sys.modules.items()]:
        cached, source = getattr(module, "__cached__", None), getattr(module, "__file__", None)
        if not (name.startswith("pathspider") and cached and source):
            continue
        with suppress(OSError):
            written = os.stat(cached)
            if written.st_uid == 0 != os.stat(source).st_uid and written.st_mtime > time.time() - age():
                os.unlink(cached)
                os.rmdir(os.path.dirname(cached))  # if nothing else is in it


def age() -> float:
    """Seconds since this process began. proc(5)"""
    began = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pspdr``; the exit status is 0 when all work was done, 1 when some was not, 2 for a usage error."""
    open_standard_streams()
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        leave_no_bytecode()
    try:
        try:
            return run(sys.argv[1:] if argv is None else list(argv))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where it can still be told that there is no room
    except UsageError as error:
        log.error("%s", error)
        return 2
    except BrokenPipeError:
        _leave_standard_output()
        return 1
    except OSError as error:
        log.error("%s%s", f"{error.filename}: " if error.filename else "", error.strerror or error)
        log.debug("it came from here", exc_info=error)
        _leave_standard_output()
        return 1
    except KeyboardInterrupt:
        return 130


def _leave_standard_output() -> None:
    """Have Python not try once more, at its end, to write what could not be written."""
    with suppress(OSError, ValueError, AttributeError):  # it may have been closed from the start
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(argv: list[str]) -> int:
    """What the command line says; the exit status."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(escape_controls)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="pspdr: %(message)s")
    parser = build_parser(named_command(argv), argv)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        told: Parser = getattr(args, "parser", parser)
        early = [word for word in unknown
                 if word in parser._option_string_actions and word not in told._option_string_actions]
        place = f"; {early[0]} stands before the command's name" if early else ""
        told.error(f"unrecognized arguments: {' '.join(unknown)}{place}"
                   + meant_option(unknown, options_along(parser, argv)))
    if args.version:
        print(f"pspdr {__version__}")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    if args.verbose and args.quiet:
        raise UsageError("--verbose and --quiet: only one of them can be")
    if args.quiet:
        logging.getLogger("pathspider").setLevel(logging.WARNING)
    if args.verbose:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        # Of ours: libraries have much to say that helps nobody here.
        logging.getLogger("pathspider").setLevel(logging.DEBUG)
    from pathspider.cmd.together import check_together  # noqa: PLC0415 - it needs UsageError

    check_together(args, args.parser)
    return int(args.func(args))


if __name__ == "__main__":
    sys.exit(main())
