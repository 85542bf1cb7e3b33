"""The stage that connects: one job in, the results of all its connections out. It runs in every worker's thread."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from pathspider import conditions
from pathspider.helpers import poller
from pathspider.helpers.attended import PAUSED
from pathspider.helpers.poller import Exchange
from pathspider.helpers.sockets import local_error
from pathspider.network.routes import ElsewhereError
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT, Conn, Connection, Job, Result, Unmeasured
from pathspider.run.confirm import Round

if TYPE_CHECKING:
    from pathspider.run.experiment import Experiment
    from pathspider.run.health import Health
    from pathspider.run.pace import Pace

LATE_PACKETS = 1.0
"""Seconds after a connection's end in which packets still belong to its flow: what is under way then, and what the
other end says to it."""


class Stopped(Exception):  # noqa: N818 - not an error: it unwinds a worker
    """The run was stopped while a worker waited for something."""


class Connector:
    """Makes a job's connections: checks the job, waits for its moment, connects, and looks whether we were well.

    :param health: how our own machine is
    """

    def __init__(self, spider: Experiment, health: Health) -> None:
        self.spider = spider
        self.health = health
        self.pace: Pace | None = None
        """Gives each connection its moment; None: at once."""
        self.interrupted = threading.Event()
        """No job begins any more; those under way go on."""
        self.aborting = threading.Event()
        """No connection begins any more."""

    def take(self, job: Job) -> Result | Unmeasured:
        """All connections to one target, made again, once, if our own machine was not well meanwhile.

        What a plugin raises is raised.
        """
        refused = self._refused(job)
        if refused is not None:
            return Unmeasured(job, refused)
        try:
            self.spider.leave_for(job)
            address = job.get("dip")
            self.wait_for_moment(len(self.spider.plan()))
            with self.health.turn():
                prepared = self.spider.pre_connect(job)
                if not isinstance(prepared, dict):
                    prepared = job
                if prepared.get("dip") != address:
                    if (refused := self._refused_address(prepared)) is not None:
                        return Unmeasured(job, refused)
                    self.spider.leave_for(prepared)
                outcome = self._measure(job, prepared)
            if self._disturbances(outcome):
                self.wait_for_moment(len(self.spider.plan()))
                with self.health.turn(rested=True):
                    outcome = self._measure(job, prepared)
                for connection, kind in self._disturbances(outcome):
                    said = local_error("paused" if kind == PAUSED else "overloaded", connection.get("sp", 0))
                    connection.update(said)
        except Stopped:
            return Unmeasured(job, conditions.NOT_MEASURED)
        except ElsewhereError as error:
            return Unmeasured(job, error.condition, str(error))
        finally:
            self.spider.leave_for(None)
        return outcome

    def wait_for_moment(self, connections: int) -> None:
        """Wait until so many connections may be made, right after each other. See ``--rate``."""
        stop = self.interrupted
        if stop.is_set() or (self.pace is not None and not self.pace.wait(connections, stop)):
            raise Stopped

    def one_more(self) -> None:
        """A job under way makes one more connection than was waited for, now; those that follow wait for it."""
        if self.aborting.is_set():
            raise Stopped
        if self.pace is not None:
            self.pace.made(1)

    def _refused(self, job: Job) -> str | None:
        """The condition of a job that is not begun, None for others."""
        if problem := self.spider.job_problem(job):
            return f"{conditions.INVALID_JOB}:{problem}"
        return self._refused_address(job)

    def _refused_address(self, job: Job) -> str | None:
        """The condition of a job whose address is not contacted, None for others."""
        if "dip" not in self.spider.target_keys:
            return None
        options = self.spider.options
        if options.blocklist is not None and job["dip"] in options.blocklist:
            return conditions.BLOCKLISTED
        if options.lab_networks is not None and job["dip"] in options.lab_networks:
            return conditions.LAB_ADDRESS
        return None

    def _measure(self, job: Job, prepared: Job) -> Result:
        """Each connection that the plan names, in this job's order; all as one exchange of the poller's where the
        spider can: to change threads for each takes longer than to make it."""
        spider = self.spider
        began, losses = time.time(), spider.capture_losses()
        plan = spider.plan()
        order = self._order(job, len(plan))
        made: dict[int, Connection] = {}
        unfinished: list[Connection] = []
        spans: list[tuple[float, float]] = []
        together = spider.in_poller and poller.serves()
        exchanges = [spider.exchange(prepared, plan[place]) if together else None for place in order]

        def connect() -> Exchange[None]:
            for place, exchange in zip(order, exchanges, strict=True):
                if self.aborting.is_set():
                    raise Stopped
                opened = time.monotonic()
                said = spider.perform(prepared, plan[place]) if exchange is None else (yield from exchange)
                connection = checked(said, plan[place], prepared)
                if prepared.get("dip") != job.get("dip"):
                    connection["dip"] = prepared.get("dip")
                spans.append((opened, time.monotonic()))
                made[place] = connection
                unfinished.append(connection)
                if not spider.keep_open:
                    self._finish(job, unfinished)

        try:
            if together:
                poller.run(connect(), here=False)
            else:
                poller.at_once(connect())
            ended = time.time()
            self._finish(job, unfinished)
        finally:
            for connection in unfinished:
                close_client(connection)
        connections = [made[place] for place in range(len(plan))]
        return Result(job, connections, began, ended, losses, [plan[place] for place in order],
                      [spans[order.index(place)] for place in range(len(plan))], spider.source)

    def _order(self, job: Job, count: int) -> list[int]:
        """The places of the plan in the order in which they are taken; drawn anew from the same seed, the same."""
        if isinstance(job, Round):
            return job.order
        order = list(range(count))
        options = self.spider.options
        if options.order == "random" and not self.spider.fixed_order:
            random.Random(f"{options.seed} {job.get('dip')} {job.get('dp')} {job.get('domain')}").shuffle(order)
        return order

    def _finish(self, job: Job, connections: list[Connection]) -> None:
        """What comes after connections: the plugin's last word, and their end."""
        while connections:
            connection = connections[0]
            self.spider.post_connect(job, connection, connection["config"])
            close_client(connection)
            del connections[0]
            self.spider.end_flow(job, connection)

    def _disturbances(self, result: Result) -> list[tuple[Connection, str]]:
        """Connections that failed and might have come up, with what our own machine was meanwhile: ``paused`` or
        ``overloaded``."""
        found = []
        longest = self.spider.longest_connection()
        for connection, (began, ended) in zip(result.connections, result.spans, strict=True):
            if connection["spdr_state"] not in (CONN_TIMEOUT, CONN_FAILED):
                continue
            under_way = max(began, ended - longest)  # before that it waited for its turn
            if kind := self.health.disturbance(under_way, ended):
                found.append((connection, kind))
        return found


def checked(connection: Any, config: int, job: Job) -> Connection:
    """What a connection function returned, made complete; ``TypeError`` where it is not what the API asks for.

    One that tells its port alone came up, as in 2.x.
    """
    if not isinstance(connection, dict) or not connection.keys() & {"spdr_state", "sp"}:
        raise TypeError(f"connection {config} returned {connection!r}, where a dict with 'spdr_state' is needed")
    connection["spdr_state"] = Conn(connection.get("spdr_state", CONN_OK))
    connection["config"] = config
    connection.setdefault("dp", job.get("dp"))
    if connection.get("sp") and not (isinstance(connection["sp"], int) and isinstance(connection["dp"], int)):
        raise TypeError(f"connection {config}: its ports are {connection['sp']!r} and {connection['dp']!r}, where "
                        "numbers are needed")
    return cast(Connection, connection)


def close_client(connection: Connection) -> None:
    """Close what a connection function left open."""
    if (client := connection.pop("client", None)) is not None:
        client.close()
