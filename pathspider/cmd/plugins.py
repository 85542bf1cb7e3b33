"""The plugins on the command line of ``pspdr measure``: their sub-commands, their options, and their spiders."""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from pathspider.cmd.input import bare_options
from pathspider.cmd.main import UsageError, meant_option
from pathspider.installed import PLUGINS

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.run.options import RunOptions

log = logging.getLogger("pathspider")


def named_plugin(parser: argparse.ArgumentParser, argv: Sequence[str]) -> str | None:
    """The word of a command line that stands where the plugin's name does, behind the options of ``measure``, or of
    another command with plugins.

    :param parser: the command's, with these options and nothing else
    """
    class Refused(Exception):  # noqa: N818 - never seen
        pass

    class Reader(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise Refused

    reader = Reader(add_help=False)
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            reader._add_action(action)
    reader._has_negative_number_optionals.clear()
    reader.add_argument("rest", nargs=argparse.REMAINDER)
    try:
        rest = reader.parse_known_args(bare_options(list(argv)[list(argv).index(parser.prog.split()[-1]) + 1:]))[0].rest
    except (Refused, ValueError):  # the parser itself will say it
        return None
    return rest[0] if rest else None


class PluginParsers(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The plugins' sub-commands. The one that is named has its arguments to itself, as ``plugin_args``: an option of a
    plugin may be called as one of ``measure`` or ``pspdr``, and both have their own. ``plugin`` is its class."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.plugins: dict[str, Any] = {}

    def register_plugin(self, plugin: Any) -> None:
        """Have a plugin add its sub-command. One that cannot is named and left out, and the others work."""
        before = set(self._name_parser_map)
        try:
            plugin.register_args(self)
        except (Exception, SystemExit) as error:
            from pathspider.discovery import is_skipped  # noqa: PLC0415

            is_skipped(f"{plugin.__module__}.{plugin.__name__}", "set up", error)
            self._choices_actions = [one for one in self._choices_actions if one.dest in before]
            for name in set(self._name_parser_map) - before:
                del self._name_parser_map[name]
            return
        self.plugins |= dict.fromkeys(set(self._name_parser_map) - before, plugin)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Parse the plugin's arguments, which are all that follow its name."""
        own = argparse.Namespace()
        super().__call__(parser, own, values, option_string)
        unknown = vars(own).pop(argparse._UNRECOGNIZED_ARGS_ATTR, [])
        if unknown:
            vars(namespace).setdefault(argparse._UNRECOGNIZED_ARGS_ATTR, []).extend(unknown)
        namespace.plugin_args = own
        namespace.plugin_name = values[0]
        namespace.plugin = self.plugins[values[0]]


@contextmanager
def plugin_mistakes(name: str) -> Iterator[None]:
    """What the plugin of this name raises in the body is told, with its traceback, and no run begins: status 1."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        log.error("plugin %s: %s: %s; the run does not begin", name, type(error).__name__, error, exc_info=error)
        sys.exit(1)


def make_spider(args: argparse.Namespace, options: RunOptions, uri: str = "", *, server_mode: bool = False) -> Spider:
    """The plugin's spider. It sees the arguments of ``measure``, but where it has an option of that name, its own.

    A source address that it has chosen by now stays. With what it raises the command ends.
    """
    seen = argparse.Namespace(**{**vars(args), **vars(args.plugin_args), "run_options": options})
    with plugin_mistakes(args.plugin_name):
        spider: Spider = args.plugin(*accepted(args.plugin, args.workers, uri, seen, server_mode))
        if spider.options is not options:
            own = spider.options.source
            spider.options = replace(options, source=own if any(own) else options.source)
    return spider


def accepted(plugin: Any, *given: Any) -> tuple[Any, ...]:
    """What a plugin's class is made with: ``server_mode``, which comes last, only where it takes it."""
    try:
        inspect.signature(plugin).bind(*given)
    except TypeError:
        return given[:-1]
    return given


def advice(own: Collection[str], argv: Sequence[str], message: str) -> str:
    """What to add to an error of the command line: where options stand, and where plugins are looked for.

    :param own: the options of ``measure``
    """
    kind, _, words = message.partition(": ")
    if kind == "argument PLUGIN":
        found = re.match(r"argument PLUGIN: invalid choice: '([^']*)'", message)
        name = found[1] if found else ""
        before = argv[:argv.index(name)] if name in argv else argv
        if before[-1:] in (["--shuffle"], ["--locate"]) and name.removeprefix("-").isdecimal():
            return f"; did you mean {before[-1]}={name}?"
        options = [word for word in before if word.startswith("--") and word.partition("=")[0] not in own]
        if options:
            return f"; {options[0]} is no option of measure: those of a plugin stand after its name" \
                   + meant_option(options, own)
        from pathspider.discovery import whereabouts  # noqa: PLC0415

        return f"; {whereabouts(PLUGINS, name)}"
    if kind == "unrecognized arguments":
        first = words.split(" ")[0]  # what follows may be its value
        if first.partition("=")[0] in own:
            return f"; options of measure, such as {first}, stand before the plugin's name"
        if not first.startswith("-"):
            return "; targets are read from standard input, or with --input FILE before the plugin's name"
    return ""
