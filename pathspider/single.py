"""The single model: one ordinary connection to each target; what is learned lies in what comes back."""

from __future__ import annotations

from pathspider.base import Spider
from pathspider.helpers.modes import connect
from pathspider.records import Connection, Job


class SingleSpider(Spider):
    """A spider that makes one connection to each target, as ``--connect`` asks, under no special configuration.

    A plugin adds ``chains`` and a ``combine_flows`` that gets the one flow.
    """

    def configuration_count(self) -> int:
        return 1

    def perform(self, job: Job, config: int) -> Connection:
        return self.connect(job, config)

    def connect(self, job: Job, config: int) -> Connection:
        """Make the connection that ``--connect`` asks for. ``config`` is 0."""
        return connect(self.args.connect, self.source, job, self.args.timeout)
