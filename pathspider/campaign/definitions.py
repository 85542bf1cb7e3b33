"""What the broker has: users and their rights, exchanges and queues, as RabbitMQ imports it.

Jobs go to ``vp.NAME``, or to ``any`` where a campaign is split; results go by the exchange ``results`` to the queue of
that name, each vantage point with its own name as the routing key and no other; what was given up goes to ``dead``.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

VHOST = "pathspider"
COORDINATOR = "coordinator"
MANAGER = "manager"
"""Of RabbitMQ's management, over loopback alone; the one user with a password, which AMQP does not take."""

DELIVERIES = 20
"""How often a job is given out, at most: connections that drop count."""

MOST_JOBS, MOST_RESULTS = 4 << 30, 4 << 30
"""Octets that may wait: beyond, the broker refuses to take more, and whoever sends tries again."""

QUEUE = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
RETRIED = {"x-delivery-limit": DELIVERIES, "x-dead-letter-exchange": "dead", "x-dead-letter-strategy": "at-least-once",
           "x-max-length-bytes": MOST_JOBS}


def queue_of(slot: str) -> str:
    """The queue of a slot's chunks."""
    return slot if slot == "any" else f"vp.{slot}"


def users(names: Iterable[str]) -> list[dict[str, Any]]:
    """Vantage points and the coordinator: a certificate lets them in, and no password."""
    return [{"name": name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}
            for name in (COORDINATOR, *names)]


def permissions(name: str) -> dict[str, str]:
    """What a user may do: regular expressions over names of queues and exchanges."""
    if name == COORDINATOR:
        return {"configure": "^$", "write": r"^amq\.default$", "read": r"^(results|dead|any|vp\..*)$"}
    return {"configure": "^$", "write": "^results$", "read": rf"^(vp\.{name}|any)$"}


def topic_permissions(name: str) -> dict[str, str]:
    """With which routing keys a user may publish to ``results``."""
    return {"exchange": "results", "write": "^$" if name == COORDINATOR else f"^{name}$", "read": "^$"}


def vantage_queue(name: str, vhost: str = VHOST) -> dict[str, Any]:
    """The queue of a vantage point."""
    return _queue(vhost, queue_of(name), RETRIED)


def _queue(vhost: str, name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": {**QUEUE, **more}}


def definitions(names: Iterable[str], password: str | None, vhost: str = VHOST) -> dict[str, Any]:
    """All of it.

    :param names: of the vantage points
    :param password: of the manager; None to have none, where the broker is others'
    """
    names = list(names)
    manager = [] if password is None else [{
        "name": MANAGER, "password_hash": password_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator"}]
    exchanges = [{"name": name, "vhost": vhost, "type": kind, "durable": True, "auto_delete": False, "internal": False,
                  "arguments": {}} for name, kind in (("results", "topic"), ("dead", "fanout"))]
    return {
        "vhosts": [{"name": vhost}],
        "users": [*users(names), *manager],
        "permissions": [{"user": name, "vhost": vhost, **permissions(name)} for name in (COORDINATOR, *names)]
        + [{"user": one["name"], "vhost": vhost, "configure": r"^vp\..*$", "write": "^dead$", "read": r"^vp\..*$"}
           for one in manager],
        "topic_permissions": [{"user": name, "vhost": vhost, **topic_permissions(name)}
                              for name in (COORDINATOR, *names)],
        "exchanges": exchanges,
        "queues": [_queue(vhost, "results", {"x-max-length-bytes": MOST_RESULTS}), _queue(vhost, "dead", {}),
                   _queue(vhost, "any", RETRIED), *(vantage_queue(name, vhost) for name in names)],
        "bindings": [{"source": source, "vhost": vhost, "destination": source, "destination_type": "queue",
                      "routing_key": "#", "arguments": {}} for source in ("results", "dead")],
    }


def password_hash(password: str) -> str:
    """As RabbitMQ keeps it: a salt of 4 octets, and SHA-256 of salt and password.
    https://www.rabbitmq.com/docs/passwords#computing-password-hash"""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii")
