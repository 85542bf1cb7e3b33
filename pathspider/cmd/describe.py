"""What the parsers offer, as plain data: the one source of man pages, of completion and of the documentation's pages.

argparse shows its contents to nobody but its own formatter, so this is the only module that looks into it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pathspider.cmd.main import COMMANDS, build_parser
from pathspider.installed import available_chains, passive_plugins

FILES = ("FILE", "RECORDS", "RESULTS", "DIR", "DIRECTORY", "FOLDER")
"""How metavars end that stand for something in the file system."""

MANY = ("*", "+", argparse.REMAINDER)


@dataclass(frozen=True)
class Argument:
    """An option, or, where there are no ``flags``, a positional argument."""

    flags: tuple[str, ...]
    metavar: str
    """What stands for the value; empty for an option that takes none."""
    choices: tuple[str, ...]
    """The values that can be named beforehand; empty where any can be given."""
    help: str
    repeated: bool
    """It may be given several times."""

    @property
    def value(self) -> str:
        """What the value is, where that is not said by ``choices``: ``file``, ``interface``, ``command`` or nothing."""
        words = re.findall("[A-Z]+", self.metavar)
        if "-- COMMAND" in self.metavar:
            return "command"
        if "INTERFACE" in words:
            return "interface"
        return "file" if any(word.endswith(FILES) for word in words) else ""


@dataclass(frozen=True)
class Command:
    """A command, a sub-command or a plugin."""

    words: tuple[str, ...]
    """What is typed: ``("pspdr", "measure", "ecn")``."""
    summary: str
    """One line."""
    description: str
    epilog: str
    usage: str
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...] = field(default=())

    @property
    def name(self) -> str:
        return self.words[-1]

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def positionals(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]

    def walk(self) -> Iterator[Command]:
        """This command and all below it, in the order of the help texts."""
        yield self
        for command in self.commands:
            yield from command.walk()


def program() -> Command:
    """``pspdr`` with every command, every plugin that can be found, and their arguments."""
    top = describe(build_parser(None, []), ("pspdr",), "measure the transparency of Internet paths")
    filled = []
    for name, summary in COMMANDS.items():
        parser = sub_parsers(build_parser(name, [name]))[name][0]
        filled.append(describe(parser, ("pspdr", name), summary))
    return Command(**{**vars(top), "commands": tuple(filled)})


def describe(parser: argparse.ArgumentParser, words: tuple[str, ...], summary: str) -> Command:
    """One parser and those below it."""
    below = tuple(describe(sub, (*words, name), text) for name, (sub, text) in sub_parsers(parser).items())
    arguments = [argument_of(action, parser) for action in parser._actions
                 if action.help is not argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)]
    return Command(words, summary, parser.description or summary, parser.epilog or "", usage_of(parser),
                   tuple(arguments), below)


def sub_parsers(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """The sub-commands of a parser: name -> parser and help line."""
    found: dict[str, tuple[argparse.ArgumentParser, str]] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found |= {name: (sub, texts.get(name, "")) for name, sub in action.choices.items()}
    return found


def usage_of(parser: argparse.ArgumentParser) -> str:
    """The usage, in one line, without ``usage:``."""
    return " ".join(parser.format_usage().split()).removeprefix("usage: ")


def argument_of(action: argparse.Action, parser: argparse.ArgumentParser) -> Argument:
    """One argument of a parser."""
    choices = tuple(str(choice) for choice in action.choices or ())
    if not choices and action.dest == "chains":
        choices = chain_names()
    elif not choices and action.dest == "topic":
        choices = tuple(COMMANDS)
    elif not choices and action.metavar == "PLUGIN":
        choices = plugin_names()
    elif not choices and action.dest == "plugins":
        choices = tuple(plugin.name for plugin in passive_plugins())
    formatter: Any = parser._get_formatter()
    return Argument(flags=tuple(action.option_strings), metavar=metavar_of(action), choices=choices,
                    help=formatter._expand_help(action) if action.help else "",
                    repeated=isinstance(action, argparse._AppendAction) or action.nargs in MANY)


@cache
def chain_names() -> tuple[str, ...]:
    """The chains that can be observed with; argparse does not know them, since finding them takes time."""
    return tuple(available_chains())


@cache
def plugin_names() -> tuple[str, ...]:
    """The plugins that the lab has paths for."""
    from pathspider.lab.scenarios import all_cases  # noqa: PLC0415

    return tuple(sorted({case.scenario.plugin for case in all_cases()}))


def metavar_of(action: argparse.Action) -> str:
    """The name of an argument's value, as argparse would write it; empty where there is no value."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is not None:
        return action.metavar
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest
