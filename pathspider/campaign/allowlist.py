"""What a vantage point lets a campaign do: a file that root owns, and nobody else can write.

::

    # what may be measured, and with which values of which options
    plugin ecn
      option --connect http https tcp
      option --timeout 1..10
    plugin mss
    measure --confirm 0..4
    measure --output-flows
    # what no campaign can lift
    rate 200
    workers 100
    targets 20000
    blocklist /etc/pathspider/blocklist

A value is a word, or a range of numbers; an option without values takes none. Options are named in full. What is not
here is refused, and what comes over the network is only ever compared with what is here: words that are handed on to
``pspdr measure`` are those of this file, and numbers.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathspider.campaign.errors import CampaignError

WORD = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_.:/-]{0,99}")
OPTION = re.compile(r"--[a-z][a-z0-9-]{0,49}")
RANGE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\.\.([0-9]{1,12}(?:\.[0-9]{1,6})?)")
NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
MOST_OCTETS = 1 << 20

MEASURE = frozenset({"--workers", "--rate", "--per-address", "--order", "--seed", "--confirm", "--confirm-gap",
                     "--output-flows", "--lockstep"})
"""Options of ``measure`` that a line ``measure`` may name."""


class RefusedError(ValueError):
    """A campaign asks for what is not allowed here; the text says what."""


@dataclass(frozen=True)
class Values:
    """What an option may be given."""

    words: frozenset[str] = frozenset()
    ranges: tuple[tuple[float, float], ...] = ()

    def allow(self, value: str) -> bool:
        """Whether it may be given this."""
        if value in self.words:
            return True
        return bool(NUMBER.fullmatch(value)) and any(low <= float(value) <= high for low, high in self.ranges)


Options = dict[str, Values]


@dataclass
class AllowList:
    """What is allowed."""

    plugins: dict[str, Options] = field(default_factory=dict)
    measure: Options = field(default_factory=dict)
    rate: float = 100.0
    """New connections per second at most."""
    workers: int = 100
    targets: int = 10_000
    """In a chunk at most."""
    blocklist: str | None = None

    @classmethod
    def read(cls, path: str | Path, *, owner: int = 0) -> AllowList:
        """The list in a file.

        :param owner: whose it has to be, as must be the folder
        :raises CampaignError: if it is none, or others can change it
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as stream:
                _check_owner(os.fstat(descriptor), owner, str(path))
                _check_owner(os.stat(Path(path).resolve().parent), owner, f"the folder of {path}", folder=True)
                data = stream.read(MOST_OCTETS + 1)
        except OSError as error:
            raise CampaignError(f"allow-list {path}: {error.strerror}") from None
        if len(data) > MOST_OCTETS:
            raise CampaignError(f"allow-list {path}: longer than can be")
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, name: str) -> AllowList:
        """The list in a text; :exc:`CampaignError` tells the line of what is wrong."""
        found = cls()
        plugin: Options | None = None
        try:
            lines = data.decode("ascii").splitlines()
        except UnicodeDecodeError:
            raise CampaignError(f"allow-list {name}: it has to be ASCII") from None
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            try:
                if words:
                    plugin = found._take(words, plugin)
            except ValueError as error:
                raise CampaignError(f"allow-list {name}, line {number}: {error}") from None
        if not found.plugins:
            raise CampaignError(f"allow-list {name}: it allows no plugin")
        return found

    def _take(self, words: Sequence[str], plugin: Options | None) -> Options | None:
        """Take a line in; the options of the plugin that further lines are of."""
        what, *rest = words
        if what == "plugin" and len(rest) == 1 and re.fullmatch(r"[a-z][a-z0-9_-]{0,49}", rest[0]):
            return self.plugins.setdefault(rest[0], {})
        if what == "option" and rest:
            if plugin is None:
                raise ValueError("an option stands below its plugin")
            plugin[_option(rest[0])] = _values(rest[1:])
        elif what == "measure" and rest and rest[0] in MEASURE:
            self.measure[rest[0]] = _values(rest[1:])
        elif what == "blocklist" and len(rest) == 1 and rest[0].startswith("/"):
            self.blocklist = rest[0]
        elif what in ("rate", "workers", "targets") and len(rest) == 1 and NUMBER.fullmatch(rest[0]) \
                and float(rest[0]) > 0:
            setattr(self, what, float(rest[0]) if what == "rate" else int(rest[0]))
        else:
            raise ValueError(f"{' '.join(words)!r}: plugin NAME, option --NAME VALUE..., measure --NAME VALUE..., "
                             "rate N, workers N, targets N or blocklist /FILE is needed")
        return plugin

    def words(self, plugin: str, measure: Sequence[Sequence[str]], options: Sequence[Sequence[str]],
              rate: float | None) -> list[str]:
        """The words of ``pspdr measure`` for what a campaign asks for; :exc:`RefusedError` for what is not allowed."""
        own = next((name for name in self.plugins if name == plugin), None)
        if own is None:
            raise RefusedError(f"plugin {plugin[:50]!r} is not allowed here")
        before = _allowed(self.measure, measure)
        # Behind what was asked for: the last of an option counts.
        caps = [f"--rate={min(self.rate, *_asked(measure, '--rate'), *([] if rate is None else [rate])):g}",
                f"--workers={int(min(self.workers, *_asked(measure, '--workers'), 1 << 20)) or 1}"]
        if self.blocklist is not None:
            caps.append(f"--blocklist={self.blocklist}")
        return [*before, *caps, own, *_allowed(self.plugins[own], options)]


def _asked(measure: Sequence[Sequence[str]], name: str) -> list[float]:
    return [float(option[1]) for option in measure if option[0] == name and len(option) == 2] or [float("inf")]


def _allowed(known: Mapping[str, Values], asked: Sequence[Sequence[str]]) -> list[str]:
    found = []
    for name, *values in asked:
        own = next((option for option in known if option == name), None)
        if own is None:
            raise RefusedError(f"option {name[:50]!r} is not allowed here")
        takes = known[own].words or known[own].ranges
        if (len(values) != 1 or not known[own].allow(values[0])) if takes else values:
            raise RefusedError(f"option {own}: {' '.join(values)[:100]!r} is not allowed here")
        found.append(f"{own}={values[0]}" if takes else own)
    return found


def _option(text: str) -> str:
    if not OPTION.fullmatch(text):
        raise ValueError(f"option {text!r}: its full name is needed, with two hyphens")
    return text


def _values(words: Sequence[str]) -> Values:
    plain, ranges = set(), []
    for word in words:
        if (bounds := RANGE.fullmatch(word)) is not None:
            ranges.append((float(bounds[1]), float(bounds[2])))
        elif WORD.fullmatch(word):
            plain.add(word)
        else:
            raise ValueError(f"value {word!r}: a word or a range such as 1..10 is needed")
    return Values(frozenset(plain), tuple(ranges))


def _check_owner(status: os.stat_result, owner: int, what: str, *, folder: bool = False) -> None:
    if status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CampaignError(f"allow-list: {what} has to be root's, and nobody else may write {'in ' * folder}it: "
                            "chown root, chmod go-w")
    if not folder and not stat.S_ISREG(status.st_mode):
        raise CampaignError(f"allow-list: {what} is not an ordinary file")
