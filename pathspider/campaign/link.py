"""A connection to the broker that comes back for ever, in a thread of its own, by pika."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pathspider.campaign.bundle import Bundle
from pathspider.campaign.errors import CampaignError

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger("pathspider")
logging.getLogger("pika").setLevel(logging.CRITICAL)  # what matters of it we say ourselves

HEARTBEAT = 20
"""Seconds: after some two of them without a word the other end is taken for dead."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between attempts to connect."""

FULL_PAUSE = 5.0
"""Seconds until what the broker had no room for is sent again."""


class NoRoomError(Exception):
    """The broker takes no more for now."""


class NoQueueError(Exception):
    """There is no queue to which this message would go."""


class Delivery(NamedTuple):
    """A message, and the connection that brought it: on another one it is not known."""

    connection: int
    tag: int
    queue: str
    key: str
    """The routing key: as the broker has let the sender have it."""
    body: bytes
    properties: Any


def import_pika() -> ModuleType:
    """pika; :exc:`CampaignError` where it is not installed."""
    try:
        import pika  # noqa: PLC0415 - for campaigns with a broker alone
        import pika.exceptions  # noqa: PLC0415
    except ImportError:
        raise CampaignError("campaigns with a broker need pika: apt-get install python3-pika, or "
                            "pip install 'pathspider[campaign]'") from None
    return pika  # type: ignore[no-any-return]


class Link:
    """Connects, consumes and publishes until :meth:`close`.

    :param queues: what is consumed, by its function, which is called in this object's thread
    :param prefetch: messages of each queue that may be with us unacknowledged
    :param work: called in this object's thread once it is connected and after each wait; raises what sending raises
    """

    def __init__(self, bundle: Bundle, queues: Mapping[str, Callable[[Delivery], None]], *, prefetch: int = 1,
                 work: Callable[[], None] = lambda: None) -> None:
        self._pika = import_pika()
        self._bundle = bundle
        self._context = bundle.context()
        self._queues = dict(queues)
        self._prefetch = prefetch
        self._work = work
        self._connection: Any = None
        self._channel: Any = None
        self.number = 0
        """Which connection this is, from 1."""
        self.connected = False
        self.said = ""
        """Why there is no connection."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """End; what was not acknowledged goes back."""
        self._over.set()
        self.wake()
        self._thread.join(10)

    def wake(self) -> None:
        """Have the thread look at its work, from any other thread."""
        connection = self._connection
        if connection is not None:
            try:
                connection.add_callback_threadsafe(lambda: None)
            except Exception as error:  # it is being closed; pika says so in several ways
                log.debug("broker: %s", error)

    # -- for functions that this thread calls --------------------------------------------------------------------

    def publish(self, exchange: str, key: str, body: bytes, **properties: Any) -> None:
        """Send a message; when this returns the broker has it on the disk, where it is persistent.

        :raises NoRoomError: the queue is full
        :raises NoQueueError: there is none
        """
        errors = self._pika.exceptions
        try:
            self._channel.basic_publish(exchange, key, body, self._pika.BasicProperties(
                **{"delivery_mode": 2, **properties}), mandatory=True)
        except errors.UnroutableError:
            raise NoQueueError(key) from None
        except errors.NackError:
            raise NoRoomError(key) from None

    def acknowledge(self, delivery: Delivery) -> None:
        """A message has been dealt with. One of an earlier connection comes again, and is dealt with then."""
        if delivery.connection == self.number:
            self._channel.basic_ack(delivery.tag)

    def refuse(self, delivery: Delivery, *, requeue: bool) -> None:
        """A message goes back to its queue, or to the dead letters."""
        if delivery.connection == self.number:
            self._channel.basic_nack(delivery.tag, requeue=requeue)

    def leave(self, queue: str) -> None:
        """Consume a queue no more."""
        if self._queues.pop(queue, None) is not None and self._channel is not None:
            self._channel.basic_cancel(queue)

    def get(self, queue: str) -> Delivery | None:
        """A message of a queue that is not consumed; None if there is none."""
        method, properties, body = self._channel.basic_get(queue)
        if method is None:
            return None
        return Delivery(self.number, method.delivery_tag, queue, method.routing_key, body, properties)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._over.is_set():
            try:
                self._connect()
                pause = FIRST_PAUSE
                while not self._over.is_set():
                    self._look()
            except (self._pika.exceptions.AMQPError, OSError, NoQueueError) as error:
                self._lost(error)
            except Exception as error:  # pika's assertions where a connection breaks; our own mistakes
                log.debug("broker", exc_info=error)
                self._lost(error)
            finally:
                self._disconnect()
            self._over.wait(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _look(self) -> None:
        try:
            self._work()
            wait = 1.0
        except NoRoomError:
            log.warning("the broker has no room for more; trying again")
            wait = FULL_PAUSE
        self._connection.process_data_events(time_limit=wait)

    def _connect(self) -> None:
        host, port, vhost = self._bundle.address()
        pika = self._pika
        self._connection = pika.BlockingConnection(pika.ConnectionParameters(
            host, port, vhost, pika.credentials.ExternalCredentials(), heartbeat=HEARTBEAT,
            ssl_options=pika.SSLOptions(self._context, host), socket_timeout=20, stack_timeout=30,
            blocked_connection_timeout=300, connection_attempts=1))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._channel.basic_qos(prefetch_count=self._prefetch)
        self.number += 1
        for queue, function in self._queues.items():
            self._channel.basic_consume(queue, self._deliver(queue, function), consumer_tag=queue)
        self.connected = True
        if self.said:
            log.info("the broker is back")
        self.said = ""

    def _deliver(self, queue: str, function: Callable[[Delivery], None]) -> Callable[..., None]:
        number = self.number

        def deliver(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            function(Delivery(number, method.delivery_tag, queue, method.routing_key, body, properties))

        return deliver

    def _lost(self, error: BaseException) -> None:
        what = f"{type(error).__name__} {error}".strip()
        if what != self.said:
            log.warning("no connection to the broker (%s); trying again", what[:300])
        self.said = what

    def _disconnect(self) -> None:
        self.connected = False
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:  # it is closed, or broken
                log.debug("broker: %s", error)
