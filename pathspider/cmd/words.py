"""The part of a campaign's command line that says what is measured: options of ``measure``, a plugin."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pathspider.cmd.main import UsageError, build_parser

SHARED = frozenset({"workers", "rate", "per_address", "order", "seed", "confirm", "confirm_gap", "output_flows",
                    "lockstep"})
"""Options of ``measure`` that mean the same at every vantage point."""


class Words(NamedTuple):
    """What is measured, and how."""

    plugin: str
    measure: list[list[str]]
    """Options of ``measure``, each by its long name, with its value where it takes one."""
    options: list[list[str]]
    """Those of the plugin."""
    args: argparse.Namespace
    """The same, parsed."""


def parse(words: Sequence[str]) -> Words:
    """The words behind ``--``: ``[OPTION...] PLUGIN [OPTION...]``.

    :raises UsageError: where there is no plugin, or an option that a campaign cannot have
    """
    if not words:
        raise UsageError("what is measured stands behind --, as in: -- ecn --connect https")
    parser = build_parser("measure", ["measure", *words])
    measure = _below(parser, "measure")
    groups: dict[str, list[tuple[Any, list[str]]]] = {"measure": [], "plugin": []}
    _record(measure, groups["measure"])
    for plugin in _choices(measure).values():
        _record(plugin, groups["plugin"])
    args, unknown = parser.parse_known_args(["measure", *words])
    if unknown:
        measure.error(f"unrecognized arguments: {' '.join(unknown)}")
    for action, _ in groups["measure"]:
        if action.dest not in SHARED:
            raise UsageError(f"{_name(action)}: a campaign cannot have this option of measure; those that it can have "
                             "are " + ", ".join(sorted(f"--{one.replace('_', '-')}" for one in SHARED)))
    own, options = ([[_name(action), *strings] for action, strings in group] for group in groups.values())
    return Words(args.plugin_name, own, options, args)


def command_line(plugin: str, measure: Iterable[Sequence[str]], options: Iterable[Sequence[str]]) -> list[str]:
    """The words again: each value is part of its option's word, so that none is taken for an option."""
    return [*_joined(measure), plugin, *_joined(options)]


def _joined(options: Iterable[Sequence[str]]) -> list[str]:
    found: list[str] = []
    for name, *values in options:
        found += [f"{name}={values[0]}"] if len(values) == 1 and name.startswith("--") else [name, *values]
    return found


def _record(parser: argparse.ArgumentParser, found: list[tuple[Any, list[str]]]) -> None:
    """Have a parser note each option with its values as they were typed."""
    original = parser._get_values

    def note(action: Any, strings: list[str], *, original: Any) -> Any:
        if action.option_strings:
            found.append((action, [*strings]))
        return original(action, strings)

    parser._get_values = partial(note, original=original)  # type: ignore[method-assign]


def _name(action: Any) -> str:
    return str(max(action.option_strings, key=len))


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _below(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    return _choices(parser)[name]
