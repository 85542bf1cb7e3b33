"""The desynchronized model: what differs between the connections is asked for at the socket, so no worker waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pathspider.base import Spider
from pathspider.records import Connection, Job


class DesynchronizedSpider(Spider):
    """A spider whose connections differ in how they are made.

    ``connections`` lists functions of the plugin, each ``conn(self, job, config)``; the first is the baseline.
    """

    connections: ClassVar[Sequence[Callable[[Any, Job, int], Connection]]] = []

    def configuration_count(self) -> int:
        return len(self.connections)

    def perform(self, job: Job, config: int) -> Connection:
        return self.connections[config](self, job, config)
