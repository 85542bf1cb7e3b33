"""The coordinator: publishes a campaign's chunks and collects what the vantage points send.

Both can be done again at any time: what was published twice is measured once, and what was sent twice is kept once.
"""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pathspider.campaign import messages
from pathspider.campaign.chunks import ANY
from pathspider.campaign.definitions import queue_of
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.fleet import Fleet
from pathspider.campaign.folder import Campaign
from pathspider.campaign.link import Delivery, Link, NoQueueError
from pathspider.campaign.results import ResultError, Unpacked, check

log = logging.getLogger("pathspider")

PREFETCH = 8
"""Results that may be with us before they are on the disk."""

LOOKS = 1.0
"""Seconds between two looks at whether all is there."""


class Coordinator:
    """The coordinator's side of the exchange: publishes one campaign, and collects for all of the fleet.

    :param publishes: whether chunks that are left are published; otherwise results are collected alone
    """

    def __init__(self, fleet: Fleet, campaign: Campaign, *, publishes: bool = True) -> None:
        self.fleet = fleet
        self.campaign = campaign
        self.seen: dict[str, dict[str, Any]] = {}
        """What vantage points have said of themselves."""
        self._campaigns = {campaign.definition.id: campaign}
        self._publishes = publishes
        self._to_publish: list[tuple[str, int, int]] | None = None
        self._come: list[tuple[str, int]] = []
        self._over = threading.Event()
        self._news = threading.Event()
        """Something has come, or we are to end."""
        self.failure: CampaignError | None = None
        self.link = Link(fleet.coordinator, {"results": self._result, "dead": self._dead}, prefetch=PREFETCH,
                         work=self._work)

    def run(self) -> None:
        """Until all chunks have results or were given up, or :meth:`finish` is called."""
        self._check_slots()
        self.link.start()
        try:
            while not self._over.is_set() and self.failure is None:
                self._news.wait(LOOKS)
                self._news.clear()
                self._check_slots()
                if not any(True for _ in self.campaign.left()) or self.campaign.cancelled:
                    break
        finally:
            self.link.close()
        if self.failure is not None:
            raise self.failure

    def finish(self) -> None:
        """Collect no more; what comes later waits at the broker."""
        self._over.set()
        self._news.set()

    def collect(self) -> Iterator[tuple[str, int]]:
        """Those whose results have come since the last time."""
        while self._come:
            yield self._come.pop(0)

    def _check_slots(self) -> None:
        """Give up what nobody will measure any more."""
        with suppress(CampaignError):
            self.fleet = Fleet(self.fleet.folder)
        gone = {slot for slot in self.campaign.definition.slots
                if slot != ANY and slot not in self.fleet.state.vantages}
        for slot, number in [*self.campaign.left()] if gone else []:
            if slot in gone:
                self.campaign.journal.record("dead", slot=slot, chunk=number, why="the vantage point was removed")

    # -- the link's thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._to_publish is None:
            self._to_publish = unpublished(self.campaign) if self._publishes and not self.campaign.cancelled else []
        while self._to_publish and not self.campaign.cancelled and not self._over.is_set():
            slot, number, epoch = self._to_publish[0]
            chunk = self.campaign.chunk(slot, number, epoch)
            try:
                self.link.publish("", queue_of(slot), messages.pack(chunk, self.campaign.definition),
                                  message_id=chunk.key)
            except NoQueueError:
                self.failure = CampaignError(f"the broker has no queue for {slot}: was it added to this fleet?")
                self._over.set()
                return
            self.campaign.journal.record("published", slot=slot, chunk=number, epoch=epoch)
            self._to_publish.pop(0)

    def _result(self, delivery: Delivery) -> None:
        """A message of a vantage point: the broker has seen to it that the routing key is who has sent it."""
        vantage = delivery.key
        kind = delivery.properties.type
        try:
            if kind == "state":
                said = messages.read_state(delivery.body)
                self.seen[vantage] = {"at": time.time(), "errors": said.get("errors", 0), "remark": remark(said)}
            elif kind == "given_up":
                self._given_up(vantage, delivery.body)
            elif kind == "result":
                self._store(vantage, delivery.body)
                self.seen[vantage] = {**self.seen.get(vantage, {}), "at": time.time()}
            else:
                raise messages.MessageError("it is of no kind that is known")
        except (ResultError, messages.MessageError, LookupError, CampaignError) as error:
            log.error("what %s has sent is of no use: %s", vantage, error)
        # What is of no use will not be so later: nothing goes back.
        self.link.acknowledge(delivery)

    def _store(self, vantage: str, data: bytes) -> None:
        head = Unpacked(io.BytesIO(data)).head
        campaign = self._campaign(head["campaign"])
        definition, place = campaign.definition, (head["slot"], head["chunk"])
        if head["slot"] not in (vantage, ANY):
            raise ResultError(f"they are those of {head['slot'][:40]}")
        chunk = campaign.chunk(*place, head["epoch"])
        check(data, chunk, vantage, definition.default_port, several=definition.several)
        version = head["facts"].get("pathspider")
        if version != definition.version and not definition.other_versions:
            why = f"{vantage} has version {version!r:.30}, and the campaign {definition.version}"
            campaign.journal.record("dead", slot=place[0], chunk=place[1], why=why)
            raise ResultError(why)
        if campaign.outdated(*place, head["epoch"]):
            log.warning("%s, chunk %d: results from before it was asked for anew have come again, and are left out",
                        *place)
            return
        is_new = campaign.store(*place, data)
        if is_new or place not in campaign.noted():  # who was killed between the two has not noted it
            campaign.journal.record("done", slot=place[0], chunk=place[1], vantage=vantage)
        if is_new:
            self._come.append(place)
            self._news.set()

    def _given_up(self, vantage: str, body: bytes) -> None:
        try:
            said = json.loads(body)
            name, why = said["key"], str(said["why"])
            identity, slot, number, epoch = name.split(".")
            campaign, chunk = self._campaign(identity), (slot, int(number))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise messages.MessageError("it gives up what is no chunk") from None
        if slot != vantage or chunk not in {*campaign.left()}:
            raise messages.MessageError("it gives up what is not its own")
        self._note_dead(campaign, chunk, int(epoch), f"{vantage}: {why[:500]}")

    def _dead(self, delivery: Delivery) -> None:
        """A job that the broker gives out no more: it was refused, or has killed whoever took it, too often."""
        try:
            identity, slot, number, epoch = str(delivery.properties.message_id).split(".")
            campaign = self._campaign(identity)
            reason = str((delivery.properties.headers or {}).get("x-first-death-reason", "refused"))
            why = {"delivery_limit": "it was given out too often: it kills whoever measures it",
                   "rejected": "it was refused"}.get(reason, reason)
            self._note_dead(campaign, (slot, int(number)), int(epoch), why)
        except (ValueError, CampaignError, LookupError) as error:
            log.error("a dead letter of no campaign here: %s", error)
        self.link.acknowledge(delivery)

    def _note_dead(self, campaign: Campaign, place: tuple[str, int], epoch: int, why: str) -> None:
        if place in campaign.dead() or place[1] in campaign.done(place[0]) \
                or campaign.epochs().get(place, 0) != epoch:
            return
        log.error("%s, chunk %d was given up: %s", *place, why)
        campaign.journal.record("dead", slot=place[0], chunk=place[1], why=why)
        self._news.set()

    def _campaign(self, identity: str) -> Campaign:
        """A campaign of this fleet, by its id; :exc:`CampaignError` for another."""
        if identity not in self._campaigns:
            folder = self.fleet.campaign(identity)
            if folder is None:
                raise CampaignError("they are of a campaign that is not known here")
            self._campaigns[identity] = Campaign(folder)
        return self._campaigns[identity]


def unpublished(campaign: Campaign) -> list[tuple[str, int, int]]:
    """Slot, number and epoch of the chunks that are left and that the broker has not got."""
    epochs = campaign.epochs()
    published: set[tuple[str, int, int]] = set()
    for event in campaign.journal.events():
        if event["event"] == "published":
            published.add((event["slot"], event["chunk"], event["epoch"]))
        elif event["event"] == "taken_back":  # what is published once more is measured once
            published.clear()
    left = ((slot, number, epochs.get((slot, number), 0)) for slot, number in campaign.left())
    return [one for one in left if one not in published]


def remark(said: dict[str, Any]) -> str:
    """What is wrong with a vantage point, by what it has said."""
    found = []
    if said.get("refused"):
        found.append(f"refuses: {said['refused'][:100]}")
    if said.get("synchronized") is False:
        found.append("its clock is not synchronized")
    elif abs(said.get("clock_offset", 0.0)) > 0.1:
        found.append(f"its clock is {said['clock_offset']:+.1f} s off")
    if said.get("disk_free", 1 << 62) < 1 << 30:
        found.append(f"{said['disk_free'] >> 20} MB free")
    return "; ".join(found)


def take_back(fleet: Fleet, campaign: Campaign, patience: float = 30.0) -> int:
    """Take the chunks of a campaign out of the broker's queues; how many there were. What is under way stays."""
    taken = 0
    over = threading.Event()

    def work() -> None:
        nonlocal taken
        if over.is_set():
            return
        for slot in campaign.definition.slots:
            others: list[Delivery] = []
            while (delivery := link.get(queue_of(slot))) is not None:
                if str(delivery.properties.message_id).startswith(f"{campaign.definition.id}."):
                    link.acknowledge(delivery)
                    taken += 1
                else:
                    others.append(delivery)
            for delivery in others:
                link.refuse(delivery, requeue=True)
        campaign.journal.record("taken_back", chunks=taken)
        over.set()

    link = Link(fleet.coordinator, {}, work=work)
    link.start()
    done = over.wait(patience)
    link.close()
    if not done:
        raise CampaignError(f"the broker cannot be reached ({link.said}): what it has goes on being given out")
    return taken
