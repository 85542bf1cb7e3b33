"""The desynchronized model: what differs between the connections is asked for at the socket, so no worker waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import ismethod

from pathspider.base import Spider
from pathspider.records import Connection, Job


class DesynchronizedSpider(Spider):
    """A spider whose connections differ in how they are made.

    ``connections`` lists functions of the plugin, each ``conn(self, job, config)``; the first is the baseline. An
    instance may list methods that are bound to it.
    """

    connections: Sequence[Callable[..., Connection]] = []

    def configuration_count(self) -> int:
        return len(self.connections)

    def perform(self, job: Job, config: int) -> Connection:
        connection = self.connections[config]
        return connection(job, config) if ismethod(connection) else connection(self, job, config)
