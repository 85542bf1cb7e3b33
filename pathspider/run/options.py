"""What a run is told besides the plugin's own options."""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.prefixes import Prefixes

Beginnings = tuple[Sequence[str | None], Sequence[str | None]]
"""How paths begin, over IPv4 and over IPv6: our address and, where it was looked up, our AS."""

Order = Literal["fixed", "random"]
"""The order of a job's connections: as the plugin's plan has it, or drawn for each job."""


def new_run_id() -> str:
    """A name that no other run has: a UUID of version 7, which begins with the time, so that later ones sort behind
    earlier ones. :rfc:`9562`, section 5.7"""
    milliseconds = time.time_ns() // 10 ** 6
    random = secrets.randbits(74)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | random >> 62 << 64 | 2 << 62 | random & (1 << 62) - 1))


@dataclass(frozen=True)
class RunOptions:
    """One run's options. All have a default: a program that makes a spider by itself need not know them."""

    source: tuple[str | None, str | None] = (None, None)
    """The addresses of ours, IPv4 and IPv6, that all packets leave from; None: the kernel's choice for each target."""
    beginnings: Beginnings | None = None
    """Of paths from the usual source addresses, where they do not begin with these."""
    output_flows: bool = False
    """Records hold their flows."""
    rate: float | None = None
    """New connections per second at most; None: as many as can be."""
    per_address: int | None = 2
    """Jobs under way to one address at once; None: no limit."""
    blocklist: Blocklist | None = None
    """Networks that are not measured."""
    prefixes: Prefixes | None = field(default=None, compare=False)
    """Tells where targets are."""
    lab_networks: Blocklist | None = None
    """Networks of ``pspdr lab`` that are refused, since this is not the lab."""
    order: Order = "fixed"
    seed: int = 0
    """From which random orders are drawn: the same seed gives a target the same order."""
    confirm: int = 0
    """Rounds in which a suspect's connections are made again; 0: the first pair's word stands alone, as in 2.0."""
    confirm_gap: float = 15.0
    """Seconds between the end of a suspect's last connection and its next round."""
    ip_version: Literal[4, 6] | None = None
    """The only kind of address that is measured, and that a resolver asks for; None: both."""
    lockstep: bool = False
    """Switch the whole machine between configurations, also where a plugin can do it for each connection."""
    run: str = field(default="", compare=False)
    """The run's id, which each record has; a new one unless it is given."""

    def __post_init__(self) -> None:
        if not self.run:
            object.__setattr__(self, "run", new_run_id())

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> RunOptions:
        """What a program gave together with the plugin's arguments: under these names, or whole, as ``run_options``.

        Whole, no option of the plugin's own can be taken for one of the run. None is a value where it is one of the
        field's (:data:`MAY_BE_NONE`), else as if nothing was given.
        """
        whole = getattr(args, "run_options", None)
        if isinstance(whole, cls):
            return whole
        given = {name: getattr(args, name) for name in (one.name for one in fields(cls)) if hasattr(args, name)}
        return cls(**{name: value for name, value in given.items() if value is not None or name in MAY_BE_NONE})


MAY_BE_NONE = frozenset({"beginnings", "rate", "per_address", "blocklist", "lab_networks", "ip_version"})
"""Options whose None says something."""
