"""What plugins say of flows that others made, one by one: records of ``pspdr observe --conditions``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pathspider.chains.basic import BasicChain
from pathspider.conditions import TOLD_PORTS
from pathspider.libtrace._core import Answers
from pathspider.records import Flow
from pathspider.run.judge import checked, timestamp

if TYPE_CHECKING:
    from pathspider.chains.base import Chain
    from pathspider.libtrace._core import FlowTable

log = logging.getLogger(__name__)

OURS = frozenset(f"pathspider.plugins.{name}" for name in ("dscp", "ecn", "evilbit", "mss", "tfo"))
"""The modules of our plugins that say something of flows. Those of third parties are in this namespace, too."""


class PassiveJudge:
    """Makes records of flows: with ``path``, ``conditions`` and ``time``, as those of a measurement.

    :param plugins: classes of plugins that have a passive judgement
    :param chains: whose fields the records shall have; those of the basic chain they have anyway
    """

    def __init__(self, plugins: Sequence[Any], chains: Sequence[type[Chain]]) -> None:
        self.plugins = list(plugins)
        basic: list[type[Chain]] = [] if BasicChain in chains else [BasicChain]
        self.shown = list(dict.fromkeys((*basic, *chains)))
        needed = [chain for plugin in plugins for chain in plugin.passive_chains]
        self.chains = list(dict.fromkeys((*self.shown, *needed)))
        """All that the observer needs."""
        kept = {name for chain in self.shown for name in chain.fields}
        self._left_out = {name for chain in self.chains for name in chain.fields} - kept
        self._answers = Answers(self._ask, timestamp, TOLD_PORTS)
        self._ours = all(plugin.__module__ in OURS for plugin in self.plugins)
        """Then what they say is a matter of the fields that they look at, and nothing else."""
        self.failures: Counter[str] = Counter()
        """For each plugin that raised something, of how many flows."""

    def conditions(self, flow: Flow) -> list[str]:
        """What the plugins say of a flow, each condition once, in the order of the plugins."""
        found: list[str] = []
        for plugin in self.plugins:
            try:
                found += checked(plugin.passive_conditions(flow), "passive_conditions")
            except Exception as error:  # one flow's, and one plugin's: the others go on
                if not self.failures[plugin.name]:
                    log.error("plugin %s: %s: %s; flows of which it raises something get no conditions of it",
                              plugin.name, type(error).__name__, error, exc_info=error)
                self.failures[plugin.name] += 1
        return list(dict.fromkeys(found))

    def records(self, flows: list[Flow]) -> list[Flow]:
        """The records of flows, which become them where the table gives them as it holds them, see :meth:`prepare`."""
        if self._answers.add(flows):
            return flows
        return [self.record(flow) for flow in flows]

    def prepare(self, table: FlowTable) -> None:
        """Before any packet: what is said shall stand in the records as the table holds them, where it can."""
        table.compact = table.judge(self._left_out)

    def _ask(self, flow: Flow) -> tuple[list[str], bool]:
        failures = self.failures.total()
        found = self.conditions(flow)
        return found, self._ours and failures == self.failures.total()

    def record(self, flow: Flow) -> Flow:
        """A flow's record, without what the plugins alone have looked at."""
        record = self._shown(flow)
        record["path"] = [flow["sip"], "*", flow["dip"]]
        record["conditions"] = self.conditions(flow)
        begun, ended = flow["pkt_first"], flow["pkt_last"]
        with suppress(ValueError, OverflowError, OSError):  # a capture may say that it is from the year 30000
            record["time"] = {"from": timestamp(begun), "to": timestamp(max(begun, ended))}
        return record

    def row(self, flow: Flow) -> Flow:
        """The same for CSV: conditions in one field, behind those of the chains, which tell path and time too."""
        return self._shown(flow) | {"conditions": ";".join(self.conditions(flow))}

    def _shown(self, flow: Flow) -> Flow:
        return {name: value for name, value in flow.items() if name not in self._left_out}
