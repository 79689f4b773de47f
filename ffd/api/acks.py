"""Which delivery an ack or a nack speaks of (FireFly reference 9.2).

An answer may come late: for what was sent before its subscription was changed or deleted, or for what a nack took back.
Such an answer is passed over. It is neither an error nor taken for another delivery.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ffd.api.frames import Ack, SubscriptionRef, delivery_frames, no_match
from ffd.api.sessions import StartedFacts
from ffd.delivery.dispatcher import Dispatcher
from ffd.model.errors import Invalid
from ffd.model.subscription import Subscription, SubscriptionFilter
from ffd.ports.transport import Delivery

ENDED_MAX = 8
"""Dispatchers of one subscription that ended with something in flight, of which late answers are still known."""
AUTOACKED_MAX = 1_000
"""Batches that were acknowledged as they left and that the app may acknowledge too."""


class Connection(Protocol):
    """What a subscription knows of the connection that started it."""

    autoack: bool

    async def say(self, frames: Sequence[str]) -> None:
        """Send frames, in order; waits while the reader stalls."""


class Started:
    """One subscription that a connection started, and its end towards the app.

    `since` is in nanoseconds; `ephemeral` is the subscription itself, when nobody else knows it.
    """

    def __init__(
        self, connection: Connection, namespace: str, name: str, *, since: int, ephemeral: Subscription | None
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.since = since
        self.ephemeral = ephemeral
        self.dispatcher: Dispatcher | None = None
        self._connection = connection
        self._ended = deque[Dispatcher](maxlen=ENDED_MAX)
        self._autoacked = deque[str](maxlen=AUTOACKED_MAX)

    def facts(self) -> StartedFacts:
        """How it shows; the filter of a durable one is known while it is served."""
        shown = self.ephemeral or (None if self.dispatcher is None else self.dispatcher.subscription)
        return StartedFacts(
            self.since, self.namespace, "" if self.ephemeral else self.name, self.ephemeral is not None,
            SubscriptionFilter() if shown is None else shown.filter,
        )  # fmt: skip

    def placed(self, dispatcher: Dispatcher | None) -> None:
        """The dispatcher that serves this now."""
        if self.dispatcher is not None and self.dispatcher.oldest() is not None:
            self._ended.append(self.dispatcher)
        self.dispatcher = dispatcher

    async def deliver(self, delivery: Delivery) -> None:
        """Send the events; with autoack they count as done as soon as they are on their way."""
        dispatcher = self.dispatcher
        if dispatcher is None:
            return
        await self._connection.say(delivery_frames(dispatcher.subscription, delivery))
        if self._connection.autoack:
            if delivery.batch is not None:
                self._autoacked.append(delivery.batch)
            while (oldest := dispatcher.oldest()) is not None:
                dispatcher.ack(oldest[1])

    def speakers(self) -> Sequence[Dispatcher]:
        """Who may have sent what an answer is for, in the order in which they are asked.

        A subscription that was deleted and made anew is another one, and the older one sent first. One that was only
        changed goes on: what it sends again is in flight again.
        """
        live = self.dispatcher
        if live is None:
            return tuple(self._ended)
        if not self._ended:
            return (live,)
        id = live.subscription.id
        older = [each for each in self._ended if each.subscription.id != id]
        return *older, live, *(each for each in self._ended if each.subscription.id == id)

    def ack_batch(self, id: str) -> bool:
        """Take `id` as that of a batch. False when it is none."""
        return any(each.has_batch(id) and each.ack(id) for each in self.speakers()) or id in self._autoacked


def acknowledge(started: Sequence[Started], ack: Ack, *, autoack: bool) -> None:
    """The app has done something. Raises Invalid FF10175, FF10180 with autoack for anything but a batch."""
    if ack.id and any(each.ack_batch(ack.id) for each in started):
        return
    if autoack:
        raise Invalid("FF10180", "Automatic acknowledgement is on: this connection must send no acks")
    if ack.id is None:
        dispatcher, id = _oldest(started)
        dispatcher.ack(id)
        return
    meant = _meant(started, ack, ack.id)
    if not any(each.ack(ack.id) for each in meant) and not any(each.revoked(ack.id) for each in meant):
        raise no_match(ack.id)


def refuse(started: Sequence[Started], nack: Ack) -> None:
    """The app has not done something: it comes again, with all that follows. Raises Invalid FF10175."""
    if nack.id is None:
        dispatcher, id = _oldest(started)
        dispatcher.nack(id)
        return
    meant = _meant(started, nack, nack.id)
    if not any(each.nack(nack.id) for each in meant) and not any(each.revoked(nack.id) for each in meant):
        raise no_match(nack.id)


def _oldest(started: Sequence[Started]) -> tuple[Dispatcher, str]:
    """What left first of all that this connection has in flight. Raises Invalid FF10175."""
    flying = [(oldest, each) for one in started for each in one.speakers() if (oldest := each.oldest()) is not None]
    if not flying:
        raise no_match("(oldest)")
    (_, id), dispatcher = min(flying, key=lambda pair: pair[0][0])
    return dispatcher, id


def _meant(started: Sequence[Started], ack: Ack, id: str) -> list[Dispatcher]:
    """Who may have sent the event or batch `id`; the id alone is enough for a batch, or beside no other start."""
    speakers = [each for one in started for each in one.speakers()]
    if ack.subscription is not None:
        ref = ack.subscription
        exactly = [each for each in speakers if each.subscription.id == ref.id]
        return exactly or [each for each in speakers if _is_named(each.subscription, ref)]
    if len(started) == 1:
        return speakers
    return [each for each in speakers if each.has_batch(id)]


def _is_named(subscription: Subscription, ref: SubscriptionRef) -> bool:
    return ref.name is not None and (ref.namespace, ref.name) == (subscription.namespace, subscription.name)
