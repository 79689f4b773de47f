"""The dispatcher: follows the events for one subscription and hands them to one app, within its window.

Events leave in order; the offset moves only past what was acknowledged or filtered away, and is on disk before the
window opens again. So at most 1 + readAhead events come a second time after a crash, and each is recognisable by its
id. In batch mode a batch holds up to readAhead events, and so do all that are in flight (FireFly reference 8.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import trio

from ffd.delivery.enrich import EncodedEvent
from ffd.delivery.matching import Matcher, compile_filter
from ffd.delivery.recent import RecentEvents
from ffd.delivery.window import Window
from ffd.model.canonical import json_string
from ffd.model.errors import FfdError
from ffd.model.ids import format_uuid
from ffd.model.subscription import Subscription
from ffd.model.times import parse_duration
from ffd.ports.retry import Backoff, stubbornly
from ffd.ports.transport import Consumer, Delivery
from ffd.store import Store, Transaction, offsets
from ffd.store.bells import wait_rung
from ffd.store.leadership import Leadership
from ffd.world import World

PAGE_EVENTS = 200
READ_AHEAD_MAX = 65_535
BATCH_SIZE_DEFAULT = 50  # FireFly's subscription.defaults.batchSize
SKIPPED_MAX = 1_000  # filtered events that may come before the offset is recorded for their sake
SKIPPED_S = 1.0
POLL_S = 1.0  # the fallback for events that another process wrote
CLOSE_S = 1.0
DELIVERY_BYTES_MAX = 512 * 1024
"""Of the texts of one delivery, beside its first event: what waits for a reader that stalls."""
REVOKED_MAX = 1_000
"""Batches that were taken back of which a late ack is still known."""
REDELIVERY = Backoff(first_s=0.1, max_s=30.0)


@dataclass(frozen=True, slots=True)
class Flight:
    """What a subscription's options mean for its dispatcher; `size` is how many events may be in flight."""

    size: int
    batch: bool
    batch_timeout_s: float

    @classmethod
    def of(cls, subscription: Subscription, read_ahead_max: int) -> Flight:
        options = subscription.options
        batch = bool(options.batch)
        read_ahead = options.read_ahead
        if read_ahead is None:
            read_ahead = BATCH_SIZE_DEFAULT if batch else 0
        wait_s = parse_duration(options.batch_timeout) if options.batch_timeout and batch else 0.0
        ahead = min(read_ahead, read_ahead_max)
        return cls(max(1, ahead) if batch else 1 + ahead, batch, wait_s)


@dataclass(frozen=True, slots=True)
class DispatcherStatistics:
    """Where a dispatcher stands."""

    offset: int
    read: int
    in_flight: int
    delivered: int
    redelivered: int


class Dispatcher:
    """Delivers one subscription to one consumer; `leadership` is None for an ephemeral subscription.

    `turns` numbers the deliveries of all dispatchers in the order in which they leave.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        recent: RecentEvents,
        subscription: Subscription,
        consumer: Consumer,
        *,
        offset: int,
        leadership: Leadership | None,
        namespace: str | None,
        turns: Iterator[int],
        read_ahead_max: int = READ_AHEAD_MAX,
    ) -> None:
        self.subscription = subscription
        self._turns = turns
        self._world = world
        self._store = store
        self._recent = recent
        self._consumer = consumer
        self._leadership = leadership
        self._namespace = namespace
        self._matches: Matcher = compile_filter(subscription.filter)
        self._flight = Flight.of(subscription, read_ahead_max)
        self._window = Window(offset, self._flight.size)
        self._suffix = f',"subscription":{subscription_ref(subscription)}}}'
        self._changed = trio.Event()
        self._advanced = trio.Event()
        self._batches: dict[str, list[str]] = {}
        self._revoked_batches: deque[str] = deque(maxlen=REVOKED_MAX)
        self._refusals = 0
        self._delay_s = 0.0
        self._delivered = 0
        self._highest = offset
        self._redelivered = 0

    async def run(self) -> NoReturn:
        """Deliver until cancelled. What was acknowledged by then is recorded on the way out."""
        try:
            async with trio.open_nursery() as nursery:
                if self._leadership is not None:
                    nursery.start_soon(self._record)
                while True:
                    await self._deliver_next()
        finally:
            with trio.move_on_after(CLOSE_S, shield=True), suppress(FfdError):
                await self._record_now()
        raise AssertionError("a dispatcher ends by being cancelled")

    def ack(self, id: str) -> bool:
        """The app has done the event or the batch `id`. False when it is not in flight: nothing changes then."""
        if not self._window.ack(self._batches.get(id) or [id]):
            return False
        self._batches.pop(id, None)
        self._refusals = 0
        self._wake()
        return True

    def nack(self, id: str) -> bool:
        """The app refuses the event or the batch `id`: it comes again, with all that follow, after a growing delay."""
        batch = self._batch_of(id)
        first = id if batch is None else self._batches[batch][0]
        if self._window.nack(first) is None:
            return False
        if batch is not None:
            sent = list(self._batches)
            for later in sent[sent.index(batch) :]:
                del self._batches[later]
                self._revoked_batches.append(later)
        self._refusals += 1
        self._delay_s = REDELIVERY.delay_s(self._refusals)
        self._wake()
        return True

    def oldest(self) -> tuple[int, str] | None:
        """The oldest batch or event in flight that waits for its ack: its turn and its id."""
        oldest = self._window.oldest()
        if oldest is None or not self._flight.batch:
            return oldest
        return oldest[0], self._batch_of(oldest[1]) or oldest[1]

    def _batch_of(self, id: str) -> str | None:
        """The batch in flight that is called `id`, or has the event `id` in it."""
        return next((batch for batch, ids in self._batches.items() if id == batch or id in ids), None)

    def has_batch(self, id: str) -> bool:
        """Is `id` a batch in flight?"""
        return id in self._batches

    def revoked(self, id: str) -> bool:
        """Was the event or batch `id` taken back by a nack? An ack of it comes late and is passed over."""
        return id in self._revoked_batches or self._window.revoked(id)

    def statistics(self) -> DispatcherStatistics:
        window = self._window
        return DispatcherStatistics(window.durable, window.read, window.in_flight, self._delivered, self._redelivered)

    async def _deliver_next(self) -> None:
        """Hand over the next events, or wait for what keeps them."""
        if self._delay_s:
            delay_s, self._delay_s = self._delay_s, 0.0
            await trio.sleep(delay_s)
        elif self._window.room <= 0:
            await self._changed.wait()
            self._changed = trio.Event()
        else:
            ticket, read = self._store.bell("events").ticket(), self._window.read
            page = await self._page()
            if self._window.read != read:
                return  # a refusal came meanwhile, and this page is not what comes next
            if page:
                await self._hand_over(page)
            else:
                await wait_rung(ticket, at_most_s=POLL_S)

    async def _page(self) -> Sequence[EncodedEvent]:
        """The next events, whether they match or not; in batch mode a short page may wait to fill."""
        limit = max(PAGE_EVENTS, self._window.room) if self._flight.batch else PAGE_EVENTS
        page = await self._recent.page(self._window.read, limit)
        if self._flight.batch_timeout_s and 0 < len(page) < self._flight.size:
            await trio.sleep(self._flight.batch_timeout_s)
            page = await self._recent.page(self._window.read, limit)
        return page

    async def _hand_over(self, page: Sequence[EncodedEvent]) -> None:
        room, chosen, read = self._window.room, list[EncodedEvent](), self._window.read
        room_bytes = DELIVERY_BYTES_MAX
        for event in page:
            if self._hears(event):
                if len(chosen) == room or room_bytes < 0:
                    break
                chosen.append(event)
                room_bytes -= len(event.text)
            read = event.sequence
        self._window.send([(event.sequence, event.id) for event in chosen], read, next(self._turns))
        if chosen:
            await self._send(chosen)
        self._wake_recorder_if_far()
        await trio.lowlevel.checkpoint()

    def _hears(self, event: EncodedEvent) -> bool:
        return (self._namespace is None or event.namespace == self._namespace) and self._matches(event)

    async def _send(self, events: Sequence[EncodedEvent]) -> None:
        texts = [event.text + self._suffix for event in events]
        batch = None
        if self._flight.batch:
            batch = format_uuid(self._world.new_id())
            self._batches[batch] = [event.id for event in events]
        self._delivered += len(events)
        self._redelivered += sum([event.sequence <= self._highest for event in events])
        self._highest = max(self._highest, events[-1].sequence)
        try:
            await self._consumer.deliver(Delivery(texts, batch))
        except trio.Cancelled:
            # The reader stalled and never saw this: no late answer may be taken for its answer.
            self._window.nack(events[0].id)
            self._batches.pop(batch or "", None)
            raise

    def _wake(self) -> None:
        """The window changed by an ack or a nack."""
        if self._leadership is None:
            self._window.settle(self._window.offset)
            self._changed.set()
        self._advanced.set()
        if self._delay_s:
            self._changed.set()

    def _wake_recorder_if_far(self) -> None:
        if self._leadership is None:
            self._window.settle(self._window.offset)
        elif self._window.offset - self._window.durable >= SKIPPED_MAX:
            self._advanced.set()

    async def _record(self) -> NoReturn:
        """Keep the offset on disk as it moves; then, and only then, the window opens again."""
        while True:
            with trio.move_on_after(SKIPPED_S):
                await self._advanced.wait()
            self._advanced = trio.Event()
            await stubbornly(f"recording the offset of subscription {self.subscription.name}", self._record_now)
            self._changed.set()

    async def _record_now(self) -> None:
        offset = self._window.offset
        if self._leadership is None or offset <= self._window.durable:
            return
        await self._store.write(lambda tx: self._move_offset(tx, offset))
        self._window.settle(offset)

    def _move_offset(self, tx: Transaction, offset: int) -> None:
        if self._leadership is not None:
            self._leadership.check(tx)
        offsets.move(tx, offsets.SUBSCRIPTION, offset_name(self.subscription), to=offset)


def offset_name(subscription: Subscription) -> str:
    """The name of a durable subscription's offset: its id."""
    return subscription.id.replace("-", "")


def subscription_ref(subscription: Subscription) -> str:
    """How deliveries name their subscription."""
    return (
        f'{{"id":"{subscription.id}","namespace":{json_string(subscription.namespace)},'
        f'"name":{json_string(subscription.name)}}}'
    )
