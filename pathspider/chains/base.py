"""What flow analysis chains are made of: :class:`Chain` and :class:`Field`."""

from __future__ import annotations

from typing import Any, ClassVar

from pathspider.chains.field import Field
from pathspider.chains.wanted import Wanted
from pathspider.libtrace._core import ChainBase

__all__ = ["Chain", "Field", "Wanted"]


class Chain(ChainBase):
    """What all chains derive from.

    A chain declares its ``fields``; a new flow's record starts with their initial values. It defines the hooks that
    it needs: ``ip4``, ``ip6``, ``tcp``, ``udp`` with ``(rec, header, rev)``, ``icmp4`` and ``icmp6`` with
    ``(rec, ip, q, rev)``; :class:`pathspider.chains.noop.NoOpChain` describes each. Hooks return ``True`` to go on
    observing, ``False`` when the flow is complete. A chain that wants to look at the first packet, or to refuse a
    flow, defines ``new_flow``.
    """

    fields: ClassVar[dict[str, Field]] = {}

    scratch: ClassVar[dict[str, Any]] = {}
    """Keys (with their initial values) under which the chain notes things in the record while the flow is open; they
    are removed when it ends, and so are all keys that begin with ``_``."""

    wants = Wanted.ALL
    """The packets that the hooks of a compiled chain must see. A plain one sees all."""

    counts: ClassVar[tuple[str, ...]] = ()
    """Fields for packets forward and back, and for octets forward and back, of a chain whose hooks ``ip4`` and ``ip6``
    only count these. A flow table whose chains are all compiled counts by itself, and sets the fields when the flow
    ends; otherwise the hooks are called, as another chain may look at the fields meanwhile."""

    largest: ClassVar[tuple[str, ...]] = ()
    """In the same way, fields for the octets of the largest packet forward and back, of a chain whose hooks ``ip4`` and
    ``ip6`` note nothing else. What was put together of fragments does not count, nor do ICMP errors."""

    enough: bool
    """Set by a hook ``tcp``: of this flow and direction, it needs no more segments for their data alone
    (:attr:`~pathspider.chains.wanted.Wanted.DATA`). Taken back by who called it."""

    absent_hooks: ClassVar[bool] = True
    """The hooks of this very class only say "go on": the flow table need not call them."""

    def __init__(self) -> None:
        self.initial = {name: field.initial for name, field in self.fields.items()}
        self.initial.update(self.scratch)

    def new_flow(self, rec: dict[str, Any], ip: Any) -> bool:
        """A flow begins: its record gets the chain's fields.

        :param rec: the record that is being filled
        :param ip: the flow's first packet, IPv4 or IPv6
        :returns: ``True`` to have the flow observed, anything else to have nothing of it
        """
        rec.update(self.initial)
        return True
