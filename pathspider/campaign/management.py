"""RabbitMQ's management, over HTTP on this machine. https://www.rabbitmq.com/docs/management"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pathspider.campaign.definitions import (
    MANAGER,
    VHOST,
    permissions,
    queue_of,
    topic_permissions,
    users,
    vantage_queue,
)
from pathspider.campaign.errors import CampaignError


class Management:
    """Asks and tells the broker.

    :param password: the manager's
    :param amqp: the port at which vantage points come
    """

    def __init__(self, port: int, password: str, amqp: int) -> None:
        self._port = port
        self._amqp = amqp
        token = base64.b64encode(f"{MANAGER}:{password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def ask(self, method: str, *path: str, value: Any = None) -> Any:
        """What it answers; None to what it has no answer to, and for what is not there.

        :raises CampaignError: it refuses
        :raises OSError: it is not there
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            place = "/api/" + "/".join(quote(part, safe="") for part in path)
            connection.request(method, place, None if value is None else json.dumps(value), self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from None
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise CampaignError(f"the broker refuses {method} {'/'.join(path)}: {body.decode(errors='replace')[:200]}")
        return json.loads(body) if body else None

    def is_up(self) -> bool:
        """Whether the broker takes connections and has its queues."""
        try:
            return self.ask("GET", "queues", VHOST, "results") is not None \
                and self.ask("GET", "health", "checks", "port-listener", str(self._amqp)) is not None
        except (OSError, CampaignError):
            return False

    def wait(self, alive: Callable[[], bool], logs: str, patience: float = 120.0) -> None:
        """Wait until the broker is up; :exc:`CampaignError` if it ends before, or does not come.

        :param logs: where it says why
        """
        until = time.monotonic() + patience
        while not self.is_up():
            if not alive():
                raise CampaignError(f"the broker has ended; {logs} say why")
            if time.monotonic() > until:
                raise CampaignError(f"the broker does not come within {patience:.0f} s; {logs} say why")
            time.sleep(0.1)

    def add(self, name: str) -> None:
        """Have a vantage point."""
        user, = (one for one in users([name]) if one["name"] == name)
        queue = vantage_queue(name)
        self.ask("PUT", "users", name, value={key: user[key] for key in ("password_hash", "tags")})
        self.ask("PUT", "permissions", VHOST, name, value=permissions(name))
        self.ask("PUT", "topic-permissions", VHOST, name, value=topic_permissions(name))
        self.ask("PUT", "queues", VHOST, queue["name"],
                 value={key: queue[key] for key in ("durable", "auto_delete", "arguments")})

    def remove(self, name: str) -> None:
        """Have a vantage point no more: it is cut off, and what waits for it is gone."""
        self.ask("DELETE", "users", name)
        for connection in self.connections():
            if connection.get("user") == name:
                self.ask("DELETE", "connections", str(connection["name"]))
        self.ask("DELETE", "queues", VHOST, queue_of(name))

    def connections(self) -> list[dict[str, Any]]:
        """Who is connected."""
        return list(self.ask("GET", "connections") or ())

    def queues(self) -> list[dict[str, Any]]:
        """The queues, with what waits in them."""
        return list(self.ask("GET", "queues", VHOST) or ())
